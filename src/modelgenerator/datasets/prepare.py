"""From what a person points at to the pictures and captions of a training.

In comes a folder or an archive, out comes a `PreparedDataset`: every picture that can be used, with
its caption, what is cut out of it and what counts in it, and a sentence about each one that cannot.
Nothing decoded is kept, so hundreds of large photos fit into memory.  Base models, settings and
tensors are not known here.
"""

import hashlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.captions import CAPTION_BYTES, read_caption, with_prefix
from modelgenerator.datasets.framing import FoundSubject, Frame, framed, notices_on
from modelgenerator.datasets.images import Photo, PhotoLimits, read_photo
from modelgenerator.datasets.listing import Listed, list_pictures
from modelgenerator.datasets.looking import Look, Looker, look_at_all, regions_of
from modelgenerator.datasets.masks import MaskShades, PictureMask, read_mask
from modelgenerator.datasets.regions import Box
from modelgenerator.datasets.segmentation import Segmenter
from modelgenerator.datasets.sources import PhotoSource, SourceFile, open_source
from modelgenerator.datasets.workers import Workers
from modelgenerator.errors import UnusableDataset, UnusableMask, UnusablePhoto
from modelgenerator.notices import Notice, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What is done with the pictures; without anything they are only read and checked."""

    caption_prefix: str | None = None
    normalize: bool = False
    """Whether a square around the subject is cut out."""
    shades: MaskShades | None = None
    """How much which part counts; none is all of it alike."""
    segmenter: Segmenter | None = None
    """Who finds the subject; none is nobody, and only masks that were made by hand tell."""
    limits: PhotoLimits = field(default_factory=PhotoLimits)

    @property
    def uses_regions(self) -> bool:
        return self.normalize or self.shades is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture of the dataset, by reference: its pixels are read when they are asked for."""

    file: SourceFile
    sha256: str
    width: int
    """Pixels, of what is left after the cut."""
    height: int
    caption: str
    """With the prefix; empty when there is neither caption nor prefix."""
    has_own_words: bool = True
    """Whether there is more to its caption than the prefix."""
    crop: Box | None = None
    """What is cut out of the upright photo; none is all of it."""
    mask: PictureMask | None = None
    """None when all of it counts."""
    look: Look | None = None
    """What was found out about it; only pictures that were never read have none."""
    limits: PhotoLimits = field(default_factory=PhotoLimits, repr=False, compare=False)

    @property
    def name(self) -> str:
        return self.file.name

    def read(self) -> Photo:
        """Decode the file again, and cut.

        Raises:
            UnusablePhoto: the file is gone, or is not the one that was prepared.
        """
        data = self.file.read(self.limits.max_bytes)
        photo = read_photo(data, name=self.name, limits=self.limits)
        if photo.sha256 != self.sha256:
            raise UnusablePhoto(self.name, "the file was changed since the training began")
        if self.crop is None:
            return photo
        return replace(photo, pixels_HW3=self.crop.cut(photo.pixels_HW3))


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
    """SHA-256 over pictures, captions, cuts and masks in order: the same dataset in another folder,
    or under other file names in the same order, has the same one."""
    copies: Mapping[str, str] = field(default_factory=dict[str, str])
    """Files that are left out because they are the same as a picture: their name, and its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoLookedAt:
    """One more photo was read, or refused."""

    name: str
    done: int
    total: int


def prepare(
    path: Path,
    how: Preparation | None = None,
    *,
    cache: ContentCache | None = None,
    workers: Workers | None = None,
) -> PreparedDataset:
    """What `preparing` returns, for who does not watch."""
    steps = preparing(path, how or Preparation(), cache=cache, workers=workers)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def preparing(
    photos: Path | PhotoSource,
    how: Preparation,
    *,
    cache: ContentCache | None = None,
    workers: Workers | None = None,
) -> Generator[PhotoLookedAt, None, PreparedDataset]:
    """Read and check every picture of `photos`, a path or a source; nothing there is written.

    Photos that `cache` knows are not decoded.  Others are looked at by `workers`; without any, in
    this process, one after the other and without limits on memory and time.

    Raises:
        UnusableDataset: neither folder nor archive, or no picture in it can be used.
        UnusableMask: with one line for each mask that does not fit its picture.
    """
    source = open_source(photos) if isinstance(photos, Path) else photos
    listing = list_pictures(source)
    looker = Looker(how.limits, how.segmenter)
    seen = look_at_all(
        [one.file for one in listing.pictures],
        looker,
        cache or ContentCache(None),
        workers or Workers(0),
    )
    usable: list[tuple[Listed, Look]] = []
    refused: list[RefusedPicture] = []
    for number, (one, look) in enumerate(zip(listing.pictures, seen, strict=True), start=1):
        yield PhotoLookedAt(name=one.file.name, done=number, total=len(listing.pictures))
        if isinstance(look, Look):
            usable.append((one, look))
        else:
            reason = look.reason if isinstance(look, UnusablePhoto) else str(look)
            refused.append(RefusedPicture(one.file.name, reason))
    if not usable:
        raise UnusableDataset(_why_none(f"the {source.kind} {source.path}", refused))
    copies = _copies(usable)
    notices = [*listing.notices, *_remarks(usable), *_about_copies(copies)]
    unique = [(one, look) for one, look in usable if one.file.name not in copies]
    pictures = _pictures(unique, how, notices)
    fingerprint = _fingerprint(pictures)
    return PreparedDataset(pictures, tuple(refused), tuple(notices), fingerprint, copies)


def with_captions(
    dataset: PreparedDataset, captions: Mapping[str, str], prefix: str | None
) -> PreparedDataset:
    """With `captions`, by the names of the pictures, where a picture has no words of its own."""
    pictures = tuple(
        replace(picture, caption=with_prefix(words, prefix), has_own_words=True)
        if not picture.has_own_words and (words := captions.get(picture.name))
        else picture
        for picture in dataset.pictures
    )
    return replace(dataset, pictures=pictures, fingerprint=_fingerprint(pictures))


def _remarks(usable: Sequence[tuple[Listed, Look]]) -> Iterator[Notice]:
    for one, look in usable:
        for remark in look.remarks:
            yield Notice("info", None, f"{one.file.name}: {remark}.")


def _copies(usable: Sequence[tuple[Listed, Look]]) -> dict[str, str]:
    """All but the first of each set of equal files: their names, and the name of the first."""
    first: dict[str, str] = {}
    for one, look in usable:
        first.setdefault(look.sha256, one.file.name)
    return {
        one.file.name: first[look.sha256]
        for one, look in usable
        if one.file.name != first[look.sha256]
    }


def _about_copies(copies: Mapping[str, str]) -> Iterator[Notice]:
    """Each set is told once."""
    for kept in dict.fromkeys(copies.values()):
        names = [kept, *(name for name, same in copies.items() if same == kept)]
        message = f"{listed(names)} are the same file: only {kept} is used."
        yield Notice("warning", None, message)


def _pictures(
    usable: Sequence[tuple[Listed, Look]], how: Preparation, notices: list[Notice]
) -> tuple[Picture, ...]:
    """With caption, cut and mask."""
    frames = _frames(usable, how, notices)
    pictures: list[Picture] = []
    for (one, look), frame in zip(usable, frames, strict=True):
        width, height = (frame.crop.width, frame.crop.height) if frame.crop else look.size
        words = _caption_in(one.caption, notices)
        picture = Picture(
            file=one.file,
            sha256=look.sha256,
            width=width,
            height=height,
            caption=with_prefix(words, how.caption_prefix),
            has_own_words=bool(words),
            crop=frame.crop,
            mask=frame.mask,
            look=look,
            limits=how.limits,
        )
        pictures.append(picture)
    return tuple(pictures)


def _frames(
    usable: Sequence[tuple[Listed, Look]], how: Preparation, notices: list[Notice]
) -> list[Frame]:
    if not how.uses_regions:
        if masks := [one.mask.name for one, _ in usable if one.mask]:
            message = f"Masks are not used without it: {listed(masks)}."
            notices.append(Notice("info", "maskedLoss", message))
        return [Frame(crop=None, mask=None, found_by=None)] * len(usable)
    by_hand = _masks_by_hand(usable, how.limits)
    frames: dict[str, Frame] = {}
    for one, look in usable:
        subject = by_hand.get(one.file.name) or FoundSubject(
            name=one.file.name, photo=look.size, regions=regions_of(look)
        )
        frames[subject.name] = framed(subject, normalize=how.normalize, shades=how.shades)
    notices += notices_on(frames, normalize=how.normalize)
    return list(frames.values())


def _masks_by_hand(
    usable: Sequence[tuple[Listed, Look]], limits: PhotoLimits
) -> dict[str, FoundSubject]:
    """By the picture's name; a person mends all masks at once, so all faults are told at once."""
    subjects: dict[str, FoundSubject] = {}
    faults: list[str] = []
    for one, look in usable:
        if one.mask is None:
            continue
        name = one.file.name
        try:
            mask, regions = read_mask(one.mask, picture=name, size=look.size, limits=limits)
        except UnusableMask as fault:
            faults.append(str(fault))
        else:
            subjects[name] = FoundSubject(name=name, photo=look.size, regions=regions, by_hand=mask)
    if faults:
        raise UnusableMask("\n".join(faults))
    return subjects


def _caption_in(file: SourceFile | None, notices: list[Notice]) -> str | None:
    if file is None:
        return None
    remarks: list[str] = []
    try:
        words = read_caption(file.head(CAPTION_BYTES), remarks)
    except UnusablePhoto as problem:
        message = f"The caption {file.name} is not used: {problem.reason}."
        notices.append(Notice("warning", None, message))
        return None
    notices += [Notice("warning", None, f"{file.name}: {remark}.") for remark in remarks]
    return words


def _why_none(place: str, refused: Sequence[RefusedPicture]) -> str:
    reasons = "".join(f"\n  {picture.name}: {picture.reason}" for picture in refused[:5])
    more = f"\n  and {len(refused) - 5} more" if len(refused) > 5 else ""
    return (
        f"None of the {len(refused)} pictures in {place} can be used:{reasons}{more}\n"
        "Put at least one jpg, png or webp picture that opens in an image viewer into it."
    )


def _fingerprint(pictures: Iterable[Picture]) -> str:
    lines = (
        f"{picture.sha256} {picture.caption}\n"
        + (f"cut {picture.crop}\n" if picture.crop else "")
        + (f"mask {picture.mask.sha256}\n" if picture.mask else "")
        for picture in pictures
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()

"""What came with an upload: which files are photos, captions, masks, and which are left aside.

In: files on this machine with the names that a person gave them, archives among them.  Out: each
with a label, and what is said of the rest.  Nothing is decoded, and no name is used as a path.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from modelgenerator.datasets.archives import (
    ArchiveLimits,
    below_common_folder,
    ignored_in,
    is_left_by_systems,
    looks_like_zip,
    read_directory,
)
from modelgenerator.datasets.labels import label_of, labels_of
from modelgenerator.datasets.listing import CAPTION_ENDING, PICTURE_ENDINGS
from modelgenerator.datasets.masks import stem_of_mask
from modelgenerator.datasets.sources import FolderFile, SourceFile
from modelgenerator.errors import UnusableDataset
from modelgenerator.service.errors import TooLarge
from modelgenerator.service.operations.file_results import FileResult, ignored, refused


@dataclass(frozen=True, slots=True)
class Arrived:
    """One file."""

    file: SourceFile
    label: str
    archive: str | None

    @property
    def stem(self) -> str:
        """What a photo, its caption and its mask have in common."""
        of_mask = stem_of_mask(self.label)
        return PurePosixPath(self.label).stem if of_mask is None else of_mask


@dataclass(slots=True)
class Arrivals:
    """All files of one upload, by what they are for."""

    photos: list[Arrived] = field(default_factory=list[Arrived])
    captions: list[Arrived] = field(default_factory=list[Arrived])
    masks: list[Arrived] = field(default_factory=list[Arrived])
    left_aside: list[FileResult] = field(default_factory=list[FileResult])

    def add(self, arrived: Arrived) -> None:
        """Sort in one more."""
        if stem_of_mask(arrived.label) is not None:
            self.masks.append(arrived)
        elif PurePosixPath(arrived.label).suffix.lower() == CAPTION_ENDING:
            self.captions.append(arrived)
        else:
            self.photos.append(arrived)

    @property
    def count(self) -> int:
        return len(self.photos) + len(self.captions) + len(self.masks)


_LEFT = "systems leave it beside a person's files"


def sorted_arrivals(files: Sequence[FolderFile], most: int) -> Arrivals:
    """What each of `files` is; archives are read where they lie.

    Raises:
        TooLarge: more than `most` files, those in archives among them.
    """
    arrivals = Arrivals()
    loose: list[tuple[FolderFile, tuple[str, ...]]] = []
    for file in files:
        names = _names_in(file.name)
        if not names or any(map(is_left_by_systems, names)):
            arrivals.left_aside.append(ignored(label_of(file.name or "file"), None, _LEFT))
        elif _is_archive(file):
            _add_members(file, arrivals, most)
        else:
            loose.append((file, names))
    labels = labels_of(below_common_folder([names for _, names in loose]))
    for label, (file, _) in zip(labels, loose, strict=True):
        arrivals.add(Arrived(file, label, None))
    if arrivals.count > most:
        raise TooLarge(f"An upload has at most {most:,} files. Send them in several.")
    return arrivals


def _add_members(file: FolderFile, arrivals: Arrivals, most: int) -> None:
    archive, limits = label_of(file.name), ArchiveLimits(max_files=most)
    try:
        members = read_directory(file.path, limits)
        left = ignored_in(file.path, limits)
    except UnusableDataset as problem:
        reason = str(problem).replace(str(file.path), archive)
        arrivals.left_aside.append(refused(archive, None, problem.code, reason))
        return
    for member in members:
        arrivals.add(Arrived(member, member.name, archive))
    arrivals.left_aside.extend(ignored(name, archive, _LEFT) for name in left)
    if not members:
        arrivals.left_aside.append(
            refused(archive, None, "unusableDataset", "there is no file in it")
        )


def _is_archive(file: FolderFile) -> bool:
    """A zip archive that says it is a photo is refused as one."""
    ending = PurePosixPath(file.name).suffix.lower()
    return ending not in PICTURE_ENDINGS and looks_like_zip(file.head(64), Path(f"a{ending}"))


def _names_in(name: str) -> tuple[str, ...]:
    """Browsers send folders along: without drives, roots and `..`."""
    parts = name.replace("\\", "/").split("/")
    return tuple(part for part in _without_drive(parts) if part not in ("", ".", ".."))


def _without_drive(parts: Sequence[str]) -> Iterator[str]:
    for number, part in enumerate(parts):
        if number or not part.endswith(":"):
            yield part

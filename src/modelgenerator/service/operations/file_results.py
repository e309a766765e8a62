"""What becomes of each file of an upload, in words.

In: a file's name and what happened to it.  Out: a result that a person and a program can read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from modelgenerator.errors import UnusablePhoto, UserError
from modelgenerator.service.errors import NothingUsable
from modelgenerator.service.records.datasets import DatasetPicture


class FileStatus(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # the same picture is there already
    REFUSED = "refused"
    IGNORED = "ignored"  # what systems leave beside a person's files, and what is empty


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """What became of one file."""

    name: str
    """As it is called in the dataset, or was called where it came from."""
    status: FileStatus
    archive: str | None = None
    """In which archive it was."""
    picture_id: UUID | None = None
    code: str | None = None
    """Why it was refused, for programs."""
    reason: str | None = None
    hint: str | None = None
    notices: tuple[str, ...] = ()
    """What was decided while it was read."""


def refused(
    name: str, archive: str | None, code: str, reason: str, hint: str | None = None
) -> FileResult:
    """That it cannot be used."""
    return FileResult(
        name=name,
        status=FileStatus.REFUSED,
        archive=archive,
        code=code,
        reason=reason,
        hint=hint,
    )


def refused_for(name: str, archive: str | None, problem: UserError) -> FileResult:
    """The same, in the words of the library."""
    reason = problem.reason if isinstance(problem, UnusablePhoto) else str(problem)
    return refused(name, archive, problem.code, reason)


def ignored(name: str, archive: str | None, reason: str) -> FileResult:
    """That nobody meant it."""
    return FileResult(name=name, status=FileStatus.IGNORED, archive=archive, reason=reason)


def duplicate(name: str, archive: str | None, known: DatasetPicture) -> FileResult:
    """That the same picture is there."""
    as_what = "" if name == known.label else f", as {known.label}"
    return FileResult(
        name=known.label,
        status=FileStatus.DUPLICATE,
        archive=archive,
        picture_id=known.id,
        reason=f"the same picture is there already{as_what}",
    )


def without_picture(name: str, archive: str | None) -> FileResult:
    """That it belongs to no photo."""
    return refused(
        name,
        archive,
        "noPicture",
        "there is no picture of the same name",
        "Send it with its photo, or after it: portrait.txt and portrait.mask.png belong to "
        "portrait.jpg.",
    )


def refuse_if_nothing_is_usable(results: Sequence[FileResult]) -> None:
    """Raises NothingUsable: every file that somebody meant was refused."""
    bad = [one for one in results if one.status is FileStatus.REFUSED]
    if not bad or any(one.status in _USABLE for one in results):
        return
    reasons = "; ".join(f"{one.name}: {(one.reason or '').rstrip('.')}" for one in bad[:5])
    files = [
        {
            "name": one.name,
            "status": one.status,
            "archive": one.archive,
            "code": one.code,
            "reason": one.reason,
            "hint": one.hint,
        }
        for one in bad
    ]
    told = f"None of the {len(bad)} files can be used" if bad[1:] else "The file cannot be used"
    raise NothingUsable(f"{told}: {reasons}.", files)


_USABLE = (FileStatus.ACCEPTED, FileStatus.DUPLICATE)

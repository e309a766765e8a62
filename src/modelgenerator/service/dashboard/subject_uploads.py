"""Photos that are dropped onto a subject's page, and what is said of each.

In: a form with files, of a script that sends a few at a time or of a browser that sends all.  Out:
cards of what was accepted, and for the rest why not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.subject_page import subject_values
from modelgenerator.service.dashboard.visits import UploadingVisitHere, Visit
from modelgenerator.service.errors import NothingUsable
from modelgenerator.service.http.received_files import received_files
from modelgenerator.service.operations import subjects, uploads
from modelgenerator.service.operations.file_results import FileResult, FileStatus
from modelgenerator.service.records.organizations import Role

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of a file that did not simply become a picture."""

    name: str
    words: str
    is_bad: bool


@router.post("/subjects/{id}/pictures")
async def add_pictures(visit: UploadingVisitHere, id: UUID) -> Response:
    """Photos, captions, masks and zips of them; what is good of it is kept."""
    visit.caller.require(Role.MEMBER)
    # not after gigabytes
    seen = await run_in_threadpool(subjects.read_subject, visit.service, visit.caller, id)
    dataset_id = seen.subject.dataset_id
    async with received_files(visit.request, visit.service) as (files, folder):
        try:
            results = await run_in_threadpool(
                uploads.add_files, visit.service, visit.caller, dataset_id, files, folder
            )
            told = [*said_of(results)]
        except NothingUsable as error:
            results, told = [], [*said_of_refused(error)]
    return await run_in_threadpool(_answer, visit, id, results, told)


def said_of(results: Sequence[FileResult]) -> list[Told]:
    """Of all that a person should read of: refused, known, and remarks."""
    told: list[Told] = []
    for one in results:
        name = f"{one.archive}: {one.name}" if one.archive else one.name
        if one.status is FileStatus.REFUSED:
            told.append(Told(name, _sentence(one.reason, one.hint), is_bad=True))
        elif one.status is FileStatus.DUPLICATE:
            told.append(Told(name, _sentence(one.reason, None), is_bad=False))
        told += [Told(name, _sentence(notice, None), is_bad=False) for notice in one.notices]
    return told


def said_of_refused(error: NothingUsable) -> list[Told]:
    """The same, where nothing could be used."""
    files = cast(Sequence[Mapping[str, Any]], error.facts["files"])
    return [
        Told(
            f"{one['archive']}: {one['name']}" if one["archive"] else str(one["name"]),
            _sentence(one["reason"], one["hint"]),
            is_bad=True,
        )
        for one in files
    ]


def _answer(
    visit: Visit, id: UUID, results: Sequence[FileResult], told: Sequence[Told]
) -> Response:
    """A part for the script, the page with its list of faults for a browser without it."""
    fresh = {one.picture_id for one in results if one.status is FileStatus.ACCEPTED}
    values = subject_values(visit, id)
    values |= {"told": told, "total": len(values["pictures"])}
    if visit.is_partial:
        values["pictures"] = [one for one in values["pictures"] if one.id in fresh]
        return visit.page("subjects/arrived.html", **values)
    if not told:
        words = "1 photo was added." if len(fresh) == 1 else f"{len(fresh)} photos were added."
        return visit.go(f"/subjects/{id}", words)
    return visit.page("subjects/subject.html", **values)


def _sentence(words: str | None, hint: str | None) -> str:
    text = (words or "").rstrip(".")
    said = f"{text[:1].upper()}{text[1:]}." if text else ""
    return f"{said} {hint}" if hint else said

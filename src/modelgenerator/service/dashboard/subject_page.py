"""A subject's page: its photos, what is said of them, and what to do next."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Response

from modelgenerator.captioning.subject_words import words_for
from modelgenerator.errors import (
    BaseModelGated,
    BaseModelNotFound,
    BaseModelUnsupported,
    HubUnreachable,
    UnusableDataset,
)
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.subjects import KIND_WORDS
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.operations import datasets, reports, subjects
from modelgenerator.service.operations.likely_settings import likely_settings
from modelgenerator.service.operations.reports import Wanted

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_NO_BASE = (BaseModelNotFound, BaseModelGated, BaseModelUnsupported, HubUnreachable)


@router.get("/subjects/{id}")
def subject_page(visit: VisitHere, id: UUID) -> Response:
    """Photos, drop zone, check, captions."""
    return visit.page("subjects/subject.html", **subject_values(visit, id))


@router.get("/subjects/{id}/check")
def check(visit: VisitHere, id: UUID) -> Response:
    """What is said of the photos; those that were not seen before are looked at first."""
    values = subject_values(visit, id)
    checked = checked_pictures(visit, values["dataset_id"], values["likely"].get("baseModel"))
    template = "subjects/checked.html" if visit.is_partial else "subjects/check_page.html"
    return visit.page(template, **values, checked=checked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A report as the page shows it."""

    good: int
    total: int
    verdict: str
    because: str
    resolution: int
    base_model: str | None
    """None: it could not be looked at, or nobody knows it yet."""
    flags: dict[UUID, list[dict[str, str]]]
    """Of each picture that something should be said of."""
    findings: list[dict[str, str]]
    """On all of them together."""
    alike: list[list[str]]
    wishes: list[str]


def checked_pictures(visit: Visit, dataset_id: UUID, base_model: str | None) -> Checked | None:
    """None: there is no picture yet."""
    try:
        report, base_model = _report(visit, dataset_id, base_model)
    except UnusableDataset:
        return None
    return checked_from(report, base_model)


def checked_from(report: dict[str, Any], base_model: str | None) -> Checked:
    """What of a report a person reads at a glance."""
    pictures = report["pictures"]
    flags = {UUID(one["pictureId"]): flags_of(one["findings"]) for one in pictures}
    return Checked(
        good=sum(one["level"] in ("good", "info") for one in pictures),
        total=len(pictures),
        verdict=report["verdict"],
        because=report["because"],
        resolution=report["resolution"],
        base_model=base_model,
        flags={id: found for id, found in flags.items() if found},
        findings=[one for one in report["findings"] if one["level"] != "good"],
        alike=report["alike"],
        wishes=report["wishes"],
    )


def flags_of(findings: list[dict[str, str]]) -> list[dict[str, str]]:
    """Those that a person should look at."""
    return [one for one in findings if one["level"] in ("warning", "problem")]


def _report(
    visit: Visit, dataset_id: UUID, base_model: str | None
) -> tuple[dict[str, Any], str | None]:
    """For the base model, or, where that cannot be looked at, for the usual resolution."""
    try:
        wanted = Wanted(base_model=base_model)
        return dict(reports.report_on(visit.service, visit.caller, dataset_id, wanted)), base_model
    except _NO_BASE:
        report = reports.report_on(visit.service, visit.caller, dataset_id, Wanted())
        return dict(report), None


def subject_values(visit: Visit, id: UUID) -> dict[str, Any]:
    """What the page and its parts show."""
    found = subjects.read_subject(visit.service, visit.caller, id)
    seen = datasets.read_dataset(visit.service, visit.caller, found.subject.dataset_id)
    likely = likely_settings(visit.service, visit.caller, seen)
    return {
        "subject": found.subject,
        "dataset_id": seen.dataset.id,
        "pictures": list(seen.pictures),
        "training_count": found.training_count,
        "likely": likely,
        "train_address": train_address(id, likely),
        "template_words": words_for(datasets.subject_words(found.subject)),
        "kinds": KIND_WORDS,
        "is_partial": visit.is_partial,
        "told": [],
        "calls": _calls(seen.dataset.id),
    }


def train_address(subject_id: UUID, settings: dict[str, str]) -> str:
    """Where a training of it is begun, with what is known already."""
    return f"/trainings/new?{urlencode({'subject': str(subject_id), **settings})}"


def _calls(dataset_id: UUID) -> list[Call]:
    path = f"/v1/datasets/{dataset_id}"
    upload = f'client.upload("{dataset_id}", "photos")'
    return [
        Call("POST", f"{path}/images", files="photo.jpg", python=upload),
        Call("GET", f"{path}/report"),
        Call("PUT", f"{path}/captions", {"captions": {}, "template": True}),
    ]

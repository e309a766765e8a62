"""What happened in the organization."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Response

from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.visits import VisitHere
from modelgenerator.service.operations import history
from modelgenerator.service.operations.history import Happening, Subject

router = APIRouter(route_class=PageRoute, include_in_schema=False)

SUBJECTS: Mapping[Subject, str] = {
    Subject.TRAININGS: "Trainings",
    Subject.PICTURES: "Pictures",
    Subject.RUNS: "Runs",
    Subject.MONEY: "Money",
    Subject.DELETIONS: "Deletions",
    Subject.SUBJECTS: "Subjects",
    Subject.FLOWS: "Flows",
    Subject.KEYS: "API keys",
    Subject.MEMBERS: "Members",
    Subject.WEBHOOKS: "Webhooks",
}
_PAGES: Mapping[Subject, str] = {
    Subject.TRAININGS: "/trainings/{id}",
    Subject.PICTURES: "/generate/{id}",
    Subject.RUNS: "/runs/{id}",
    Subject.MONEY: "/billing",
    Subject.DELETIONS: "/deletions/{id}",
    Subject.SUBJECTS: "/subjects/{id}",
    Subject.FLOWS: "/flows/{id}",
    Subject.KEYS: "/api-keys",
    Subject.MEMBERS: "/organization",
    Subject.WEBHOOKS: "/webhooks/{id}",
}
_STYLES: Mapping[str, str] = {
    "succeeded": "good",
    "done": "good",
    "credit": "good",
    "failed": "bad",
    "cancelled": "warn",
    "revoked": "warn",
    "switched off": "warn",
    "started": "busy",
}
_ON_A_PAGE = 100


def address_of(happening: Happening) -> str | None:
    """The page that a happening leads to."""
    id = happening.told.id
    return None if id is None else _PAGES[happening.about].format(id=id)


def style_of(status: str) -> str:
    """A badge's class."""
    return _STYLES.get(status, "plain")


@router.get("/logs")
def logs(
    visit: VisitHere,
    cursor: str | None = None,
    kind: str = "",
    search: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The newest first."""
    about = Subject(kind) if kind in list(Subject) else None
    page = history.list_happenings(
        visit.service, visit.caller, cursor, limit=_ON_A_PAGE, about=about, words=search
    )
    asked = {name: value for name, value in (("kind", kind), ("search", search)) if value}
    return visit.page(
        "logs/logs.html",
        happened=page,
        subjects={it: SUBJECTS[it] for it in history.subjects_for(visit.caller)},
        about=about,
        search=search,
        address=f"/logs?{urlencode(asked)}" if asked else "/logs",
        address_of=address_of,
        style_of=style_of,
    )

"""What happened in the organization."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Response

from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.visits import VisitHere
from modelgenerator.service.operations import history
from modelgenerator.service.operations.history import Happening, Topic

router = APIRouter(route_class=PageRoute, include_in_schema=False)

TOPICS: Mapping[Topic, str] = {
    Topic.TRAININGS: "Trainings",
    Topic.PICTURES: "Pictures",
    Topic.RUNS: "Runs",
    Topic.MONEY: "Money",
    Topic.DELETIONS: "Deletions",
    Topic.SUBJECTS: "Subjects",
    Topic.FLOWS: "Flows",
    Topic.KEYS: "API keys",
    Topic.MEMBERS: "Members",
    Topic.WEBHOOKS: "Webhooks",
}
_PAGES: Mapping[Topic, str] = {
    Topic.TRAININGS: "/trainings/{id}",
    Topic.PICTURES: "/generate/{id}",
    Topic.RUNS: "/runs/{id}",
    Topic.MONEY: "/billing",
    Topic.DELETIONS: "/deletions/{id}",
    Topic.SUBJECTS: "/subjects/{id}",
    Topic.FLOWS: "/flows/{id}",
    Topic.KEYS: "/api-keys",
    Topic.MEMBERS: "/organization",
    Topic.WEBHOOKS: "/webhooks/{id}",
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
    about = Topic(kind) if kind in list(Topic) else None
    page = history.list_happenings(
        visit.service, visit.caller, cursor, limit=_ON_A_PAGE, about=about, words=search
    )
    asked = {name: value for name, value in (("kind", kind), ("search", search)) if value}
    return visit.page(
        "logs/logs.html",
        happened=page,
        topics={it: TOPICS[it] for it in history.topics_for(visit.caller)},
        about=about,
        search=search,
        address=f"/logs?{urlencode(asked)}" if asked else "/logs",
        address_of=address_of,
        style_of=style_of,
    )

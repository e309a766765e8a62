"""Home: what there is to see and to do first."""

from typing import Any

from fastapi import APIRouter, Response

from modelgenerator.service.dashboard.machine_words import line_of
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.dashboard.work_rows import row_of
from modelgenerator.service.operations.overview import read_overview
from modelgenerator.service.operations.storage_use import SOON

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/")
def home(visit: VisitHere) -> Response:
    """The first page."""
    return visit.page("home/home.html", **_shown(visit))


@router.get("/now")
def now(visit: VisitHere) -> Response:
    """The part of it that changes by itself."""
    if not visit.is_partial:
        return visit.go("/")
    return visit.page("home/now.html", **_shown(visit))


def _shown(visit: Visit) -> dict[str, Any]:
    seen = read_overview(visit.service, visit.caller)
    return {
        "seen": seen,
        "work": [row_of(one) for one in seen.work],
        "failed": [row_of(one) for one in seen.failed],
        "machines": line_of(seen.machines),
        "soon": SOON.days,
    }

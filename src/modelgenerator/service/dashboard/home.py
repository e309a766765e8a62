"""Home: what there is to see and to do first."""

from fastapi import APIRouter, Response

from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.visits import VisitHere

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/")
def home(visit: VisitHere) -> Response:
    """The first page."""
    return visit.page("home.html")

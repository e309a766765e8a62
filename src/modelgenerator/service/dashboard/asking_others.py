"""The page of whoever may not even look: it says what this is, and whom to ask."""

from fastapi import Response

from modelgenerator.service.dashboard.visits import Visit
from modelgenerator.service.operations import members


def ask_an_administrator(visit: Visit, title: str, what: str) -> Response:
    """`what` only administrators may, as "make or see API keys"."""
    return visit.page(
        "organization/ask.html",
        status=403,
        page_title=title,
        what=what,
        administrators=members.list_administrators(visit.service, visit.caller),
    )

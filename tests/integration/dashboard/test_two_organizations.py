"""What is one organization's is, for another's members, no page: over every page that there is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from tests.household import Household, a_household
from tests.pages import signed_in
from tests.remembered import an_organization
from tests.serving import Serving, serving

from modelgenerator.service.dashboard.routes import ROUTERS
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.records.organizations import Role

WHOSE = {
    "/subjects/": "/v1/subjects",
    "/datasets/": "/v1/datasets",
    "/trainings/": "/v1/trainings",
    "/generate/": "/v1/inferences",
    "/packs/": "/v1/inference-packs",
    "/flows/": "/v1/flows",
    "/runs/": "/v1/runs",
    "/templates/": "/v1/training-templates",
    "/organization/members/": "/v1/members",
    "/api-keys/": "/v1/api-keys",
    "/webhooks/deliveries/": "/v1/webhooks/deliveries",
    "/webhooks/": "/v1/webhooks",
    "/deletions/": "/v1/deletions",
}
NOBODYS = ("/f/", "/assets/", "/generate/pictures/")
"""Open to whoever has the link; or tried in tests of their own."""
FORMS = {
    "/subjects/{id}/captions": {"change": "clear"},
    "/subjects/{id}/pictures/{picture_id}/move": {"position": "1"},
    "/trainings/{id}/extend": {"until": "2031-01-01T00:00:00Z"},
    "/organization/members/{id}/role": {"role": "viewer"},
    "/flows/{id}/public": {"public": "true"},
    "/flows/{id}/definition": {"text": "{}"},
    "/trainings/{id}/rename": {"name": "Theirs"},
    "/templates/{id}/rename": {"name": "Theirs"},
    "/packs/{id}": {"name": "Theirs", "prompts": "a fox"},
    "/packs/{id}/run": {"models": "creatures"},
}


@dataclass(frozen=True)
class _Houses:
    here: Serving
    first: Household
    own: TestClient
    others: TestClient


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Houses]:
    with serving(tmp_path_factory.mktemp("service")) as it:
        second = an_organization(it.service.database, it.clock, balance=10**8)
        owner = Caller(organization_id=second, role=Role.OWNER)
        yield _Houses(it, a_household(it), signed_in(it), signed_in(it, owner=owner))


def _routes() -> Iterator[tuple[str, str]]:
    for router in ROUTERS:
        for route in router.routes:
            path: str = getattr(route, "path", "")
            if "{" in path and not path.startswith(NOBODYS):
                for method in sorted(getattr(route, "methods", ())):
                    yield method, path


def _whole(routers: Iterable[APIRouter]) -> Iterator[tuple[str, str]]:
    """Addresses without an id, but those of the form itself."""
    for router in routers:
        for route in router.routes:
            path: str = getattr(route, "path", "")
            if "{" not in path and path not in ("/sign-in", "/sign-out"):
                for method in sorted(getattr(route, "methods", ())):
                    yield method, path


def _address(path: str, household: Household) -> str:
    beginning = next(one for one in sorted(WHOSE, key=len, reverse=True) if path.startswith(one))
    before, _, rest = path.partition("{")
    address = before + household.ids[WHOSE[beginning]] + rest.partition("}")[2]
    address = address.replace("{picture_id}", household.ids["image"])
    return f"{address}?id={household.ids['/v1/inferences']}" if "/compare" in path else address


@pytest.mark.parametrize(("method", "path"), list(_routes()))
def test_anothers_page_is_not_there(houses: _Houses, method: str, path: str):
    address = _address(path, houses.first)
    assert "{" not in address
    if path == "/subjects/{id}/pictures":
        answer = houses.others.post(address, files={"files": ("a.png", b"no picture")})
    else:
        answer = houses.others.request(method, address, data=FORMS.get(path))
    assert answer.status_code == 404, answer.text
    if method == "GET":
        assert houses.own.get(address).status_code in (200, 204), houses.own.get(address).text


def test_without_a_session_every_page_leads_to_the_form(houses: _Houses):
    stranger = TestClient(houses.here.http.app, follow_redirects=False)
    for method, path in _routes():
        answer = stranger.request(method, _address(path, houses.first))
        assert answer.status_code == 303, (method, path)
        assert answer.headers["location"].startswith("/sign-in"), (method, path)
    for method, path in _whole(ROUTERS):
        answer = stranger.request(method, path)
        assert answer.status_code == 303, (method, path)

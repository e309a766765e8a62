"""Requests that a machine makes up from the API's own description: none breaks the server, and
every answer is one that is described.

The examples are drawn from a fixed seed, so that
a failure happens again.
"""

import os
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import APIOperation, BaseSchema, Case, GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from tests.household import Household, a_household
from tests.serving import Serving, serving

from modelgenerator.service.api.routes import ROUTERS

EXAMPLES = int(os.environ.get("API_EXAMPLES", "6"))
"""For each address; more of them, now and then, by hand."""
PATIENCE = 300
"""Seconds for an answer: a busy machine is no fault of the server's."""
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("service"), requests_per_minute=1_000_000) as it:
        yield it


@pytest.fixture(scope="module")
def household(here: Serving) -> Household:
    return a_household(here)


@pytest.fixture(scope="module")
def described(here: Serving) -> BaseSchema:
    return schemathesis.openapi.from_asgi("/openapi.json", here.http.app, timeout=PATIENCE)


def _addresses() -> Iterator[tuple[str, str]]:
    for router in ROUTERS:
        for route in router.routes:
            path: str = getattr(route, "path", "")
            if not path.endswith("/events"):  # they last; tried in tests of their own
                for method in sorted(getattr(route, "methods", ())):
                    yield method, path.replace(":path", "")


def _asked(operation: APIOperation, household: Household) -> SearchStrategy[Case]:
    """What fits, what does not, and what fits for things that are there."""
    fitting = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    if "{" not in operation.path or operation.method.upper() == "DELETE":
        return fitting | wrong  # what is deleted cannot be asked for afterwards
    written = operation.path.split("/"), household.address(operation.path).split("/")
    ids = {name.strip("{}"): id for name, id in zip(*written, strict=True) if name[:1] == "{"}
    return fitting | wrong | operation.as_strategy(path_parameters=ids)


@pytest.mark.parametrize(("method", "path"), list(_addresses()))
def test_every_answer_is_one_that_is_described(
    described: BaseSchema, here: Serving, household: Household, method: str, path: str
):
    key = here.http.headers["Authorization"]

    @seed(20261125)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=_asked(described[path][method], household))
    def ask(case: Case) -> None:
        case.call_and_validate(headers={"Authorization": key}, checks=CHECKS, timeout=PATIENCE)

    ask()

"""A service on a temporary folder, and somebody with a key who asks it."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from fastapi.testclient import TestClient
from tests.remembered import SetClock

from modelgenerator.service.app.limits import RequestLimits
from modelgenerator.service.app.web import create_app
from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.operations import api_keys
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.first_start import first_start
from modelgenerator.service.operations.service import Service, opened
from modelgenerator.service.records.organizations import Role


@dataclass(frozen=True)
class Serving:
    """A service that answers requests and runs no jobs."""

    service: Service
    clock: SetClock
    http: TestClient
    """With the owner's key."""
    organization_id: UUID

    @property
    def owner(self) -> Caller:
        return Caller(organization_id=self.organization_id, role=Role.OWNER)

    def as_role(self, role: Role) -> TestClient:
        """Somebody with another key."""
        made = api_keys.create_api_key(self.service, self.owner, name=str(role), role=role)
        assert made.key is not None
        return self.with_key(made.key)

    def with_key(self, key: str | None) -> TestClient:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return TestClient(self.http.app, headers=headers, raise_server_exceptions=False)


@contextmanager
def serving(
    folder: Path, limits: RequestLimits | None = None, **config: object
) -> Generator[Serving, None, None]:
    """A service with one organization and $100, on SQLite and files in `folder`."""
    deployment = ServiceConfig.model_validate(
        {"data_dir": folder, "public_url": "http://testserver", **config}
    )
    clock = SetClock()
    with opened(deployment, clock) as service:
        first = first_start(service)
        assert first is not None
        app = create_app(service, limits)
        headers = {"Authorization": f"Bearer {first.key}"}
        http = TestClient(app, headers=headers, raise_server_exceptions=False)
        yield Serving(service, clock, http, first.organization.id)

"""Somebody who has signed in to the dashboard, without a browser: what the server answers."""

from fastapi.testclient import TestClient
from tests.serving import Serving

from modelgenerator.service.dashboard.visits import SESSION
from modelgenerator.service.operations import members
from modelgenerator.service.operations.accounts import sign_in
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.records.organizations import Role

PASSWORD = "a long enough password"


def signed_in(serving: Serving, role: Role = Role.OWNER, owner: Caller | None = None) -> TestClient:
    """A member with this role, who follows no redirect: a test sees where it leads.

    `owner` is that of the organization whose member he is; absent: the first one's.
    """
    owner = owner or serving.owner
    email = f"{role}-{owner.organization_id.hex}-{serving.clock().timestamp():.0f}@example.org"
    members.add_member(serving.service, owner, email=email, name="M", password=PASSWORD, role=role)
    token = sign_in(serving.service, email, PASSWORD, address="test").token
    return TestClient(
        serving.http.app,
        cookies={SESSION: token},
        headers={"accept": "text/html", "sec-fetch-site": "same-origin"},
        follow_redirects=False,
        raise_server_exceptions=False,
    )

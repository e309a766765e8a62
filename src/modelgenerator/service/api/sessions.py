"""Sessions: a person signs in with an e-mail address and a password."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from modelgenerator.service.api.asking import ServiceHere
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.shapes import Body, Shape
from modelgenerator.service.operations import accounts
from modelgenerator.service.records.organizations import Role

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])


class Credentials(Body):
    """Who wants to sign in."""

    email: str
    password: SecretStr


class Session(Shape):
    """Somebody who has signed in."""

    token: str
    """Shown this once; send it as `Authorization: Bearer TOKEN`."""
    expires_at: datetime
    email: str
    name: str
    role: Role
    organization_id: UUID


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


@router.post("", status_code=201, responses=problems())
def sign_in(
    service: ServiceHere, body: Credentials, address: Annotated[str, Depends(_address)]
) -> Session:
    """Sign in; after too many attempts wait as long as `Retry-After` says."""
    password = body.password.get_secret_value()
    signed_in = accounts.sign_in(service, body.email, password, address=address)
    return Session(
        token=signed_in.token,
        expires_at=signed_in.session.expires_at,
        email=signed_in.user.email,
        name=signed_in.user.name,
        role=signed_in.member.role,
        organization_id=signed_in.member.organization_id,
    )


@router.delete("/current", status_code=204, responses=problems())
def sign_out(
    service: ServiceHere, shown: Annotated[HTTPAuthorizationCredentials, Security(HTTPBearer())]
) -> None:
    """The token that this is asked with lets nobody in any more."""
    accounts.sign_out(service, shown.credentials)

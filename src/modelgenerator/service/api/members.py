"""Members of an organization."""

from datetime import datetime
from typing import Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import SecretStr

from modelgenerator.service.api.asking import CallerHere, ServiceHere
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.shapes import Body, PageOf, PagingHere, Shape
from modelgenerator.service.operations import members
from modelgenerator.service.operations.members import MemberSeen
from modelgenerator.service.records.organizations import Role

router = APIRouter(prefix="/v1/members", tags=["members"])


class Member(Shape):
    """Somebody who belongs to the organization."""

    id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime

    @classmethod
    def of(cls, seen: MemberSeen) -> Self:
        """The shape of a member."""
        return cls(
            id=seen.member.id,
            email=seen.user.email,
            name=seen.user.name,
            role=seen.member.role,
            created_at=seen.member.created_at,
        )


class NewMember(Body):
    """Somebody to be added."""

    email: str
    role: Role
    name: str = ""
    password: SecretStr | None = None
    """The first one, for somebody who is new to this service; others keep their own."""


class MemberChange(Body):
    """Another role."""

    role: Role


@router.post("", status_code=201, responses=problems(409))
def add_member(service: ServiceHere, caller: CallerHere, body: NewMember) -> Member:
    """Add somebody, with a role that is not above your own."""
    added = members.add_member(
        service,
        caller,
        email=body.email,
        role=body.role,
        name=body.name,
        password=body.password.get_secret_value() if body.password else None,
    )
    return Member.of(added)


@router.get("", responses=problems())
def list_members(service: ServiceHere, caller: CallerHere, paging: PagingHere) -> PageOf[Member]:
    """The organization's members, the newest first."""
    page = members.list_members(service, caller, paging.cursor, limit=paging.limit)
    return PageOf.of(page, Member.of)


@router.patch("/{id}", responses=problems(404, 409))
def change_member(service: ServiceHere, caller: CallerHere, id: UUID, body: MemberChange) -> Member:
    """Another role, from now on; keys that the member made and that may more are revoked."""
    return Member.of(members.change_role(service, caller, id, body.role))


@router.delete("/{id}", status_code=204, responses=problems(404, 409))
def remove_member(service: ServiceHere, caller: CallerHere, id: UUID) -> None:
    """The member and the keys that he made are let in no more; one owner stays."""
    members.remove_member(service, caller, id)

"""What the first start makes: one organization, somebody who may do everything in it, and a key.

In: a deployment.  Out: what is shown once, or none where somebody was here before.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime

from modelgenerator.service.billing.ledger import Ledger
from modelgenerator.service.errors import AlreadyExists
from modelgenerator.service.operations.api_keys import new_key
from modelgenerator.service.operations.passwords import hash_password
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import ApiKey, Member, Organization, Role, User

ADMINISTRATOR = "admin@localhost"
ORGANIZATION = "Home"


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What opens a deployment that is new; neither secret is kept."""

    organization: Organization
    email: str
    password: str
    key: str
    """An API key that may do everything."""


@dataclass(frozen=True, slots=True)
class _Household:
    organization: Organization
    user: User
    member: Member
    api_key: ApiKey


def first_start(service: Service) -> FirstStart | None:
    """Make them where there is no organization; of two servers that start at once, one does."""
    with service.database.reading() as transaction:
        if transaction.identities.organizations():
            return None
    password = secrets.token_urlsafe(12)
    now = service.clock()
    key, household = _household(password, now)
    try:
        _add(service, household, now)
    except AlreadyExists:
        return None
    return FirstStart(household.organization, ADMINISTRATOR, password, key)


def _household(password: str, now: datetime) -> tuple[str, _Household]:
    organization = Organization(id=new_id(now), name=ORGANIZATION, created_at=now)
    user = User(
        id=new_id(now),
        email=ADMINISTRATOR,
        name="Administrator",
        password_hash=hash_password(password),
        created_at=now,
    )
    member = Member(
        id=new_id(now),
        organization_id=organization.id,
        user_id=user.id,
        role=Role.OWNER,
        created_at=now,
    )
    key, api_key = new_key(organization.id, "First start", Role.OWNER, now)
    return key, _Household(organization, user, member, api_key)


def _add(service: Service, household: _Household, now: datetime) -> None:
    """Raises AlreadyExists: another server has done it in between."""
    with service.database.transaction() as transaction:
        # one of a kind in the database: whoever comes second waits here, and then goes no further
        transaction.identities.add_user(household.user)
        transaction.identities.add_organization(household.organization)
        store = transaction.of(household.organization.id)
        store.members.add(household.member)
        store.api_keys.add(household.api_key)
        Ledger(store.accounts, now).open(service.config.starting_balance)

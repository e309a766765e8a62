"""Who shows what is let in as whom."""

from datetime import timedelta

import pytest
from tests.remembered import an_organization

from modelgenerator.service.errors import AlreadyExists, NotFound
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import ApiKey, Member, Role, Session, User


@pytest.fixture
def user(database, clock):
    user = User(
        id=new_id(clock()), email="ada@x.org", name="Ada", password_hash=None, created_at=clock()
    )
    with database.transaction() as transaction:
        transaction.identities.add_user(user)
    return user


def test_an_address_is_known_however_it_is_written(database, user):
    with database.reading() as transaction:
        assert transaction.identities.user_by_email(" Ada@X.org ") == user
        assert transaction.identities.user_by_email("eva@x.org") is None
        assert transaction.identities.user(user.id) == user


def test_an_address_is_somebodys_alone(database, user, clock):
    with pytest.raises(AlreadyExists), database.transaction() as transaction:
        transaction.identities.add_user(
            User(
                id=new_id(clock()), email=user.email, name="", password_hash="", created_at=clock()
            )
        )


def test_a_person_may_belong_to_several_organizations(database, organization_id, user, clock):
    ids = [organization_id, an_organization(database, clock)]
    with database.transaction() as transaction:
        for id in ids:
            member = Member(
                id=new_id(clock()),
                organization_id=id,
                user_id=user.id,
                role=Role.ADMIN,
                created_at=clock(),
            )
            transaction.of(id).members.add(member)
        found = transaction.identities.memberships(user.id)
    assert [member.organization_id for member in found] == ids


def test_a_key_is_found_by_its_hash_and_remembers_its_last_use(database, organization_id, clock):
    key = ApiKey(
        id=new_id(clock()),
        organization_id=organization_id,
        name="ci",
        prefix="mg_ab",
        hash="f" * 64,
        role=Role.VIEWER,
        created_by=None,
        created_at=clock(),
    )
    now = clock()
    with database.transaction() as transaction:
        transaction.of(organization_id).api_keys.add(key)
        assert transaction.identities.api_key("0" * 64) is None
        found = transaction.identities.api_key("f" * 64)
        assert found == key
        transaction.identities.mark_used(key, now)
        used = transaction.identities.api_key("f" * 64)
        assert used is not None
        assert used.last_used_at == now


def test_a_session_ends(database, organization_id, user, clock):
    end = clock() + timedelta(hours=1)
    session = Session(
        id=new_id(clock()),
        organization_id=organization_id,
        user_id=user.id,
        token_hash="a" * 64,
        created_at=clock(),
        expires_at=end,
    )
    with database.transaction() as transaction:
        transaction.of(organization_id).sessions.add(session)
        identities = transaction.identities
        assert identities.session("a" * 64, clock()) == session
        assert identities.session("a" * 64, end) is None
        assert identities.forget_sessions(clock()) == 0
        assert identities.forget_sessions(end) == 1


def test_an_organization_that_is_not_there_is_not_found(database, organization_id, clock):
    with database.reading() as transaction:
        assert transaction.identities.organization(organization_id).name == "Tests"
        with pytest.raises(NotFound):
            transaction.identities.organization(new_id(clock()))

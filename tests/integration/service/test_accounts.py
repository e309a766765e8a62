"""Who is let in, as what, and who is not."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Thread
from uuid import UUID, uuid4

import pytest
from tests.remembered import SetClock, an_organization

from modelgenerator.datasets.workers import Workers
from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    InvalidValue,
    NotFound,
    RateLimited,
    Unauthenticated,
)
from modelgenerator.service.operations.accounts import (
    SESSION_LENGTH,
    authenticate_key,
    authenticate_session,
    sign_in,
    sign_out,
)
from modelgenerator.service.operations.api_keys import (
    create_api_key,
    list_api_keys,
    revoke_api_key,
)
from modelgenerator.service.operations.callers import Caller, RequestKey
from modelgenerator.service.operations.first_start import FirstStart, first_start
from modelgenerator.service.operations.members import (
    add_member,
    change_role,
    list_members,
    remove_member,
)
from modelgenerator.service.operations.news import News
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.datasets import Origin
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.folder import FolderFiles
from modelgenerator.service.store.links import LinkSigner


@pytest.fixture
def service(database: Database, clock: SetClock, tmp_path: Path) -> Service:
    links = LinkSigner([b"s" * 32])
    return Service(
        config=ServiceConfig(data_dir=tmp_path),
        database=database,
        files=FolderFiles(tmp_path / "files", links, clock, base_url=""),
        links=links,
        clock=clock,
        photo_workers=Workers(),
        news=News(),
    )


@pytest.fixture
def started(service: Service) -> FirstStart:
    started = first_start(service)
    assert started is not None
    return started


@pytest.fixture
def owner(service: Service, started: FirstStart) -> Caller:
    signed_in = sign_in(service, started.email, started.password, address="127.0.0.1")
    return authenticate_session(service, signed_in.token)


def test_the_first_start_makes_somebody_who_may_do_everything(
    service: Service, started: FirstStart
) -> None:
    caller = authenticate_key(service, started.key)
    assert (caller.organization_id, caller.role) == (started.organization.id, Role.OWNER)
    assert caller.origin == Origin.API
    with service.database.reading() as transaction:
        account = transaction.of(caller.organization_id).accounts.read()
    assert account.balance == service.config.starting_balance


def test_there_is_one_first_start(service: Service, started: FirstStart) -> None:
    assert first_start(service) is None
    with service.database.reading() as transaction:
        assert [it.id for it in transaction.identities.organizations()] == [started.organization.id]


def test_of_servers_that_start_at_once_one_makes_the_organization(service: Service) -> None:
    made: list[FirstStart | None] = []
    threads = [Thread(target=lambda: made.append(first_start(service))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([it for it in made if it is not None]) == 1
    with service.database.reading() as transaction:
        assert len(transaction.identities.organizations()) == 1


def test_neither_key_nor_password_is_kept(service: Service, started: FirstStart) -> None:
    assert started.key.startswith("mg_")
    with service.database.reading() as transaction:
        user = transaction.identities.user_by_email(started.email)
        [kept] = transaction.of(started.organization.id).api_keys.all()
    assert started.key not in repr(kept)
    assert started.password not in repr(user)
    assert started.key.startswith(kept.prefix)


@pytest.mark.parametrize("key", ["", "mg_wrong", "mg_\udcff", "é" * 1000])
def test_a_key_that_nobody_made_lets_nobody_in(
    service: Service, started: FirstStart, key: str
) -> None:
    for shown in (key, started.key[:-1], started.key + "0", started.key.lower()):
        with pytest.raises(Unauthenticated):
            authenticate_key(service, shown)


def test_a_revoked_key_and_an_expired_one_let_nobody_in(
    service: Service, owner: Caller, clock: SetClock
) -> None:
    lasting = create_api_key(service, owner, name="CI", role=Role.MEMBER)
    brief = create_api_key(
        service, owner, name="CI", role=Role.MEMBER, expires_at=clock() + timedelta(minutes=1)
    )
    assert lasting.key is not None
    assert brief.key is not None
    assert authenticate_key(service, lasting.key).role == Role.MEMBER
    clock.advance(60)
    with pytest.raises(Unauthenticated):
        authenticate_key(service, brief.key)
    revoke_api_key(service, owner, lasting.api_key.id)
    revoke_api_key(service, owner, lasting.api_key.id)
    with pytest.raises(Unauthenticated):
        authenticate_key(service, lasting.key)


def test_when_a_key_was_used_last_is_seen(
    service: Service, started: FirstStart, owner: Caller, clock: SetClock
) -> None:
    authenticate_key(service, started.key)
    [first] = list_api_keys(service, owner, None, limit=10).items
    clock.advance(300)
    authenticate_key(service, started.key)
    [second] = list_api_keys(service, owner, None, limit=10).items
    assert first.last_used_at is not None
    assert second.last_used_at is not None
    assert second.last_used_at - first.last_used_at >= timedelta(minutes=5)


def test_nobody_makes_a_key_that_may_more_than_he(service: Service, owner: Caller) -> None:
    for role in (Role.MEMBER, Role.VIEWER):
        with pytest.raises(Forbidden):
            create_api_key(service, replace(owner, role=role), name="k", role=Role.VIEWER)
    admin = replace(owner, role=Role.ADMIN)
    with pytest.raises(Forbidden):
        create_api_key(service, admin, name="k", role=Role.OWNER)
    key = create_api_key(service, owner, name="k", role=Role.OWNER).api_key
    with pytest.raises(Forbidden):
        revoke_api_key(service, admin, key.id)


def test_a_key_has_a_name_and_a_future(service: Service, owner: Caller, clock: SetClock) -> None:
    with pytest.raises(InvalidValue):
        create_api_key(service, owner, name=" ", role=Role.VIEWER)
    with pytest.raises(InvalidValue):
        create_api_key(service, owner, name="k", role=Role.VIEWER, expires_at=clock())


def test_the_same_request_makes_one_key_and_shows_it_once(service: Service, owner: Caller) -> None:
    asking = replace(owner, request=RequestKey("once", "f"))
    first = create_api_key(service, asking, name="k", role=Role.VIEWER)
    second = create_api_key(service, asking, name="k", role=Role.VIEWER)
    assert second.key is None
    assert second.api_key == first.api_key


def test_keys_of_another_organization_are_not_there(
    service: Service, owner: Caller, clock: SetClock
) -> None:
    key = create_api_key(service, owner, name="k", role=Role.VIEWER).api_key
    other = Caller(organization_id=an_organization(service.database, clock), role=Role.OWNER)
    assert list_api_keys(service, other, None, limit=10).items == ()
    with pytest.raises(NotFound):
        revoke_api_key(service, other, key.id)


def test_who_signed_in_is_let_in_until_he_signs_out(service: Service, started: FirstStart) -> None:
    signed_in = sign_in(service, " ADMIN@localhost ", started.password, address="::1")
    caller = authenticate_session(service, signed_in.token)
    assert (caller.role, caller.origin) == (Role.OWNER, Origin.DASHBOARD)
    assert caller.user_id == signed_in.user.id
    sign_out(service, signed_in.token)
    sign_out(service, signed_in.token)
    with pytest.raises(Unauthenticated):
        authenticate_session(service, signed_in.token)


def test_a_session_ends_by_itself(service: Service, started: FirstStart, clock: SetClock) -> None:
    signed_in = sign_in(service, started.email, started.password, address="::1")
    clock.advance(SESSION_LENGTH.total_seconds())
    with pytest.raises(Unauthenticated):
        authenticate_session(service, signed_in.token)


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(
    service: Service, started: FirstStart
) -> None:
    said: set[str] = set()
    for email, password in ((started.email, "wrong password"), ("nobody@example.com", "x" * 2000)):
        with pytest.raises(Unauthenticated) as refused:
            sign_in(service, email, password, address="::1")
        said.add(str(refused.value))
    assert len(said) == 1


def test_passwords_are_not_guessed_for_one_e_mail(
    service: Service, started: FirstStart, clock: SetClock
) -> None:
    for n in range(10):
        with pytest.raises(Unauthenticated):
            sign_in(service, started.email, "wrong password", address=f"10.0.0.{n}")
    with pytest.raises(RateLimited) as refused:
        sign_in(service, started.email, started.password, address="10.0.0.99")
    assert refused.value.retry_after > timedelta(minutes=14)
    clock.advance(15 * 60)
    assert sign_in(service, started.email, started.password, address="10.0.0.99")


def test_addresses_are_not_guessed_from_one_machine(service: Service, started: FirstStart) -> None:
    for n in range(60):
        service.attempts_by_address.count("10.0.0.1", service.clock())
        del n
    with pytest.raises(RateLimited):
        sign_in(service, started.email, started.password, address="10.0.0.1")
    assert sign_in(service, started.email, started.password, address="10.0.0.2")


def _joined(service: Service, owner: Caller, role: Role, email: str = "ada@example.com") -> UUID:
    return add_member(service, owner, email=email, role=role, password="long enough").member.id


def test_a_new_member_signs_in_with_the_first_password(service: Service, owner: Caller) -> None:
    seen = add_member(
        service, owner, email="Ada@Example.com", role=Role.MEMBER, password="long enough"
    )
    assert (seen.user.email, seen.user.name) == ("ada@example.com", "ada")
    signed_in = sign_in(service, "ada@example.com", "long enough", address="::1")
    assert authenticate_session(service, signed_in.token).role == Role.MEMBER
    listed = list_members(service, owner, None, limit=10).items
    assert [it.user.email for it in listed] == ["ada@example.com", "admin@localhost"]


@pytest.mark.parametrize("email", ["", "ada", "@b", "a@", "a b@c", "a@b\n", f"{'a' * 300}@b"])
def test_what_is_no_e_mail_address_is_refused(service: Service, owner: Caller, email: str) -> None:
    if email == "a@b\n":
        email = "a\n@b"
    with pytest.raises(InvalidValue):
        _joined(service, owner, Role.MEMBER, email)


def test_a_short_password_is_refused(service: Service, owner: Caller) -> None:
    with pytest.raises(InvalidValue):
        add_member(service, owner, email="a@b", role=Role.MEMBER, password="short")


def test_somebody_new_needs_a_password_and_somebody_known_keeps_his(
    service: Service, owner: Caller, clock: SetClock
) -> None:
    with pytest.raises(InvalidValue):
        add_member(service, owner, email="ada@example.com", role=Role.MEMBER)
    _joined(service, owner, Role.MEMBER)
    other = Caller(organization_id=an_organization(service.database, clock), role=Role.OWNER)
    with pytest.raises(AlreadyExists):
        _joined(service, other, Role.MEMBER)
    add_member(service, other, email="ada@example.com", role=Role.VIEWER)
    with pytest.raises(AlreadyExists):
        add_member(service, other, email="ada@example.com", role=Role.VIEWER)
    signed_in = sign_in(service, "ada@example.com", "long enough", address="::1")
    assert signed_in.member.organization_id == owner.organization_id


def test_the_same_request_adds_one_member(service: Service, owner: Caller) -> None:
    asking = replace(owner, request=RequestKey("once", "f"))
    assert _joined(service, asking, Role.MEMBER) == _joined(service, asking, Role.MEMBER)


def test_a_role_that_changes_counts_at_once(service: Service, owner: Caller) -> None:
    id = _joined(service, owner, Role.ADMIN)
    token = sign_in(service, "ada@example.com", "long enough", address="::1").token
    ada = authenticate_session(service, token)
    key = create_api_key(service, ada, name="Ada's", role=Role.ADMIN).key
    lesser = create_api_key(service, ada, name="Ada's", role=Role.VIEWER).key
    assert key is not None
    assert lesser is not None
    change_role(service, owner, id, Role.VIEWER)
    assert authenticate_session(service, token).role == Role.VIEWER
    assert authenticate_key(service, lesser).role == Role.VIEWER
    with pytest.raises(Unauthenticated):
        authenticate_key(service, key)


def test_who_is_removed_is_let_in_no_more_nor_are_his_keys(service: Service, owner: Caller) -> None:
    id = _joined(service, owner, Role.ADMIN)
    token = sign_in(service, "ada@example.com", "long enough", address="::1").token
    ada = authenticate_session(service, token)
    key = create_api_key(service, ada, name="Ada's", role=Role.VIEWER).key
    assert key is not None
    remove_member(service, owner, id)
    with pytest.raises(Unauthenticated):
        authenticate_session(service, token)
    with pytest.raises(Unauthenticated):
        authenticate_key(service, key)
    with pytest.raises(Unauthenticated):
        sign_in(service, "ada@example.com", "long enough", address="::1")
    with pytest.raises(NotFound):
        remove_member(service, owner, id)


def test_the_last_owner_stays(service: Service, owner: Caller) -> None:
    [me] = list_members(service, owner, None, limit=10).items
    with pytest.raises(Conflict):
        remove_member(service, owner, me.member.id)
    with pytest.raises(Conflict):
        change_role(service, owner, me.member.id, Role.ADMIN)
    change_role(service, owner, me.member.id, Role.OWNER)
    _joined(service, owner, Role.OWNER)
    change_role(service, owner, me.member.id, Role.ADMIN)


def test_two_owners_who_remove_each_other_at_once_leave_one(
    service: Service, owner: Caller
) -> None:
    [me] = list_members(service, owner, None, limit=10).items
    ids = (me.member.id, _joined(service, owner, Role.OWNER))
    refused: list[Exception] = []

    def remove(id: UUID) -> None:
        try:
            remove_member(service, owner, id)
        except Conflict as conflict:
            refused.append(conflict)

    threads = [Thread(target=remove, args=(id,)) for id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert len(list_members(service, owner, None, limit=10).items) == 1


def test_an_administrator_does_not_touch_an_owner(service: Service, owner: Caller) -> None:
    admin = replace(owner, role=Role.ADMIN)
    id = _joined(service, owner, Role.OWNER)
    with pytest.raises(Forbidden):
        remove_member(service, admin, id)
    with pytest.raises(Forbidden):
        change_role(service, admin, id, Role.VIEWER)
    with pytest.raises(Forbidden):
        _joined(service, admin, Role.OWNER, "eve@example.com")
    with pytest.raises(NotFound):
        change_role(service, owner, uuid4(), Role.VIEWER)

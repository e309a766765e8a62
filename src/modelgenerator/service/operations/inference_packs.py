"""Packs: images kept under a name, to try every trained model with.

In: who asks, and images as an inference takes them.  Out: packs; what is in one was checked, as far
as it can be without a base model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from modelgenerator.service.operations.callers import Caller, earlier_answer, remember
from modelgenerator.service.operations.names import checked_name
from modelgenerator.service.operations.picture_wishes import read_wishes, training_of
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.generations import InferencePack
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.scoped import Page


def create_pack(
    service: Service, caller: Caller, *, name: str, images: Sequence[Mapping[str, object]]
) -> InferencePack:
    """A new pack.

    Raises:
        InvalidSettings, InvalidValue, TooLarge: see `read_wishes`.
    """
    caller.require(Role.MEMBER)
    name, kept, now = checked_name(name), _checked(images), service.clock()
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        if (earlier := earlier_answer(store, caller, now)) is not None:
            return store.inference_packs.get(earlier)
        pack = InferencePack(
            id=new_id(now),
            organization_id=caller.organization_id,
            name=name,
            images=kept,
            created_at=now,
            updated_at=now,
        )
        store.inference_packs.add(pack)
        remember(store, caller, pack.id)
    return pack


def list_packs(
    service: Service, caller: Caller, cursor: str | None, *, limit: int
) -> Page[InferencePack]:
    """The organization's packs, the newest first."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        packs = transaction.of(caller.organization_id).inference_packs
        return packs.page(cursor, limit=limit)


def read_pack(service: Service, caller: Caller, id: UUID) -> InferencePack:
    """One of them.

    Raises:
        NotFound: there is none.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        return transaction.of(caller.organization_id).inference_packs.get(id)


def change_pack(
    service: Service,
    caller: Caller,
    id: UUID,
    *,
    name: str | None = None,
    images: Sequence[Mapping[str, object]] | None = None,
) -> InferencePack:
    """Another name, or other images; inferences that were asked for keep theirs.

    Raises:
        NotFound: there is none.
        InvalidSettings, InvalidValue, TooLarge: see `read_wishes`.
    """
    caller.require(Role.MEMBER)
    kept = None if images is None else _checked(images)
    with service.database.transaction() as transaction:
        packs = transaction.of(caller.organization_id).inference_packs
        pack = packs.get_locked(id)
        if name is not None:
            pack = replace(pack, name=checked_name(name))
        if kept is not None:
            pack = replace(pack, images=kept)
        pack = replace(pack, updated_at=service.clock())
        packs.replace(pack)
    return pack


def delete_pack(service: Service, caller: Caller, id: UUID) -> None:
    """Forget it.

    Raises:
        NotFound: there is none.
    """
    caller.require(Role.MEMBER)
    with service.database.transaction() as transaction:
        transaction.of(caller.organization_id).inference_packs.delete(id)


def _checked(images: Sequence[Mapping[str, object]]) -> tuple[JsonObject, ...]:
    wishes = read_wishes(images)
    for wish in wishes:
        training_of(wish)
    return tuple(wish.given() for wish in wishes)

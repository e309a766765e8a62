"""Whom or what the pictures show: made with a dataset, listed, renamed.

In: who asks, and what the subject is called.  Out: subjects with what there is of each.  Deleting
one is in `deletions`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from modelgenerator.datasets.subject import SubjectKind
from modelgenerator.service.operations.callers import Caller, earlier_answer, remember
from modelgenerator.service.operations.datasets import new_dataset
from modelgenerator.service.operations.names import checked_name
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.datasets import DatasetPicture, Subject
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.store.scoped import Page
from modelgenerator.service.store.transaction import OrganizationStore


@dataclass(frozen=True, slots=True)
class SubjectSeen:
    """A subject, and what there is of it."""

    subject: Subject
    picture_count: int
    cover: DatasetPicture | None
    """The first picture."""
    training_count: int


def create_subject(
    service: Service, caller: Caller, *, name: str, kind: SubjectKind, class_name: str
) -> SubjectSeen:
    """A new subject, with a dataset that is empty.

    Raises:
        InvalidValue: the name or the class name cannot be one.
    """
    caller.require(Role.MEMBER)
    now = service.clock()
    dataset = new_dataset(caller, now)
    subject = Subject(
        id=new_id(now),
        organization_id=caller.organization_id,
        name=checked_name(name),
        kind=kind,
        class_name=_checked_class_name(class_name),
        dataset_id=dataset.id,
        created_at=now,
    )
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        if (earlier := earlier_answer(store, caller, now)) is not None:
            return _seen(store, store.subjects.get(earlier))
        store.datasets.add(dataset)
        store.subjects.add(subject)
        remember(store, caller, subject.id)
        return _seen(store, subject)


def list_subjects(
    service: Service, caller: Caller, cursor: str | None, *, limit: int
) -> Page[SubjectSeen]:
    """The organization's subjects, the newest first."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        page = store.subjects.page(cursor, limit=limit)
        return Page(tuple(_all_seen(store, page.items)), page.next_cursor)


def read_subject(service: Service, caller: Caller, id: UUID) -> SubjectSeen:
    """Raises NotFound: there is none."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        return _seen(store, store.subjects.get(id))


def subject_of_dataset(service: Service, caller: Caller, dataset_id: UUID) -> SubjectSeen | None:
    """Whose pictures a dataset has; none: it was made without a subject, or is not there."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        subject = store.subjects.first(dataset_id=dataset_id)
        return None if subject is None else _seen(store, subject)


def change_subject(
    service: Service,
    caller: Caller,
    id: UUID,
    *,
    name: str | None = None,
    kind: SubjectKind | None = None,
    class_name: str | None = None,
) -> SubjectSeen:
    """What is none stays as it is.

    Raises:
        NotFound: there is none.
        InvalidValue: the name or the class name cannot be one.
    """
    caller.require(Role.MEMBER)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        subject = store.subjects.get_locked(id)
        if name is not None:
            subject = replace(subject, name=checked_name(name))
        if class_name is not None:
            subject = replace(subject, class_name=_checked_class_name(class_name))
        subject = replace(subject, kind=kind or subject.kind)
        store.subjects.replace(subject)
        return _seen(store, subject)


def _checked_class_name(text: str) -> str:
    """It may be left out."""
    return checked_name(text, field="className") if text.strip() else ""


def _seen(store: OrganizationStore, subject: Subject) -> SubjectSeen:
    [seen] = _all_seen(store, [subject])
    return seen


def _all_seen(store: OrganizationStore, subjects: Sequence[Subject]) -> Iterator[SubjectSeen]:
    """With as many statements for a page as for one."""
    ids = [subject.dataset_id for subject in subjects]
    counts, covers = store.pictures.counts(ids), store.pictures.covers(ids)
    trained = store.snapshots.times_trained(ids)
    for subject in subjects:
        yield SubjectSeen(
            subject=subject,
            picture_count=counts.get(subject.dataset_id, 0),
            cover=covers.get(subject.dataset_id),
            training_count=trained.get(subject.dataset_id, 0),
        )

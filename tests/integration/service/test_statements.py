"""Statements of datasets, jobs and templates, on every kind of database."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.remembered import SetClock, a_job, an_organization, queued

from modelgenerator.service.errors import AlreadyExists, InvalidValue, NotFound, StillInUse
from modelgenerator.service.records.datasets import (
    Dataset,
    DatasetPicture,
    DatasetSnapshot,
    Origin,
)
from modelgenerator.service.records.generations import GeneratedPicture, Inference
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.jobs import Fault, Job, JobError, JobKind, JobStatus
from modelgenerator.service.records.money import EntryKind, LedgerEntry
from modelgenerator.service.records.trainings import (
    Template,
    TemplateVersion,
    TrainedModel,
    Training,
)
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.job_queue import Offer
from modelgenerator.service.store.transaction import Transaction


@pytest.fixture
def dataset(database: Database, organization_id: UUID, clock: SetClock) -> Dataset:
    now = clock()
    dataset = Dataset(
        id=new_id(now), organization_id=organization_id, origin=Origin.API, created_at=now
    )
    with database.transaction() as transaction:
        transaction.of(organization_id).datasets.add(dataset)
    return dataset


def a_picture(dataset: Dataset, clock: SetClock, position: int) -> DatasetPicture:
    now = clock()
    return DatasetPicture(
        id=new_id(now),
        organization_id=dataset.organization_id,
        dataset_id=dataset.id,
        position=position,
        label=f"{position}.jpg",
        upload_sha256=f"u{position}",
        sha256=f"s{position}",
        byte_count=1_000,
        width=8,
        height=8,
        caption=None,
        storage_key=f"organizations/{position}",
        mask_key=None,
        created_at=now,
    )


@pytest.fixture
def pictures(database: Database, dataset: Dataset, clock: SetClock) -> list[DatasetPicture]:
    pictures = [a_picture(dataset, clock, position) for position in range(4)]
    with database.transaction() as transaction:
        for picture in pictures:
            transaction.of(dataset.organization_id).pictures.add(picture)
    return pictures


@pytest.mark.parametrize("same", ["label", "upload_sha256", "sha256", "position"])
def test_what_tells_pictures_apart_is_one_of_a_kind(
    database: Database,
    dataset: Dataset,
    pictures: list[DatasetPicture],
    clock: SetClock,
    same: str,
) -> None:
    other = replace(a_picture(dataset, clock, 9), **{same: getattr(pictures[0], same)})
    with pytest.raises(AlreadyExists), database.transaction() as transaction:
        transaction.of(dataset.organization_id).pictures.add(other)


def test_pictures_are_put_in_any_order(
    database: Database, dataset: Dataset, pictures: list[DatasetPicture]
) -> None:
    ids = [pictures[number].id for number in (2, 0, 3, 1)]
    with database.transaction() as transaction:
        store = transaction.of(dataset.organization_id)
        store.pictures.put_in_order(dataset.id, ids)
        assert [it.id for it in store.pictures.in_order(dataset.id)] == ids
        assert store.pictures.next_position(dataset.id) == 4
        assert sorted(store.pictures.labels(dataset.id)) == [f"{n}.jpg" for n in range(4)]
        cover = store.pictures.covers([dataset.id])[dataset.id]
        assert cover is not None
        assert cover.id == ids[0]


def test_datasets_are_counted_and_covered_together(
    database: Database, dataset: Dataset, pictures: list[DatasetPicture], clock: SetClock
) -> None:
    empty, other = replace(dataset, id=new_id(clock())), an_organization(database, clock)
    with database.transaction() as transaction:
        store = transaction.of(dataset.organization_id)
        store.datasets.add(empty)
        ids = [dataset.id, empty.id]
        assert store.pictures.counts(ids) == {dataset.id: 4}
        assert store.pictures.covers(ids) == {dataset.id: pictures[0]}
        assert transaction.of(other).pictures.counts(ids) == {}
        assert transaction.of(other).pictures.covers(ids) == {}


def test_what_was_spent_leaves_out_what_came_in(
    database: Database, organization_id: UUID, clock: SetClock
) -> None:
    moments = []
    with database.transaction() as transaction:
        accounts = transaction.of(organization_id).accounts
        for key, kind, amount in (
            ("a", EntryKind.CREDIT, 10_000),
            ("b", EntryKind.TRAINING, -700),
            ("c", EntryKind.PICTURES, -50),
            ("d", EntryKind.REFUND, 20),
        ):
            clock.advance(60)
            moments.append(clock())
            entry = LedgerEntry(
                id=new_id(clock()),
                organization_id=organization_id,
                key=key,
                kind=kind,
                amount=amount,
                balance_after=0,
                job_id=None,
                memo="",
                created_at=clock(),
            )
            accounts.entries.add(entry)
        assert accounts.spent_since(moments[0], moments[2], moments[3]) == [730, 30, -20]
        assert accounts.spent_since(moments[3] + timedelta(seconds=1)) == [0]


def test_work_is_listed_by_how_it_stands(
    database: Database, organization_id: UUID, clock: SetClock
) -> None:
    waits, runs, fails = (queued(database, organization_id, clock) for _ in range(3))
    error = JobError(code="x", message="It broke.", fault=Fault.OURS)
    with database.transaction() as transaction:
        store = transaction.of(organization_id)
        store.jobs.cancel(queued_at_last(transaction, organization_id, clock), clock())
        offer = Offer(owner="worker", kinds=[JobKind.TRAIN], gpus=0)
        first = transaction.jobs.claim(offer, clock(), timedelta(minutes=1))
        second = transaction.jobs.claim(offer, clock(), timedelta(minutes=1))
        assert first is not None
        assert second is not None
        now = clock()
        transaction.jobs.finish(first.lease, JobStatus.FAILED, now, error=error)
        unfinished = store.jobs.unfinished(limit=5)
        assert [job.status for job in unfinished] == [JobStatus.RUNNING, JobStatus.QUEUED]
        assert {first.id, *(job.id for job in unfinished)} == {waits.id, runs.id, fails.id}
        assert len(store.jobs.unfinished(limit=1)) == 1
        assert [job.id for job in store.jobs.failed_since(now, limit=5)] == [first.id]
        later = now + timedelta(seconds=1)
        assert store.jobs.failed_since(later, limit=5) == []
        in_order = [store.jobs.in_order(status, limit=5) for status in JobStatus]
        assert [job.id for one in in_order[:2] for job in one] == [unfinished[1].id, second.id]


def queued_at_last(transaction: Transaction, organization_id: UUID, clock: SetClock) -> UUID:
    clock.advance(1)
    job = a_job(organization_id, clock)
    transaction.of(organization_id).jobs.add(job)
    return job.id


def test_bytes_are_counted_for_each_organization(
    database: Database, dataset: Dataset, pictures: list[DatasetPicture], clock: SetClock
) -> None:
    other = an_organization(database, clock)
    with database.transaction() as transaction:
        store = transaction.of(dataset.organization_id)
        assert store.stored().byte_count == 1_000 * len(pictures)
        _trained(transaction.of(dataset.organization_id), dataset, clock)
        assert store.stored().byte_count == 1_000 * len(pictures) + 10 + 100
        assert transaction.of(other).stored().byte_count == 0


def test_trainings_are_found_by_the_dataset_and_counted_by_the_template(
    database: Database, dataset: Dataset, clock: SetClock
) -> None:
    other = an_organization(database, clock)
    with database.transaction() as transaction:
        store = transaction.of(dataset.organization_id)
        trained = [_trained(store, dataset, clock) for _ in range(2)]
        assert store.snapshots.trainings_of(dataset.id) == trained
        assert store.snapshots.times_trained([dataset.id]) == {dataset.id: 2}
        version = trained[0].template_version_id
        assert version is not None
        template_id = store.template_versions.get(version).template_id
        assert store.template_versions.times_used([template_id]) == {template_id: 1}
        others = transaction.of(other)
        assert others.snapshots.trainings_of(dataset.id) == []
        assert others.template_versions.times_used([template_id]) == {}


def test_jobs_are_found_by_what_their_specs_name(
    database: Database, organization_id: UUID, clock: SetClock
) -> None:
    other = an_organization(database, clock)
    named = new_id(clock())
    spec = {"pictures": [{"lora": {"trainingId": str(named)}}], "odd": "100%_"}
    job = a_job(organization_id, clock, kind=JobKind.GENERATE, spec=spec)
    with database.transaction() as transaction:
        jobs = transaction.of(organization_id).jobs
        jobs.add(job)
        jobs.add(a_job(organization_id, clock, kind=JobKind.GENERATE))
        assert [it.id for it in jobs.naming(JobKind.GENERATE, str(named))] == [job.id]
        assert [it.id for it in jobs.naming(JobKind.GENERATE, "100%_")] == [job.id]
        assert jobs.naming(JobKind.GENERATE, "1_0") == []
        assert jobs.naming(JobKind.ZIP, str(named)) == []
        assert transaction.of(other).jobs.naming(JobKind.GENERATE, str(named)) == []


def test_only_a_job_that_has_ended_becomes_a_tombstone(
    database: Database, organization_id: UUID, clock: SetClock
) -> None:
    other = an_organization(database, clock)
    job = a_job(organization_id, clock, spec={"secret": "words"})
    with database.transaction() as transaction:
        transaction.of(organization_id).jobs.add(job)
    with pytest.raises(StillInUse), database.transaction() as transaction:
        transaction.of(organization_id).jobs.leave_tombstone(job.id)
    with database.transaction() as transaction:
        transaction.of(organization_id).jobs.cancel(job.id, clock())
        transaction.of(organization_id).jobs.leave_tombstone(job.id)
    with pytest.raises(NotFound), database.transaction() as transaction:
        transaction.of(other).jobs.leave_tombstone(job.id)
    with database.reading() as transaction:
        jobs = transaction.of(organization_id).jobs
        assert _without_words(jobs.get(job.id)) == (JobStatus.CANCELLED, {})
        events = jobs.events_after(job.id, 0)
    assert [event.data for event in events] == [{}, {"status": "cancelled"}]
    database.forget_deleted()


@pytest.mark.parametrize("words", ["nul\0", "\ud800"])
def test_text_that_cannot_be_kept_is_the_askers_mistake(
    database: Database, organization_id: UUID, clock: SetClock, words: str
) -> None:
    job = a_job(organization_id, clock, spec={"prompt": words})
    # SQLite keeps both
    with suppress(InvalidValue), database.transaction() as transaction:
        transaction.of(organization_id).jobs.add(job)
        assert transaction.of(organization_id).jobs.get(job.id).spec == {"prompt": words}


def _without_words(job: Job) -> tuple[JobStatus, object]:
    return job.status, job.spec


def _trained(store: Any, dataset: Dataset, clock: SetClock) -> Training:
    """A training with a template of its own, a model of 10 bytes, and a picture of 100."""
    now = clock()
    own: dict[str, Any] = {"organization_id": dataset.organization_id, "created_at": now}
    snapshot = DatasetSnapshot(
        id=new_id(clock()), dataset_id=dataset.id, fingerprint="f", pictures=(), **own
    )
    template = Template(id=new_id(clock()), name="t", **own)
    version = TemplateVersion(
        id=new_id(clock()), template_id=template.id, number=1, settings={}, **own
    )
    job = a_job(dataset.organization_id, clock)
    training = Training(
        id=new_id(clock()),
        name="t",
        origin=Origin.API,
        snapshot_id=snapshot.id,
        template_version_id=version.id,
        settings={},
        plan={},
        estimate={},
        notices=(),
        job_id=job.id,
        flow_run_id=None,
        **own,
    )
    model = TrainedModel(
        id=new_id(clock()),
        training_id=training.id,
        base_model="builtin",
        family="sd",
        layout="kohya",
        other_layout=None,
        storage_key="organizations/m",
        sha256="m",
        byte_count=10,
        expires_at=now,
        **own,
    )
    inference = Inference(
        id=new_id(clock()),
        base_model=None,
        trained_model_id=model.id,
        images=(),
        job_id=job.id,
        flow_run_id=None,
        **own,
    )
    picture = GeneratedPicture(
        id=new_id(clock()),
        inference_id=inference.id,
        position=0,
        storage_key="organizations/g",
        sha256="g",
        byte_count=100,
        width=8,
        height=8,
        seed=1,
        parameters={},
        **own,
    )
    store.snapshots.add(snapshot)
    store.templates.add(template)
    store.template_versions.add(version)
    store.jobs.add(job)
    store.trainings.add(training)
    store.trained_models.add(model)
    store.inferences.add(inference)
    store.generated_pictures.add(picture)
    return training

"""Questions to the database that are more than one record: alike on every kind of database."""

from datetime import timedelta

import pytest
from tests.remembered import an_organization, queued

from modelgenerator.service.billing.ledger import Ledger
from modelgenerator.service.errors import NotFound
from modelgenerator.service.records.datasets import Dataset, DatasetSnapshot, Origin
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.jobs import JobKind, JobStatus
from modelgenerator.service.records.money import EntryKind
from modelgenerator.service.records.rates import MeasuredRate
from modelgenerator.service.records.trainings import Training
from modelgenerator.service.store.job_changes import Told
from modelgenerator.service.store.job_queue import Offer


@pytest.fixture
def trainings(database, organization_id, clock):
    """Four on two datasets in turn, the last of which was deleted."""
    snapshots = [a_snapshot(database, organization_id, clock) for _ in range(2)]
    made = []
    for number in range(4):
        job = queued(database, organization_id, clock)
        training = Training(
            id=new_id(clock()),
            organization_id=organization_id,
            name=f"{number}",
            origin=Origin.API,
            snapshot_id=snapshots[number % 2].id,
            template_version_id=None,
            settings={},
            plan={},
            notices=(),
            estimate={},
            job_id=job.id,
            flow_run_id=None,
            created_at=clock(),
            deleted_at=clock() if number == 3 else None,
        )
        with database.transaction() as transaction:
            transaction.of(organization_id).trainings.add(training)
        made.append(training)
    with database.transaction() as transaction:
        transaction.of(organization_id).jobs.cancel(made[0].job_id, clock())
    return made, snapshots


def a_snapshot(database, organization_id, clock):
    dataset = Dataset(
        id=new_id(clock()),
        organization_id=organization_id,
        origin=Origin.API,
        created_at=clock(),
    )
    snapshot = DatasetSnapshot(
        id=new_id(clock()),
        organization_id=organization_id,
        dataset_id=dataset.id,
        fingerprint="f",
        pictures=(),
        created_at=clock(),
    )
    with database.transaction() as transaction:
        transaction.of(organization_id).datasets.add(dataset)
        transaction.of(organization_id).snapshots.add(snapshot)
    return snapshot


def test_trainings_are_listed_by_status_and_dataset(database, organization_id, clock, trainings):
    _, (even, odd) = trainings

    def names(**chosen):
        with database.reading() as transaction:
            page = transaction.of(organization_id).trainings.listed(**chosen)
        return [one.name for one in page.items]

    assert names() == ["2", "1", "0"]
    assert names(status=JobStatus.QUEUED) == ["2", "1"]
    assert names(status=JobStatus.CANCELLED) == ["0"]
    assert names(dataset_id=even.dataset_id) == ["2", "0"]
    assert names(dataset_id=odd.dataset_id, status=JobStatus.QUEUED) == ["1"]
    assert names(limit=1) == ["2"]
    other = an_organization(database, clock)
    with database.reading() as transaction:
        assert transaction.of(other).trainings.listed().items == ()


def test_a_deleted_training_is_not_there(database, organization_id, trainings):
    made, _ = trainings
    with database.reading() as transaction:
        store = transaction.of(organization_id)
        assert store.trainings.there(made[0].id) == made[0]
        with pytest.raises(NotFound):
            store.trainings.there(made[3].id)


def test_some_are_found_by_their_ids_and_none_of_others(
    database, organization_id, clock, trainings
):
    made, _ = trainings
    ids = [made[0].job_id, made[1].job_id, new_id(clock())]
    with database.reading() as transaction:
        jobs = transaction.of(organization_id).jobs.some(ids)
        assert set(jobs) == set(ids[:2])
        assert transaction.of(organization_id).jobs.some([]) == {}
    other = an_organization(database, clock)
    with database.reading() as transaction:
        assert transaction.of(other).jobs.some(ids) == {}


def test_events_are_found_by_name(database, organization_id, clock):
    queued(database, organization_id, clock)
    with database.transaction() as transaction:
        offer = Offer(owner="w", kinds=list(JobKind))
        job = transaction.jobs.claim(offer, clock(), timedelta(seconds=30))
        told = [Told(name, {}) for name in ("step", "sampleReady", "step", "sampleReady")]
        transaction.jobs.record(job.lease, told, clock())
        jobs = transaction.of(organization_id).jobs
        assert [one.sequence for one in jobs.events_named(job.id, ["sampleReady"])] == [4, 6]


def test_months_and_kinds_are_summed(database, organization_id, clock):
    for kind, amount, days in (
        (EntryKind.PICTURES, 20_000, 0),
        (EntryKind.PICTURES, 20_000, 0),
        (EntryKind.TRAINING, 5, 40),
    ):
        clock.advance(days * 86_400)
        with database.transaction() as transaction:
            ledger = Ledger(transaction.of(organization_id).accounts, clock())
            ledger.charge(f"{clock()}", kind, amount, memo="")
    with database.reading() as transaction:
        assert transaction.of(organization_id).accounts.by_month() == [
            ("2027-01", EntryKind.TRAINING, -5, 1),
            ("2026-11", EntryKind.CREDIT, 1_000_000, 1),
            ("2026-11", EntryKind.PICTURES, -40_000, 2),
        ]


def test_a_rate_is_kept_in_place_of_the_one_of_its_shape(database, clock):
    def rate(step_us, pixels=64, machine="cpu", base_model="creatures"):
        return MeasuredRate(
            machine=machine,
            base_model=base_model,
            manner="fp32",
            pixels=pixels,
            batch_size=1,
            step_us=step_us,
            picture_us=1,
            trainings=1,
            measured_at=clock(),
        )

    first, second, other = rate(1), rate(2), rate(3, pixels=128)
    elsewhere, another = rate(4, machine="H100"), rate(5, base_model="flux dev")
    with database.transaction() as transaction:
        for one in (elsewhere, another, first, other, second):
            transaction.rates.keep(one)
    with database.reading() as transaction:
        assert transaction.rates.of("creatures") == [elsewhere, other, second]
        assert transaction.rates.of("flux dev") == [another]

"""What a training costs, to the microdollar, whichever way it ends and whoever else wants it."""

import threading
from contextlib import suppress
from dataclasses import replace

import pytest
from tests.serving import Serving, serving
from tests.uploaded import SETTINGS, a_dataset, claimed, ended, trained

from modelgenerator.service.billing.ledger import Ledger, faults
from modelgenerator.service.config import PriceList
from modelgenerator.service.errors import AlreadyFinished, InsufficientFunds, LeaseLost
from modelgenerator.service.operations import cancelling, trainings
from modelgenerator.service.operations.outcomes import record_end
from modelgenerator.service.operations.paying import payment_key
from modelgenerator.service.operations.planning import TrainingRequest
from modelgenerator.service.records.jobs import Fault, JobError, JobStatus

BALANCE = 100_000_000
OURS = JobError(code="workerCrashed", message="It is gone.", fault=Fault.OURS)
THEIRS = JobError(code="trainingDiverged", message="The loss.", fault=Fault.THEIRS)
NO_FUNDS = JobError(code="insufficientFunds", message="Insufficient Funds.", fault=Fault.THEIRS)


@pytest.fixture
def it(tmp_path):
    with serving(tmp_path) as it:
        yield it
        with it.service.database.reading() as transaction:
            assert list(faults(transaction.of(it.organization_id).accounts)) == []


@pytest.fixture
def dataset_id(it):
    return a_dataset(it)


def start(it: Serving, dataset_id):
    request = TrainingRequest(dataset_id=dataset_id, settings=SETTINGS)
    return trainings.create_training(it.service, it.owner, request)


def money(it: Serving):
    shown = it.http.get("/v1/organization").json()
    return shown["balance"], shown["held"]


def training(it: Serving, id):
    return it.http.get(f"/v1/trainings/{id}").json()


@pytest.mark.parametrize(
    ("used_ms", "cost"), [(2_400_000, 2_400_000), (1, 1), (1_001, 1_001), (0, 0), (59_999, 59_999)]
)
def test_forty_minutes_cost_two_dollars_forty_and_every_millisecond_its_part(
    it, dataset_id, used_ms, cost
):
    id = start(it, dataset_id)
    trained(it, claimed(it), used_ms=used_ms)
    assert money(it) == (BALANCE - cost, 0)
    assert training(it, id)["finalCost"] == cost


@pytest.mark.parametrize(
    ("status", "error", "cost"),
    [
        (JobStatus.FAILED, OURS, 0),
        (JobStatus.FAILED, THEIRS, 60_000),
        (JobStatus.FAILED, NO_FUNDS, 60_000),
        (JobStatus.CANCELLED, None, 60_000),
    ],
)
def test_our_fault_is_free_theirs_and_a_cancel_pay_used_time(it, dataset_id, status, error, cost):
    id = start(it, dataset_id)
    ended(it, claimed(it), status, used_ms=60_000, error=error)
    assert money(it) == (BALANCE - cost, 0)
    assert training(it, id)["finalCost"] == cost


def test_a_price_that_changes_meanwhile_changes_nothing_that_was_accepted(it, dataset_id):
    start(it, dataset_id)
    dearer = it.service.config.model_copy(update={"price_training_minute": 9_000_000})
    object.__setattr__(it.service, "config", dearer)
    trained(it, claimed(it), used_ms=60_000)
    assert money(it) == (BALANCE - 60_000, 0)
    start(it, dataset_id)
    assert claimed(it).prices == PriceList(training_minute=9_000_000)


def test_with_billing_off_nothing_is_held_or_charged_and_estimates_are_shown(tmp_path):
    with serving(tmp_path, billing=False) as it:
        id = start(it, a_dataset(it))
        assert training(it, id)["estimate"]["cost"] > 0
        assert money(it) == (BALANCE, 0)
        trained(it, claimed(it))
        assert money(it) == (BALANCE, 0)
        assert training(it, id)["finalCost"] == 0


def test_of_two_who_want_the_last_money_one_gets_it(it, dataset_id):
    need = training(it, start(it, dataset_id))["estimate"]["cost"]
    with it.service.database.transaction() as transaction:
        accounts = transaction.of(it.organization_id).accounts
        Ledger(accounts, it.clock()).hold("others", BALANCE - 2 * need)
    together, won, lost = threading.Barrier(4), [], []

    def want():
        together.wait()
        try:
            won.append(start(it, dataset_id))
        except InsufficientFunds as refused:
            lost.append((refused.needed, refused.present))

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert lost == [(need, 0)] * 3


def test_a_cancel_that_races_the_end_leaves_one_end_and_one_charge(it, dataset_id):
    for _ in range(5):
        before, _ = money(it)
        id = start(it, dataset_id)
        job = claimed(it)
        together = threading.Barrier(2)

        def cancel(id=id, together=together):
            together.wait()
            with suppress(AlreadyFinished):
                cancelling.cancel_training(it.service, it.owner, id)

        thread = threading.Thread(target=cancel)
        thread.start()
        together.wait()
        trained(it, job, used_ms=1_000)
        thread.join()
        assert training(it, id)["status"] == "succeeded"
        assert money(it) == (before - 1_000, 0)


def test_a_job_that_ended_cannot_end_and_be_charged_again(it, dataset_id):
    start(it, dataset_id)
    job = claimed(it)
    trained(it, job, used_ms=60_000)
    with pytest.raises(LeaseLost):
        ended(it, job, JobStatus.CANCELLED, used_ms=90_000)
    over = replace(job, status=JobStatus.CANCELLED, used_ms=90_000)
    with it.service.database.transaction() as transaction:
        record_end(it.service, transaction, over, None)
    assert money(it) == (BALANCE - 60_000, 0)


def test_what_is_running_shows_what_it_cost_so_far(it, dataset_id):
    id = start(it, dataset_id)
    job = claimed(it)
    with it.service.database.transaction() as transaction:
        transaction.jobs.save_checkpoint(job.lease, "a/b", {}, it.clock(), used_ms=30_000)
    shown = training(it, id)
    assert (shown["costSoFar"], shown["finalCost"]) == (30_000, None)


def test_a_refund_happens_once(it, dataset_id):
    start(it, dataset_id)
    job = claimed(it)
    trained(it, job, used_ms=60_000)
    for _ in range(2):
        with it.service.database.transaction() as transaction:
            accounts = transaction.of(it.organization_id).accounts
            Ledger(accounts, it.clock()).refund(payment_key(job), memo="It did not look right")
    assert money(it) == (BALANCE, 0)

"""Which job goes to whom, where base models and LoRAs are loaded here and there."""

import threading
from datetime import timedelta

import pytest
from tests.remembered import an_organization, queued

from modelgenerator.service.records.holds import NOTHING, Holds
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.store.job_queue import LONGEST_PATIENCE, Offer

LEASE = timedelta(minutes=5)
LOADING = 2.0
"""Seconds that a base model takes here: a job is left for 2, and passed over for 20."""


def holding(*base_models, loras=()):
    return Holds(
        base_models=frozenset(base_models), loras=frozenset(loras), loading_seconds=LOADING
    )


def claim(database, clock, holds=NOTHING, nearby=NOTHING, kinds=tuple(JobKind), **offer):
    asked = Offer(owner="w", kinds=kinds, holds=holds, nearby=nearby, **offer)
    with database.transaction() as transaction:
        return transaction.jobs.claim(asked, clock(), LEASE)


@pytest.fixture
def draws(database, organization_id, clock):
    """Puts a job that draws into the queue."""

    def queue(base_model, lora_sha256=None, owner=organization_id, **changes):
        needs = {"base_model": base_model, "lora_sha256": lora_sha256}
        return queued(database, owner, clock, kind=JobKind.GENERATE, **needs, **changes)

    return queue


def in_order(database, clock, count, holds=NOTHING, nearby=NOTHING):
    return [claim(database, clock, holds, nearby).id for _ in range(count)]


def test_a_job_whose_base_model_is_loaded_goes_first(database, clock, draws):
    a, b, c = draws("a"), draws("b"), draws("b")
    assert in_order(database, clock, 3, holding("b")) == [b.id, c.id, a.id]


def test_then_one_whose_lora_is_loaded_too(database, clock, draws):
    other, same, none = draws("b", "y"), draws("b", "x"), draws("b")
    elsewhere = draws("a", "x")
    expected = [same.id, none.id, other.id, elsewhere.id]
    assert in_order(database, clock, 4, holding("b", loras=["x"])) == expected


def test_the_first_one_is_taken_as_it_is_where_it_needs_no_loading(database, clock, draws):
    jobs = [draws("b", "x"), draws("a"), draws("b"), draws("b", "y")]
    order = in_order(database, clock, 4, holding("a", "b", loras=["x", "y"]))
    assert order == [job.id for job in jobs]


def test_what_loads_nothing_is_not_passed_over(database, organization_id, clock, draws):
    training = queued(database, organization_id, clock)
    draws("a")
    assert claim(database, clock, holding("a")).id == training.id


def test_where_nothing_is_loaded_the_first_is_taken(database, clock, draws):
    jobs = [draws(name) for name in "aba"]
    assert in_order(database, clock, 3) == [job.id for job in jobs]


def test_what_is_loaded_changes_nothing_between_priorities(database, clock, draws):
    low, high = draws("a", priority=0), draws("b", priority=5)
    assert in_order(database, clock, 2, holding("a")) == [high.id, low.id]
    young = draws("b", priority=5)
    lesser = [draws("a", priority=0) for _ in range(2)]
    # it is left to who has it loaded, and no place stands empty meanwhile
    assert claim(database, clock, holding("a"), nearby=holding("b")).id == lesser[0].id
    clock.advance(LOADING)
    assert claim(database, clock, holding("a"), nearby=holding("b")).id == young.id


def test_a_lora_without_its_base_model_makes_nobody_wait(database, clock, draws):
    young = draws("a", "x")
    has_base = holding("a")
    has_lora = holding("b", loras=["x"])
    assert claim(database, clock, has_base, nearby=has_lora).id == young.id


def test_organizations_take_turns_among_what_is_loaded(database, clock, draws):
    other_id = an_organization(database, clock)
    mine = [draws("a", "x") for _ in range(3)]
    theirs = [draws("a", "y", owner=other_id) for _ in range(2)]
    draws("b")
    order = in_order(database, clock, 5, holding("a", loras=["x"]))
    assert order == [mine[0].id, theirs[0].id, mine[1].id, theirs[1].id, mine[2].id]


def test_nobody_is_passed_over_for_ever(database, clock, draws):
    cold = draws("a")
    warm = [draws("b") for _ in range(30)]
    taken = []
    while not taken or taken[-1] != cold.id:
        taken.append(claim(database, clock, holding("b")).id)
        clock.advance(1)
    # the first went at once, and twenty seconds later nobody goes before it any more
    assert taken[:-1] == [job.id for job in warm[:20]]


def test_patience_has_an_end_however_long_loading_takes(database, clock, draws):
    slow = Holds(base_models=frozenset("b"), loading_seconds=900)
    cold = draws("a")
    for _ in range(3):
        draws("b")
    assert claim(database, clock, slow).id != cold.id
    clock.advance(LONGEST_PATIENCE.total_seconds() - 1)
    assert claim(database, clock, slow).id != cold.id
    clock.advance(1)
    assert claim(database, clock, slow).id == cold.id


def test_who_was_passed_over_goes_first_also_at_another_worker(database, clock, draws):
    cold = draws("a")
    for _ in range(3):
        draws("b"), draws("c")
    claim(database, clock, holding("b"))
    clock.advance(20)
    assert claim(database, clock, holding("c")).id == cold.id


def test_a_young_job_is_left_to_a_worker_that_has_its_base_model(database, clock, draws):
    job = draws("a")
    assert claim(database, clock, holding("b"), nearby=holding("a", "b")) is None
    assert claim(database, clock, NOTHING, nearby=holding("a")) is None
    assert claim(database, clock, holding("a"), nearby=holding("b")).id == job.id


def test_it_is_left_no_longer_than_loading_takes(database, clock, draws):
    job = draws("a")
    assert claim(database, clock, holding("b"), nearby=holding("a")) is None
    clock.advance(LOADING)
    assert claim(database, clock, holding("b"), nearby=holding("a")).id == job.id


def test_who_leaves_a_job_takes_the_next_that_is_nobodys(database, clock, draws):
    left, cold = draws("a"), draws("c")
    assert claim(database, clock, holding("b"), nearby=holding("a")).id == cold.id
    assert claim(database, clock, holding("a"), nearby=holding("c")).id == left.id


def test_a_job_is_left_to_a_free_worker_that_has_its_lora(database, clock, draws):
    lora, other = draws("a", "x"), draws("a", "y")
    holds, nearby = holding("a", loras=["y"]), holding("a", loras=["x"])
    assert claim(database, clock, holds, nearby).id == other.id
    assert claim(database, clock, holds, nearby) is None
    clock.advance(LOADING)
    assert claim(database, clock, holds, nearby).id == lora.id


def test_what_a_worker_cannot_run_is_not_taken_because_it_is_loaded(database, clock, draws):
    first = draws("b")
    draws("a", gpus=1)
    draws("a", not_before=clock() + timedelta(minutes=1))
    assert claim(database, clock, holding("a")).id == first.id
    assert claim(database, clock, holding("a")) is None
    assert claim(database, clock, holding("a"), kinds=(JobKind.TRAIN,), gpus=1) is None


def test_workers_that_have_the_same_loaded_take_different_jobs(database, clock, draws):
    for number in range(30):
        draws("ab"[number % 2], "xyz"[number % 3])
    claimed = []

    def work(holds):
        while (job := claim(database, clock, holds, nearby=holding("a", "b"))) is not None:
            claimed.append(job.id)

    clock.advance(LOADING)
    held = [holding("a", loras=["x"]), holding("a"), holding("b", loras=["y"]), holding("b")]
    threads = [threading.Thread(target=work, args=(one,)) for one in held]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 30

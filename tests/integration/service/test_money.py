"""Whoever asks how often, in whatever order: the account adds up."""

import threading
from contextlib import suppress

import pytest
from tests.remembered import an_organization, queued

from modelgenerator.service.billing.ledger import Ledger, faults
from modelgenerator.service.errors import InsufficientFunds
from modelgenerator.service.records.money import EntryKind

TRAINING = EntryKind.TRAINING


class Money:
    """Each call in a transaction of its own, and the account checked after it."""

    def __init__(self, database, organization_id, clock, *, is_charging=True):
        self._database = database
        self._organization_id = organization_id
        self._clock = clock
        self._is_charging = is_charging

    def __getattr__(self, call):
        def in_a_transaction(*words, **more):
            with self._database.transaction() as transaction:
                accounts = transaction.of(self._organization_id).accounts
                ledger = Ledger(accounts, self._clock(), is_charging=self._is_charging)
                result = getattr(ledger, call)(*words, **more)
                assert list(faults(accounts)) == []
            return result

        return in_a_transaction

    @property
    def sums(self):
        with self._database.reading() as transaction:
            account = transaction.of(self._organization_id).accounts.read()
        return account.balance, account.held

    @property
    def entries(self):
        with self._database.reading() as transaction:
            return transaction.of(self._organization_id).accounts.entries.all()


@pytest.fixture
def money(database, organization_id, clock):
    """One dollar."""
    return Money(database, organization_id, clock)


def test_a_new_organization_has_its_starting_balance(money):
    assert money.sums == (1_000_000, 0)
    (entry,) = money.entries
    assert (entry.kind, entry.amount, entry.balance_after) == (
        EntryKind.CREDIT,
        1_000_000,
        1_000_000,
    )


def test_a_hold_keeps_money_from_other_work(money):
    money.hold("a", 700_000)
    assert money.sums == (1_000_000, 700_000)
    with pytest.raises(InsufficientFunds) as refused:
        money.hold("b", 300_001)
    assert (refused.value.needed, refused.value.present) == (300_001, 300_000)
    with pytest.raises(InsufficientFunds):
        money.charge("c", TRAINING, 300_001, memo="")
    assert money.sums == (1_000_000, 700_000)


def test_what_is_asked_twice_happens_once(money):
    for _ in range(2):
        money.hold("a", 700_000)
        money.charge("b", TRAINING, 100_000, memo="")
        money.credit("c", 5, memo="")
    assert money.sums == (900_005, 700_000)
    for _ in range(2):
        money.release("a")
        money.refund("b", memo="")
    assert money.sums == (1_000_005, 0)


def test_a_settled_hold_costs_what_the_work_cost(money, database, organization_id, clock):
    job = queued(database, organization_id, clock)
    money.hold("a", 700_000, job_id=job.id)
    for _ in range(2):
        entry = money.settle("a", TRAINING, 250_000, memo="4 minutes")
        assert (entry.amount, entry.balance_after, entry.job_id) == (-250_000, 750_000, job.id)
    assert money.sums == (750_000, 0)


def test_work_that_took_longer_takes_what_is_free(money):
    money.hold("a", 100_000)
    money.settle("a", TRAINING, 250_000, memo="")
    assert money.sums == (750_000, 0)


def test_work_never_leaves_a_debt_nor_takes_what_other_work_holds(money):
    money.hold("a", 100_000)
    money.hold("b", 800_000)
    assert money.settle("a", TRAINING, 5_000_000, memo="").amount == -200_000
    assert money.sums == (800_000, 800_000)


def test_a_hold_may_grow_while_there_is_money(money):
    money.hold("a", 600_000)
    money.hold_more("a", 400_000)
    assert money.sums == (1_000_000, 1_000_000)
    with pytest.raises(InsufficientFunds):
        money.hold_more("a", 1)


def test_what_was_released_is_not_held_again(money):
    money.hold("a", 100)
    money.release("a")
    assert money.hold_more("a", 100) is None
    money.hold("a", 100)
    assert money.settle("a", TRAINING, 100, memo="") is None
    assert money.sums == (1_000_000, 0)


def test_a_refund_of_nothing_is_nothing(money):
    assert money.refund("never", memo="") is None
    money.release("never")
    assert money.sums == (1_000_000, 0)


def test_work_that_costs_nothing_is_written_down_too(money):
    assert money.charge("a", TRAINING, 0, memo="our fault").amount == 0
    assert money.refund("a", memo="").amount == 0
    assert len(money.entries) == 3


def test_with_billing_off_nothing_is_held_or_charged(database, organization_id, clock):
    free = Money(database, organization_id, clock, is_charging=False)
    assert free.hold("a", 10**15) is None
    assert free.charge("b", TRAINING, 10**15, memo="") is None
    assert free.settle("a", TRAINING, 10**15, memo="") is None
    free.credit("c", 5, memo="")
    assert free.sums == (1_000_005, 0)


def test_the_sum_of_many_charges_is_exact(money):
    for number in range(100):
        money.charge(f"tokens {number}", EntryKind.OBJECT_GENERATOR, 25, memo="")
    assert money.sums == (1_000_000 - 2_500, 0)


@pytest.mark.parametrize("call", ["hold", "charge"])
def test_of_many_who_want_the_last_dollar_one_gets_it(database, clock, call):
    organization_id = an_organization(database, clock, balance=1_000_000)
    money = Money(database, organization_id, clock)
    together = threading.Barrier(8)
    won = []

    def want(number):
        together.wait()
        with suppress(InsufficientFunds):
            if call == "hold":
                money.hold(f"job {number}", 1_000_000)
            else:
                money.charge(f"job {number}", TRAINING, 1_000_000, memo="")
            won.append(number)

    _all_at_once(want, 8)
    assert len(won) == 1
    assert sum(money.sums) in (2_000_000, 0)


def test_of_many_who_charge_the_same_one_does(money):
    together = threading.Barrier(8)

    def charge(number):
        del number
        together.wait()
        money.charge("the job", TRAINING, 100_000, memo="")

    _all_at_once(charge, 8)
    assert money.sums == (900_000, 0)


def test_faults_are_seen(database, organization_id):
    with database.transaction() as transaction:
        accounts = transaction.of(organization_id).accounts
        account = accounts.read(locked=True)
        accounts.replace(type(account)(organization_id=organization_id, balance=5, held=7))
        told = " ".join(faults(accounts))
    assert "balance is 5" in told
    assert "7 are held and" in told
    assert "of a balance" in told


def _all_at_once(work, count):
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

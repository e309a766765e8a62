"""Whatever happens in whatever order: a job ends once, is paid once, and money adds up.

Hypothesis makes up the orders; a model in plain Python says what must come of each.
"""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.remembered import SetClock, a_job, an_organization

from modelgenerator.service.billing.ledger import Ledger, faults
from modelgenerator.service.errors import AlreadyFinished, InsufficientFunds, LeaseLost
from modelgenerator.service.records.jobs import Fault, JobError, JobKind, JobStatus
from modelgenerator.service.records.money import EntryKind
from modelgenerator.service.store.job_changes import Told
from modelgenerator.service.store.job_queue import Offer

LEASE = timedelta(seconds=30)
MOST_LOST = 3
BALANCE = 1_000
KEYS = st.sampled_from(["a", "b", "c", "d"])
AMOUNTS = st.integers(0, 600)
COSTS = st.integers(0, 150)
BACK = st.integers(0, 3)
FAILED = JobError(code="stalled", message="", fault=Fault.THEIRS)
QUIET = settings(
    max_examples=20,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class LedgerMachine(RuleBasedStateMachine):
    """Holds, charges, settlements and refunds under a few keys that come again and again."""

    def __init__(self, database):
        super().__init__()
        self.database = database
        self.clock = SetClock()
        self.organization_id = an_organization(database, self.clock, balance=BALANCE)
        self.balance = BALANCE
        self.open_holds = {}
        self.holds_ever = set()
        self.entries = {"starting balance": BALANCE}

    @property
    def available(self):
        return self.balance - sum(self.open_holds.values())

    def ask(self, call, *words, **more):
        with self.database.transaction() as transaction:
            accounts = transaction.of(self.organization_id).accounts
            return getattr(Ledger(accounts, self.clock()), call)(*words, **more)

    def enter(self, key, amount):
        self.entries[key] = amount
        self.balance += amount

    @rule(key=KEYS, amount=AMOUNTS)
    def hold(self, key, amount):
        if key in self.holds_ever:
            self.ask("hold", key, amount)
        elif amount > self.available:
            with pytest.raises(InsufficientFunds):
                self.ask("hold", key, amount)
        else:
            self.ask("hold", key, amount)
            self.open_holds[key] = amount
            self.holds_ever.add(key)

    @rule(key=KEYS, amount=AMOUNTS)
    def hold_more(self, key, amount):
        if key in self.open_holds and amount > self.available:
            with pytest.raises(InsufficientFunds):
                self.ask("hold_more", key, amount)
        elif self.ask("hold_more", key, amount) is not None:
            self.open_holds[key] += amount

    @rule(key=KEYS)
    def release(self, key):
        self.ask("release", key)
        self.open_holds.pop(key, None)

    @rule(key=KEYS, amount=AMOUNTS)
    def charge(self, key, amount):
        if key in self.entries:
            assert self.ask("charge", key, EntryKind.PICTURES, amount, memo="") is not None
        elif amount > self.available:
            with pytest.raises(InsufficientFunds):
                self.ask("charge", key, EntryKind.PICTURES, amount, memo="")
        else:
            self.ask("charge", key, EntryKind.PICTURES, amount, memo="")
            self.enter(key, -amount)

    @rule(key=KEYS, amount=AMOUNTS)
    def settle(self, key, amount):
        self.ask("settle", key, EntryKind.TRAINING, amount, memo="")
        if key not in self.entries and self.open_holds.pop(key, None) is not None:
            self.enter(key, -min(amount, self.available))

    @rule(key=KEYS)
    def refund(self, key):
        self.ask("refund", key, memo="")
        if key in self.entries and f"refund of {key}" not in self.entries:
            self.enter(f"refund of {key}", -self.entries[key])

    @rule(number=st.integers(0, 3), amount=st.integers(1, 300))
    def credit(self, number, amount):
        self.ask("credit", f"payment {number}", amount, memo="")
        if f"payment {number}" not in self.entries:
            self.enter(f"payment {number}", amount)

    @invariant()
    def the_account_is_as_the_model_says(self):
        with self.database.reading() as transaction:
            accounts = transaction.of(self.organization_id).accounts
            assert list(faults(accounts)) == []
            account = accounts.read()
            entries = {entry.key: entry.amount for entry in accounts.entries.all()}
        assert (account.balance, account.held) == (self.balance, sum(self.open_holds.values()))
        assert entries == self.entries


class JobMachine(RuleBasedStateMachine):
    """Two organizations, two workers, of which any may sleep over its lease and wake up."""

    def __init__(self, database):
        super().__init__()
        self.database = database
        self.clock = SetClock()
        self.organizations = [an_organization(database, self.clock, balance=BALANCE) for _ in "ab"]
        self.model = {}
        self.leases = []

    @initialize(costs=st.lists(COSTS, min_size=4, max_size=4))
    def a_day_begins(self, costs):
        """Work for both, and one job begun: what is made up starts where it matters."""
        for number, cost in enumerate(costs):
            self.submit(organization=number // 3, priority=0, cost=cost)
        self.claim(worker="w1")

    def teardown(self):
        """After all of it the workers get on with it: everything must come to an end (I1)."""
        while any(not it["status"].is_final for it in self.model.values()):
            self.clock.advance(31)
            self.take_back()
            lease = self.take("w-last")
            if lease is not None:
                self.end(lease, JobStatus.SUCCEEDED)
        self.every_job_has_one_end_and_one_charge()

    @rule(organization=st.integers(0, 1), priority=st.integers(0, 1), cost=COSTS)
    def submit(self, organization, priority, cost):
        organization_id = self.organizations[organization]
        job = a_job(organization_id, self.clock, priority=priority, estimate=cost)
        try:
            with self.database.transaction() as transaction:
                mine = transaction.of(organization_id)
                mine.jobs.add(job)
                Ledger(mine.accounts, self.clock()).hold(str(job.id), cost, job_id=job.id)
        except InsufficientFunds:
            return
        self.model[job.id] = {
            "job": job,
            "status": JobStatus.QUEUED,
            "attempt": 0,
            "lost": 0,
            "until": None,
            "cancel": False,
            "step": 0,
        }

    @rule(worker=st.sampled_from(["w1", "w2"]))
    def claim(self, worker):
        lease = self.take(worker)
        if lease is not None:
            self.leases.append(lease)

    def take(self, worker):
        expected = self.next_in_line()
        now = self.clock()
        with self.database.transaction() as transaction:
            job = transaction.jobs.claim(Offer(owner=worker, kinds=list(JobKind)), now, LEASE)
        assert (None if job is None else job.id) == expected
        if job is None:
            return None
        known = self.model[job.id]
        known |= {"status": JobStatus.RUNNING, "attempt": known["attempt"] + 1}
        known |= {"until": now + LEASE, "step": 0}
        assert job.attempt == known["attempt"]
        return job.lease

    def next_in_line(self):
        running = dict.fromkeys(self.organizations, 0)
        for known in self.model.values():
            running[known["job"].organization_id] += known["status"] is JobStatus.RUNNING
        waiting = [it for it in self.model.values() if it["status"] is JobStatus.QUEUED]
        order = sorted(
            waiting,
            key=lambda it: (
                -it["job"].priority,
                running[it["job"].organization_id],
                it["job"].id,
            ),
        )
        return order[0]["job"].id if order else None

    def lease(self, back):
        """One of the newest leases: old ones too, whose workers wake up late."""
        return self.leases[-1 - back % len(self.leases)]

    def is_lost(self, lease):
        known = self.model[lease.job_id]
        return known["status"] is not JobStatus.RUNNING or known["attempt"] != lease.attempt

    def write(self, lease, change):
        """What a worker writes: all of it if the job is its own, else nothing."""
        if self.is_lost(lease):
            with pytest.raises(LeaseLost), self.database.transaction() as transaction:
                change(transaction)
            return False
        with self.database.transaction() as transaction:
            change(transaction)
        return True

    @rule(back=BACK)
    def heartbeat(self, back):
        lease = self.lease(back)
        now = self.clock()
        asked = []
        known = self.model[lease.job_id]
        if self.write(lease, lambda it: asked.append(it.jobs.heartbeat(lease, now, LEASE))):
            assert asked == [known["cancel"]]
            known["until"] = now + LEASE

    @rule(back=BACK, step=st.integers(1, 9))
    def progress(self, back, step):
        lease = self.lease(back)
        told = [Told("stepFinished", {"step": step})]
        now = self.clock()
        if self.write(lease, lambda it: it.jobs.record(lease, told, now, progress={"step": step})):
            known = self.model[lease.job_id]
            known["step"] = max(known["step"], step)

    @rule(back=BACK)
    def checkpoint(self, back):
        lease = self.lease(back)
        now = self.clock()
        if self.write(lease, lambda it: it.jobs.save_checkpoint(lease, "key", {}, now, used_ms=1)):
            self.model[lease.job_id]["lost"] = 0

    @rule(back=BACK, status=st.sampled_from([it for it in JobStatus if it.is_final]))
    def finish(self, back, status):
        lease = self.lease(back)
        self.end(lease, status)

    def end(self, lease, status):
        known = self.model[lease.job_id]
        error = FAILED if status is JobStatus.FAILED else None

        def change(transaction):
            ended = transaction.jobs.finish(lease, status, self.clock(), error=error)
            self.pay(transaction, ended, known["job"].estimate)

        if self.write(lease, change):
            known["status"] = status

    def pay(self, transaction, job, amount):
        ledger = Ledger(transaction.of(job.organization_id).accounts, self.clock())
        ledger.settle(str(job.id), EntryKind.TRAINING, amount, memo="")

    @rule(back=BACK)
    def hand_back(self, back):
        lease = self.lease(back)
        known = self.model[lease.job_id]

        def change(transaction):
            back = transaction.jobs.hand_back(lease, self.clock(), reason="drain")
            if back.status.is_final:
                self.pay(transaction, back, 0)

        if self.write(lease, change):
            known["status"] = JobStatus.CANCELLED if known["cancel"] else JobStatus.QUEUED

    @rule(back=BACK)
    def lose(self, back):
        """Its process died, and the server saw it."""
        lease = self.lease(back)

        def change(transaction):
            now = self.clock()
            back = transaction.jobs.lose(lease, FAILED, now, most_lost=MOST_LOST)
            if back.status.is_final:
                self.pay(transaction, back, 0)

        if self.write(lease, change):
            self.forget_attempt(self.model[lease.job_id])

    @rule(number=st.integers(0, 9))
    def cancel(self, number):
        known = list(self.model.values())[number % len(self.model)]
        job_id = known["job"].id
        organization_id = known["job"].organization_id
        if known["status"].is_final:
            with pytest.raises(AlreadyFinished), self.database.transaction() as transaction:
                transaction.of(organization_id).jobs.cancel(job_id, self.clock())
            return
        with self.database.transaction() as transaction:
            after = transaction.of(organization_id).jobs.cancel(job_id, self.clock())
            if after.status.is_final:
                self.pay(transaction, after, 0)
        if known["status"] is JobStatus.QUEUED:
            known["status"] = JobStatus.CANCELLED
        known["cancel"] = True

    @rule(seconds=st.sampled_from([1, 29, 31, 100, -3600]))
    def time_passes(self, seconds):
        """Or goes back: somebody has set the server's clock."""
        self.clock.advance(seconds)

    @rule()
    def take_back(self):
        now = self.clock()
        with self.database.transaction() as transaction:
            back = transaction.jobs.requeue_lapsed(now, most_lost=MOST_LOST)
            for job in back:
                if job.status.is_final:
                    self.pay(transaction, job, 0)
        lapsed = [
            it
            for it in self.model.values()
            if it["status"] is JobStatus.RUNNING and it["until"] <= now
        ]
        assert {job.id for job in back} == {it["job"].id for it in lapsed}
        for known in lapsed:
            self.forget_attempt(known)

    def forget_attempt(self, known):
        known["lost"] += 1
        known["status"] = JobStatus.QUEUED
        if known["cancel"]:
            known["status"] = JobStatus.CANCELLED
        elif known["lost"] >= MOST_LOST:
            known["status"] = JobStatus.FAILED

    @invariant()
    def every_job_has_one_end_and_one_charge(self):
        with self.database.reading() as transaction:
            for known in self.model.values():
                self.check(transaction.of(known["job"].organization_id), known)
            for organization_id in self.organizations:
                assert list(faults(transaction.of(organization_id).accounts)) == []

    def check(self, mine, known):
        id = known["job"].id
        job = mine.jobs.get(id)
        assert (job.status, job.attempt) == (known["status"], known["attempt"])
        assert (job.lease_owner is not None) == (job.status is JobStatus.RUNNING)
        if job.status is JobStatus.RUNNING:
            assert (job.progress or {"step": 0})["step"] == known["step"]  # I10
        events = mine.jobs.events_after(id, 0)
        assert [it.sequence for it in events] == list(range(1, job.event_count + 1))
        assert [it.attempt for it in events] == sorted(it.attempt for it in events)
        ends = [it for it in events if it.is_final]
        assert ends == (events[-1:] if job.status.is_final else [])  # I2
        charges = mine.accounts.entries.all(job_id=id)
        assert len(charges) == job.status.is_final  # I3
        attempts = mine.jobs.attempts(id)
        assert [it.number for it in attempts] == list(range(1, job.attempt + 1))
        still = [it for it in attempts if it.ended_at is None]
        assert len(still) == (job.status is JobStatus.RUNNING)


@pytest.mark.parametrize("machine", [LedgerMachine, JobMachine])
def test_it_holds_in_any_order(database, machine):
    run_state_machine_as_test(lambda: machine(database), settings=QUIET)

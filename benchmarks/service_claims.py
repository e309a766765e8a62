"""How long it takes to claim a job from a full queue, on SQLite and on Postgres.

In: how many jobs wait.  Out: a line for each database.  Each worker claims a job and ends it; only
the claim is timed.  Jobs are those of five organizations, which take turns.
"""

import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import postgres
from service_records import queued_job
from sqlalchemy import insert

from modelgenerator.service.billing.ledger import Ledger
from modelgenerator.service.records.clock import system_clock
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.jobs import JobKind, JobStatus
from modelgenerator.service.records.organizations import Organization
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.job_queue import Offer
from modelgenerator.service.store.job_tables import JOBS
from modelgenerator.service.store.migrate import migrate

ORGANIZATIONS = 5
LEASE = timedelta(minutes=5)
GOAL_MS = 200


def measure(folder: Path, jobs: int) -> None:
    print("| database | workers | jobs | claims/s | p50 ms | p99 ms | slowest |")
    print("|---|---|---|---|---|---|---|")
    _claim_all(f"sqlite:///{folder}/claims.sqlite", "SQLite", 1, jobs)
    if (programs := postgres.programs()) is None:
        print("| Postgres is not installed | | | | | | |")
        return
    with postgres.cluster(programs) as url:
        _claim_all(url.format(name="postgres"), "Postgres", 8, jobs)


def _claim_all(url: str, called: str, workers: int, jobs: int) -> None:
    with _filled(url, jobs) as database:
        waits: list[float] = []
        claimed: list[UUID] = []
        threads = [
            threading.Thread(target=_work, args=(database, f"worker {number}", waits, claimed))
            for number in range(workers)
        ]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
    assert len(claimed) == jobs, f"{jobs - len(claimed)} jobs were left"
    assert max(Counter(claimed).values()) == 1, "a job was claimed twice"
    waits.sort()
    half, slow = (1e3 * waits[int(len(waits) * share)] for share in (0.5, 0.99))
    cells = f"{jobs / seconds:.0f} | {half:.1f} | {slow:.1f} | {1e3 * waits[-1]:.0f}"
    print(f"| {called} | {workers} | {jobs} | {cells} |", flush=True)


@contextmanager
def _filled(url: str, jobs: int) -> Generator[Database, None, None]:
    database = Database(url)
    migrate(database)
    now = system_clock()
    owners = [new_id(now) for _ in range(ORGANIZATIONS)]
    with database.transaction() as transaction:
        for owner in owners:
            made = Organization(id=owner, name="Household", created_at=now)
            transaction.identities.add_organization(made)
            Ledger(transaction.of(owner).accounts, now).open(0)
    # the first organization asked for most of them, one after the other, before all others
    asked = [queued_job(owners[max(0, number * 10 // jobs - 5)], now) for number in range(jobs)]
    with database.changing_tables() as connection:
        connection.execute(insert(JOBS.table), [JOBS.row(job) for job in asked])
    try:
        yield database
    finally:
        database.close()


def _work(database: Database, owner: str, waits: list[float], claimed: list[UUID]) -> None:
    offer = Offer(owner=owner, kinds=list(JobKind))
    while True:
        began = time.perf_counter()
        with database.transaction() as transaction:
            job = transaction.jobs.claim(offer, system_clock(), LEASE)
        if job is None:
            return
        waits.append(time.perf_counter() - began)
        claimed.append(job.id)
        with database.transaction() as transaction:
            transaction.jobs.finish(job.lease, JobStatus.SUCCEEDED, system_clock())

"""Fifty workers at one queue against one, with jobs of a millisecond, on Postgres and on SQLite.

In: how many jobs.  Out: a line for each database: claims and ends a second, and from the ledger how
many attempts each job took.  One worker works before and after the fifty, on the same queue, so
that what else the machine does slows both.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE

import postgres
from service_records import queued_job
from sqlalchemy import func, insert, select

from modelgenerator.service.billing.ledger import Ledger
from modelgenerator.service.records.clock import system_clock
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import Organization
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.job_tables import ATTEMPTS, JOBS
from modelgenerator.service.store.migrate import migrate

ORGANIZATIONS = 20
WORKERS = 50
PROCESSES = {"SQLite": 1, "Postgres": 10}
"""A file has one server, which hands out its turns itself; the workers are shared out to them."""
LEASE = timedelta(minutes=5)
SECONDS = 900


def measure(folder: Path, jobs: int) -> None:
    print("| database | jobs | 1 worker, jobs/s | 50 workers, jobs/s | ratio | attempts a job |")
    print("|---|---|---|---|---|---|")
    _work_off(f"sqlite:///{folder}/queue.sqlite", "SQLite", jobs)
    if (programs := postgres.programs()) is None:
        print("| Postgres is not installed | | | | | |")
        return
    with postgres.cluster(programs) as url:
        _work_off(url.format(name="postgres"), "Postgres", jobs)


def _work_off(url: str, called: str, jobs: int) -> None:
    alone = jobs // 10
    database = Database(url)
    try:
        _fill(database, jobs)
        before, seconds_before = _worked(url, processes=1, threads=1, most=alone)
        processes = PROCESSES[called]
        most_each = (jobs - 2 * alone) // WORKERS
        many, seconds = _worked(url, processes, WORKERS // processes, most=most_each)
        after, seconds_after = _worked(url, processes=1, threads=1, most=jobs)
        one = (before + after) / (seconds_before + seconds_after)
        least, most = _attempts(database, jobs)
    finally:
        database.close()
    cells = f"{one:.0f} | {many / seconds:.0f} | {many / seconds / one:.2f} | {least} to {most}"
    print(f"| {called} | {jobs} | {cells} |", flush=True)


def _fill(database: Database, jobs: int) -> None:
    migrate(database)
    now = system_clock()
    owners = [new_id(now) for _ in range(ORGANIZATIONS)]
    with database.transaction() as transaction:
        for owner in owners:
            made = Organization(id=owner, name="Household", created_at=now)
            transaction.identities.add_organization(made)
            Ledger(transaction.of(owner).accounts, now).open(0)
    asked = [queued_job(owners[number % ORGANIZATIONS], now) for number in range(jobs)]
    with database.changing_tables() as connection:
        connection.execute(insert(JOBS.table), [JOBS.row(job) for job in asked])


def _worked(url: str, processes: int, threads: int, most: int) -> tuple[int, float]:
    """Jobs that were done, and the seconds between the first claim of any and the last end."""
    worker = Path(__file__).with_name("cluster_worker.py")
    words = [sys.executable, worker, url, str(threads), str(most)]
    started = [
        subprocess.Popen([*words, str(number)], stdin=PIPE, stdout=PIPE, text=True)
        for number in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()  # it is ready
    ended: Sequence[dict[str, float]] = [json.loads(answer) for answer in _begun(started)]
    seconds = max(one["ended"] for one in ended) - min(one["began"] for one in ended)
    return int(sum(one["done"] for one in ended)), seconds


def _begun(started: Sequence["subprocess.Popen[str]"]) -> list[str]:
    """Let all of them begin; what each says at its end."""
    for process in started:
        assert process.stdin is not None
        process.stdin.write("begin\n")
        process.stdin.flush()
    return [process.communicate(timeout=SECONDS)[0] for process in started]


def _attempts(database: Database, jobs: int) -> tuple[int, int]:
    """Of a job, in the ledger: the fewest and the most; all jobs have ended."""
    table = ATTEMPTS.table
    counted = (
        select(func.count().label("attempts"))
        .select_from(table)
        .group_by(table.columns.job_id)
        .subquery()
    )
    columns = counted.columns.attempts
    with database.changing_tables() as connection:
        least, most, tried = connection.execute(
            select(func.min(columns), func.max(columns), func.count()).select_from(counted)
        ).one()
        ended = JOBS.table.columns.finished_at.is_not(None)
        finished = connection.execute(
            select(func.count()).select_from(JOBS.table).where(ended)
        ).scalar_one()
    assert tried == finished == jobs, f"{jobs - finished} jobs were left"
    return least, most

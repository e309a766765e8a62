"""Many at once, in threads and in processes; and processes that are killed."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.claimant import work
from tests.remembered import SetClock, a_job, an_organization

from modelgenerator.service.billing.ledger import faults
from modelgenerator.service.records.jobs import JobStatus
from modelgenerator.service.store.database import Database

ROOT = Path(__file__).parents[3]


@pytest.fixture
def hundred(database, clock):
    """A hundred jobs of two organizations, and money for all of them."""
    jobs = []
    for _ in range(2):
        organization_id = an_organization(database, clock, balance=1_000_000)
        jobs += [a_job(organization_id, clock) for _ in range(50)]
    with database.transaction() as transaction:
        for job in jobs:
            transaction.of(job.organization_id).jobs.add(job)
    return jobs


def assert_each_ran_once(database, jobs):
    """One end, one charge, and no cent lost or made."""
    with database.reading() as transaction:
        for job in jobs:
            mine = transaction.of(job.organization_id)
            assert mine.jobs.get(job.id).status is JobStatus.SUCCEEDED
            names = [event.name for event in mine.jobs.events_after(job.id, 0)]
            assert names == ["queued", "started", "finished"]
        for organization_id in {job.organization_id for job in jobs}:
            accounts = transaction.of(organization_id).accounts
            assert list(faults(accounts)) == []
            assert accounts.read().balance == 1_000_000 - 50 * 1_000


def test_of_a_hundred_claims_in_threads_each_takes_another_job(database, hundred):
    got = []
    owners = [f"w{number}" for number in range(8)]
    threads = [
        threading.Thread(target=lambda owner=owner: got.extend(work(database, owner)))
        for owner in owners
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(job.id for job in got) == sorted(job.id for job in hundred)
    assert {job.attempt for job in got} == {1}
    assert_each_ran_once(database, hundred)


def test_of_a_hundred_claims_in_processes_each_takes_another_job(database, url, hundred):
    workers = [_started("tests.claimant", url, f"w{number}") for number in range(3)]
    got = []
    for worker in workers:
        told, _ = worker.communicate(timeout=300)
        assert worker.returncode == 0
        got += [line.split() for line in told.splitlines()]
    assert sorted(id for id, _ in got) == sorted(str(job.id) for job in hundred)
    assert {attempt for _, attempt in got} == {"1"}
    assert_each_ran_once(database, hundred)


@pytest.mark.parametrize("delay", [0.0, 0.003, 0.01, 0.05])
def test_what_was_acknowledged_survives_a_kill(tmp_path, migrated, delay):
    """SIGKILL in the middle of a commit, four times on one file."""
    if not migrated.startswith("sqlite"):
        pytest.skip("Postgres is another process, which nobody kills here")
    url = f"sqlite:///{tmp_path}/x.sqlite"
    (tmp_path / "x.sqlite").write_bytes(Path(migrated.removeprefix("sqlite:///")).read_bytes())
    database = Database(url)
    organization_id = an_organization(database, SetClock())
    acknowledged = [-1]
    for _ in range(4):
        kept = _kept(database, organization_id)
        payer = _started("tests.payer", url, organization_id.hex, str(len(kept)))
        assert payer.stdout is not None
        acknowledged += [int(payer.stdout.readline()) for _ in range(5)]
        time.sleep(delay)
        payer.kill()
        acknowledged += [int(line) for line in payer.communicate()[0].splitlines()]
    kept = _kept(database, organization_id)
    assert set(acknowledged) - {-1} <= set(kept)
    assert kept == list(range(len(kept))), "nothing is half there"
    with database.changing_tables() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
    database.close()


def _kept(database: Database, organization_id) -> list[int]:
    with database.reading() as transaction:
        accounts = transaction.of(organization_id).accounts
        assert list(faults(accounts)) == []
        entries, holds = accounts.entries.all(), accounts.holds.all()
    numbers = [int(entry.key.split()[1]) for entry in entries]
    assert [int(hold.key.split()[1]) for hold in holds] == numbers
    return numbers


def _started(module: str, *words: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-m", module, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)

"""A worker in a process of its own: claims jobs until there are none, ends each, charges for it.

`python -m tests.claimant URL OWNER` prints the id and the attempt of every job that it got.
"""

import sys
from datetime import timedelta

from modelgenerator.service.billing.ledger import Ledger
from modelgenerator.service.records.clock import system_clock
from modelgenerator.service.records.jobs import Job, JobKind, JobStatus
from modelgenerator.service.records.money import EntryKind
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.job_queue import Offer


def work(database: Database, owner: str) -> list[Job]:
    """The jobs that this worker got."""
    offer = Offer(owner=owner, kinds=list(JobKind))
    got: list[Job] = []
    while True:
        with database.transaction() as transaction:
            job = transaction.jobs.claim(offer, system_clock(), timedelta(seconds=60))
        if job is None:
            return got
        got.append(job)
        with database.transaction() as transaction:
            now = system_clock()
            transaction.jobs.finish(job.lease, JobStatus.SUCCEEDED, now)
            ledger = Ledger(transaction.of(job.organization_id).accounts, now)
            ledger.charge(str(job.id), EntryKind.TRAINING, 1_000, memo="", job_id=job.id)


def main() -> None:
    url, owner = sys.argv[1:]
    database = Database(url)
    for job in work(database, owner):
        print(job.id, job.attempt)  # noqa: T201
    database.close()


if __name__ == "__main__":
    main()

"""Workers in a process of their own: each claims a job, works a millisecond, ends it.

In: `URL THREADS MOST NUMBER`: MOST jobs for each thread, as soon as there is a line to read.  Out:
a line when it is ready; how many were done, when the first began and the last ended, as JSON.
"""

import json
import sys
import threading
import time
from dataclasses import dataclass, field

from cluster_queue import LEASE

from modelgenerator.service.errors import StoreBusy
from modelgenerator.service.records.clock import system_clock
from modelgenerator.service.records.jobs import JobKind, JobStatus
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.job_queue import Offer

JOB_SECONDS = 0.001


@dataclass
class Workers:
    """The threads of this process."""

    database: Database
    most: int
    done: list[float] = field(default_factory=list[float])
    """When each job ended."""

    def work(self, owner: str) -> None:
        """One worker, until there is nothing left or it has done `most`."""
        offer = Offer(owner=owner, kinds=list(JobKind))
        for _ in range(self.most):
            while (claimed := self._work_once(offer)) is None:
                pass
            if not claimed:
                return
            self.done.append(time.time())

    def _work_once(self, offer: Offer) -> bool | None:
        """Whether there was a job; None: the database was busy."""
        try:
            with self.database.transaction() as transaction:
                job = transaction.jobs.claim(offer, system_clock(), LEASE)
        except StoreBusy:
            return None
        if job is None:
            return False
        time.sleep(JOB_SECONDS)
        while True:
            try:
                with self.database.transaction() as transaction:
                    transaction.jobs.finish(job.lease, JobStatus.SUCCEEDED, system_clock())
            except StoreBusy:
                continue
            return True


def main() -> None:
    url, threads, most, number = sys.argv[1:]
    workers = Workers(Database(url), int(most))
    running = [
        threading.Thread(target=workers.work, args=(f"worker {number}-{thread}",))
        for thread in range(int(threads))
    ]
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.time()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    ended = max(workers.done, default=began)
    print(json.dumps({"done": len(workers.done), "began": began, "ended": ended}))


if __name__ == "__main__":
    main()

"""That something happened, told within this process, so that nobody has to look all the time.

In: a job's id from whoever wrote its events, or that there is new work.  Out: an end to waiting.
What happened is in the database: news may be missed (another process wrote it), so every wait ends
by itself too.
"""

import threading
from uuid import UUID

MOST_KEPT = 10_000
"""Jobs that were told of lately."""


class News:
    """One for a process; any thread may tell, any thread may wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._told: dict[UUID, int] = {}
        self._work_count = 0
        self._seen = threading.local()
        self.is_closing = False

    def tell(self, job_id: UUID) -> None:
        """The job has new events."""
        with self._changed:
            self._told[job_id] = self._told.pop(job_id, 0) + 1
            while len(self._told) > MOST_KEPT:  # whoever still watches it looks once more
                del self._told[next(iter(self._told))]
            self._changed.notify_all()

    def count(self, job_id: UUID) -> int:
        """How often something was told of the job: when it differs, there is something to read."""
        return self._told.get(job_id, 0)

    def close(self) -> None:
        """This process is about to end: nobody should wait any more."""
        with self._changed:
            self.is_closing = True
            self._changed.notify_all()

    def work_came(self) -> None:
        """There may be a job to claim, or a run to carry on."""
        with self._changed:
            self._work_count += 1
            self._changed.notify_all()

    def wait_for_work(self, seconds: float) -> bool:
        """Until work came that this thread was not told of, or `seconds` at most; whether it came.

        Every thread that waits is told: one claims jobs, another carries runs on.
        """
        seen: int = getattr(self._seen, "count", 0)
        with self._changed:
            self._changed.wait_for(lambda: self.is_closing or self._work_count != seen, seconds)
            self._seen.count = self._work_count
            return self._work_count != seen

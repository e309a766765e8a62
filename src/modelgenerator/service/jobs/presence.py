"""This server in the ledger: that it is there, on which machines it runs how many jobs, and what it
has loaded.

In: an executor.  Out: a row that is written again and again, and taken away at the end.  Which jobs
run is not known here: they say themselves where.
"""

import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from importlib.metadata import version

from modelgenerator.service.jobs.executors.executor import Executor, Slot
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.servers import GONE_AFTER, DrawingPlace, Places, Server

TELL_SECONDS = GONE_AFTER.total_seconds() / 4
"""A database that is busy for some seconds makes nobody think that this server is gone."""


class Presence:
    """Of one dispatcher."""

    def __init__(self, service: Service, executor: Executor, owner: str) -> None:
        self._service, self._executor, self._owner = service, executor, owner
        self._started_at: datetime | None = None
        self._told: tuple[bool, Sequence[DrawingPlace]] = (False, ())

    def tell_news(self, *, takes_jobs: bool = True) -> None:
        """What other servers go by has changed, if it has.

        Raises:
            StoreBusy, StorageFull: it is told next time.
        """
        if self._told != (takes_jobs, tuple(self._executor.drawing())):
            self.tell(takes_jobs=takes_jobs)

    def tell(self, *, takes_jobs: bool = True) -> None:
        """It lives, and has this; one that takes no more jobs has no places.

        Raises:
            StoreBusy, StorageFull: it is told next time.
        """
        now = self._service.clock()
        self._started_at = self._started_at or now
        drawing = tuple(self._executor.drawing())
        server = Server(
            id=self._owner,
            host=socket.gethostname(),
            version=version("modelgenerator"),
            executor=self._service.config.executor,
            machines=tuple(self._executor.machines()),
            places=places_of(self._executor.slots()) if takes_jobs else (),
            started_at=self._started_at,
            seen_at=now,
            drawing=drawing,
        )
        with self._service.database.transaction() as transaction:
            transaction.servers.saw(server)
        self._told = (takes_jobs, drawing)

    def end(self) -> None:
        """It takes no jobs any more.

        Raises:
            StoreBusy, StorageFull: it is missed after a while.
        """
        with self._service.database.transaction() as transaction:
            transaction.servers.leaves(self._owner)


def places_of(slots: Iterable[Slot]) -> tuple[Places, ...]:
    """How many there are of each kind, in their order."""
    counts = Counter(
        (slot.kinds, slot.gpus, slot.gpu_memory, slot.gpu_memory_above) for slot in slots
    )
    return tuple(
        Places(
            kinds=tuple(map(str, kinds)),
            count=count,
            gpus=gpus,
            gpu_memory=gpu_memory,
            gpu_memory_above=above,
        )
        for (kinds, gpus, gpu_memory, above), count in counts.items()
    )

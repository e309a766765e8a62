"""What the other servers of a deployment have loaded for pictures, as they said it last.

In: the ledger's servers.  Out: slots that know of it, so that a job is left for a moment to whoever
needs no loading for it, whichever server that is.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.executors.nearby import aware_of_others
from modelgenerator.service.jobs.presence import TELL_SECONDS
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.records.servers import DrawingPlace, Server

BELIEVED = timedelta(seconds=2 * TELL_SECONDS)
"""How long: who waits for a server that was killed waits for nothing."""


class Neighbours:
    """Of one dispatcher."""

    def __init__(self, service: Service, owner: str) -> None:
        self._service, self._owner = service, owner
        self._free: list[Slot] = []
        self._busy: list[Slot] = []

    def look(self) -> None:
        """Read what they say.

        Raises:
            StoreBusy: until it is read again, nothing is known of them.
        """
        self._free, self._busy = [], []
        now = self._service.clock()
        with self._service.database.reading() as transaction:
            servers = transaction.servers.alive(now)
        others = [one for one in servers if one.id != self._owner and _takes_jobs(one, now)]
        places = [
            (place, _slot(place, f"{one.id} {number}"))
            for one in others
            for number, place in enumerate(one.drawing)
        ]
        self._free = [slot for place, slot in places if place.is_free]
        self._busy = [slot for place, slot in places if not place.is_free]

    def known_to(self, slots: Sequence[Slot]) -> list[Slot]:
        """The slots of this server, with what is nearby there."""
        if not self._free and not self._busy:
            return list(slots)
        return aware_of_others(slots, self._free, self._busy)


def _takes_jobs(server: Server, now: datetime) -> bool:
    """One that is about to end has no places; one that was killed says nothing more."""
    return bool(server.places) and server.seen_at > now - BELIEVED


def _slot(place: DrawingPlace, name: str) -> Slot:
    return Slot(
        name=name,
        kinds=(JobKind.GENERATE,),
        gpus=place.gpus,
        gpu_memory=place.gpu_memory,
        holds=place.holds,
    )

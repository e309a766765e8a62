"""The curves of a training: loss and learning rate, step by step.

In: who asks, which training, and where he stopped reading.  Out: points.  What a lost attempt did
after its last checkpoint was done again: the later points take the place of the earlier ones.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from modelgenerator.service.errors import InvalidValue
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.jobs import Job, JobEvent
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.store.transaction import OrganizationStore

STEPS = "steps"
VALIDATED = "validated"
"""The events by which a job's body tells of its steps, and of the loss on pictures kept out."""
MOST_POINTS = 2_000


@dataclass(frozen=True, slots=True)
class Point:
    """One optimizer step, or the mean of some that follow each other."""

    step: int
    loss: float | None
    """None: it was not finite."""
    learning_rate: float | None
    """As it takes effect: with the factor d that some optimizers find by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """What is drawn of a training, or what came to it since."""

    points: tuple[Point, ...]
    validation: tuple[tuple[int, float], ...]
    """Epoch, and the loss on the pictures that were kept out."""
    every: int
    """Of how many steps each point is the mean."""
    cursor: str
    """Ask with it for what comes after."""
    is_whole: bool
    """Whether this is all there is, and takes the place of what was read before."""


def read_curves(service: Service, caller: Caller, id: UUID, after: str | None = None) -> Curves:
    """All points, at most `MOST_POINTS`; or those after a cursor, each step for itself.

    Raises:
        NotFound: there is no such training.
        InvalidValue: no answer gave this cursor.
    """
    caller.require(Role.VIEWER)
    seen = _seen(after)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        newest = store.trainings.there(id).job_id
        since = seen[1] if seen is not None and seen[0] == newest else None
        events = _events(store, id, newest, since)
        job = store.jobs.get(newest)
    points = joined(event for event in events if event.name == STEPS)
    every = 1 if since is not None else -(-len(points) // MOST_POINTS) or 1
    return Curves(
        points=tuple(thinned(points, every)),
        validation=tuple(_validation(events)),
        every=every,
        cursor=f"{newest.hex}-{_last(events, job, since)}",
        is_whole=since is None,
    )


def joined(events: Iterable[JobEvent]) -> list[Point]:
    """One point a step, in order: what was done again counts as it was done last."""
    points: list[Point] = []
    for event in events:
        told = list(_points(event))
        while told and points and points[-1].step >= told[0].step:
            points.pop()
        points += told
    return points


def thinned(points: Sequence[Point], every: int) -> Iterator[Point]:
    """The mean of each `every` points, at the last of their steps."""
    if every == 1:
        yield from points
        return
    for begin in range(0, len(points), every):
        some = points[begin : begin + every]
        yield Point(
            some[-1].step,
            _mean(point.loss for point in some),
            _mean(point.learning_rate for point in some),
        )


def _events(store: OrganizationStore, id: UUID, newest: UUID, since: int | None) -> list[JobEvent]:
    names = (STEPS, VALIDATED)
    if since is not None:
        return store.jobs.events_named(newest, names, after=since)
    jobs = store.jobs.all(target_id=id)
    return [event for job in jobs for event in store.jobs.events_named(job.id, names)]


def _last(events: Sequence[JobEvent], job: Job, since: int | None) -> int:
    mine = [event.sequence for event in events if event.job_id == job.id]
    return max(mine, default=since or 0)


def _points(event: JobEvent) -> Iterator[Point]:
    """Those of one event; an event that was deleted has none."""
    data = event.data
    steps, losses = _list(data.get("steps")), _list(data.get("losses"))
    rates, factors = _list(data.get("learningRates")), _list(data.get("d"))
    for step, loss, rate, factor in zip(steps, losses, rates, factors, strict=True):
        known = None if rate is None or factor is None else rate * factor
        yield Point(int(cast(float, step)), loss, known)


def _validation(events: Iterable[JobEvent]) -> Iterator[tuple[int, float]]:
    for event in events:
        epoch, loss = event.data.get("epoch"), event.data.get("loss")
        if event.name == VALIDATED and isinstance(epoch, int) and isinstance(loss, float):
            yield epoch, loss


def _list(value: object) -> list[float | None]:
    return cast(list[float | None], value) if isinstance(value, list) else []


def _mean(numbers: Iterable[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) / len(known) if known else None


def _seen(cursor: str | None) -> tuple[UUID, int] | None:
    """Which job's events were read, and up to which."""
    if cursor is None:
        return None
    try:
        job, _, written = cursor.partition("-")
        id, sequence = UUID(job), int(written)
    except ValueError:
        id, sequence = None, -1
    if id is None or not 0 <= sequence < 2**63:
        raise InvalidValue("after is the cursor of an earlier answer.", field="after")
    return id, sequence

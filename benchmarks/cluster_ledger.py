"""What one job costs the server that follows it, and what is left of it in the database.

In: how many jobs are followed.  Out: a line for each thing that the dispatcher's one thread does,
how many trainings it can follow, and the bytes of each kind of row.  The real dispatcher on a real
Postgres that waits for its disk; jobs are those of an executor without processes, which say what a
training says, so that nothing but the ledger's side is timed.
"""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from uuid import UUID

import postgres
from service_records import write_trainings
from sqlalchemy import func, select, text
from tests.dispatching import SPEC, a_service
from tests.memory_executor import MemoryExecutor
from tests.remembered import SetClock, a_job, an_organization

from modelgenerator.service.jobs.dispatcher import Dispatcher
from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.messages import CheckpointStored, Message, Progressed, Told
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.clock import system_clock
from modelgenerator.service.records.datasets import SnapshotPicture
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.migrate import migrate

ORGANIZATIONS = 20
PICTURES = 20
"""Of each training: they are in its job."""
STEPS = 10
"""A second, told together."""
TURNS = 5
TRAININGS = 500
A_SECOND: Mapping[str, float] = {
    "listens and hears nothing": 20,
    "keeps progress": 2,
    "keeps steps": 1,
    "keeps a checkpoint": 1 / 20,
    "looks what people asked": 1,
    "gives a sign of life": 1 / 10,
}
"""How often each happens to one training, with a lease of 30 seconds."""


def measure(folder: Path, jobs: int) -> None:
    if (programs := postgres.programs()) is None:
        print("Postgres is not installed.")
        return
    with postgres.cluster(programs) as url:
        with _service(url.format(name="postgres"), folder) as service:
            _print_costs(jobs, _costs(service, jobs))
            _print_sizes(_sizes(service, ["job_events"]))
        with _service(url.format(name="template1"), folder / "trainings") as service:
            an_organization(service.database, SetClock(service.clock()))
            write_trainings(service, TRAININGS)
            _print_sizes(_sizes(service, None))


@contextmanager
def _service(url: str, folder: Path) -> Generator[Service, None, None]:
    database = Database(url)
    autocommit = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as connection:
        # tests do without, which is not what is asked here
        connection.execute(text("ALTER SYSTEM SET fsync = on"))
        connection.execute(text("SELECT pg_reload_conf()"))
    migrate(database)
    try:
        yield a_service(database, SetClock(system_clock()), folder)
    finally:
        database.close()


@dataclass
class _Timer:
    """Stands still, so that only what is asked for is due."""

    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass(frozen=True)
class _Cost:
    """Seconds for one job."""

    clock: float
    processor: float
    """Of this process: what is left where database and disk answer at once."""


def _costs(service: Service, jobs: int) -> Mapping[str, _Cost]:
    """Of each thing that happens to one job, or to one slot that is free."""
    clock = SetClock(service.clock())
    owners = [an_organization(service.database, clock) for _ in range(ORGANIZATIONS)]
    slots = [Slot(name=f"slot {number}", kinds=(JobKind.TRAIN,)) for number in range(jobs)]
    timer, executor = _Timer(), MemoryExecutor(*slots)
    dispatcher = Dispatcher(service, executor, timer=timer)

    def turned(seconds: float = 0.0, message: Message | None = None) -> _Cost:
        timer.seconds += seconds
        for job in executor.started if message else ():
            job.says(message)
        began, busy = time.perf_counter(), time.process_time()
        dispatcher.turn()
        return _Cost((time.perf_counter() - began) / jobs, (time.process_time() - busy) / jobs)

    asks = turned()
    _queue(service, owners, jobs)
    claims = turned(1.1)
    assert len(executor.started) == jobs, "all of them run"
    turned(11)  # whatever happens once
    measured: Mapping[str, Callable[[], _Cost]] = {
        "listens and hears nothing": turned,
        "keeps progress": lambda: turned(message=_PROGRESS),
        "keeps steps": lambda: turned(message=_STEPS),
        "keeps a checkpoint": lambda: turned(message=_CHECKPOINT),
        "looks what people asked": lambda: turned(1.1),
        "gives a sign of life": lambda: turned(11),
    }
    costs = {"asks an empty queue for one slot": asks, "claims and starts": claims}
    costs |= {name: _median([turn() for _ in range(TURNS)]) for name, turn in measured.items()}
    looks, signs = costs["looks what people asked"], costs["gives a sign of life"]
    alone = _Cost(signs.clock - looks.clock, signs.processor - looks.processor)
    return costs | {"gives a sign of life": alone}


def _median(costs: Sequence[_Cost]) -> _Cost:
    return _Cost(median(one.clock for one in costs), median(one.processor for one in costs))


def _queue(service: Service, owners: Sequence[UUID], jobs: int) -> None:
    clock = SetClock(service.clock())
    spec = SPEC.model_copy(update={"pictures": _PICTURES}).as_json()
    with service.database.transaction() as transaction:
        for number in range(jobs):
            owner = owners[number % ORGANIZATIONS]
            transaction.of(owner).jobs.add(a_job(owner, clock, spec=spec))


_PICTURES = tuple(
    SnapshotPicture(
        picture_id=UUID(int=number),
        label=f"IMG_{number:04}.jpg",
        sha256="0" * 64,
        caption="lvff woman with a red scarf in front of a window",
        storage_key=f"organizations/{0:032}/datasets/{0:032}/{number:032}.png",
        mask_key=None,
    )
    for number in range(PICTURES)
)
_PROGRESS = Progressed(
    {
        "step": 1_234,
        "totalSteps": 2_000,
        "epoch": 3,
        "loss": 0.0812345678,
        "learningRate": 0.0001,
        "d": 0.0000123456,
        "stepsPerSecond": 9.876,
        "secondsRemaining": 78,
    },
    60_000,
)
_STEPS = Told(
    "steps",
    {
        "steps": list(range(1_234, 1_234 + STEPS)),
        "losses": [0.0812345678901234] * STEPS,
        "learningRates": [0.0001] * STEPS,
        "d": [0.0000123456789] * STEPS,
        "gradientNorms": [0.123456789012345] * STEPS,
    },
)
_CHECKPOINT = CheckpointStored(
    storage_key=f"organizations/{0:032}/trainings/{0:032}/attempts/{0:032}-0001/checkpoint",
    sha256="0" * 64,
    byte_count=6_000_000,
    step=1_234,
    used_ms=60_000,
)


def _print_costs(jobs: int, costs: Mapping[str, _Cost]) -> None:
    print(f"Of each of {jobs} trainings that one server follows:\n")
    print("| the dispatcher | ms | ms of its processor | times a second | ms a second | of it |")
    print("|---|---|---|---|---|---|")
    clock = processor = 0.0
    for name, cost in costs.items():
        times = A_SECOND.get(name, 0.0)  # what is not there, happens now and then
        clock, processor = clock + times * cost.clock, processor + times * cost.processor
        cells = f"{1e3 * cost.clock:.3f} | {1e3 * cost.processor:.3f} | {times:g}"
        a_second = f"{1e3 * times * cost.clock:.2f} | {1e3 * times * cost.processor:.2f}"
        print(f"| {name} | {cells} | {a_second} |")
    print(f"| together | | | | {1e3 * clock:.2f} | {1e3 * processor:.2f} |")
    print(f"\nso its thread has time for {1 / clock:.0f} trainings here, and for", end=" ")
    print(f"{1 / processor:.0f} where database and disk answer at once")


def _sizes(service: Service, names: Sequence[str] | None) -> Mapping[str, tuple[int, float]]:
    """Rows of each table, and bytes for each of them, indexes and all."""
    sizes: dict[str, tuple[int, float]] = {}
    with service.database.changing_tables() as connection:
        asked = text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for name in names or sorted(connection.execute(asked).scalars()):
            table = text(f'"{name}"')
            rows = connection.execute(select(func.count()).select_from(table)).scalar_one()
            size = connection.execute(select(func.pg_total_relation_size(name))).scalar_one()
            if rows >= TRAININGS or names:
                sizes[name] = (rows, size / rows)
    return sizes


def _print_sizes(sizes: Mapping[str, tuple[int, float]]) -> None:
    print("\n| table | rows | bytes a row, with indexes |")
    print("|---|---|---|")
    for name, (rows, size) in sizes.items():
        print(f"| {name} | {rows} | {size:.0f} |")

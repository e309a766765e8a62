"""Two servers, each of which knows what the other has loaded and leaves it that for a moment."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from tests.dispatching import Dispatching, Timer, a_service
from tests.memory_executor import MemoryExecutor
from tests.remembered import SetClock

from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.presence import TELL_SECONDS
from modelgenerator.service.records.holds import NOTHING, Holds
from modelgenerator.service.records.jobs import Job, JobKind
from modelgenerator.service.store.database import Database

LOADING = 5.0
CREATURES = Holds(base_models=frozenset({"creatures"}), loading_seconds=LOADING)


class Two:
    """The first has nothing loaded, or nothing that is wanted; the second has."""

    def __init__(
        self, database: Database, clock: SetClock, folder: Path, second: Slot, first: Slot
    ) -> None:
        service, timer = a_service(database, clock, folder), Timer(clock)
        self.first, self.second = (
            Dispatching(service, clock, timer, MemoryExecutor(slot)) for slot in (first, second)
        )

    def asked_for(self, organization_id: UUID, base_model: str) -> None:
        self.first.queued_drawing(organization_id, gpus=1, base_model=base_model)

    def turn_first(self, seconds: float = 1.1) -> int:
        """How many jobs it has begun by then."""
        self.first.turn(seconds)
        return len(self.first.executor.started)

    def turn_second(self) -> int:
        self.second.turn(0)
        return len(self.second.executor.started)


def slot(holds: Holds = NOTHING, **more) -> Slot:
    return Slot(name="gpu-0", kinds=(JobKind.GENERATE,), gpus=1, holds=holds, **more)


@pytest.fixture
def two(database: Database, clock: SetClock, tmp_path: Path, ended: list[Job]):
    del ended

    def made(second: Slot, first: Slot = slot()) -> Two:  # noqa: B008  it is frozen
        servers = Two(database, clock, tmp_path, second, first)
        servers.turn_second()
        servers.turn_first()
        return servers

    return made


def test_a_job_is_left_to_the_server_that_has_its_base_model(two, organization_id):
    servers = two(slot(CREATURES))
    servers.asked_for(organization_id, "creatures")
    assert servers.turn_first() == 0
    assert servers.turn_second() == 1


def test_it_is_left_for_as_long_as_one_loading_takes(two, organization_id):
    servers = two(slot(CREATURES))
    servers.asked_for(organization_id, "creatures")
    assert servers.turn_first(LOADING - 1) == 0
    assert servers.turn_first(2) == 1


def test_what_nobody_has_is_taken_at_once(two, organization_id):
    servers = two(slot(CREATURES))
    servers.asked_for(organization_id, "flux")
    assert servers.turn_first() == 1


def test_a_server_that_could_not_run_it_is_not_waited_for(two, organization_id):
    servers = two(slot(CREATURES), slot(gpu_memory=80 * 10**9))
    servers.asked_for(organization_id, "creatures")
    assert servers.turn_first() == 1


def test_a_server_that_is_about_to_end_is_not_waited_for(two, organization_id):
    servers = two(slot(CREATURES))
    servers.second.dispatcher.drain()
    servers.second.turn(1.1)
    servers.asked_for(organization_id, "creatures")
    assert servers.turn_first() == 1


def test_a_server_that_was_killed_is_not_waited_for(two, organization_id):
    servers = two(slot(replace(CREATURES, loading_seconds=60)))
    servers.asked_for(organization_id, "creatures")
    assert servers.turn_first(2 * TELL_SECONDS - 2) == 0
    assert servers.turn_first(2) == 1


def test_what_was_loaded_is_told_within_a_second(two, organization_id):
    servers = two(slot())
    servers.second.executor._slots = (slot(CREATURES),)
    servers.second.turn(1.1)
    servers.asked_for(organization_id, "creatures")
    assert servers.turn_first() == 0
    assert servers.turn_second() == 1

"""Two real children that draw with two base models: each is loaded once."""

import os
import shutil
import signal
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
import torch
from tests import taught
from tests.dispatching import Timer, a_service
from tests.integration.service.jobs.test_bodies import Running, of_kind
from tests.integration.service.jobs.test_local_executor import Here
from tests.remembered import SetClock, an_organization

from modelgenerator.diffusion import builtin
from modelgenerator.service.jobs import generate
from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.executors.local import LocalExecutor
from modelgenerator.service.jobs.messages import (
    Failed,
    PhaseBegun,
    PictureStored,
    Progressed,
    Succeeded,
)
from modelgenerator.service.jobs.warm import WARM
from modelgenerator.service.records.holds import NOTHING, Holds
from modelgenerator.service.records.job_specs import GenerateSpec
from modelgenerator.service.records.jobs import Job, JobKind, JobStatus
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.folder import FolderFiles
from modelgenerator.service.store.links import LinkSigner
from modelgenerator.service.store.migrate import migrate

pytestmark = pytest.mark.slow
SLOTS = tuple(Slot(name=name, kinds=(JobKind.GENERATE,)) for name in ("one", "two"))


def copies(folder: Path, *names: str) -> list[str]:
    for name in names:
        shutil.copytree(Path(builtin.__file__).parent / "creatures", folder / name)
    return [str(folder / name) for name in names]


def drawing_with(organization_id: UUID, *bases: str) -> GenerateSpec:
    pictures = [
        taught.picture(number).model_copy(update={"base_model": base})
        for number, base in enumerate(bases)
    ]
    return taught.drawing(organization_id, *pictures)


@pytest.fixture
def here(tmp_path: Path, clock: SetClock) -> Iterator[Here]:
    database = Database(f"sqlite:///{tmp_path}/test.sqlite")
    migrate(database)
    service = a_service(database, clock, tmp_path)
    executor = LocalExecutor(service.config, SLOTS)
    yield Here(service, clock, Timer(clock), executor)
    executor.close()
    database.close()


def loadings(here: Here, jobs: list[Job]) -> int:
    phases = [event.data for job in jobs for event in here.events(job) if event.name == "phase"]
    return sum(data["phase"] == "loadingBaseModel" for data in phases)


def held(here: Here) -> dict[str, Holds]:
    return {slot.name: slot.holds for slot in here.executor.free_slots()}


def test_who_has_a_base_model_gets_the_pictures_for_it(here, clock, tmp_path):
    a, b = copies(tmp_path, "a", "b")
    organization_id = an_organization(here.service.database, clock, balance=1_000_000)

    def drawn(*bases: str) -> list[Job]:
        jobs = [
            here.queued_drawing(
                organization_id,
                spec=drawing_with(organization_id, base).as_json(),
                base_model=base,
            )
            for base in bases
        ]
        here.turn_until(lambda: all(here.job(job).status.is_final for job in jobs))
        assert all(here.job(job).status is JobStatus.SUCCEEDED for job in jobs)
        return jobs

    first = drawn(a, b)
    assert loadings(here, first) == 2
    assert {frozenset(one.base_models) for one in held(here).values()} == {
        frozenset({a}),
        frozenset({b}),
    }
    assert all(one.loading_seconds > 0 for one in held(here).values())
    told = here.executor.drawing()  # to other servers
    assert {(it.holds, it.is_free) for it in told} == {(it, True) for it in held(here).values()}
    assert loadings(here, [*drawn(b), *drawn(a), *drawn(b, a)]) == 0

    has_a = next(name for name, one in held(here).items() if a in one.base_models)
    child = here.executor._warm[has_a].child
    os.kill(child.process.pid, signal.SIGKILL)
    child.process.wait()
    assert held(here)[has_a] == NOTHING
    (again,) = drawn(a)  # one that died while it waited costs no attempt
    assert here.job(again).attempt == 1
    assert any(a in one.base_models for one in held(here).values())


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    WARM.forget()
    files = FolderFiles(tmp_path / "files", LinkSigner([b"s" * 32]), SetClock(), base_url="")
    yield Running(files, tmp_path)
    WARM.forget()


def test_where_memory_runs_out_the_other_base_models_go_and_it_is_drawn_once_more(
    running, tmp_path, monkeypatch
):
    a, b = copies(tmp_path, "a", "b")
    running.all_of(JobKind.GENERATE, drawing_with(UUID(int=5), a))
    draws = generate.generate

    def draws_where_there_is_room(planned, base, lora):
        images = draws(planned, base, lora)
        yield next(images)
        if len(WARM.bases.keys) > 1:
            raise torch.OutOfMemoryError("no room")
        yield from images

    monkeypatch.setattr(generate, "generate", draws_where_there_is_room)
    said = running.all_of(JobKind.GENERATE, drawing_with(UUID(int=5), b, b, b))
    assert isinstance(said[-1], Succeeded)
    assert [one.picture.position for one in of_kind(said, PictureStored)] == [0, 1, 2]
    assert [one.progress["step"] for one in of_kind(said, Progressed)] == [1, 2, 3]
    assert WARM.holds().base_models == {b}
    assert [one.base_models for one in of_kind(said, Holds)] == [{a, b}, {b}]

    # with nothing left to let go it fails, and all is let go
    monkeypatch.setattr(generate, "generate", _never)
    said = running.all_of(JobKind.GENERATE, drawing_with(UUID(int=5), b))
    assert isinstance(said[-1], Failed)
    assert replace(said[-2], loading_seconds=0.0) == NOTHING


def _never(*_):
    raise torch.OutOfMemoryError("no room")
    yield


def test_what_is_held_is_told_after_loading(running, tmp_path):
    a, b = copies(tmp_path, "a", "b")
    said = running.all_of(JobKind.GENERATE, drawing_with(UUID(int=5), a, b, a))
    assert [one.base_models for one in of_kind(said, Holds)] == [{a}, {a, b}]
    phases = [one.phase for one in of_kind(said, PhaseBegun)]
    assert phases == ["loadingBaseModel", "drawing"] * 2
    assert isinstance(said[-1], Succeeded)


class Loading:
    """Loads base models, and knows of each whether somebody still has it."""

    def __init__(self) -> None:
        self.loads = generate.loaded
        self.seen: list[weakref.ref[object]] = []
        self.in_memory: list[int] = []
        """Of those before, at each loading."""
        self.runs_out_at: int | None = None

    def __call__(self, files, dtype):
        self.in_memory.append(sum(one() is not None for one in self.seen))
        base = yield from self.loads(files, dtype)
        self.seen.append(weakref.ref(base))
        if len(self.seen) == self.runs_out_at:
            raise torch.OutOfMemoryError("no room")
        return base


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> Loading:
    loading = Loading()
    monkeypatch.setattr(generate, "loaded", loading)
    return loading


def test_where_one_base_model_has_room_a_job_draws_with_two_one_after_the_other(
    tmp_path, loading, running
):
    a, b = copies(tmp_path, "a", "b")
    narrow = Running(running.storage, tmp_path, loaded_gigabytes=0)
    said = narrow.all_of(JobKind.GENERATE, drawing_with(UUID(int=5), a, b, a, b))
    assert isinstance(said[-1], Succeeded)
    assert sorted(one.picture.position for one in of_kind(said, PictureStored)) == [0, 1, 2, 3]
    assert [one.base_models for one in of_kind(said, Holds)] == [{a}, {b}]
    assert loading.in_memory == [0, 0]


def test_what_was_loaded_when_memory_ran_out_is_gone_when_it_is_loaded_again(
    tmp_path, loading, running
):
    a, b = copies(tmp_path, "a", "b")
    loading.runs_out_at = 2
    said = running.all_of(JobKind.GENERATE, drawing_with(UUID(int=5), a, b))
    assert isinstance(said[-1], Succeeded)
    assert [one.base_models for one in of_kind(said, Holds)] == [{a}, set(), {b}]
    assert loading.in_memory == [0, 1, 0]

"""A storage that takes long in the middle of a training is not a training that stands still."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from tests.examples import plan_for
from tests.remembered import SetClock
from tests.unit.service.jobs.test_pace import Timer, step

from modelgenerator.service.jobs.messages import Message, Phase, PhaseBegun, Progressed, Told
from modelgenerator.service.jobs.training_messages import LARGE, Telling
from modelgenerator.service.jobs.watchdog import UNKNOWN, Watchdog
from modelgenerator.service.store.files import StoredFile
from modelgenerator.service.store.folder import FolderFiles
from modelgenerator.service.store.links import LinkSigner
from modelgenerator.training.events import Event, LoraSaved, Started

HALF_AN_HOUR = 1_700.0
SLOW = 60.0


class SlowFiles(FolderFiles):
    """A folder to which everything takes so many seconds."""

    def __init__(self, folder: Path, timer: Timer) -> None:
        super().__init__(folder, LinkSigner([b"s" * 32]), SetClock(), base_url="")
        self.timer, self.seconds = timer, 0.0

    def put(
        self, key: str, content: bytes | Path | Iterable[bytes], *, again: bool = False
    ) -> StoredFile:
        self.timer.seconds += self.seconds
        return super().put(key, content, again=again)


class Watched:
    """A training of which every message is heard by a watchdog."""

    def __init__(self, folder: Path) -> None:
        self.timer = Timer()
        self.files = SlowFiles(folder / "files", self.timer)
        plan = plan_for(maxSteps=1_000)
        self.telling = Telling(plan, self.files, "organizations/1/attempts/1", self.timer)
        self.watchdog = Watchdog(self.timer)
        self.step = 0
        self.hear(self.telling.of(_started(), 0))
        self.trains()

    def hear(self, messages: Iterator[Message]) -> list[Message]:
        heard: list[Message] = []
        for message in messages:
            assert not self.watchdog.stood_still
            self.watchdog.heard(message)
            heard.append(message)
        assert not self.watchdog.stood_still
        return heard

    def trains(self, steps: int = 20) -> list[Message]:
        heard: list[Message] = []
        for _ in range(steps):
            self.timer.seconds += 1.0
            self.step += 1
            heard += self.hear(self.telling.of(step(self.step), 0))
        return heard

    def saves(self, lora: Path) -> list[Phase]:
        return phases(self.hear(self.telling.of(LoraSaved(epoch=1, file=lora), 0)))


def _started() -> Event:
    return Started(first_step=1, total_steps=1_000, trainable_parameters=1)


def phases(messages: list[Message]) -> list[Phase]:
    return [one.phase for one in messages if isinstance(one, PhaseBegun)]


@pytest.fixture
def it(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    file = tmp_path / "lora.safetensors"
    file.write_bytes(b"small")
    return file


def test_a_large_file_may_take_half_an_hour_and_the_steps_are_watched_again(
    it: Watched, tmp_path: Path
):
    large = tmp_path / "large.safetensors"
    with large.open("wb") as file:
        file.truncate(LARGE)
    it.files.seconds = HALF_AN_HOUR
    assert it.saves(large) == [Phase.SAVING, Phase.TRAINING]
    it.trains()
    assert it.watchdog.patience == 120


def test_a_small_one_is_not_told_until_one_took_long(it: Watched, lora: Path):
    assert it.saves(lora) == []
    it.files.seconds = SLOW
    lora = lora.rename(lora.with_name("2.safetensors"))
    assert it.saves(lora) == []
    it.files.seconds = HALF_AN_HOUR
    lora = lora.rename(lora.with_name("3.safetensors"))
    assert it.saves(lora) == [Phase.SAVING, Phase.TRAINING]
    it.files.seconds = 0.0
    for number, said in ((4, [Phase.SAVING, Phase.TRAINING]), (5, [])):
        lora = lora.rename(lora.with_name(f"{number}.safetensors"))
        assert it.saves(lora) == said


def test_what_could_not_be_stored_ends_the_saving_too(it: Watched):
    assert phases(it.hear(it.telling.saving(LARGE))) == [Phase.SAVING]
    assert it.watchdog.patience == UNKNOWN
    it.timer.seconds += HALF_AN_HOUR
    assert phases(it.hear(it.telling.saved())) == [Phase.TRAINING]


def test_the_time_of_storing_is_no_steps(it: Watched):
    said: list[Message] = []
    for _ in range(5):
        said = it.trains(1)
        it.hear(it.telling.saving(LARGE))
        it.timer.seconds += SLOW
        it.hear(it.telling.saved())
    (last,) = [one for one in said if isinstance(one, Progressed)]
    assert last.progress["stepsPerSecond"] == 1
    assert last.progress["secondsRemaining"] == 1_000 - it.step
    history = [one for one in said if isinstance(one, Told)]
    assert history[-1].data["steps"] == [it.step]

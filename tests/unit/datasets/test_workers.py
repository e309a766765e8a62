"""What a file may do to the process that reads it, each for one item of several."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from modelgenerator.datasets.workers import Workers
from modelgenerator.errors import UnusableMask, UnusablePhoto


@dataclass(frozen=True)
class Number:
    value: int

    @property
    def name(self) -> str:
        return f"number {self.value}"


NUMBERS = [Number(value) for value in range(6)]


def doubled(number: Number) -> int:
    return 2 * number.value


def variables(_: Number) -> dict[str, str]:
    return dict(os.environ)


def slow_at_first(number: Number) -> int:
    time.sleep(0.3 if number.value == 0 else 0)
    return number.value


def refused_at_3(number: Number) -> int:
    if number.value == 3:
        raise UnusablePhoto(number.name, "it is a three")
    return number.value


def refused_as_a_mask(number: Number) -> int:
    raise UnusableMask(f"{number.name} is no mask")


def hangs_at_3(number: Number) -> int:
    while number.value == 3:
        pass
    return number.value


def grows_at_3(number: Number) -> int:
    if number.value == 3:
        bytearray(2_000_000_000)
    return number.value


def grows_in_opencv_at_3(number: Number) -> int:
    if number.value == 3:
        cv2.resize(np.zeros((16, 16, 3), np.uint8), (30_000, 30_000))
    return number.value


def crashes_at_3(number: Number) -> int:
    if number.value == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    return number.value


def divides(number: Number) -> float:
    return 1 / number.value


def process(number: Number) -> int:
    del number
    return os.getpid()


def surroundings(number: Number) -> tuple[bool, int, int]:
    del number
    return "torch" in sys.modules, cv2.getNumThreads(), threading.active_count()


def large(number: Number) -> np.ndarray:
    return np.full((1000, 1000, 3), number.value, np.uint8)


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    with Workers(2, seconds_each=2, bytes_each=500_000_000) as workers:
        yield workers


def nothing(number: Number) -> None:
    del number


@pytest.mark.parametrize("function", [doubled, slow_at_first, refused_at_3, nothing])
def test_elsewhere_is_as_here(two: Workers, function: Callable[[Number], int]):
    here, there = (list(w.map(function, NUMBERS)) for w in (Workers(0), two))
    assert [str(outcome) for outcome in here] == [str(outcome) for outcome in there]
    assert len(here) == len(NUMBERS)


def test_an_error_of_the_users_comes_in_place_of_the_result(two: Workers):
    error = list(two.map(refused_at_3, NUMBERS))[3]
    assert isinstance(error, UnusablePhoto)
    assert (error.name, error.reason) == ("number 3", "it is a three")
    other = next(two.map(refused_as_a_mask, NUMBERS))
    assert isinstance(other, UnusableMask)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (hangs_at_3, "it takes more than 2 seconds to be read"),
        (grows_at_3, "it needs more than 500 MB of memory to be read"),
        (grows_in_opencv_at_3, "it needs more than 500 MB of memory to be read"),
        (crashes_at_3, "the program that reads it ends at it"),
    ],
)
def test_an_item_that_breaks_its_bounds_costs_itself_and_no_other(
    two: Workers, function: Callable[[Number], int], reason: str
):
    outcomes = list(two.map(function, NUMBERS))
    error = outcomes.pop(3)
    assert isinstance(error, UnusablePhoto)
    assert error.name == "number 3"
    assert reason in error.reason
    assert outcomes == [0, 1, 2, 4, 5]


@pytest.mark.parametrize("count", [0, 2])
def test_a_mistake_of_ours_is_raised(two: Workers, count: int):
    with pytest.raises((ZeroDivisionError, RuntimeError), match="division by zero"):
        list((two if count else Workers(0)).map(divides, NUMBERS))
    assert list(two.map(doubled, NUMBERS)) == [0, 2, 4, 6, 8, 10]


def test_workers_are_kept_for_the_next_items(two: Workers):
    first, second = (set(two.map(process, NUMBERS)) for _ in range(2))
    assert second <= first
    assert os.getpid() not in first
    assert len(first) <= 2


def test_a_worker_has_no_torch_and_one_thread_for_its_work(two: Workers):
    for has_torch, threads_of_opencv, threads in two.map(surroundings, NUMBERS):
        assert not has_torch
        assert threads_of_opencv == 1
        assert threads == 2  # the second one waits for the parent's end


def test_a_worker_is_told_no_secret(monkeypatch: pytest.MonkeyPatch):
    secrets = ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MODELGENERATOR_SECRET_KEY", "DATABASE_URL")
    for name in (*secrets, "PGPASSWORD"):
        monkeypatch.setenv(name, "nobody may know")
    monkeypatch.setenv("LANG_OF_TESTS", "C")
    with Workers(1) as workers:
        (seen,) = workers.map(variables, NUMBERS[:1])
    assert "nobody may know" not in seen.values()
    assert seen["LANG_OF_TESTS"] == "C"


@pytest.mark.slow
def test_results_larger_than_a_pipe_come_through_whoever_waits_long(two: Workers):
    outcomes = two.map(large, NUMBERS)
    assert next(outcomes)[0, 0, 0] == 0
    time.sleep(2.5)  # longer than an item may take: they are finished, only not fetched
    assert [outcome[0, 0, 0] for outcome in outcomes] == [1, 2, 3, 4, 5]


def test_only_a_few_items_are_taken_ahead(two: Workers):
    taken: list[int] = []

    def endless() -> Iterator[Number]:
        for value in range(10**9):
            taken.append(value)
            yield Number(value)

    outcomes = two.map(doubled, endless())
    assert [next(outcomes) for _ in range(20)] == list(range(0, 40, 2))
    assert len(taken) <= 20 + 8
    outcomes.close()
    assert list(two.map(doubled, NUMBERS)) == [0, 2, 4, 6, 8, 10]


def test_no_items_start_no_worker():
    workers = Workers(2)
    assert list(workers.map(doubled, [])) == []
    assert workers._free == workers._busy == []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_after_close_no_process_is_left():
    with Workers(2) as workers:
        pids = set(workers.map(process, NUMBERS))
    assert not any(map(is_alive, pids))


def test_what_was_not_asked_for_is_ended_too():
    with Workers(2) as workers:
        pid = next(workers.map(process, [*NUMBERS, *NUMBERS]))
    assert not is_alive(pid)

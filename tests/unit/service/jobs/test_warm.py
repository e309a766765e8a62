"""What stays loaded, and what goes first."""

from pathlib import Path

import pytest
import torch

from modelgenerator.lora.files import LoraFile
from modelgenerator.lora.joined import Correction
from modelgenerator.service.jobs.generate import _alike
from modelgenerator.service.jobs.warm import MOST_LORAS, Shelf, Warm
from modelgenerator.service.records.holds import NOTHING
from modelgenerator.service.records.job_specs import LoraToLoad, PictureToDraw
from modelgenerator.training.plan import DeviceFacts


class Weighing:
    """As much of a base model as is looked at here."""

    def __init__(self, byte_count: int) -> None:
        self.byte_count = byte_count


def which(name: str) -> tuple[str, str, str]:
    return name, "revision", "fp32"


def a_lora() -> LoraFile:
    matrix = torch.zeros(2, 2)
    correction = Correction(down_RI=matrix, up_OR=matrix, kernel=(), alpha=1.0)
    return LoraFile(path=Path("x"), layout="kohya", corrections={"a": correction}, metadata={})


def test_what_was_used_longest_ago_goes_first():
    shelf = Shelf[str, int]()
    for name in "abc":
        shelf.keep(name, ord(name), 10, room=30)
    assert shelf.get("a") == ord("a")
    shelf.keep("d", 0, 10, room=30)
    assert shelf.keys == ["c", "a", "d"]
    assert shelf.get("b") is None


def test_as_many_go_as_there_must_and_the_new_one_is_kept_in_any_case():
    shelf = Shelf[str, int]()
    for name in "abc":
        shelf.keep(name, 0, 10, room=100)
    shelf.keep("d", 0, 25, room=36)
    assert shelf.keys == ["c", "d"]
    shelf.keep("e", 0, 500, room=36)
    assert (shelf.keys, shelf.byte_count) == (["e"], 500)
    shelf.make_room(1, room=36)
    assert shelf.keys == []


def test_the_same_again_takes_its_own_place():
    shelf = Shelf[str, int]()
    shelf.keep("a", 1, 10, room=20)
    shelf.keep("b", 1, 10, room=20)
    shelf.keep("a", 2, 10, room=20)
    assert (shelf.keys, shelf.get("a")) == (["b", "a"], 2)


def test_a_shelf_may_be_limited_in_number_too():
    shelf = Shelf[int, int](most=2)
    for number in range(4):
        shelf.keep(number, 0, 0, room=10)
    assert shelf.keys == [2, 3]


def test_only_one_may_be_kept():
    shelf = Shelf[str, int]()
    shelf.keep("a", 0, 1, room=10)
    assert not shelf.keep_only("a")
    shelf.keep("b", 0, 1, room=10)
    assert shelf.keep_only("a")
    assert shelf.keys == ["a"]


def test_base_models_stay_as_long_as_there_is_room_and_are_told_as_the_ledger_calls_them():
    warm = Warm(most_bytes=25)
    for name in "abc":
        warm.make_room_for_base(10)
        warm.keep_base(which(name), Weighing(10), seconds=2.0)  # type: ignore[arg-type]
        warm.keep_lora(f"lora of {name}", a_lora())
    holds = warm.holds()
    assert holds.base_models == {"b", "c"}
    assert holds.loras == {"lora of a", "lora of b", "lora of c"}
    assert holds.loading_seconds == 2.0
    assert warm.keep_only(which("c"))
    assert warm.holds().base_models == {"c"}
    warm.forget()
    assert (warm.holds().base_models, warm.holds().loras) == (NOTHING.base_models, NOTHING.loras)


def test_without_a_limit_small_base_models_stay_beside_each_other():
    warm = Warm()
    for name in "abc":
        warm.keep_base(which(name), Weighing(1_000), seconds=0.1)  # type: ignore[arg-type]
    assert warm.holds().base_models == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("kind", "kept"), [("cuda", {"a", "b", "c", "d", "e", "f"}), ("cpu", {"e", "f"})]
)
def test_on_a_cpu_most_of_the_memory_is_left_to_trainings(
    monkeypatch: pytest.MonkeyPatch, kind: str, kept: set[str]
):
    warm = Warm()

    def machine() -> DeviceFacts:
        free = 100 - warm.bases.byte_count
        return DeviceFacts(kind=kind, has_bf16=False, free_bytes=free)

    monkeypatch.setattr("modelgenerator.service.jobs.warm.this_machine", machine)
    for name in "abcdef":
        warm.make_room_for_base(10)
        warm.keep_base(which(name), Weighing(10), seconds=0.1)  # type: ignore[arg-type]
    assert warm.holds().base_models == kept
    warm.make_room_for_base(90)
    warm.keep_base(which("large"), Weighing(90), seconds=0.1)  # type: ignore[arg-type]
    assert warm.holds().base_models == {"large"}


def test_a_claim_names_no_more_loras_than_it_must():
    warm = Warm()
    for number in range(MOST_LORAS + 5):
        warm.keep_lora(str(number), a_lora())
    assert len(warm.holds().loras) == MOST_LORAS
    assert str(MOST_LORAS + 4) in warm.holds().loras


def picture(position: int, base_model: str, lora: str | None) -> PictureToDraw:
    key = {"training_id": "00000000-0000-0000-0000-000000000001", "storage_key": "k"}
    to_load = lora and LoraToLoad.model_validate({**key, "sha256": lora})
    return PictureToDraw(
        position=position, base_model=base_model, base_revision=None, lora=to_load, settings={}
    )


def test_what_a_job_is_known_to_load_first_is_drawn_with_first():
    asked = [("b", "y"), ("a", "x"), ("b", None), ("b", "y"), ("a", "x")]
    pictures = [picture(number, *each) for number, each in enumerate(asked)]
    groups = [[one.position for one in group] for group in _alike(pictures)]
    assert groups == [[0, 3], [2], [1, 4]]

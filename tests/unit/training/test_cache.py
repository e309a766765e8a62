from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from modelgenerator.training.cache import ContentCache, user_cache

FACTS = {"picture": "abc", "bucket": (64, 64)}


class Work:
    """Counts how often it is done."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Mapping[str, Tensor]:
        self.times += 1
        return {"mean": torch.arange(6.0).reshape(2, 3).T}


def test_the_second_time_nothing_is_computed(tmp_path: Path):
    work, cache = Work(), ContentCache(tmp_path / "new")
    first, was_found = cache.get(FACTS, work)
    assert not was_found
    second, was_found = cache.get(FACTS, work)
    assert was_found
    assert work.times == 1
    assert torch.equal(first["mean"], second["mean"])


@pytest.mark.parametrize(
    "facts",
    [{**FACTS, "picture": "abd"}, {**FACTS, "bucket": (64, 96)}, {"picture": "abc"}],
)
def test_other_facts_are_computed_anew(tmp_path: Path, facts: Mapping[str, object]):
    work, cache = Work(), ContentCache(tmp_path)
    cache.get(FACTS, work)
    assert not cache.get(facts, work)[1]


def test_the_order_of_the_facts_does_not_matter(tmp_path: Path):
    cache = ContentCache(tmp_path)
    cache.get(FACTS, Work())
    assert cache.get(dict(reversed(FACTS.items())), Work())[1]


@pytest.mark.parametrize("kept", [0, 10, -1], ids=["empty", "10 bytes", "one byte less"])
def test_a_truncated_file_is_made_again(tmp_path: Path, kept: int):
    work, cache = Work(), ContentCache(tmp_path)
    whole, _ = cache.get(FACTS, work)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:kept])
    again, was_found = cache.get(FACTS, work)
    assert not was_found
    assert torch.equal(again["mean"], whole["mean"])
    assert cache.get(FACTS, work)[1]


def test_a_folder_that_cannot_be_made_does_not_stop_anything(tmp_path: Path):
    (tmp_path / "file").touch()
    cache = ContentCache(tmp_path / "file" / "cache")
    tensors, was_found = cache.get(FACTS, Work())
    assert not was_found
    assert tensors["mean"].shape == (3, 2)


def test_without_a_folder_everything_is_computed():
    work, cache = Work(), ContentCache(None)
    assert not cache.get(FACTS, work)[1]
    assert not cache.get(FACTS, work)[1]
    assert work.times == 2


def test_the_users_cache_lies_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("MODELGENERATOR_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    user_cache().get(FACTS, Work())
    assert list((tmp_path / "xdg" / "modelgenerator" / "encoded").iterdir())
    monkeypatch.setenv("MODELGENERATOR_CACHE", str(tmp_path / "own"))
    assert not user_cache().get(FACTS, Work())[1]
    assert list((tmp_path / "own").iterdir())

from collections.abc import Mapping
from pathlib import Path

import pytest

from modelgenerator.content_cache import ContentCache, user_cache

FACTS = {"picture": "abc", "bucket": (64, 64)}


class Work:
    """Counts how often it is done."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> bytes:
        self.times += 1
        return b"what took long"


def test_the_second_time_nothing_is_computed(tmp_path: Path):
    work, cache = Work(), ContentCache(tmp_path / "new")
    first, was_found = cache.get_bytes(FACTS, work)
    assert not was_found
    second, was_found = cache.get_bytes(FACTS, work)
    assert was_found
    assert work.times == 1
    assert first == second


@pytest.mark.parametrize(
    "facts",
    [{**FACTS, "picture": "abd"}, {**FACTS, "bucket": (64, 96)}, {"picture": "abc"}],
)
def test_other_facts_are_computed_anew(tmp_path: Path, facts: Mapping[str, object]):
    work, cache = Work(), ContentCache(tmp_path)
    cache.get_bytes(FACTS, work)
    assert not cache.get_bytes(facts, work)[1]


def test_the_order_of_the_facts_does_not_matter(tmp_path: Path):
    cache = ContentCache(tmp_path)
    cache.get_bytes(FACTS, Work())
    assert cache.get_bytes(dict(reversed(FACTS.items())), Work())[1]


@pytest.mark.parametrize("kept", [0, 10, -1], ids=["empty", "10 bytes", "one byte less"])
def test_a_truncated_file_is_made_again(tmp_path: Path, kept: int):
    work, cache = Work(), ContentCache(tmp_path)
    whole, _ = cache.get_bytes(FACTS, work)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:kept])
    again, was_found = cache.get_bytes(FACTS, work)
    assert not was_found
    assert again == whole
    assert cache.get_bytes(FACTS, work)[1]


def test_a_changed_byte_is_noticed(tmp_path: Path):
    cache = ContentCache(tmp_path)
    cache.keep(FACTS, b"what took long")
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-1] + b"G")
    assert cache.find(FACTS) is None


def test_a_folder_that_cannot_be_made_does_not_stop_anything(tmp_path: Path):
    (tmp_path / "file").touch()
    cache = ContentCache(tmp_path / "file" / "cache")
    content, was_found = cache.get_bytes(FACTS, Work())
    assert not was_found
    assert content == b"what took long"


def test_without_a_folder_everything_is_computed():
    work, cache = Work(), ContentCache(None)
    assert not cache.get_bytes(FACTS, work)[1]
    assert not cache.get_bytes(FACTS, work)[1]
    assert work.times == 2


def test_the_users_cache_lies_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("MODELGENERATOR_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    user_cache("encoded").get_bytes(FACTS, Work())
    assert list((tmp_path / "xdg" / "modelgenerator" / "encoded").iterdir())
    monkeypatch.setenv("MODELGENERATOR_CACHE", str(tmp_path / "own"))
    assert not user_cache("encoded").get_bytes(FACTS, Work())[1]
    assert list((tmp_path / "own" / "encoded").iterdir())

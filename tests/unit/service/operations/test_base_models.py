from datetime import UTC, datetime, timedelta

import pytest

from modelgenerator.diffusion import hub
from modelgenerator.diffusion.aliases import OPERATORS_TABLE
from modelgenerator.errors import BaseModelNotFound
from modelgenerator.service.operations.base_models import KEPT, BaseModelLooks, commit_of

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def looked(monkeypatch):
    """What was really looked at."""
    real, looked = hub.look_at, []

    def look_at(reference, *, pinned=None):
        looked.append((reference, pinned))
        return real(reference, pinned=pinned)

    monkeypatch.setattr(hub, "look_at", look_at)
    return looked


def test_what_was_looked_at_is_known_for_some_minutes(looked):
    looks = BaseModelLooks()
    first = looks.look_at("creatures", NOW)
    assert looks.look_at("creatures", NOW + KEPT - timedelta(seconds=1)) is first
    assert looked == [("creatures", None)]
    looks.look_at("creatures", NOW + KEPT)
    looks.look_at("creatures", NOW, pinned="0" * 40)
    assert len(looked) == 3


def test_a_clock_that_went_back_asks_again(looked):
    looks = BaseModelLooks()
    looks.look_at("creatures", NOW)
    looks.look_at("creatures", NOW - timedelta(hours=1))
    assert len(looked) == 2


def test_paths_are_not_looked_at_whether_they_are_there_or_not(tmp_path, looked):
    for reference in (str(tmp_path), "/nowhere", "~/x", "./x", "../x"):
        with pytest.raises(BaseModelNotFound, match="There is no base model"):
            BaseModelLooks().look_at(reference, NOW)
    assert looked == []


def test_the_operator_gives_folders_a_name(tmp_path, monkeypatch):
    table = tmp_path / "table.json5"
    folder = hub.look_at("creatures").folder
    table.write_text(f'{{house: "{folder}"}}')
    monkeypatch.setenv(OPERATORS_TABLE, str(table))
    assert BaseModelLooks().look_at("house", NOW).reference == "house"


def test_a_commit_is_kept_and_what_stands_for_one_is_not():
    assert commit_of(hub.look_at("creatures")) is None

from pathlib import Path

import pytest

from modelgenerator.diffusion.aliases import (
    ALIASES,
    BUILTIN,
    OPERATORS_TABLE,
    known_aliases,
    meaning_of,
    nearest,
)
from modelgenerator.errors import InvalidSettings


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(OPERATORS_TABLE, str(tmp_path / "table.json5"))
    return tmp_path / "table.json5"


def test_aliases_point_to_names():
    for target in ALIASES.values():
        assert target.count("/") == 1
        assert target not in ALIASES


@pytest.mark.parametrize(
    "name", ["sd15", "SD 1.5", "sd-1.5", "SD_15", "runwayml/stable-diffusion-v1-5"]
)
def test_a_short_name_may_be_written_as_people_do(name: str):
    assert meaning_of(name, ALIASES) == "stable-diffusion-v1-5/stable-diffusion-v1-5"


def test_a_repository_keeps_the_signs_of_its_name():
    assert meaning_of("runwayml/stable-diffusion-v15", ALIASES) == "runwayml/stable-diffusion-v15"


def test_what_is_no_alias_means_itself():
    assert meaning_of("org/Name", ALIASES) == "org/Name"


def test_the_operators_names_come_first(table: Path):
    table.write_text("{'house-style': 'org/house@v1', 'SD 1.5': '/models/sd15'} // json5")
    aliases = known_aliases()
    assert meaning_of("House Style", aliases) == "org/house@v1"
    assert meaning_of("sd15", aliases) == "/models/sd15"
    assert meaning_of("creatures", aliases) == BUILTIN


def test_an_alias_may_stand_for_another(table: Path):
    table.write_text('{"default": "sdxl"}')
    assert meaning_of("default", known_aliases()) == ALIASES["sdxl"]


def test_a_circle_of_aliases_ends():
    assert meaning_of("a", {"a": "b", "b": "a"}) in ("a", "b")


@pytest.mark.parametrize("content", [None, "{", "[]", '{"a": 1}'])
def test_a_table_that_cannot_be_used_is_named(table: Path, content: str | None):
    if content is not None:
        table.write_text(content)
    with pytest.raises(InvalidSettings, match=f"{table.name} .{OPERATORS_TABLE}"):
        known_aliases()


def test_names_that_look_alike_are_found_without_their_organisation():
    known = ["SG161222/Realistic_Vision_V6.0_B1_noVAE", "org/other"]
    assert nearest("realistic_vision_v6.0", known) == known[:1]

"""`modelgenerator check`: a mixed folder becomes a report that a person can act on."""

import json
import re
import shlex
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.acceptance.conftest import ModelGenerator
from tests.real_photos import (
    CAMERA,
    CAT,
    CUP,
    PORTRAIT,
    ROCKET,
    WOMAN,
    blurred,
    lighter,
    real_bytes,
    real_photo,
)

from modelgenerator.cli import demo

NASTY = "<script>alert('x')&amp;.jpg"
BROKEN = {
    "broken.jpg": "damaged",
    "empty.png": "empty",
    "holiday.heic": "HEIC",
    "notes.jpg": "not a jpg, png or webp",
}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Real photos, spoilt ones, copies, and files that are no pictures."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name in (PORTRAIT, WOMAN, CAT, CUP, CAMERA, ROCKET):
        (folder / name).write_bytes(real_bytes(name))
    (folder / "zz copy.jpg").write_bytes(real_bytes(PORTRAIT))
    portrait = real_photo(PORTRAIT)
    spoilt = {
        "blurred.png": blurred(portrait, 7).pixels_HW3,
        "dark.png": lighter(real_photo(WOMAN), 0.15).pixels_HW3,
        "mirrored.png": portrait.pixels_HW3[:, ::-1],
        "tiny.png": portrait.pixels_HW3[::12, ::12],
        NASTY: real_photo(ROCKET).pixels_HW3[:300, :300],
    }
    for name, pixels_HW3 in spoilt.items():
        Image.fromarray(pixels_HW3).save(folder / name)
    (folder / "broken.jpg").write_bytes(real_bytes(PORTRAIT)[:20000])
    (folder / "empty.png").write_bytes(b"")
    (folder / "holiday.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (folder / "notes.jpg").write_text("these are words")
    (folder / "cat.txt").write_text("nobody's")
    (folder / "chelsea.txt").write_text("a cat </p><b>that looks up")
    return folder


class Page(HTMLParser):
    """What a browser would load or run, and the text that it shows."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def seen_before(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A cache that these tests share: each photo is looked at once."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def check(modelgenerator: ModelGenerator, mixed: Path, seen_before: str) -> Callable[..., Any]:
    def run(*words: object) -> Any:
        wishes = ("--set", "normalizeDataset=true", "--set", "maskedLoss=true")
        all_words = ("check", mixed, "--resolution", 256, *wishes, *words)
        return modelgenerator(*all_words, MODELGENERATOR_CACHE=seen_before)

    return run


def test_a_mixed_folder_is_told_of_file_by_file(
    check: Callable[..., Any], mixed: Path, tmp_path: Path
) -> None:
    before = sorted(file.name for file in mixed.iterdir())
    done = check("--kind", "person", "--prefix", "lvff")
    assert done.returncode == 0, done.stderr
    for name, reason in BROKEN.items():
        assert name in done.stdout
        assert reason in done.stdout
    for said in ("Blurred", "Far too dark", "Far too small", "Nearly the same", "will do"):
        assert said in done.stdout
    assert "the same file as" in done.stdout
    assert f"modelgenerator train {mixed} --prefix lvff --kind person" in done.stdout
    assert sorted(file.name for file in mixed.iterdir()) == before
    written = sorted(file.name for file in (tmp_path / "checks" / "mixed").iterdir())
    assert written == ["report.html", "report.json", "sheet.png"]


def test_the_page_stands_alone_and_escapes_what_strangers_wrote(
    check: Callable[..., Any], tmp_path: Path
) -> None:
    assert check("--output", "out").returncode == 0
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert "script" not in page.tags
    assert "b" in page.tags  # ours
    assert page.addresses
    assert all(address.startswith("data:image/webp;base64,") for address in page.addresses)
    assert not re.search(r"https?:|url\(|@import|<link|javascript:", html)
    assert NASTY in page.text
    assert "a cat </p><b>that looks up" in page.text
    assert str(tmp_path) not in html.replace(str(tmp_path / "mixed"), "")


def test_the_sheet_opens_and_the_json_on_stdout_is_the_one_in_the_file(
    check: Callable[..., Any], tmp_path: Path
) -> None:
    done = check("--output", "out", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert {one["name"] for one in report["refused"]} == set(BROKEN)
    assert report["copies"] == {"zz copy.jpg": PORTRAIT}
    assert report["verdict"] == "usableWithWarnings"
    told = {one["name"]: {each["code"] for each in one["findings"]} for one in report["pictures"]}
    assert "blurred" in told["blurred.png"]
    assert "tooDark" in told["dark.png"]
    assert "tooSmall" in told["tiny.png"]
    assert "nearDuplicate" in told["mirrored.png"]
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        sheet.load()
        assert sheet.width > 1000
        assert sheet.height > 600


def test_too_few_photos_are_not_usable_and_the_report_is_written_all_the_same(
    modelgenerator: ModelGenerator, tmp_path: Path
) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    for name in (PORTRAIT, WOMAN):
        (folder / name).write_bytes(real_bytes(name))
    done = modelgenerator("check", folder)
    assert done.returncode == 2
    assert "Not usable yet" in done.stdout
    assert "6 photos more" in done.stdout
    assert "error" not in done.stderr
    assert (tmp_path / "checks" / "two" / "report.html").exists()


def test_drawn_creatures_are_checked_at_their_own_size(
    modelgenerator: ModelGenerator, tmp_path: Path
) -> None:
    demo.draw_photos(tmp_path / "creatures")
    done = modelgenerator("check", "creatures", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["resolution"] == 32
    codes = {one["code"] for each in report["pictures"] for one in each["findings"]}
    assert "pixelArt" in codes
    assert not {"blurred", "soft", "tooSmall", "nearDuplicate", "compressed"} & codes
    assert all(one["level"] in ("good", "info") for one in report["pictures"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "nowhere"), "nowhere"),
        (("check", "mixed", "--set", "resolution=7"), "resolution"),
        (("check", "mixed", "--segmenter", "grapcut"), "grabcut"),
        (("check", "mixed", "--output", "mixed/cat.txt"), "--output"),
    ],
)
def test_what_a_person_got_wrong_is_told_with_exit_code_2(
    modelgenerator: ModelGenerator, mixed: Path, words: tuple[str, ...], said: str
) -> None:
    assert mixed.exists()
    done = modelgenerator(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_that_it_ends_with_is_understood(
    check: Callable[..., Any], modelgenerator: ModelGenerator
) -> None:
    line = check("--output", "out").stdout.splitlines()[-1]
    command = shlex.split(line.removeprefix("train with: "))
    assert command[:2] == ["modelgenerator", "train"]
    done = modelgenerator(*command[1:], "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["settings"]["normalizeDataset"] is True
    assert plan["settings"]["resolution"] == 256

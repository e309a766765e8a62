import inspect
import sys
from pathlib import Path
from types import ModuleType

import pytest

from modelgenerator.cli import main
from modelgenerator.cli.photos import PhotoOptions
from modelgenerator.datasets.subject import Subject, SubjectKind
from modelgenerator.errors import BaseModelNotFound
from modelgenerator.settings import ImageSettings


@pytest.fixture
def command(monkeypatch):
    """Stands in for the module of a subcommand and keeps what it was called with."""

    def install(name: str, error: BaseException | None = None) -> dict[str, object]:
        called: dict[str, object] = {}

        def run(*positional: object, **named: object) -> None:
            if error is not None:
                raise error
            called.update(named, positional=positional)

        module = ModuleType(f"modelgenerator.cli.{name}")
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(f"modelgenerator.cli.{name}", module, raising=False)
        return called

    return install


@pytest.fixture
def exit_code_of(monkeypatch):
    def call(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["modelgenerator", *words])
        with pytest.raises(SystemExit) as caught:
            main.main()
        return int(caught.value.code or 0)

    return call


def test_the_version_is_shown(exit_code_of, capsys):
    assert exit_code_of("--version") == 0
    assert capsys.readouterr().out.startswith("modelgenerator 0.")


def test_an_unknown_command_is_2(exit_code_of, capsys):
    assert exit_code_of("trian") == 2
    assert "trian" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["train", "check", "caption"])
def test_a_kind_of_subject_that_there_is_not_is_2(exit_code_of, capsys, name):
    assert exit_code_of(name, "photos", "--kind", "cat") == 2
    assert "'cat' is not one of" in capsys.readouterr().err


def test_train_hands_on_every_option(exit_code_of, command):
    called = command("train")
    words = "train photos --prefix lvff --base-model a/b --settings s.json5 --set epochs=4 "
    words += "--set seed=1 --template recommended --output out --processes 2 --resume --overwrite "
    words += "--segmenter grabcut --captioner none --kind person --class-name woman "
    words += "--dry-run --json"
    assert exit_code_of(*words.split()) == 0
    assert called == {
        "positional": (Path("photos"),),
        "prefix": "lvff",
        "base_model": "a/b",
        "settings_file": Path("s.json5"),
        "assignments": ["epochs=4", "seed=1"],
        "template": "recommended",
        "options": PhotoOptions(
            segmenter="grabcut",
            captioner="none",
            subject=Subject(SubjectKind.PERSON, "woman"),
        ),
        "output": Path("out"),
        "processes": 2,
        "resume": True,
        "overwrite": True,
        "dry_run": True,
        "as_json": True,
    }


def test_generate_hands_on_every_option(exit_code_of, command):
    called = command("generate")
    words = "generate --model m --prompt a --prompt b --count 2 --seed 7 --steps 3 --width 64 "
    words += "--height 32 --negative-prompt n --guidance-scale 2.5 --scheduler UniPC "
    words += "--lora-scale 0.5 --base-model a/b --output out --json"
    assert exit_code_of(*words.split()) == 0
    assert called == {
        "positional": (),
        "lora": Path("m"),
        "prompts": ["a", "b"],
        "count": 2,
        "seed": 7,
        "steps": 3,
        "width": 64,
        "height": 32,
        "negative_prompt": "n",
        "guidance_scale": 2.5,
        "scheduler": "UniPC",
        "lora_scale": 0.5,
        "base_model": "a/b",
        "output": Path("out"),
        "as_json": True,
    }


@pytest.mark.parametrize("name", ["count", "seed", "width", "height", "lora_scale"])
def test_generate_has_the_defaults_of_the_settings(name):
    option = inspect.signature(main.generate).parameters[name]
    assert option.default == ImageSettings.model_fields[name].default


def test_an_error_of_the_person_is_a_sentence_and_2(exit_code_of, command, capsys):
    command("train", BaseModelNotFound("There is no base model nope/nope."))
    assert exit_code_of("train", "photos") == 2
    assert capsys.readouterr().err == "error: There is no base model nope/nope.\n"


def test_our_error_shows_its_traceback_only_under_debug(exit_code_of, command, capsys):
    command("train", RuntimeError("oops"))
    assert exit_code_of("train", "photos") == 1
    assert "Traceback" not in capsys.readouterr().err
    assert exit_code_of("--debug", "train", "photos") == 1
    assert "Traceback" in capsys.readouterr().err


def test_control_c_is_130(exit_code_of, command):
    command("train", KeyboardInterrupt())
    assert exit_code_of("train", "photos") == 130


def test_a_reader_that_went_away_is_no_error(exit_code_of, command, capsys):
    command("doctor", BrokenPipeError(32, "Broken pipe"))
    assert exit_code_of("doctor") == 1
    assert "fault" not in capsys.readouterr().err

"""What is drawn and read of losses, of steps and of pictures that were kept out."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from modelgenerator.cli import loss_curve, run_folder
from modelgenerator.cli.progress import Bars, JsonLines, PlainLines
from modelgenerator.notices import Notice
from modelgenerator.training.events import Event, Noticed, StepFinished, Validated

STEPS = [(step, 1 / step) for step in range(1, 50)]
SECOND_LINE = (194, 87, 26)


def step(number: int, loss: float) -> StepFinished:
    return StepFinished(
        step=number, epoch=1, loss=loss, learning_rate=1.0, d=1.0, gradient_norm=1.0
    )


def kept(folder: Path, *events: Event) -> None:
    with run_folder.recorded(folder) as lines:
        for event in events:
            run_folder.record(lines, event)


def pixels_of(file: Path, colour: tuple[int, int, int]) -> int:
    pixels_HW3 = np.asarray(Image.open(file).convert("RGB"))
    return int((pixels_HW3 == colour).all(axis=-1).sum())


def test_the_loss_on_pictures_that_were_kept_out_is_a_second_line(tmp_path: Path):
    loss_curve.draw(STEPS, tmp_path / "one.png", title="lvff")
    validation = [(10, 0.8), (20, 0.5), (30, 0.4)]
    loss_curve.draw(STEPS, tmp_path / "two.png", title="lvff", validation=validation)
    assert pixels_of(tmp_path / "one.png", SECOND_LINE) == 0
    assert pixels_of(tmp_path / "two.png", SECOND_LINE) > 100


def test_losses_are_read_again_from_the_record(tmp_path: Path):
    kept(tmp_path, step(1, 0.5), Validated(epoch=1, loss=0.7), step(2, 0.25))
    assert run_folder.losses(tmp_path) == [(1, 0.5), (2, 0.25)]
    assert run_folder.validation_losses(tmp_path) == [(1, 0.7)]


def test_an_epoch_that_was_measured_twice_counts_as_measured_last(tmp_path: Path):
    kept(tmp_path, Validated(epoch=1, loss=0.7), Validated(epoch=1, loss=0.6))
    assert run_folder.validation_losses(tmp_path) == [(1, 0.6)]


def test_a_loss_that_is_no_number_is_not_drawn(tmp_path: Path):
    kept(tmp_path, Validated(epoch=1, loss=float("inf")), Validated(epoch=2, loss=0.6))
    assert run_folder.validation_losses(tmp_path) == [(2, 0.6)]


SAID = (
    Validated(epoch=3, loss=0.25),
    Noticed(notice=Notice("warning", None, "A caption is too long.")),
)


@pytest.mark.parametrize("reporter", [PlainLines, JsonLines])
def test_what_a_training_finds_out_is_said_in_lines(
    reporter: type[PlainLines | JsonLines], capsys: pytest.CaptureFixture[str]
):
    with reporter() as report:
        for event in SAID:
            report.event(event)
    measured, noticed = capsys.readouterr().out.splitlines()
    assert "0.25" in measured
    assert "A caption is too long." in noticed


def test_what_a_training_finds_out_is_said_beside_the_bars(monkeypatch: pytest.MonkeyPatch):
    shown = io.StringIO()
    monkeypatch.setattr(
        "modelgenerator.cli.progress.Console", lambda **_: Console(file=shown, width=200)
    )
    with Bars() as report:
        for event in SAID:
            report.event(event)
    assert "epoch 3: loss 0.2500 on the pictures that are kept out" in shown.getvalue()
    assert "warning: A caption is too long." in shown.getvalue()

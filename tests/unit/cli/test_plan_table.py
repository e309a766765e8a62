import dataclasses
from pathlib import Path

import pytest
from tests.examples import CPU, GPU, SQUARES, base_files, flux_files, masked
from tests.tiny import save_tiny_stable_diffusion

from modelgenerator.cli import plan_table
from modelgenerator.cli.plan_table import Line
from modelgenerator.diffusion.hub import BaseModelFiles, look_at
from modelgenerator.settings import TrainingSettings
from modelgenerator.settings_files import read_settings_file
from modelgenerator.training.plan import DeviceFacts, TrainingPlan
from modelgenerator.training.planning.resolve import resolve

PORTRAIT = read_settings_file(Path(__file__).parents[3] / "docs" / "guide" / "portrait.json5")
"""The published example, typed as printed."""


def resolved(
    base: BaseModelFiles, device: DeviceFacts = CPU, **written: object
) -> tuple[TrainingSettings, TrainingPlan]:
    settings = TrainingSettings.from_written({"baseModel": base.reference, "seed": 1, **written})
    return settings, resolve(settings, masked(SQUARES), base, device)


def table(
    base: BaseModelFiles | None = None, device: DeviceFacts = CPU, **written: object
) -> dict[str, Line]:
    settings, plan = resolved(base or base_files(), device, **written)
    return {line.name: line for line in plan_table.lines(settings, plan)}


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> BaseModelFiles:
    """What is known of a tiny Stable Diffusion, under the name that the example prints."""
    folder = save_tiny_stable_diffusion(tmp_path_factory.mktemp("base") / "tiny")
    return dataclasses.replace(look_at(str(folder)), reference=str(PORTRAIT["baseModel"]))


def test_every_line_of_the_published_example_is_explained(stand_in):
    lines = table(stand_in, **PORTRAIT)
    assert all(line.why for line in lines.values())
    assert set(PORTRAIT) <= set(lines)
    assert lines["epochs"].source == lines["alphaDim"].source == "written"
    assert lines["learningRate"].value == "1"
    assert lines["precision"].source == "decided"
    assert lines["precision"].why.startswith("fp32 is used")
    assert lines["headMaskShade"].source == "ignored"
    assert lines["normalizeDataset"].value == "yes"
    assert lines["lossType"].source == "default"
    assert lines["resolution"].why.startswith("1024 is 16 times the size that Realistic")
    assert lines["total steps"].value == "640"
    assert lines["text encoders"].value == "text_encoder"


def test_the_published_example_computes_as_written_on_a_gpu(stand_in):
    lines = table(stand_in, GPU, **PORTRAIT)
    assert (lines["precision"].value, lines["precision"].source) == ("fp16", "written")


@pytest.mark.parametrize("base", [base_files(), flux_files()], ids=lambda base: base.family.value)
def test_every_part_of_a_plan_has_a_line_and_a_reason(base):
    settings, plan = resolved(base)
    lines = list(plan_table.lines(settings, plan))
    assert len(lines) == len(dataclasses.fields(plan)) - len(["notices"])
    assert len({line.name for line in lines}) == len(lines)
    assert all(line.value and line.why for line in lines)


def test_a_default_that_does_not_suit_is_decided_and_the_notice_says_why():
    line = table(optimizer="AdamW")["learningRate"]
    assert (line.value, line.source) == ("0.0001", "decided")
    assert "destroys AdamW" in line.why


def test_what_is_left_to_the_family_is_decided():
    assert table(flux_files())["timestepSampling"].source == "decided"


def test_a_setting_in_vain_is_ignored_with_its_reason():
    line = table(optimizer="AdamW", dCoef=2.0)["dCoef"]
    assert (line.value, line.source) == ("2", "ignored")
    assert line.why == "Ignored: AdamW does not use it."


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("multiresNoiseDiscount", "Not used: without multiresNoiseIterations it has no effect."),
        ("huberC", "Not used: it belongs to lossType Huber and SmoothL1."),
        ("timestepSampling", "Not used: stable-diffusion-1 base models do not use it."),
    ],
)
def test_what_means_nothing_here_is_told_though_it_was_not_written(name, why):
    assert table()[name].why == why


def test_an_argument_of_the_optimizer_has_a_line_of_its_own():
    line = table(d0=1e-5)["d0"]
    assert (line.value, line.source) == ("1e-05", "written")


def test_a_value_in_brackets_is_shown_as_it_is(capsys):
    plan_table.show(*resolved(base_files(), captionPrefix="[bold]"))
    assert "[bold]" in capsys.readouterr().out

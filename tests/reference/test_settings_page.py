"""The settings page says what a plan does: whoever is said not to use a setting warns of it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests.examples import (
    CPU,
    GPU,
    SQUARES,
    base_files,
    flux_files,
    notices_on,
    painted,
    plan_for,
    sd3_files,
)

from modelgenerator.cli import settings_table
from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import InvalidSettings
from modelgenerator.generation.wishes import plan_images
from modelgenerator.settings import ImageSettings, OptimizerName, TrainingSettings
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.planning.unused import DEPENDENCES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
IN_WORDS = {
    FamilyName.STABLE_DIFFUSION_1: "SD 1.x/2.x",
    FamilyName.STABLE_DIFFUSION_2: "SD 1.x/2.x",
    FamilyName.STABLE_DIFFUSION_XL: "SDXL",
    FamilyName.STABLE_DIFFUSION_3: "SD 3",
    FamilyName.FLUX: "FLUX",
}
BASES = {
    FamilyName.STABLE_DIFFUSION_1: base_files(),
    FamilyName.STABLE_DIFFUSION_2: base_files(family=FamilyName.STABLE_DIFFUSION_2),
    FamilyName.STABLE_DIFFUSION_XL: base_files(family=FamilyName.STABLE_DIFFUSION_XL),
    FamilyName.STABLE_DIFFUSION_3: sd3_files(),
    FamilyName.FLUX: flux_files(),
}
WRITTEN: Mapping[str, Mapping[str, Any]] = {
    "baseModel": {"baseModel": "org/other"},
    "epochs": {"epochs": 3},
    "repeats": {"repeats": 2},
    "resolution": {"resolution": 448},
    "batchSize": {"batchSize": 2},
    "seed": {"seed": 5},
    "normalizeDataset": {"normalizeDataset": True},
    "maskedLoss": {"maskedLoss": True},
    "headMaskShade": {"headMaskShade": 7, "maskedLoss": True},
    "bodyMaskShade": {"bodyMaskShade": 7, "maskedLoss": True},
    "boundingMaskShade": {"boundingMaskShade": 7, "maskedLoss": True},
    "backgroundMaskShade": {"backgroundMaskShade": 7, "maskedLoss": True},
    "flipAug": {"flipAug": True},
    "optimizer": {"optimizer": "AdamW"},
    "learningRate": {"learningRate": 0.5},
    "biasCorrection": {"biasCorrection": True},
    "weightDecay": {"weightDecay": 0.1},
    "d0": {"d0": 1e-5},
    "decouple": {"decouple": True},
    "dCoef": {"dCoef": 2.0},
    "networkDim": {"networkDim": 8},
    "alphaDim": {"alphaDim": 4},
    "trainUnetOnly": {"trainUnetOnly": True},
    "captionPrefix": {"captionPrefix": "lvff"},
    "precision": {"precision": "bf16"},
    "scheduler": {"scheduler": "CosineAnnealing"},
    "lossType": {"lossType": "Huber"},
    "noiseOffset": {"noiseOffset": 0.1},
    "multiresNoiseIterations": {"multiresNoiseIterations": 6},
    "multiresNoiseDiscount": {"multiresNoiseDiscount": 0.5, "multiresNoiseIterations": 6},
    "timestepSampling": {"timestepSampling": "shift"},
    "guidanceScale": {"guidanceScale": 3.5},
    "huberC": {"huberC": 0.1, "lossType": "Huber"},
    "maskNormalization": {"maskNormalization": False, "maskedLoss": True},
    "minSnrGamma": {"minSnrGamma": 5.0},
    "captionDropout": {"captionDropout": 0.1},
    "sampleEvery": {"sampleEvery": 1, "samplePrompts": ["lvff"]},
    "samplePrompts": {"sampleEvery": 1, "samplePrompts": ["lvff"]},
    "saveEvery": {"saveEvery": 1},
    "gradientAccumulation": {"gradientAccumulation": 2},
    "maxSteps": {"maxSteps": 2},
    "networkTargets": {"networkTargets": ["attention"]},
    "priorPreservation": {"priorPreservation": 1.0, "priorPrompts": ["a tree"]},
    "priorPrompts": {"priorPreservation": 1.0, "priorPrompts": ["a tree"]},
    "validationSplit": {"validationSplit": 0.2},
}
"""Every setting with what it needs to have an effect."""
REFUSAL = pytest.raises(InvalidSettings, match="takes none")


def rows_of_page(section: str) -> Iterator[list[str]]:
    """The cells of every row under the headings that start so."""
    for part in PAGE.read_text(encoding="utf-8").split("\n## "):
        if part.startswith(section):
            rows = [line for line in part.splitlines() if line.startswith("| `")]
            yield from ([cell.strip() for cell in row.strip("| ").split(" | ")] for row in rows)


def uses(cell: str, family: FamilyName) -> bool:
    """What the column of base models says of a family; its remarks are in brackets."""
    names = cell.partition(" (")[0]
    return names == "all" or IN_WORDS[family] in names.split(", ")


def plan_of(base: BaseModelFiles, **settings: Any) -> TrainingPlan:
    device = GPU if "precision" in settings else CPU
    return plan_for(painted(SQUARES), base, device, epochs=settings.pop("epochs", 2), **settings)


def is_ignored(plan: TrainingPlan, setting: str) -> bool:
    return any(said.startswith("Ignored") for said in notices_on(plan, setting, "warning"))


def test_every_setting_is_tried():
    assert set(WRITTEN) == {field.alias for field in TrainingSettings.model_fields.values()}


def cell_of(setting: str) -> str:
    rows = [row for row in rows_of_page("") if row[0] == f"`{setting}`" and len(row) == 5]
    return rows[0][3]


@pytest.mark.parametrize("family", FamilyName)
def test_a_plan_warns_of_just_what_the_page_says_its_family_does_not_use(family: FamilyName):
    said = {name for name in WRITTEN if not uses(cell_of(name), family)}
    plans = {name: plan_of(BASES[family], **given) for name, given in WRITTEN.items()}
    assert {name for name, plan in plans.items() if is_ignored(plan, name)} == said


@pytest.mark.parametrize("family", FamilyName)
@pytest.mark.parametrize(
    ("setting", "value", "written"),
    [("precision", "fp16", "fp16"), ("networkTargets", "convolutions", ["convolutions"])],
)
def test_a_plan_warns_of_just_the_values_that_the_page_says_are_not_for_its_family(
    family: FamilyName, setting: str, value: str, written: object
):
    takers = cell_of(setting).partition(f"({value} only ")[2].strip(")")
    plan = plan_of(BASES[family], **{setting: written})
    assert bool(notices_on(plan, setting, "warning")) is not uses(takers, family)


def test_guidance_is_for_those_that_were_distilled_with_it():
    assert cell_of("guidanceScale") == "FLUX (distilled with guidance)"
    assert not is_ignored(plan_of(flux_files(), guidanceScale=2.0), "guidanceScale")
    assert is_ignored(plan_of(flux_files(dev=False), guidanceScale=2.0), "guidanceScale")


@pytest.mark.parametrize("column", range(1, 7), ids=list(OptimizerName))
def test_an_optimizer_is_passed_just_what_the_page_says(column: int):
    optimizer = list(OptimizerName)[column - 1]
    for cells in rows_of_page("Optimizers"):
        setting, said = cells[0].strip("`"), cells[column]
        if setting in ("learningRate` left out", "scheduler"):
            continue
        plan = plan_of(base_files(), optimizer=optimizer.value, **WRITTEN[setting])
        assert is_ignored(plan, setting) is (said == settings_table.IGNORED)
        passed = dict(plan.optimizer_arguments)
        assert said.strip("`") in passed or is_ignored(plan, setting)


@pytest.mark.parametrize("column", range(1, 7), ids=list(OptimizerName))
def test_the_preset_rates_and_who_obeys_the_scheduler_are_as_the_page_says(column: int):
    optimizer = list(OptimizerName)[column - 1]
    rows = list(rows_of_page("Optimizers"))
    plan = plan_of(base_files(), optimizer=optimizer.value, scheduler="Cosine")
    preset, obeys = rows[0][column], rows[-1][column]
    assert preset in (f"{plan.learning_rate:g}", "its own rate")
    assert is_ignored(plan, "scheduler") is (obeys != "obeyed")
    assert (preset == "its own rate") is (obeys == "with `learningRate`")


@pytest.mark.parametrize("dependence", DEPENDENCES, ids=lambda one: one.setting)
def test_what_belongs_together_is_told_when_it_is_apart(dependence: Any):
    name = TrainingSettings.written_name(dependence.setting)
    assert [name in row[0] for row in rows_of_page("What") if row[1] == dependence.otherwise] == [
        True
    ]
    given = {"priorPrompts": ["a tree"], "maskNormalization": False}.get(name, 1)
    plan = plan_of(base_files(), **{name: given})
    assert notices_on(plan, name, "warning") == [f"Ignored: {dependence.otherwise}"]


@pytest.mark.parametrize("family", FamilyName)
def test_a_negative_prompt_is_refused_by_just_whom_the_page_says(family: FamilyName):
    wish = ImageSettings(prompt="lvff", negative_prompt="rain")
    expected = nullcontext() if uses(cell_of("negativePrompt"), family) else REFUSAL
    with expected:
        plan_images([wish], BASES[family])


def test_the_schema_names_who_uses_a_setting():
    properties = settings_table.training_schema()["properties"]
    assert properties["timestepSampling"]["x-families"] == ["stable-diffusion-3", "flux"]
    assert properties["dCoef"]["x-optimizers"] == {"Prodigy": "d_coef"}
    assert not any("x-families" in properties[name] for name in ("epochs", "dCoef"))
    assert json.dumps(properties)

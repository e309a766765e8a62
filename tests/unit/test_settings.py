import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelgenerator.errors import InvalidSettings
from modelgenerator.settings import (
    ImageSettings,
    LossType,
    OptimizerName,
    SchedulerName,
    TimestepSampling,
    TrainingSettings,
)

# The published page: name, default. None stands for "not given".
PUBLISHED = {
    "epochs": None,
    "repeats": 1,
    "resolution": 1024,
    "batchSize": 1,
    "seed": None,
    "normalizeDataset": False,
    "maskedLoss": False,
    "headMaskShade": 255,
    "bodyMaskShade": 200,
    "boundingMaskShade": 40,
    "backgroundMaskShade": 40,
    "flipAug": False,
    "optimizer": "Prodigy",
    "learningRate": 1.0,
    "biasCorrection": False,
    "weightDecay": None,
    "d0": None,
    "decouple": False,
    "dCoef": None,
    "networkDim": 64,
    "alphaDim": None,
    "trainUnetOnly": False,
    "captionPrefix": None,
    "precision": "fp16",
    "scheduler": "Cosine",
    "lossType": "L2",
    "noiseOffset": 0.0,
    "multiresNoiseIterations": 0,
    "multiresNoiseDiscount": 0.3,
    "timestepSampling": None,
    "guidanceScale": 1.0,
    "huberC": 1.0,
}

# The page's own example for portraits.
PORTRAIT = {
    "baseModel": "Realistic_Vision_V6.0_B1",
    "epochs": 80,
    "repeats": 1,
    "alphaDim": 64,
    "decouple": True,
    "batchSize": 1,
    "optimizer": "Prodigy",
    "precision": "fp16",
    "scheduler": "Cosine",
    "maskedLoss": True,
    "networkDim": 64,
    "resolution": 1024,
    "learningRate": 1,
    "bodyMaskShade": 200,
    "headMaskShade": 255,
    "biasCorrection": True,
    "normalizeDataset": True,
    "boundingMaskShade": 40,
    "backgroundMaskShade": 40,
}

RANGES = [
    ("epochs", 1, 10_000),
    ("repeats", 1, 10_000),
    ("resolution", 32, 2048),
    ("batchSize", 1, 6),
    ("seed", 0, 2**63 - 1),
    ("headMaskShade", 0, 255),
    ("bodyMaskShade", 0, 255),
    ("boundingMaskShade", 0, 255),
    ("backgroundMaskShade", 0, 255),
    ("networkDim", 0, 256),
]


def settings(**written: object) -> TrainingSettings:
    return TrainingSettings.from_written({"baseModel": "a/b", **written})


def fault(**written: object) -> str:
    with pytest.raises(InvalidSettings) as caught:
        settings(**written)
    return str(caught.value)


def test_every_published_setting_is_here_with_its_default():
    written = settings().model_dump(by_alias=True, mode="json")
    assert {name: written[name] for name in PUBLISHED} == PUBLISHED


def test_every_setting_that_is_not_published_is_an_extension():
    properties = TrainingSettings.model_json_schema(by_alias=True)["properties"]
    extensions = {name for name, prop in properties.items() if prop["group"] == "Extensions"}
    assert set(properties) - extensions == {"baseModel", *PUBLISHED}


@pytest.mark.parametrize(
    ("enum", "published"),
    [
        (OptimizerName, "Prodigy AdaFactor AdamW AdamW8bit DAdaptation DAdaptAdam"),
        (SchedulerName, "Cosine Constant CosineAnnealing"),
        (LossType, "L2 SmoothL1 Huber"),
        (TimestepSampling, "sigma uniform sigmoid shift flux_shift"),
    ],
)
def test_the_choices_are_the_published_ones(enum, published):
    assert {choice.value for choice in enum} == set(published.split())


def test_every_setting_has_a_sentence_and_a_group():
    for settings_class in (TrainingSettings, ImageSettings):
        for name, prop in settings_class.model_json_schema(by_alias=True)["properties"].items():
            assert prop["description"].endswith("."), name
            assert settings_class is ImageSettings or prop["group"], name


def test_the_published_example_is_read_as_written():
    read = TrainingSettings.from_written(PORTRAIT)
    assert read.given() == PORTRAIT


@pytest.mark.parametrize(("name", "low", "high"), RANGES)
def test_a_range_holds_both_its_ends_and_nothing_beyond(name, low, high):
    assert settings(**{name: low}).given()[name] == low
    assert settings(**{name: high}).given()[name] == high
    for beyond in (low - 1, high + 1):
        assert f"{name} must be a whole number from {low} to" in fault(**{name: beyond})


@pytest.mark.parametrize("name", ["noiseOffset", "multiresNoiseDiscount"])
def test_a_share_is_between_0_and_1(name):
    assert settings(**{name: 1}).given()[name] == 1
    assert f"{name} must be a number from 0 to 1, not 1.01" in fault(**{name: 1.01})


@pytest.mark.parametrize("name", ["learningRate", "weightDecay", "d0", "dCoef", "alphaDim"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1])
def test_a_number_is_finite_and_not_negative(name, value):
    assert f"{name} must be a number" in fault(**{name: value})


@pytest.mark.parametrize("value", [1.5, "12", True, [1], {}])
def test_a_whole_number_is_not_guessed_from_something_else(value):
    assert "epochs must be a whole number from 1 to 10000, not" in fault(epochs=value)


@pytest.mark.parametrize("value", ["yes", "true", 1, 0])
def test_a_switch_is_true_or_false_and_nothing_else(value):
    assert "maskedLoss must be true or false" in fault(maskedLoss=value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("learningrate", "learningRate"),
        ("learning_rate", "learningRate"),
        ("lr", "learningRate"),
        ("batch-size", "batchSize"),
        ("network_alpha", "alphaDim"),
        ("epoch", "epochs"),
        ("triggerWord", "captionPrefix"),
        ("maxTrainSteps", "maxSteps"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_one_that_was_meant(written, meant):
    assert fault(**{written: 1}) == (f"{written}: there is no such setting; did you mean {meant}?")


@pytest.mark.parametrize("written", ["", "Lion", "a", "d"])
def test_a_word_that_could_be_anything_gets_no_guess(written):
    assert "did you mean" not in fault(lossType=written)


def test_a_name_like_no_other_gets_no_guess():
    assert fault(zzzzzz=1) == "zzzzzz: there is no such setting"


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ({"optimizer": "adamw8bit"}, "did you mean AdamW8bit?"),
        ({"optimizer": "adamw8"}, "did you mean AdamW8bit?"),
        ({"optimizer": "adamw"}, "did you mean AdamW?"),
        ({"optimizer": "dadapt"}, "did you mean DAdaptation or DAdaptAdam?"),
        ({"optimizer": "Prodigi"}, "did you mean Prodigy?"),
        ({"timestepSampling": "flux"}, "did you mean flux_shift?"),
        ({"lossType": "l1"}, "did you mean SmoothL1?"),
        ({"scheduler": "cosine"}, "did you mean Cosine?"),
        ({"lossType": "mse"}, "did you mean L2?"),
        ({"precision": "fp32"}, "one of fp16, bf16"),
        ({"epochs": "40"}, "write it without quotes"),
        ({"captionPrefix": 7}, "put it in quotes"),
        ({"epochs": 0}, "leave it out"),
        ({"batchSize": None}, "leave it out for 1"),
        (
            {"batchSize": 7},
            "from 1 to 6, not 7; with gradientAccumulation several batches make one",
        ),
        ({"resolution": 31}, "resolution must be a whole number from 32 to 2048, not 31"),
        ({"learningRate": 0}, "leave it out for the one that suits the optimizer"),
        ({"learningRate": "1e-4"}, "write it without quotes"),
        ({"maskedLoss": "yes"}, "did you mean true?"),
        ({"maskedLoss": 0}, "did you mean false?"),
        ({"maskedLoss": "true"}, "write it without quotes"),
        ({"samplePrompts": "a dog"}, 'put it in brackets: ["a dog"]'),
        ({"networkTargets": "attention"}, 'put it in brackets: ["attention"]'),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_probably_meant(written, hint):
    assert hint in fault(**written)


def test_all_faults_are_told_at_once():
    message = fault(epochs=0, batchSize=7, precision="fp32", learningrate=1)
    assert message.startswith("4 settings cannot be used:")
    for name in ("epochs", "batchSize", "precision", "learningrate"):
        assert f"\n  {name}" in message


def test_a_setting_with_several_faults_is_told_once():
    assert fault(samplePrompts=[1, 2]).count("samplePrompts") == 1


def test_a_training_without_a_base_model_is_refused():
    with pytest.raises(InvalidSettings, match="baseModel is required"):
        TrainingSettings.from_written({})


def test_a_default_is_not_given_and_a_written_default_is():
    assert not settings().is_given("learning_rate")
    assert settings(learningRate=1.0).is_given("learning_rate")
    assert not settings(epochs=None).is_given("epochs")


def test_a_flow_overrides_its_template():
    template = settings(epochs=80, maskedLoss=True)
    changed = template.overridden_by({"epochs": 5})
    assert changed.given() == {"baseModel": "a/b", "epochs": 5, "maskedLoss": True}


def test_an_override_is_checked_like_a_setting():
    with pytest.raises(InvalidSettings, match="batchSize"):
        settings().overridden_by({"batchSize": 7})


def test_settings_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        settings().epochs = 3  # type: ignore[misc]


@pytest.mark.slow
@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.floats() | st.text()))
def test_whatever_is_written_is_read_or_refused_in_words(written):
    with pytest.raises(InvalidSettings, match="baseModel"):
        TrainingSettings.from_written({**written, "baseModel": 0})


def test_the_schema_is_json_and_says_the_ranges():
    schema = json.loads(json.dumps(TrainingSettings.model_json_schema(by_alias=True)))
    assert schema["properties"]["batchSize"]["maximum"] == 6
    assert schema["additionalProperties"] is False


def test_a_picture_has_the_published_defaults():
    written = ImageSettings.from_written({"prompt": "a dog"})
    assert (written.steps, written.count, written.lora_scale) == (25, 1, 1.0)


@pytest.mark.parametrize("written", [{"steps": 61}, {"width": 513}, {"count": 17}, {"prompt": ""}])
def test_an_impossible_picture_is_refused(written):
    with pytest.raises(InvalidSettings, match=f"{next(iter(written))} must be"):
        ImageSettings.from_written({"prompt": "a dog", **written})

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import settings as speed
from hypothesis import strategies as st
from tests.examples import (
    CPU,
    GPU,
    OLD_GPU,
    SQUARES,
    base_files,
    dataset_of,
    masked,
    notices_on,
    plan_for,
)

from modelgenerator.datasets.regions import Box
from modelgenerator.diffusion import recommended
from modelgenerator.errors import InvalidSettings
from modelgenerator.settings import TrainingSettings
from modelgenerator.training.optimizers.by_name import OPTIMIZERS
from modelgenerator.training.optimizers.flat import FlatMatrix
from modelgenerator.training.plan import DeviceFacts, TrainingPlan
from modelgenerator.training.planning.length import batches_per_epoch
from modelgenerator.training.planning.resolve import resolve

EVERY_OPTIMIZER_SETTING = {
    "biasCorrection": True,
    "weightDecay": 0.1,
    "d0": 1e-5,
    "decouple": True,
    "dCoef": 2.0,
}

# --- length


@pytest.mark.parametrize(
    ("pictures", "epochs"), [(1, 1200), (8, 150), (12, 100), (13, 100), (30, 100), (400, 10)]
)
def test_epochs_are_estimated_from_the_number_of_pictures(pictures: int, epochs: int):
    assert plan_for(dataset_of([(512, 512)] * pictures), epochs=None).epochs == epochs


def test_the_estimate_says_its_arithmetic():
    (message,) = notices_on(plan_for(batchSize=3), "epochs", "info")
    assert message == "400 epochs: about 1200 steps suit 8 pictures, and one epoch has 3."


def test_given_epochs_are_kept_without_a_word():
    plan = plan_for(epochs=7)
    assert (plan.epochs, plan.total_steps) == (7, 56)
    assert not notices_on(plan, "epochs")


def test_a_base_model_says_how_many_steps_suit_it(tmp_path):
    (tmp_path / recommended.FILE).write_text('{"trainingSteps": 80}')
    assert plan_for(base=base_files(folder=tmp_path)).epochs == 10


def test_each_bucket_rounds_up_its_own_last_batch():
    sizes = [(512, 512)] * 5 + [(768, 320)] * 3
    plan = plan_for(dataset_of(sizes), epochs=2, batchSize=4, repeats=3)
    assert plan.steps_per_epoch == 4 + 3  # ceil(15 / 4) + ceil(9 / 4)
    assert plan.total_steps == 14


def test_batches_of_an_empty_dataset_are_none():
    assert batches_per_epoch([], repeats=3, batch_size=2) == 0


@pytest.mark.parametrize(("accumulation", "steps"), [(1, 7), (2, 4), (3, 3), (7, 1), (8, 1)])
def test_added_up_batches_make_fewer_steps_and_the_last_may_be_short(accumulation: int, steps: int):
    dataset = dataset_of([(512, 512)] * 5 + [(900, 400)] * 2)
    plan = plan_for(dataset, epochs=3, gradientAccumulation=accumulation)
    assert (plan.steps_per_epoch, plan.total_steps) == (steps, 3 * steps)
    assert bool(notices_on(plan, "gradientAccumulation", "warning")) is (accumulation > 7)


def test_max_steps_ends_a_training_earlier_and_says_so():
    plan = plan_for(epochs=10, maxSteps=30)
    assert (plan.epochs, plan.total_steps) == (10, 30)
    assert notices_on(plan, "maxSteps") == ["30 steps are done instead of 80."]


def test_max_steps_beyond_the_epochs_changes_nothing():
    plan = plan_for(epochs=10, maxSteps=81)
    assert plan.total_steps == 80
    assert not notices_on(plan, "maxSteps")


def test_more_than_ten_thousand_steps_are_warned_of():
    assert notices_on(plan_for(epochs=1251), "epochs", "warning")
    assert not notices_on(plan_for(epochs=1250), "epochs", "warning")


# --- resolution


def test_a_resolution_between_steps_is_rounded_down_and_said():
    plan = plan_for(resolution=500)
    assert plan.resolution == 448
    assert notices_on(plan, "resolution", "info") == [
        "500 became 448: sides are multiples of 64 here."
    ]


def test_a_resolution_below_one_step_becomes_one_step():
    plan = plan_for(resolution=32)
    assert plan.resolution == plan.sample_size == 64
    assert {picture.bucket for picture in plan.pictures} == {(64, 64)}
    assert notices_on(plan, "resolution", "info")


def test_a_builtin_base_model_gives_its_native_size():
    builtin = base_files(native_size=32, size_step=8, is_builtin=True)
    plan = plan_for(base=builtin, resolution=None)
    assert plan.resolution == 32
    assert notices_on(plan, "resolution", "info") == ["32 is used, the size of org/name."]


def test_a_resolution_given_for_a_builtin_base_model_is_kept():
    builtin = base_files(native_size=32, size_step=8, is_builtin=True)
    assert plan_for(base=builtin, resolution=40).resolution == 40


def test_twice_the_native_size_is_warned_of():
    large = dataset_of([(1024, 1024)] * 8)
    (message,) = notices_on(plan_for(large, resolution=1024), "resolution", "warning")
    assert "2 times" in message
    assert "512" in message
    assert not notices_on(plan_for(large, resolution=960), "resolution", "warning")


def test_a_picture_that_must_be_enlarged_is_named():
    plan = plan_for(dataset_of([(512, 512), (300, 511)]))
    (message,) = notices_on(plan, "resolution", "warning")
    assert message.startswith("1.png has only 300 x 511 pixels")


def test_every_picture_gets_the_bucket_of_its_shape():
    plan = plan_for(dataset_of([(600, 600), (900, 500), (500, 900)]))
    square, wide, tall = (picture.bucket for picture in plan.pictures)
    assert square == (512, 512)
    assert wide == tuple(reversed(tall))
    assert wide[0] > wide[1]


# --- optimizer


@pytest.mark.parametrize("optimizer", ["AdamW", "AdamW8bit"])
def test_adamw_without_a_learning_rate_gets_its_usual_one(optimizer: str):
    plan = plan_for(optimizer=optimizer)
    assert plan.learning_rate == 1e-4
    assert notices_on(plan, "learningRate", "info")


@pytest.mark.parametrize("optimizer", ["AdamW", "AdamW8bit", "AdaFactor"])
@pytest.mark.parametrize(("rate", "is_warned"), [(1.0, True), (0.011, True), (0.01, False)])
def test_a_high_learning_rate_is_kept_and_warned_of(rate: float, is_warned: bool, optimizer: str):
    plan = plan_for(optimizer=optimizer, learningRate=rate)
    assert plan.learning_rate == rate
    assert bool(notices_on(plan, "learningRate", "warning")) is is_warned


@pytest.mark.parametrize("optimizer", ["DAdaptation", "DAdaptAdam"])
@pytest.mark.parametrize(("rate", "is_warned"), [(0.09, True), (0.1, False), (1.0, False)])
def test_a_low_learning_rate_for_d_adaptation_is_kept_and_warned_of(
    rate: float, is_warned: bool, optimizer: str
):
    plan = plan_for(optimizer=optimizer, learningRate=rate)
    assert plan.learning_rate == rate
    assert bool(notices_on(plan, "learningRate", "warning")) is is_warned


def test_adafactor_without_a_learning_rate_brings_its_own_and_no_scheduler_changes_it():
    plan = plan_for(optimizer="AdaFactor")
    assert (plan.learning_rate, plan.scheduler) == (1.0, "Constant")
    assert dict(plan.optimizer_arguments) == {"relative_step": True, "scale_parameter": True}
    (message,) = notices_on(plan, "learningRate", "info")
    assert "scheduler has no effect" in message
    assert not notices_on(plan, "scheduler")


@pytest.mark.parametrize(
    ("scheduler", "is_warned"), [("Cosine", True), ("CosineAnnealing", True), ("Constant", False)]
)
def test_a_scheduler_given_for_adafactors_own_rate_is_ignored_and_said(
    scheduler: str, is_warned: bool
):
    plan = plan_for(optimizer="AdaFactor", scheduler=scheduler)
    assert plan.scheduler == "Constant"
    assert bool(notices_on(plan, "scheduler", "warning")) is is_warned


def test_adafactor_with_a_learning_rate_obeys_it_and_the_scheduler():
    plan = plan_for(optimizer="AdaFactor", learningRate=1e-3)
    assert (plan.learning_rate, plan.scheduler) == (1e-3, "Cosine")
    assert dict(plan.optimizer_arguments) == {"relative_step": False, "scale_parameter": False}
    assert not notices_on(plan, "learningRate")


@pytest.mark.parametrize("optimizer", ["Prodigy", "DAdaptation", "DAdaptAdam"])
def test_what_finds_its_step_size_gets_a_learning_rate_of_one_without_a_word(optimizer: str):
    plan = plan_for(optimizer=optimizer)
    assert plan.learning_rate == 1
    assert not notices_on(plan, "learningRate")


def test_a_given_learning_rate_reaches_prodigy():
    assert plan_for(learningRate=0.5).learning_rate == 0.5


@pytest.mark.parametrize(
    ("settings", "is_advised"),
    [
        ({}, True),
        ({"biasCorrection": True}, True),
        ({"decouple": True}, True),
        ({"biasCorrection": True, "decouple": True}, False),
        ({"optimizer": "AdamW"}, False),
    ],
)
def test_prodigy_is_advised_to_correct_bias_and_decouple(
    settings: Mapping[str, object], is_advised: bool
):
    assert bool(notices_on(plan_for(**settings), "optimizer", "info")) is is_advised


def test_prodigy_always_gets_the_two_switches_and_nothing_that_was_not_given():
    assert dict(plan_for().optimizer_arguments) == {
        "use_bias_correction": False,
        "decouple": False,
    }


def test_all_that_prodigy_was_given_reaches_it():
    plan = plan_for(biasCorrection=True, decouple=True, weightDecay=0.1, d0=1e-5, dCoef=2.0)
    assert dict(plan.optimizer_arguments) == {
        "use_bias_correction": True,
        "decouple": True,
        "weight_decay": 0.1,
        "d0": 1e-5,
        "d_coef": 2.0,
    }


def test_adamw_gets_the_weight_decay_and_nothing_of_prodigys():
    plan = plan_for(optimizer="AdamW", weightDecay=0.0, d0=1e-5, biasCorrection=True)
    assert dict(plan.optimizer_arguments) == {"weight_decay": 0.0}


@pytest.mark.parametrize(
    ("optimizer", "names"),
    [
        ("Prodigy", {"use_bias_correction", "weight_decay", "d0", "decouple", "d_coef"}),
        ("AdaFactor", {"weight_decay", "relative_step", "scale_parameter"}),
        ("AdamW", {"weight_decay"}),
        ("AdamW8bit", {"weight_decay"}),
        ("DAdaptation", {"weight_decay", "d0", "decouple"}),
        ("DAdaptAdam", {"weight_decay", "d0", "decouple", "use_bias_correction"}),
    ],
)
def test_every_optimizer_gets_just_what_it_accepts(optimizer: str, names: set[str]):
    plan = plan_for(optimizer=optimizer, **EVERY_OPTIMIZER_SETTING)
    arguments = dict(plan.optimizer_arguments)
    assert set(arguments) == names
    matrices = [FlatMatrix(0, (2, 2))]
    OPTIMIZERS[plan.optimizer](torch.zeros(4), torch.zeros(4), matrices, **arguments).step(1.0)


@pytest.mark.parametrize(
    ("optimizer", "ignored"),
    [
        ("Prodigy", set()),
        ("AdaFactor", {"biasCorrection", "d0", "decouple", "dCoef"}),
        ("AdamW", {"biasCorrection", "d0", "decouple", "dCoef"}),
        ("AdamW8bit", {"biasCorrection", "d0", "decouple", "dCoef"}),
        ("DAdaptation", {"biasCorrection", "dCoef"}),
        ("DAdaptAdam", {"dCoef"}),
    ],
)
def test_what_an_optimizer_does_not_use_is_warned_of(optimizer: str, ignored: set[str]):
    plan = plan_for(optimizer=optimizer, **EVERY_OPTIMIZER_SETTING)
    for setting in EVERY_OPTIMIZER_SETTING:
        said = [f"Ignored: {optimizer} does not use it."] if setting in ignored else []
        assert notices_on(plan, setting, "warning") == said
        assert not notices_on(plan_for(optimizer=optimizer), setting)


@pytest.mark.parametrize("optimizer", ["AdaFactor", "AdamW", "AdamW8bit", "DAdaptation"])
def test_nothing_that_was_not_given_reaches_an_optimizer(optimizer: str):
    switches = {"relative_step", "scale_parameter", "decouple"}
    assert set(dict(plan_for(optimizer=optimizer).optimizer_arguments)) <= switches


def test_prodigy_at_a_constant_rate_is_advised_to_end_more_calmly():
    assert notices_on(plan_for(scheduler="Constant"), "scheduler", "info")
    assert not notices_on(plan_for(scheduler="Constant", optimizer="AdamW"), "scheduler")


# --- network


def test_alpha_is_the_rank_when_it_is_not_given():
    plan = plan_for(networkDim=16)
    assert (plan.network_dim, plan.network_alpha) == (16, 16.0)


def test_an_alpha_above_the_rank_is_warned_of():
    plan = plan_for(networkDim=8, alphaDim=9.5)
    assert plan.network_alpha == 9.5
    assert notices_on(plan, "alphaDim", "warning")
    assert not notices_on(plan_for(networkDim=8, alphaDim=8), "alphaDim")


def test_a_rank_of_zero_is_refused_with_the_reason():
    with pytest.raises(InvalidSettings, match=r"networkDim 0 .* nothing to train\. Give 1 to 256"):
        plan_for(networkDim=0)


def test_a_large_rank_on_few_pictures_is_warned_of():
    assert notices_on(plan_for(networkDim=129), "networkDim", "warning")
    assert not notices_on(plan_for(networkDim=128), "networkDim")
    many = dataset_of([(512, 512)] * 20)
    assert not notices_on(plan_for(many, networkDim=129), "networkDim")


def test_train_unet_only_leaves_the_text_encoder_out():
    assert plan_for().parts == ("text_encoder", "unet")
    assert plan_for(trainUnetOnly=True).parts == ("unet",)


def test_network_targets_have_one_order():
    assert plan_for().network_targets == ("attention",)
    both = ("attention", "convolutions")
    assert plan_for(networkTargets=["convolutions", "attention"]).network_targets == both


# --- number format, seed, samples, files


@pytest.mark.parametrize(
    ("device", "precision", "dtype", "level"),
    [
        (CPU, "fp16", "fp32", "info"),
        (CPU, "bf16", "fp32", "info"),
        (GPU, "fp16", "fp16", None),
        (GPU, "bf16", "bf16", None),
        (OLD_GPU, "bf16", "fp16", "warning"),
        (OLD_GPU, "fp16", "fp16", None),
    ],
)
def test_the_number_format_is_one_that_the_device_computes_in(
    device: DeviceFacts, precision: str, dtype: str, level: str | None
):
    plan = plan_for(device=device, precision=precision)
    assert plan.compute_dtype == dtype
    assert [n.level for n in plan.notices if n.setting == "precision"] == [level] * bool(level)


def test_a_seed_that_is_not_given_is_drawn_and_said():
    one, other = plan_for(seed=None), plan_for(seed=None)
    assert one.seed != other.seed
    assert notices_on(one, "seed") == [f"{one.seed} was drawn: give it to repeat this training."]


def test_a_given_seed_is_kept_without_a_word():
    plan = plan_for(seed=2**63 - 1)
    assert plan.seed == 2**63 - 1
    assert not notices_on(plan, "seed")


@pytest.mark.parametrize("half", [{"sampleEvery": 2}, {"samplePrompts": ["lvff"]}])
def test_samples_need_both_their_prompts_and_their_rhythm(half: Mapping[str, object]):
    with pytest.raises(InvalidSettings, match="sampleEvery and samplePrompts belong together"):
        plan_for(**half)


def test_samples_and_files_reach_the_plan(tmp_path):
    (tmp_path / recommended.FILE).write_text('{"images": {"steps": 9, "guidanceScale": 3}}')
    plan = plan_for(
        base=base_files(folder=tmp_path), sampleEvery=2, samplePrompts=["lvff"], saveEvery=3
    )
    assert (plan.sample_every, plan.sample_prompts, plan.save_every) == (2, ("lvff",), 3)
    assert (plan.sample_steps, plan.sample_guidance_scale) == (9, 3.0)
    assert any(notice.setting == "steps" and "9 suit" in notice.message for notice in plan.notices)


def test_no_samples_and_no_files_are_the_default():
    plan = plan_for()
    assert (plan.sample_every, plan.sample_prompts, plan.save_every) == (0, (), 0)


@pytest.mark.parametrize(
    ("setting", "value", "attribute"),
    [
        ("flipAug", True, "flip"),
        ("captionDropout", 0.25, "caption_dropout"),
        ("noiseOffset", 0.1, "noise_offset"),
        ("multiresNoiseIterations", 6, "multires_noise_iterations"),
        ("lossType", "Huber", "loss"),
        ("minSnrGamma", 5.0, "min_snr_gamma"),
        ("scheduler", "CosineAnnealing", "scheduler"),
        ("repeats", 3, "repeats"),
        ("batchSize", 4, "batch_size"),
        ("gradientAccumulation", 4, "gradient_accumulation"),
        ("captionPrefix", "lvff", "caption_prefix"),
    ],
)
def test_what_was_set_is_planned(setting: str, value: object, attribute: str):
    assert getattr(plan_for(), attribute) != value
    assert getattr(plan_for(**{setting: value}), attribute) == value


# --- what is ignored, advised, refused


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("headMaskShade", 255),
        ("bodyMaskShade", 10),
        ("boundingMaskShade", 10),
        ("backgroundMaskShade", 10),
        ("maskNormalization", False),
        ("huberC", 0.1),
        ("multiresNoiseDiscount", 0.5),
        ("timestepSampling", "sigmoid"),
        ("guidanceScale", 3.5),
    ],
)
def test_a_setting_without_effect_is_warned_of_by_its_name(setting: str, value: object):
    (message,) = notices_on(plan_for(**{setting: value}), setting, "warning")
    assert message.startswith("Ignored: ")
    assert not notices_on(plan_for(), setting)


def test_a_picture_without_any_words_is_told():
    (wordless, *rest) = SQUARES.pictures
    dataset = replace(SQUARES, pictures=(replace(wordless, caption=""), *rest))
    (message,) = notices_on(plan_for(dataset), "captionPrefix", "warning")
    assert message.startswith("No words to learn for 0.png")
    assert not notices_on(plan_for(), "captionPrefix")


def test_a_plan_says_what_is_cut_out_of_each_picture():
    cut = replace(SQUARES.pictures[0], crop=Box(10, 20, 522, 532))
    dataset = replace(SQUARES, pictures=(cut, *SQUARES.pictures[1:]))
    plan = plan_for(dataset, normalizeDataset=True)
    assert plan.normalize_dataset
    assert [picture.crop for picture in plan.pictures[:2]] == [
        (10, 20, 522, 532),
        (0, 0, 512, 512),
    ]


def test_shades_are_all_the_same_without_masks():
    plan = plan_for()
    assert (plan.head_mask_shade, plan.background_mask_shade) == (255, 255)
    plan = plan_for(masked(SQUARES), maskedLoss=True)
    assert (plan.head_mask_shade, plan.body_mask_shade) == (255, 200)
    assert (plan.bounding_mask_shade, plan.background_mask_shade) == (40, 40)


def test_few_pictures_are_warned_of():
    few, enough = dataset_of([(512, 512)] * 4), dataset_of([(512, 512)] * 5)
    assert any("4 usable pictures" in message for message in notices_on(plan_for(few), None))
    assert not notices_on(plan_for(enough), None)


def test_mirroring_is_advised_against_for_faces():
    assert notices_on(plan_for(flipAug=True), "flipAug", "info")


# --- the plan as data


def test_a_plan_is_json():
    plan = plan_for(samplePrompts=["lvff"], sampleEvery=1)
    values = plan.as_json()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["pictures"][0]["bucket"] == [512, 512]
    assert values["notices"][0].keys() == {"level", "setting", "message"}


def test_two_equal_plans_have_one_digest():
    assert plan_for(epochs=3).digest == plan_for(epochs=3).digest


def test_what_is_only_said_does_not_change_the_digest():
    silent = plan_for(epochs=3)
    talkative = plan_for(epochs=3, huberC=0.5)
    assert silent.notices != talkative.notices
    assert silent.digest == talkative.digest


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"epochs": 4},
        {"batchSize": 2},
        {"networkDim": 32},
        {"alphaDim": 1},
        {"learningRate": 0.9},
        {"dCoef": 2.0},
        {"optimizer": "AdamW"},
        {"gradientAccumulation": 2},
        {"scheduler": "Constant"},
        {"flipAug": True},
        {"captionDropout": 0.1},
        {"noiseOffset": 0.1},
        {"multiresNoiseIterations": 6},
        {"lossType": "Huber"},
        {"minSnrGamma": 5.0},
        {"validationSplit": 0.2},
        {"trainUnetOnly": True},
        {"resolution": 448},
        {"networkTargets": ["convolutions"]},
        {"dataset": dataset_of([(512, 512)] * 7)},
        {"device": GPU},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_training_has_another_digest(change: Mapping[str, object]):
    assert plan_for(**{"epochs": 3, **change}).digest != plan_for(epochs=3).digest


def _valid_settings() -> st.SearchStrategy[dict[str, object]]:
    schema = TrainingSettings.model_json_schema(by_alias=True)
    definitions = schema["$defs"]

    def values(field: Mapping[str, object]) -> st.SearchStrategy[object]:
        if "anyOf" in field:
            return st.one_of(*(values(choice) for choice in field["anyOf"]))
        if "$ref" in field:
            return st.sampled_from(definitions[field["$ref"].rpartition("/")[2]]["enum"])
        low, high = field.get("minimum", 0), field.get("maximum", 10_000)
        kinds = {
            "null": st.none(),
            "boolean": st.booleans(),
            "string": st.text(max_size=5),
            "integer": st.integers(low, high),
            "number": st.floats(1e-12, min(0.999, high)),
            "array": st.just([]),
        }
        if field["type"] == "array":
            return st.lists(values(field["items"]), min_size=field.get("minItems", 0), max_size=2)
        return kinds[field["type"]]

    fields = {n: values(f) for n, f in schema["properties"].items() if n != "baseModel"}
    return st.fixed_dictionaries({"baseModel": st.just("org/name")}, optional=fields)


@given(
    written=_valid_settings(),
    sizes=st.lists(st.tuples(st.integers(16, 5000), st.integers(16, 5000)), min_size=1, max_size=4),
    device=st.sampled_from([CPU, GPU, OLD_GPU]),
)
@speed(max_examples=150, deadline=None)
def test_valid_settings_are_resolved_or_refused_in_words(
    written: dict[str, object], sizes: list[tuple[int, int]], device: DeviceFacts
):
    settings = TrainingSettings.from_written(written)
    with suppress(InvalidSettings):  # any other error is one of ours
        dataset = masked(dataset_of(sizes))
        _is_complete(resolve(settings, dataset, base_files(), device), len(sizes))


def _is_complete(plan: TrainingPlan, pictures: int) -> None:
    values = plan.as_json()
    assert None not in values.values()
    assert len(plan.pictures) + len(plan.validation_pictures) == pictures
    assert plan.pictures
    assert 1 <= plan.total_steps <= plan.epochs * plan.steps_per_epoch
    assert all(side % 64 == 0 for picture in plan.pictures for side in picture.bucket)

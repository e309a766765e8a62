"""What losses, noise, noise levels, masks and validation become in a plan."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.examples import SQUARES, base_files, dataset_of, masked, notices_on, plan_for

from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.errors import InvalidSettings
from modelgenerator.training.plan import TrainingPlan

FLOW = replace(base_files(), family=FamilyName.FLUX, prediction_type="flow")


# --- losses


@pytest.mark.parametrize("loss", ["Huber", "SmoothL1"])
def test_a_threshold_reaches_the_losses_that_have_one(loss: str):
    plan = plan_for(lossType=loss, huberC=0.2)
    assert (plan.loss, plan.huber_c) == (loss, 0.2)
    assert not notices_on(plan, "huberC")


@pytest.mark.parametrize("given", [{}, {"huberC": 1}])
def test_a_threshold_that_changes_nothing_is_advised_against(given: Mapping[str, object]):
    (message,) = notices_on(plan_for(lossType="Huber", **given), "huberC", "info")
    assert "0.1 is a good start" in message


def test_a_threshold_without_a_loss_that_has_one_is_not_planned():
    assert plan_for(huberC=0.2).huber_c == 1.0


def test_min_snr_is_ignored_by_flow_models_and_said():
    plan = plan_for(base=FLOW, minSnrGamma=5.0)
    assert plan.min_snr_gamma == 0
    (message,) = notices_on(plan, "minSnrGamma", "warning")
    assert message.startswith("Ignored: ")
    assert not notices_on(plan_for(minSnrGamma=5.0), "minSnrGamma")


# --- noise and its levels


@pytest.mark.parametrize(
    ("setting", "value"), [("noiseOffset", 0.1), ("multiresNoiseIterations", 6)]
)
def test_special_noise_is_applied_to_flow_models_and_said(setting: str, value: object):
    assert notices_on(plan_for(base=FLOW, **{setting: value}), setting, "info")
    assert not notices_on(plan_for(**{setting: value}), setting)


def test_the_discount_of_coarser_noise_is_planned_with_it():
    assert plan_for(multiresNoiseIterations=6).multires_noise_discount == 0.3
    plan = plan_for(multiresNoiseIterations=6, multiresNoiseDiscount=0.5)
    assert plan.multires_noise_discount == 0.5
    assert not notices_on(plan, "multiresNoiseDiscount")


@pytest.mark.parametrize("density", ["sigma", "uniform", "sigmoid", "shift", "flux_shift"])
def test_flow_models_take_the_timestep_sampling_that_is_given(density: str):
    plan = plan_for(base=FLOW, timestepSampling=density)
    assert plan.timestep_sampling == density
    assert not notices_on(plan, "timestepSampling")


@pytest.mark.parametrize(
    ("family", "density"),
    [
        (FamilyName.FLUX, "flux_shift"),
        (FamilyName.STABLE_DIFFUSION_3, "sigmoid"),
        (FamilyName.STABLE_DIFFUSION_XL, "integers"),
    ],
)
def test_a_family_has_its_own_timestep_sampling(family: FamilyName, density: str):
    assert plan_for(base=replace(FLOW, family=family)).timestep_sampling == density


def test_timestep_sampling_means_nothing_to_noise_schedules():
    plan = plan_for(timestepSampling="shift")
    assert plan.timestep_sampling == "integers"
    assert notices_on(plan, "timestepSampling", "warning")


# --- masks


def test_masks_reach_the_plan():
    plan = plan_for(masked(SQUARES), maskedLoss=True, maskNormalization=False)
    assert (plan.masked_loss, plan.mask_normalization) == (True, False)
    assert not notices_on(plan, "maskNormalization")
    assert not notices_on(plan, "maskedLoss", "warning")


def test_masked_loss_without_masks_says_how_to_give_them():
    with pytest.raises(InvalidSettings, match=r"call that of 0\.png 0\.mask\.png"):
        plan_for(maskedLoss=True)


def test_pictures_without_a_mask_are_named():
    (message,) = notices_on(plan_for(masked(SQUARES, 6), maskedLoss=True), "maskedLoss", "warning")
    assert message == "Without a mask, and so counted all over: 6.png and 7.png."


def test_masks_are_said_to_work_best_with_normalized_pictures():
    (message,) = notices_on(plan_for(masked(SQUARES), maskedLoss=True), "maskedLoss", "info")
    assert message == "It works best with normalizeDataset."


@pytest.mark.parametrize(
    "shade", ["headMaskShade", "bodyMaskShade", "boundingMaskShade", "backgroundMaskShade"]
)
def test_shades_mean_nothing_to_masks_from_files(shade: str):
    plan = plan_for(masked(SQUARES), maskedLoss=True, **{shade: 100})
    assert notices_on(plan, shade, "warning") == ["Ignored: masks from files say their own shades."]


# --- validation


def kept_out(plan: TrainingPlan) -> set[str]:
    return {picture.name for picture in plan.validation_pictures}


@pytest.mark.parametrize(
    ("share", "count"), [(0.001, 1), (0.2, 2), (0.25, 2), (0.5, 4), (0.999, 7)]
)
def test_a_share_of_the_pictures_is_kept_out(share: float, count: int):
    plan = plan_for(validationSplit=share, epochs=3)
    assert len(kept_out(plan)) == count
    assert len(plan.pictures) == plan.steps_per_epoch == 8 - count
    assert not kept_out(plan) & {picture.name for picture in plan.pictures}


def test_what_is_kept_out_is_said():
    plan = plan_for(validationSplit=0.2)
    (message,) = notices_on(plan, "validationSplit", "info")
    assert message == f"Kept out of the training: {' and '.join(sorted(kept_out(plan)))}."


def test_the_seed_alone_decides_what_is_kept_out():
    chosen = [kept_out(plan_for(validationSplit=0.2, seed=seed)) for seed in (1, 1, 2, 3, 4)]
    assert chosen[0] == chosen[1]
    assert len(set(map(frozenset, chosen))) > 1


def test_one_picture_cannot_be_kept_out():
    with pytest.raises(InvalidSettings, match="there is only one picture"):
        plan_for(dataset_of([(512, 512)]), validationSplit=0.5)

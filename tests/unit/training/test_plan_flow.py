"""What a plan makes of settings where the base model learns a flow: FLUX.1, Stable Diffusion 3."""

import pytest
from tests.examples import (
    CPU,
    GPU,
    OLD_GPU,
    base_files,
    dataset_of,
    flux_files,
    notices_on,
    plan_for,
    sd3_files,
)

from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import InvalidSettings
from modelgenerator.training.plan import DeviceFacts


@pytest.mark.parametrize(
    ("base", "all_parts"),
    [
        (flux_files(), ("text_encoder", "transformer")),
        (sd3_files(), ("text_encoder", "text_encoder_2", "transformer")),
    ],
    ids=["flux", "sd3"],
)
def test_clip_is_trained_unless_the_denoiser_alone_is_asked_for(
    base: BaseModelFiles, all_parts: tuple[str, ...]
):
    assert plan_for(base=base).parts == all_parts
    assert plan_for(base=base, trainUnetOnly=True).parts == ("transformer",)


def test_guidance_scale_is_what_dev_is_told():
    plan = plan_for(base=flux_files(), guidanceScale=3.5)
    assert plan.guidance_scale == 3.5
    assert notices_on(plan, "guidanceScale") == []
    assert plan_for(base=flux_files()).guidance_scale == 1.0


@pytest.mark.parametrize(
    "base", [flux_files(dev=False), sd3_files(), base_files()], ids=["schnell", "sd3", "sd1"]
)
def test_guidance_scale_is_ignored_with_a_warning_where_no_guidance_is_told(base: BaseModelFiles):
    plan = plan_for(base=base, guidanceScale=3.5)
    assert plan.guidance_scale == 1.0
    assert plan.digest == plan_for(base=base).digest
    (message,) = notices_on(plan, "guidanceScale", "warning")
    assert message.startswith("Ignored: only base models that were distilled with guidance")


@pytest.mark.parametrize("base", [flux_files(), sd3_files()], ids=["flux", "sd3"])
def test_timestep_sampling_is_used_by_flow_models(base: BaseModelFiles):
    plan = plan_for(base=base, timestepSampling="uniform")
    assert plan.timestep_sampling == "uniform"
    assert notices_on(plan, "timestepSampling") == []


@pytest.mark.parametrize(
    ("device", "precision", "dtype", "level"),
    [
        (CPU, "fp16", "fp32", "info"),
        (GPU, "fp16", "bf16", "warning"),
        (GPU, "bf16", "bf16", None),
        (OLD_GPU, "fp16", "fp32", "warning"),
        (OLD_GPU, "bf16", "fp32", "warning"),
    ],
)
@pytest.mark.parametrize("base", [flux_files(), sd3_files()], ids=["flux", "sd3"])
def test_flow_models_never_compute_in_fp16(
    base: BaseModelFiles, device: DeviceFacts, precision: str, dtype: str, level: str | None
):
    plan = plan_for(base=base, device=device, precision=precision)
    assert plan.compute_dtype == dtype
    assert [n.level for n in plan.notices if n.setting == "precision"] == [level] * bool(level)


@pytest.mark.parametrize("targets", [["convolutions"], ["attention", "convolutions"]])
def test_convolutions_are_ignored_with_a_warning_where_there_are_none(targets: list[str]):
    plan = plan_for(base=flux_files(), networkTargets=targets)
    assert plan.network_targets == ("attention",)
    (message,) = notices_on(plan, "networkTargets", "warning")
    assert message.startswith("Ignored: convolutions.")


def test_a_resolution_beyond_the_places_of_stable_diffusion_3_is_refused():
    with pytest.raises(InvalidSettings, match=r"resolution 1024: .* beyond 512 pixels\. Give 512"):
        plan_for(base=sd3_files(longest_side=512), resolution=1024)


def test_a_long_picture_is_trained_as_long_as_the_places_go():
    long = dataset_of([(2000, 500)])
    (far,) = plan_for(long, sd3_files(), resolution=512).pictures
    (near,) = plan_for(long, sd3_files(longest_side=640), resolution=512).pictures
    assert far.bucket[0] > 640
    assert near.bucket[0] == 640


@pytest.mark.parametrize(("dev", "steps"), [(True, 28), (False, 4)])
def test_schnell_draws_in_few_steps(dev: bool, steps: int):
    assert plan_for(base=flux_files(dev=dev)).sample_steps == steps

"""What other trainers get wrong in silence is right here, or is told.

Each trap that was read in a peer's code or met by its users has a row: what a person writes, what
is planned, and what is said.  Traps that need more than a plan are tested where their code is;
`ELSEWHERE` names those tests, so that none of them goes missing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.examples import (
    CPU,
    GPU,
    SQUARES,
    base_files,
    flux_files,
    masked,
    notices_on,
    plan_for,
    sd3_files,
)

from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import InvalidSettings
from modelgenerator.training.optimizers.by_name import OPTIMIZERS
from modelgenerator.training.optimizers.flat import FlatMatrix
from modelgenerator.training.plan import DeviceFacts

TESTS = Path(__file__).parents[2]
XL = base_files(native_size=1024, size_step=32)


@dataclass(frozen=True)
class Trap:
    """What a person meets elsewhere, and what we plan and say instead."""

    name: str
    written: Mapping[str, Any]
    planned: Mapping[str, object] = field(default_factory=dict[str, object])
    said: tuple[str, str, str] | None = None
    """(level, setting, words of the notice); none: nothing is said of the settings written."""
    base: BaseModelFiles = field(default_factory=base_files)
    device: DeviceFacts = CPU
    masks: bool = False


def arguments(**by_name: float | bool) -> dict[str, object]:
    return {"optimizer_arguments": tuple(sorted(by_name.items()))}


IN_VAIN = "without maskedLoss it has no effect"
TRAPS = [
    # --- learningRate: the published default of 1 suits two of five
    *(
        Trap(
            f"the published learning rate of 1 destroys {optimizer}",
            {"optimizer": optimizer},
            {"learning_rate": 1e-4},
            ("info", "learningRate", "1e-4 is used"),
        )
        for optimizer in ("AdamW", "AdamW8bit")
    ),
    *(
        Trap(
            f"{optimizer} takes a learning rate of 1 without a word",
            {"optimizer": optimizer, "learningRate": 1},
            {"learning_rate": 1.0},
            ("warning", "learningRate", f"1 is very high for {optimizer}"),
        )
        for optimizer in ("AdamW", "AdamW8bit", "AdaFactor")
    ),
    *(
        Trap(
            f"{optimizer} at the learning rate of AdamW learns nothing",
            {"optimizer": optimizer, "learningRate": 1e-4},
            {"learning_rate": 1e-4},
            ("warning", "learningRate", f"very low for {optimizer}"),
        )
        for optimizer in ("DAdaptation", "DAdaptAdam")
    ),
    Trap(
        "AdaFactor ignores a learning rate that was given",
        {"optimizer": "AdaFactor", "learningRate": 1e-3},
        {"learning_rate": 1e-3, **arguments(relative_step=False, scale_parameter=False)},
    ),
    Trap(
        "AdaFactor ignores the scheduler when it brings its own rate",
        {"optimizer": "AdaFactor", "scheduler": "Cosine"},
        {"scheduler": "Constant", **arguments(relative_step=True, scale_parameter=True)},
        ("warning", "scheduler", "Ignored"),
    ),
    # --- arguments that only some optimizers know
    Trap(
        "biasCorrection is a TypeError in D-Adaptation",
        {"optimizer": "DAdaptation", "biasCorrection": True},
        arguments(decouple=False),
        ("warning", "biasCorrection", "DAdaptation does not use it"),
    ),
    *(
        Trap(
            f"dCoef is a TypeError in {optimizer}",
            {"optimizer": optimizer, "dCoef": 2.0},
            said=("warning", "dCoef", f"{optimizer} does not use it"),
        )
        for optimizer in ("DAdaptation", "DAdaptAdam", "AdamW", "AdamW8bit", "AdaFactor")
    ),
    Trap(
        "Prodigy decouples by its own default though the page says no",
        {"optimizer": "Prodigy"},
        arguments(decouple=False, use_bias_correction=False),
        ("info", "optimizer", "benefits from biasCorrection and decouple"),
    ),
    Trap(
        "a d0 that users raise when Prodigy is stuck is no reason to speak",
        {"optimizer": "Prodigy", "d0": 1e-4},
        arguments(d0=1e-4, decouple=False, use_bias_correction=False),
    ),
    Trap(
        "a d0 that is no first guess any more destroys the network",
        {"optimizer": "Prodigy", "d0": 1.0},
        arguments(d0=1.0, decouple=False, use_bias_correction=False),
        ("warning", "d0", "1 is very high"),
    ),
    # --- losses and noise
    Trap(
        "at the published huberC Huber is SmoothL1 and has no schedule",
        {"lossType": "Huber", "huberC": 1},
        {"huber_c": 1.0},
        ("info", "huberC", "0.1 is a good start"),
    ),
    Trap(
        "huberC without Huber does nothing",
        {"huberC": 0.1},
        {"huber_c": 1.0, "loss": "L2"},
        ("warning", "huberC", "Ignored: it belongs to lossType Huber and SmoothL1"),
    ),
    *(
        Trap(
            f"Huber is not implemented for {base.family.value}",
            {"lossType": "Huber", "huberC": 0.1},
            {"loss": "Huber", "huber_c": 0.1},
            base=base,
        )
        for base in (flux_files(), sd3_files())
    ),
    *(
        Trap(
            f"{setting} is skipped for {base.family.value}",
            {setting: value},
            {part: value},
            ("info", setting, "It is applied here too"),
            base=base,
        )
        for base in (flux_files(), sd3_files())
        for setting, part, value in (
            ("noiseOffset", "noise_offset", 0.1),
            ("multiresNoiseIterations", "multires_noise_iterations", 6),
        )
    ),
    # --- what only some families know
    Trap(
        "timestepSampling has no effect on Stable Diffusion",
        {"timestepSampling": "sigmoid"},
        {"timestep_sampling": "integers"},
        ("warning", "timestepSampling", "Ignored"),
    ),
    Trap(
        "Stable Diffusion 3 has another option than timestepSampling",
        {"timestepSampling": "shift"},
        {"timestep_sampling": "shift"},
        base=sd3_files(),
    ),
    Trap(
        "FLUX.1-dev is told a guidance of 3.5 where 1 is the practice",
        {},
        {"guidance_scale": 1.0},
        base=flux_files(),
    ),
    *(
        Trap(
            f"guidanceScale has no effect on {base.family.value} {base.edition}",
            {"guidanceScale": 3.5},
            {"guidance_scale": 1.0},
            ("warning", "guidanceScale", "Ignored: only base models that were distilled"),
            base=base,
        )
        for base in (base_files(), sd3_files(), flux_files(dev=False))
    ),
    # --- network
    Trap("alpha is 1 where none is given", {"networkDim": 32}, {"network_alpha": 32.0}),
    Trap(
        "an alpha above the rank overdoes it",
        {"networkDim": 8, "alphaDim": 64},
        {"network_alpha": 64.0},
        ("warning", "alphaDim", "the LoRA may overdo"),
    ),
    # --- resolution
    Trap(
        "32 pixels are a latent that the U-Net cannot halve",
        {"resolution": 32},
        {"resolution": 64},
        ("info", "resolution", "sides are multiples of 64"),
    ),
    Trap(
        "a size far below the base model's own is trained without a word",
        {"resolution": 64},
        {"resolution": 64},
        ("warning", "resolution", "less than half of the size"),
    ),
    Trap("half of the own size is usual", {"resolution": 512}, {"resolution": 512}, base=XL),
    Trap(
        "a size far above the base model's own doubles the subject",
        {"resolution": 1024},
        {"resolution": 1024},
        ("warning", "resolution", "may appear doubled"),
    ),
    Trap(
        "flux_shift is carried on to sizes that it was not made for",
        {"resolution": 2048},
        {"timestep_sampling": "flux_shift"},
        ("warning", "resolution", "2 times the size"),
        base=flux_files(),
    ),
    # --- precision
    *(
        Trap(
            f"{base.family.value} overflows in fp16, which is the published default",
            {"precision": "fp16"},
            {"compute_dtype": "bf16"},
            ("warning", "precision", "overflows in fp16"),
            base=base,
            device=GPU,
        )
        for base in (flux_files(), sd3_files())
    ),
    # --- masks
    Trap(
        "a small subject counts less than a large one under a mask",
        {"maskedLoss": True},
        {"mask_normalization": True},
        ("info", "maskedLoss", "works best with normalizeDataset"),
        masks=True,
    ),
    *(
        Trap(f"{shade} is accepted without masks", {shade: 10}, {}, ("warning", shade, IN_VAIN))
        for shade in ("headMaskShade", "bodyMaskShade", "boundingMaskShade", "backgroundMaskShade")
    ),
    # --- samples
    Trap(
        "mirrored faces are learnt as faces",
        {"flipAug": True},
        {"flip": True},
        ("info", "flipAug", "a face or a logo is not one"),
    ),
]

ELSEWHERE = {
    "an empty network at rank 0": (
        "unit/training/test_plan.py::test_a_rank_of_zero_is_refused_with_the_reason"
    ),
    "a rank that a layer cannot have": (
        "integration/test_training.py"
        "::test_layers_that_cannot_have_the_rank_are_told_before_the_first_step"
    ),
    "a step size that never grows": (
        "integration/test_training.py::test_a_step_size_that_does_not_grow_is_told_once"
    ),
    "a learning rate that rises again before the end": (
        "unit/training/test_schedules.py::test_the_values_are_those_of_torchs_cosine_annealing"
    ),
    "Huber's schedule on flow models": (
        "unit/training/test_losses.py::test_the_threshold_of_a_flow_follows_the_noise"
    ),
    "losses of a flow that are no number": (
        "integration/test_objective.py::test_every_loss_of_a_flow_is_finite"
    ),
    "an autoencoder that gives NaN in fp16": (
        "integration/test_stable_diffusion_xl.py"
        "::test_it_computes_in_half_precision_and_its_autoencoder_does_not"
    ),
    "a text encoder that is asked anew though it does not learn": (
        "integration/test_encoding.py"
        "::test_conditioning_is_kept_only_for_a_text_encoder_that_stays_as_it_is"
    ),
    "the published name that is no repository": (
        "integration/test_hub_on_loopback.py::test_the_alias_of_the_published_example_is_found"
    ),
    "stale latents of a changed picture": (
        "integration/test_encoding.py::test_a_changed_picture_under_its_old_name_is_encoded_anew"
    ),
    "stale latents of another size": (
        "integration/test_encoding.py::test_other_pixels_of_the_same_file_are_encoded_anew"
    ),
    "stale latents of another autoencoder": (
        "integration/test_encoding.py::test_another_autoencoder_encodes_anew"
    ),
    "latents mirrored instead of pictures": (
        "integration/test_encoding.py"
        "::test_the_mirror_image_is_encoded_and_not_the_latents_mirrored"
    ),
    "NaN latents replaced by zeros": (
        "integration/test_encoding.py"
        "::test_latents_that_are_no_numbers_are_refused_with_the_name_of_the_picture"
    ),
    "a NaN loss turned into 0": (
        "integration/test_training.py"
        "::test_a_loss_that_is_no_number_names_step_and_pictures_and_keeps_the_last_checkpoint"
    ),
    "pictures that lie on their side": (
        "unit/datasets/test_images.py::test_every_exif_orientation_is_turned_upright"
    ),
    "masks that are black all over": (
        "integration/test_encoding.py::test_a_mask_of_which_nothing_is_left_is_refused"
    ),
    "captions cut off without a word": (
        "integration/test_encoding.py"
        "::test_a_caption_that_is_too_long_is_told_with_what_is_not_seen"
    ),
    "a resume at the wrong step": (
        "integration/test_training.py::test_a_killed_training_goes_on_from_its_last_checkpoint"
    ),
    "a resume that is not what it would have been": (
        "integration/test_training.py::test_an_interrupted_training_ends_with_the_same_bytes"
    ),
    "noise that depends on the batch": (
        "integration/test_training.py::test_what_a_visit_draws_does_not_depend_on_its_batch"
    ),
    "a target that does not fit the flow": "unit/diffusion/test_noising.py",
}


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_a_trap_of_peers_is_right_here_or_told(trap: Trap):
    dataset = masked(SQUARES) if trap.masks else SQUARES
    written = {"resolution": trap.base.native_size, **trap.written}
    plan = plan_for(dataset, trap.base, trap.device, **written)
    facts = plan.as_json() | {"optimizer_arguments": plan.optimizer_arguments}
    assert {part: facts[part] for part in trap.planned} == trap.planned
    if trap.said is None:
        assert not [m for name in trap.written for m in notices_on(plan, name, "warning")]
        return
    level, setting, words = trap.said
    assert any(words in message for message in notices_on(plan, setting, level)), plan.notices


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_name_is_the_optimizer_that_it_says(name: str):
    matrices = [FlatMatrix(0, (2, 2))]
    made = type(OPTIMIZERS[name](torch.zeros(4), torch.zeros(4), matrices)).__name__
    assert made == {"DAdaptation": "DAdaptAdamPreprint"}.get(name, name)


def test_no_mask_at_all_is_refused_and_not_trained_without():
    with pytest.raises(InvalidSettings, match="maskedLoss needs to know where the subject is"):
        plan_for(maskedLoss=True)


@pytest.mark.parametrize("place", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_the_other_traps_are_tested_where_their_code_is(place: str):
    file, _, name = place.partition("::")
    text = (TESTS / file).read_text(encoding="utf-8")
    assert re.search(rf"^def {name or 'test_'}", text, re.MULTILINE)

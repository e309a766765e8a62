"""Which settings have no effect with this base model, this optimizer or these other settings.

In: settings, and what is known of a base model or of a family.  Out: who uses a setting, and why
one that was written is ignored.  A plan warns from these tables and the settings page is made from
them, so that both say the same.  Settings are named by their attribute, as `huber_c`.  Loads no
torch.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.traits import TRAITS, FamilyTraits
from modelgenerator.notices import Notice
from modelgenerator.settings import (
    LossType,
    NetworkTarget,
    OptimizerName,
    Precision,
    TrainingSettings,
)
from modelgenerator.training.optimizer_traits import OPTIMIZER_SETTINGS, OPTIMIZER_TRAITS

Uses = Callable[[FamilyTraits], bool]

FAMILIES_THAT_USE: Mapping[str, Uses] = {
    "guidance_scale": lambda traits: traits.has_distilled,
    "min_snr_gamma": lambda traits: not traits.is_flow,
    "timestep_sampling": lambda traits: traits.is_flow,
}
"""Every family uses the others."""
FAMILIES_THAT_TAKE: Mapping[tuple[str, str], Uses] = {
    ("network_targets", NetworkTarget.CONVOLUTIONS.value): lambda t: t.denoiser == "unet",
    # the numbers inside these transformers, and inside T5, leave the range of fp16
    ("precision", Precision.FP16.value): lambda traits: not traits.is_flow,
}
"""By setting and value.  Every family takes the other values of what it uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What must hold for settings to have an effect."""

    settings: tuple[str, ...]
    is_met: Callable[[TrainingSettings], bool]
    reason: str
    """Why they have none otherwise."""


SHADES = ("head_mask_shade", "body_mask_shade", "bounding_mask_shade", "background_mask_shade")
NEEDS = (
    Need(
        settings=(*SHADES, "mask_normalization"),
        is_met=lambda settings: settings.masked_loss,
        reason="without maskedLoss it has no effect.",
    ),
    Need(
        settings=SHADES,
        is_met=lambda _: False,
        reason="masks from files say their own shades.",
    ),
    Need(
        settings=("huber_c",),
        is_met=lambda settings: has_threshold(settings),
        reason="it belongs to lossType Huber and SmoothL1.",
    ),
    Need(
        settings=("multires_noise_discount",),
        is_met=lambda settings: bool(settings.multires_noise_iterations),
        reason="without multiresNoiseIterations it has no effect.",
    ),
    Need(
        settings=("prior_prompts",),
        is_met=lambda settings: bool(settings.prior_preservation),
        reason="without priorPreservation it has no effect.",
    ),
)
"""The first that is not met is told."""


def has_threshold(settings: TrainingSettings) -> bool:
    return settings.loss_type in (LossType.HUBER, LossType.SMOOTH_L1)


def family_uses(setting: str, traits: FamilyTraits) -> bool:
    """Whether base models of this family use the setting; of guidance, whether some do."""
    return FAMILIES_THAT_USE.get(setting, _always)(traits)


def family_takes(setting: str, value: str, traits: FamilyTraits) -> bool:
    """Whether `value` means something to base models of this family."""
    return FAMILIES_THAT_TAKE.get((setting, value), _always)(traits)


def optimizer_uses(setting: str, optimizer: OptimizerName) -> bool:
    """Whether a setting of `OPTIMIZER_SETTINGS` is passed on; the others are used by all."""
    return setting not in OPTIMIZER_SETTINGS or setting in OPTIMIZER_TRAITS[optimizer].arguments


def ignored(settings: TrainingSettings, base: BaseModelFiles) -> Iterator[Notice]:
    """What was written and has no effect with this base model or these other settings."""
    for attribute, field in type(settings).model_fields.items():
        reason = _why_ignored(attribute, settings, base) if settings.is_given(attribute) else None
        if reason is not None:
            yield Notice("warning", field.alias or attribute, f"Ignored: {reason}")


def _why_ignored(setting: str, settings: TrainingSettings, base: BaseModelFiles) -> str | None:
    if setting == "guidance_scale" and not base.takes_guidance:
        return "only base models that were distilled with guidance, as FLUX.1-dev, use it."
    if not family_uses(setting, TRAITS[base.family]):
        return f"{base.family.value} base models do not use it."
    if not optimizer_uses(setting, settings.optimizer):
        return f"{settings.optimizer} does not use it."
    unmet = (need for need in NEEDS if setting in need.settings and not need.is_met(settings))
    return next((need.reason for need in unmet), None)


def _always(_: FamilyTraits) -> bool:
    return True

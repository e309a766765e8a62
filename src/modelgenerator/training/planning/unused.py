"""What has no effect with this base model, this optimizer or these other settings.

In: nothing but tables.  Out: for everything that was written in vain, a notice that says so.  The
page of all settings is made from the same tables.  Settings are named by their attribute.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.traits import TRAITS
from modelgenerator.notices import Notice
from modelgenerator.settings import OptimizerName, TrainingSettings
from modelgenerator.training.optimizer_traits import OPTIMIZER_SETTINGS, OPTIMIZER_TRAITS
from modelgenerator.training.planning.objective import has_threshold

SHADES = ("head_mask_shade", "body_mask_shade", "bounding_mask_shade", "background_mask_shade")
_NOT_DISTILLED = "only base models that were distilled with guidance, as FLUX.1-dev, use it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependence:
    """A setting that means something only beside another one."""

    setting: str
    is_met: Callable[[TrainingSettings], bool]
    otherwise: str
    """Why it is ignored."""


DEPENDENCES = (
    *(
        Dependence(
            setting=shade,
            is_met=lambda settings: settings.masked_loss,
            otherwise="without maskedLoss it has no effect.",
        )
        for shade in (*SHADES, "mask_normalization")
    ),
    Dependence(
        setting="huber_c",
        is_met=has_threshold,
        otherwise="it belongs to lossType Huber and SmoothL1.",
    ),
    Dependence(
        setting="multires_noise_discount",
        is_met=lambda settings: settings.multires_noise_iterations > 0,
        otherwise="without multiresNoiseIterations it has no effect.",
    ),
    Dependence(
        setting="prior_prompts",
        is_met=lambda settings: settings.prior_preservation > 0,
        otherwise="without priorPreservation it has no effect.",
    ),
)


def unused_by_family(family: FamilyName) -> Mapping[str, str]:
    """Setting -> why no base model of `family` uses it."""
    not_here = f"{family.value} base models do not use it."
    unused = {"min_snr_gamma" if TRAITS[family].is_flow else "timestep_sampling": not_here}
    return unused if family is FamilyName.FLUX else {**unused, "guidance_scale": _NOT_DISTILLED}


def unused_by_base_model(base: BaseModelFiles) -> Mapping[str, str]:
    """Setting -> why this one does not use it: editions of a family differ."""
    unused = unused_by_family(base.family)
    return unused if base.takes_guidance else {**unused, "guidance_scale": _NOT_DISTILLED}


def unused_by_optimizer(optimizer: OptimizerName) -> Mapping[str, str]:
    """Setting -> why `optimizer` does not use it."""
    used = OPTIMIZER_TRAITS[optimizer].arguments
    unused = (setting for setting in OPTIMIZER_SETTINGS if setting not in used)
    return dict.fromkeys(unused, f"{optimizer} does not use it.")


def unused_beside_others(settings: TrainingSettings) -> Mapping[str, str]:
    """Setting -> which other setting it would need."""
    return {d.setting: d.otherwise for d in DEPENDENCES if not d.is_met(settings)}


def warnings_of_unused(settings: TrainingSettings, base: BaseModelFiles) -> Iterator[Notice]:
    """A warning for everything that was written in vain."""
    reasons = {
        **unused_beside_others(settings),
        **unused_by_base_model(base),
        **unused_by_optimizer(settings.optimizer),
    }
    for attribute, reason in reasons.items():
        if settings.is_given(attribute):
            yield Notice("warning", settings.written_name(attribute), f"Ignored: {reason}")

"""The ways from noise to a picture that a person may choose between, by name.

In: a family.  Out: the names that it can draw with, and for each the class of diffusers and what
its configuration says.  It loads nothing: a wrong name is told before a base model is.

Source: for the names' meaning, diffusers, docs/source/en/api/schedulers/overview.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelgenerator.settings import Sampler


@dataclass(frozen=True, slots=True)
class SchedulerChoice:
    """One of diffusers' schedulers, over the base model's own configuration."""

    class_name: str
    options: Mapping[str, object] = field(default_factory=dict[str, object])


ON_A_NOISE_SCHEDULE: Mapping[Sampler, SchedulerChoice] = {
    Sampler.DDIM: SchedulerChoice("DDIMScheduler"),
    Sampler.EULER: SchedulerChoice("EulerDiscreteScheduler"),
    Sampler.EULER_ANCESTRAL: SchedulerChoice("EulerAncestralDiscreteScheduler"),
    Sampler.HEUN: SchedulerChoice("HeunDiscreteScheduler"),
    Sampler.DPM_2M: SchedulerChoice("DPMSolverMultistepScheduler"),
    Sampler.DPM_2M_KARRAS: SchedulerChoice(
        "DPMSolverMultistepScheduler", {"use_karras_sigmas": True}
    ),
    Sampler.UNIPC: SchedulerChoice("UniPCMultistepScheduler"),
}
"""Of base models that learnt to take noise away."""
ON_A_FLOW: Mapping[Sampler, SchedulerChoice] = {
    Sampler.EULER: SchedulerChoice("FlowMatchEulerDiscreteScheduler"),
}
"""Of base models that learnt a straight flow: diffusers' pipelines give the others no way in."""


def samplers(*, is_flow: bool) -> Mapping[Sampler, SchedulerChoice]:
    """What a family can draw with."""
    return ON_A_FLOW if is_flow else ON_A_NOISE_SCHEDULE

"""What is the same in all base models of a family, in names and numbers.

In: nothing.  Out: one table, which a plan reads before anything is loaded: it knows no tensors.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from modelgenerator.diffusion.detection import FamilyName

UNIFORM_INTEGERS = "integers"
"""How noise levels are drawn on a table of timesteps; not among the choices of a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsualLength:
    """Steps of a training that the person gives no length.

    Source: 60 to 100 for each picture is what users of kohya's scripts and of ai-toolkit report.
    """

    steps_per_picture: int
    fewest: int
    most: int

    def steps(self, pictures: int) -> int:
        return min(self.most, max(self.fewest, self.steps_per_picture * pictures))


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyTraits:
    """What a plan must know of a family."""

    denoiser: str
    """The part that predicts: `unet` or `transformer`."""
    text_encoders: tuple[str, ...]
    """The parts that trainUnetOnly leaves out.  T5 is never trained."""
    timestep_sampling: str
    """How noise levels are drawn if the person does not say."""
    usual_length: UsualLength
    steps: int
    """Of drawing a picture."""
    guidance_scale: float
    """Of drawing a picture."""
    takes_negative_prompt: bool = True

    @property
    def is_flow(self) -> bool:
        """Whether it learns a straight flow, where timestepSampling has a meaning."""
        return self.timestep_sampling != UNIFORM_INTEGERS

    @property
    def has_convolutions(self) -> bool:
        """Whether there are any to train: a transformer has none."""
        return self.denoiser == "unet"

    @property
    def computes_in_fp16(self) -> bool:
        """Whether its numbers stay in that range: inside flow transformers and T5 they do not."""
        return not self.is_flow


_NOISE_SCHEDULE = UsualLength(steps_per_picture=100, fewest=1_200, most=4_000)
_FLOW = UsualLength(steps_per_picture=60, fewest=800, most=2_500)
_STABLE_DIFFUSION = FamilyTraits(
    denoiser="unet",
    text_encoders=("text_encoder",),
    timestep_sampling=UNIFORM_INTEGERS,
    usual_length=_NOISE_SCHEDULE,
    steps=25,
    guidance_scale=7.5,
)
TRAITS: Mapping[FamilyName, FamilyTraits] = {
    FamilyName.STABLE_DIFFUSION_1: _STABLE_DIFFUSION,
    FamilyName.STABLE_DIFFUSION_2: _STABLE_DIFFUSION,
    FamilyName.STABLE_DIFFUSION_XL: FamilyTraits(
        denoiser="unet",
        text_encoders=("text_encoder", "text_encoder_2"),
        timestep_sampling=UNIFORM_INTEGERS,
        usual_length=_NOISE_SCHEDULE,
        steps=25,
        guidance_scale=6.0,
    ),
    FamilyName.STABLE_DIFFUSION_3: FamilyTraits(
        denoiser="transformer",
        text_encoders=("text_encoder", "text_encoder_2"),
        timestep_sampling="sigmoid",
        usual_length=_FLOW,
        steps=28,
        guidance_scale=5.0,
    ),
    FamilyName.FLUX: FamilyTraits(
        denoiser="transformer",
        text_encoders=("text_encoder",),
        timestep_sampling="flux_shift",
        usual_length=_FLOW,
        steps=28,
        guidance_scale=3.5,
        takes_negative_prompt=False,
    ),
}
STEPS_OF_EDITIONS: Mapping[tuple[FamilyName, str], int] = {(FamilyName.FLUX, "schnell"): 4}
"""Of drawing a picture, where an edition was distilled to take fewer than its family."""

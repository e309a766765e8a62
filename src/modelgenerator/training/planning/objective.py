"""What the LoRA learns by: loss, noise, noise levels, and what of the base model is kept.

In: these settings as written and the family of the base model.  Out: numbers that say "off" where
a setting has no meaning; that it was ignored is told by `planning.unused`.
"""

from dataclasses import dataclass

from modelgenerator.datasets.captions import without_prefix
from modelgenerator.datasets.masks import MaskShades
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.traits import TRAITS
from modelgenerator.settings import LossType, TrainingSettings

EVEN_SHADES = MaskShades(head=255, body=255, bounding=255, background=255)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What is decided of it; the fields of `TrainingPlan` say what they mean."""

    huber_c: float
    min_snr_gamma: float
    mask_normalization: bool
    multires_noise_discount: float
    timestep_sampling: str
    guidance_scale: float
    prior_prompts: tuple[str, ...]


def choose_objective(
    settings: TrainingSettings, dataset: PreparedDataset, base: BaseModelFiles
) -> Objective:
    """Never refuses."""
    pyramid, is_flow = settings.multires_noise_iterations, TRAITS[base.family].is_flow
    return Objective(
        huber_c=settings.huber_c if has_threshold(settings) else 1.0,
        min_snr_gamma=0.0 if is_flow else settings.min_snr_gamma or 0.0,
        mask_normalization=settings.mask_normalization or not settings.masked_loss,
        multires_noise_discount=settings.multires_noise_discount if pyramid else 0.0,
        timestep_sampling=_timestep_sampling(settings, base),
        guidance_scale=settings.guidance_scale if base.takes_guidance else 1.0,
        prior_prompts=_prior_prompts(settings, dataset),
    )


def mask_shades(settings: TrainingSettings) -> MaskShades | None:
    """How much each region counts; none when all of every picture does."""
    if not settings.masked_loss:
        return None
    return MaskShades(
        head=settings.head_mask_shade,
        body=settings.body_mask_shade,
        bounding=settings.bounding_mask_shade,
        background=settings.background_mask_shade,
    )


def has_threshold(settings: TrainingSettings) -> bool:
    """Whether the loss turns from square to straight somewhere."""
    return settings.loss_type in (LossType.HUBER, LossType.SMOOTH_L1)


def _timestep_sampling(settings: TrainingSettings, base: BaseModelFiles) -> str:
    traits = TRAITS[base.family]
    if settings.timestep_sampling is None or not traits.is_flow:
        return traits.timestep_sampling
    return settings.timestep_sampling.value


def _prior_prompts(settings: TrainingSettings, dataset: PreparedDataset) -> tuple[str, ...]:
    if not settings.prior_preservation:
        return ()
    captions = (without_prefix(p.caption, settings.caption_prefix) for p in dataset.pictures)
    return settings.prior_prompts or tuple(dict.fromkeys(captions))

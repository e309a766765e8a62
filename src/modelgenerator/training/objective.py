"""What one batch is, and how far off the base model's prediction of it is.

In: visits of encoded pictures.  Out: a loss.  What a visit shows, its mirroring, noise, noise level
and words, is a function of the visit alone.  How the LoRA learns from the loss, and when, is not
known here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.lora.inject import LoraNetwork
from modelgenerator.training.latents import (
    EncodedDataset,
    EncodedPicture,
    EncodedPrompt,
    conditioning_of,
)
from modelgenerator.training.losses import LOSSES, MIN_SNR_WEIGHTS, sample_losses, threshold
from modelgenerator.training.noise import NoiseKind, sample_noise
from modelgenerator.training.order import Visit
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.randomness import Purpose, Randomness
from modelgenerator.training.timesteps import DENSITIES, LevelFacts
from modelgenerator.training.transfer import to_device

VALIDATION_LEVELS = 4
"""Noise levels that each picture of the validation is measured at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Clean latents, and all that is shown with them."""

    latents_BCHW: Tensor
    noise_BCHW: Tensor
    times_B: Tensor
    prompts: Sequence[EncodedPrompt]
    framing_B6: Tensor
    mask_BHW: Tensor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What the LoRA in `network` is to make small."""

    plan: TrainingPlan
    dataset: EncodedDataset
    base: ModelFamily
    network: LoraNetwork
    randomness: Randomness

    def loss(self, visits: Sequence[Visit]) -> Tensor:
        """How far off the denoiser is on one batch, each sample counting alike."""
        batch = self._shown(visits)
        loss = self._distance(self._predicted(batch), self._target(batch), batch)
        if self.dataset.prior:
            loss = loss + self.plan.prior_preservation * self._prior_loss(visits)
        return loss

    @torch.no_grad()
    def validation_loss(self) -> float:
        """The same on the pictures that were kept out, always with the same noise and levels."""
        batches = map(self._kept_out, range(len(self.dataset.validation)))
        losses = [self._distance(self._predicted(b), self._target(b), b) for b in batches]
        return torch.stack(losses).mean().item()

    def _prior_loss(self, visits: Sequence[Visit]) -> Tensor:
        """How far the LoRA moves what the base model answers to prompts without the subject.

        Source: Ruiz et al. 2022, https://arxiv.org/abs/2208.12242, section 4.3, on pictures that
        the base model drew itself; its own answer takes the place of the noise, as in ai-toolkit's
        "differential output preservation".
        """
        batch = self._recalled(visits)
        self.network.scale = 0
        with torch.no_grad():
            kept_BCHW = self._predicted(batch)
        self.network.scale = 1
        return self._distance(self._predicted(batch), kept_BCHW, batch)

    def _predicted(self, batch: _Batch) -> Tensor:
        noising = self.base.noising
        noised_BCHW = noising.add_noise(batch.latents_BCHW, batch.noise_BCHW, batch.times_B)
        conditioning = conditioning_of(batch.prompts, self.base)
        return self.base.predict(
            noised_BCHW,
            batch.times_B,
            conditioning,
            batch.framing_B6,
            guidance=self.plan.guidance_scale,
        )

    def _target(self, batch: _Batch) -> Tensor:
        return self.base.noising.target(batch.latents_BCHW, batch.noise_BCHW, batch.times_B)

    def _distance(self, predicted_BCHW: Tensor, target_BCHW: Tensor, batch: _Batch) -> Tensor:
        plan = self.plan
        noise_ratio_B = self.base.noising.noise_ratio(batch.times_B)
        threshold_B = threshold(noise_ratio_B, plan.huber_c)
        loss_BCHW = LOSSES[plan.loss](predicted_BCHW, target_BCHW, threshold_B)
        loss_B = sample_losses(loss_BCHW, batch.mask_BHW, normalized=plan.mask_normalization)
        if plan.min_snr_gamma:
            weight = MIN_SNR_WEIGHTS[plan.prediction_type]
            loss_B = loss_B * weight(noise_ratio_B, plan.min_snr_gamma)
        return loss_B.mean()

    def _shown(self, visits: Sequence[Visit]) -> _Batch:
        """The pictures themselves."""
        views = [self._view(visit) for visit in visits]
        latents_BCHW = torch.stack(
            [self._latents(visit, view) for visit, view in zip(visits, views, strict=True)]
        )
        numbers = [visit.number for visit in visits]
        pictures = [self.dataset.pictures[visit.picture] for visit in visits]
        return _Batch(
            latents_BCHW=latents_BCHW,
            noise_BCHW=self._noise(numbers, latents_BCHW),
            times_B=self._times(self._chances(numbers), latents_BCHW),
            prompts=[self._prompt(visit) for visit in visits],
            framing_B6=torch.stack([picture.framing_6 for picture in pictures]),
            mask_BHW=_masks(pictures, views),
        )

    def _recalled(self, visits: Sequence[Visit]) -> _Batch:
        """Pictures that the base model drew, as many as there are visits."""
        prior = self.dataset.prior
        chosen = [
            prior[int(share * len(prior))]
            for share in (float(self.randomness.uniform(Purpose.PRIOR, v.number)) for v in visits)
        ]
        latents_BCHW = torch.cat([picture.mean_MCHW for picture in chosen])
        numbers = [f"prior {visit.number}" for visit in visits]
        return _Batch(
            latents_BCHW=latents_BCHW,
            noise_BCHW=self._noise(numbers, latents_BCHW),
            times_B=self._times(self._chances(numbers), latents_BCHW),
            prompts=[picture.prompt for picture in chosen],
            framing_B6=torch.stack([picture.framing_6 for picture in chosen]),
            mask_BHW=None,
        )

    def _kept_out(self, number: int) -> _Batch:
        """One picture of the validation, at levels that stand for all that training visits."""
        count = VALIDATION_LEVELS
        pictures = [self.dataset.validation[number]] * count
        latents_BCHW = torch.stack([picture.mean_MCHW[0] for picture in pictures])
        numbers = [f"validation {number} {level}" for level in range(count)]
        return _Batch(
            latents_BCHW=latents_BCHW,
            noise_BCHW=self._noise(numbers, latents_BCHW),
            times_B=self._times((torch.arange(count) + 0.5) / count, latents_BCHW),
            prompts=[picture.prompt for picture in pictures],
            framing_B6=torch.stack([picture.framing_6 for picture in pictures]),
            mask_BHW=_masks(pictures, [0] * count),
        )

    def _chances(self, numbers: Sequence[int | str]) -> Tensor:
        return torch.stack([self.randomness.uniform(Purpose.TIMESTEP, n) for n in numbers])

    def _times(self, uniform_B: Tensor, latents_BCHW: Tensor) -> Tensor:
        noising, (height, width) = self.base.noising, latents_BCHW.shape[-2:]
        facts = LevelFacts(
            latent_tokens=height * width // 4, scheduler_shift=noising.scheduler_shift
        )
        places_B = DENSITIES[self.plan.timestep_sampling](uniform_B, facts)
        return to_device(noising.times(places_B), self.base.device)

    def _noise(self, numbers: Sequence[int | str], latents_BCHW: Tensor) -> Tensor:
        kind = NoiseKind(
            offset=self.plan.noise_offset,
            pyramid_levels=self.plan.multires_noise_iterations,
            pyramid_discount=self.plan.multires_noise_discount,
        )
        shape = tuple(latents_BCHW.shape[1:])
        noises = [sample_noise(self.randomness, number, shape, kind) for number in numbers]
        return to_device(torch.stack(noises), self.base.device)

    def _view(self, visit: Visit) -> int:
        """1 where the mirror image is seen."""
        return int(
            self.plan.flip and bool(self.randomness.uniform(Purpose.FLIP, visit.number) < 0.5)
        )

    def _latents(self, visit: Visit, view: int) -> Tensor:
        picture = self.dataset.pictures[visit.picture]
        mean_CHW = picture.mean_MCHW[view]
        drawn_CHW = self.randomness.normal(Purpose.POSTERIOR, visit.number, tuple(mean_CHW.shape))
        return mean_CHW + picture.deviation_MCHW[view] * to_device(drawn_CHW, mean_CHW.device)

    def _prompt(self, visit: Visit) -> EncodedPrompt:
        dropout = self.plan.caption_dropout
        if dropout and bool(self.randomness.uniform(Purpose.CAPTION, visit.number) < dropout):
            return self.dataset.empty_prompt
        return self.dataset.pictures[visit.picture].prompt


def _masks(pictures: Sequence[EncodedPicture], views: Sequence[int]) -> Tensor | None:
    """None when the training is not masked: then no picture has one."""
    masks = [
        picture.mask_MHW[view]
        for picture, view in zip(pictures, views, strict=True)
        if picture.mask_MHW is not None
    ]
    return torch.stack(masks) if masks else None

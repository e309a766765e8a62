"""Everything about the pictures that does not change during a training, computed once.

In: the plan, the pictures, a loaded base model.  Out: an `EncodedDataset`: the posterior of every
picture's latents (and of its mirror image, which is not the mirrored latent), its mask on their
grid, its caption as tokens, and its conditioning where the text encoder stays as it is.
"""

import dataclasses
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.buckets import Size, cut_corner, fit
from modelgenerator.datasets.prepare import Picture
from modelgenerator.diffusion.family import Conditioning, LatentPosterior, ModelFamily, Tokens
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.errors import BaseModelUnsupported
from modelgenerator.notices import Notice
from modelgenerator.training.cache import kept_tensors
from modelgenerator.training.events import Noticed, PictureEncoded
from modelgenerator.training.plan import PlannedPicture, TrainingPlan

PRIOR_PICTURES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPicture:
    """One picture as the loop sees it; M is 1, or 2 with the mirror image."""

    name: str
    bucket: Size
    mean_MCHW: Tensor
    deviation_MCHW: Tensor
    mask_MHW: Tensor | None
    """How much each place counts, 0..1; None unless the training is masked."""
    framing_6: Tensor
    """How it was cut; see `ModelFamily.predict`."""
    prompt: "EncodedPrompt"


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPrompt:
    """A caption as tokens, and as conditioning if that does not change."""

    tokens: Tokens
    conditioning: Mapping[str, Tensor] | None
    """None where a text encoder learns.  Both are without the batch dimension."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedDataset:
    """All pictures, and the empty caption that caption dropout shows."""

    pictures: tuple[EncodedPicture, ...]
    validation: tuple[EncodedPicture, ...]
    """What is kept out of the training; only the original of each, never its mirror image."""
    prior: tuple[EncodedPicture, ...]
    """What the base model itself draws, so that it can be kept; none without preservation."""
    empty_prompt: EncodedPrompt


def encode(
    plan: TrainingPlan, pictures: Sequence[Picture], base: ModelFamily, cache: ContentCache
) -> Generator[PictureEncoded | Noticed, None, EncodedDataset]:
    """Encode what `cache` does not hold yet; one event for each picture, and what is to be said.

    Raises:
        UnusablePhoto: a file changed since the plan was made.
        UnusableMask: a mask changed, or nothing of it is left after the cut.
        BaseModelUnsupported: the autoencoder answers with what is not a number.
    """
    by_content = {picture.sha256: picture for picture in pictures}
    encoded: list[EncodedPicture] = []
    total = len(plan.pictures) + len(plan.validation_pictures)
    for number, planned in enumerate((*plan.pictures, *plan.validation_pictures)):
        picture, views = by_content[planned.sha256], 1 + (plan.flip and number < len(plan.pictures))
        one, found = _encoded(picture, planned, plan, base, cache, views=views)
        encoded.append(one)
        yield PictureEncoded(name=picture.name, done=len(encoded), total=total, from_cache=found)
        yield from _about_unseen(picture, base)
    empty = _prompt("", base, cache, text_learns=plan.trains_text)
    prior = _prior(plan, base, cache, text_learns=plan.trains_text)
    base.free_encoders(text=not plan.trains_text)
    return EncodedDataset(
        pictures=tuple(encoded[: len(plan.pictures)]),
        validation=tuple(encoded[len(plan.pictures) :]),
        prior=prior,
        empty_prompt=empty,
    )


def _encoded(
    picture: Picture,
    planned: PlannedPicture,
    plan: TrainingPlan,
    base: ModelFamily,
    cache: ContentCache,
    *,
    views: int,
) -> tuple[EncodedPicture, bool]:
    """The picture, and whether its latents were found."""
    latents, found = _posterior(picture, planned.bucket, views, base, cache)
    mean_MCHW = latents["mean"].to(base.device)
    encoded = EncodedPicture(
        name=picture.name,
        bucket=planned.bucket,
        mean_MCHW=mean_MCHW,
        deviation_MCHW=latents["deviation"].to(base.device),
        mask_MHW=_mask(picture, planned.bucket, mean_MCHW) if plan.masked_loss else None,
        framing_6=_framing(picture, planned.bucket).to(base.device),
        prompt=_prompt(picture.caption, base, cache, text_learns=plan.trains_text),
    )
    return encoded, found


def _mask(picture: Picture, bucket: Size, mean_MCHW: Tensor) -> Tensor:
    """On the latent grid, by averaging areas; ones for a picture that has no mask."""
    views, _, height, width = mean_MCHW.shape
    if picture.mask is None:
        return torch.ones(views, height, width, device=mean_MCHW.device)
    mask_HW = picture.mask.weights(bucket, feather=bucket[0] // width)
    seen = np.stack([mask_HW, mask_HW[:, ::-1]][:views])
    mask_M1HW = functional.interpolate(
        torch.from_numpy(seen)[:, None], (height, width), mode="area"
    )
    return mask_M1HW[:, 0].to(mean_MCHW.device)


def _about_unseen(picture: Picture, base: ModelFamily) -> Iterator[Noticed]:
    unseen = base.unseen(picture.caption)
    if unseen is None:
        return
    message = f"The caption of {picture.name} is too long: {unseen.in_words}"
    yield Noticed(notice=Notice("warning", None, message))


def conditioning_of(prompts: Sequence[EncodedPrompt], base: ModelFamily) -> Conditioning:
    """One batch: what was kept, or what a learning text encoder says now."""
    kept = [prompt.conditioning for prompt in prompts if prompt.conditioning is not None]
    if len(kept) < len(prompts):
        return base.encode_prompts(
            {name: torch.stack([one.tokens[name] for one in prompts]) for name in prompts[0].tokens}
        )
    return {name: torch.stack([one[name] for one in kept]) for name in kept[0]}


def _posterior(
    picture: Picture, bucket: Size, views: int, base: ModelFamily, cache: ContentCache
) -> tuple[dict[str, Tensor], bool]:
    def compute() -> dict[str, Tensor]:
        pixels_HW3 = fit(picture.read().pixels_HW3, bucket)
        seen = np.stack([pixels_HW3, pixels_HW3[:, ::-1]][:views])
        pixels_MHW3 = torch.from_numpy(seen).float() / 127.5 - 1
        posterior = base.encode_pictures(pixels_MHW3.permute(0, 3, 1, 2).contiguous())
        _require_numbers(posterior, picture)
        return {"mean": posterior.mean_BCHW.cpu(), "deviation": posterior.deviation_BCHW.cpu()}

    facts = {
        "picture": picture.sha256,
        "cut": dataclasses.astuple(picture.crop) if picture.crop else None,
        "bucket": bucket,
        "mirrored": views == 2,
        "autoencoder": base.autoencoder_fingerprint,
        "device": base.device.type,
    }
    return kept_tensors(cache, facts, compute)


def _require_numbers(posterior: LatentPosterior, picture: Picture) -> None:
    # a sum is finite only if all of it is, or too large to be learnt from anyway
    if not (posterior.mean_BCHW.sum() + posterior.deviation_BCHW.sum()).isfinite():
        raise BaseModelUnsupported(
            f"The base model's autoencoder turns {picture.name} into what is not a number. Its "
            "files may be damaged: download it again, or choose another base model."
        )


def _framing(picture: Picture, bucket: Size) -> Tensor:
    top, left = cut_corner(picture.width, picture.height, bucket)
    width, height = bucket
    numbers = (picture.height, picture.width, top, left, height, width)
    return torch.tensor(numbers, dtype=torch.float32)


def _prior(
    plan: TrainingPlan, base: ModelFamily, cache: ContentCache, *, text_learns: bool
) -> tuple[EncodedPicture, ...]:
    """Pictures that the base model draws for the prior prompts, and what it calls them."""
    if not plan.prior_prompts:
        return ()
    side = plan.sample_size
    requests = [
        PictureRequest(
            prompt=plan.prior_prompts[number % len(plan.prior_prompts)],
            negative_prompt="",
            width=side,
            height=side,
            steps=plan.sample_steps,
            guidance_scale=plan.sample_guidance_scale,
            seed=(plan.seed + number) % 2**63,
        )
        for number in range(max(PRIOR_PICTURES, len(plan.prior_prompts)))
    ]
    pictures = [base.draw([request])[0] for request in requests]
    pixels_BHW3 = np.stack([np.asarray(picture) for picture in pictures])
    pixels_B3HW = (torch.from_numpy(pixels_BHW3).float() / 127.5 - 1).permute(0, 3, 1, 2)
    posterior = base.encode_pictures(pixels_B3HW.contiguous())
    return tuple(
        EncodedPicture(
            name=f"prior picture {number + 1}",
            bucket=(side, side),
            mean_MCHW=posterior.mean_BCHW[number : number + 1],
            deviation_MCHW=posterior.deviation_BCHW[number : number + 1],
            mask_MHW=None,
            framing_6=torch.tensor([side, side, 0, 0, side, side], dtype=torch.float32).to(
                base.device
            ),
            prompt=_prompt(request.prompt, base, cache, text_learns=text_learns),
        )
        for number, request in enumerate(requests)
    )


def _prompt(
    caption: str, base: ModelFamily, cache: ContentCache, *, text_learns: bool
) -> EncodedPrompt:
    batch_of_one = base.tokenize([caption])
    tokens = {name: tokens_1L[0].to(base.device) for name, tokens_1L in batch_of_one.items()}
    if text_learns:
        fixed = base.encode_fixed(batch_of_one)
        said = {name: tensor[0].to(base.device) for name, tensor in fixed.items()}
        return EncodedPrompt(tokens={**tokens, **said}, conditioning=None)

    def compute() -> dict[str, Tensor]:
        with torch.no_grad():
            return {name: t.float().cpu() for name, t in base.encode_prompts(batch_of_one).items()}

    facts = {
        "tokens": {name: tokens_L.tolist() for name, tokens_L in tokens.items()},
        "text": base.text_fingerprint,
        "device": base.device.type,
    }
    kept, _ = kept_tensors(cache, facts, compute)
    return EncodedPrompt(
        tokens=tokens,
        conditioning={name: tensor[0].to(base.device) for name, tensor in kept.items()},
    )

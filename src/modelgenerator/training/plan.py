"""Settings with every question answered.

In: what a person wrote, the pictures that can be used, what is known of the base model and the
device.  Out: a `TrainingPlan` without a single "not given", and notices that say what was decided,
ignored or advised.  It holds names and numbers and loads no torch: the web process plans and
prices, the loop binds names to functions.
"""

import dataclasses
import hashlib
import json
import math
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from modelgenerator.datasets.buckets import Size, bucket_sizes, is_upscaled, nearest_bucket
from modelgenerator.datasets.captions import without_prefix
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.licences import licence_notices
from modelgenerator.diffusion.recommended import image_defaults, training_steps
from modelgenerator.diffusion.traits import TRAITS, FamilyTraits
from modelgenerator.errors import InvalidSettings
from modelgenerator.notices import Notice
from modelgenerator.settings import (
    LossType,
    OptimizerName,
    Precision,
    SchedulerName,
    TrainingSettings,
)
from modelgenerator.training.memory import Workload, settle

MANY_STEPS = 10_000
FEW_PICTURES = 5
SAYS_NOTHING_OF_THE_LORA = ("notices", "gradient_checkpointing", "memory_bytes")
"""Parts of a plan that may differ when a training goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What decides in which number format the base model computes."""

    kind: str
    """`cpu` or `cuda`."""
    has_bf16: bool
    free_bytes: int | None = None
    """Memory that a training can have; none where the system does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPicture:
    """One picture, and the size it is trained in."""

    name: str
    sha256: str
    caption: str
    bucket: Size


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """All that a training does, in names and numbers."""

    base_model: str
    base_revision: str
    family: str
    prediction_type: str
    seed: int
    pictures: tuple[PlannedPicture, ...]
    dataset_fingerprint: str
    caption_prefix: str
    resolution: int
    epochs: int
    repeats: int
    batch_size: int
    steps_per_epoch: int
    total_steps: int
    flip: bool
    caption_dropout: float
    denoiser: str
    """The part that predicts, and is always trained."""
    text_encoders: tuple[str, ...]
    """Those that are trained too."""
    network_targets: tuple[str, ...]
    network_dim: int
    network_alpha: float
    optimizer: str
    learning_rate: float
    optimizer_arguments: tuple[tuple[str, float | bool], ...]
    scheduler: str
    loss: str
    noise_offset: float
    timestep_sampling: str
    prior_preservation: float
    prior_prompts: tuple[str, ...]
    """What the base model is asked for before the training; empty without preservation."""
    compute_dtype: str
    sample_every: int
    """Epochs between samples; 0 is never."""
    sample_prompts: tuple[str, ...]
    sample_size: int
    """Side in pixels of the square samples."""
    sample_steps: int
    sample_guidance_scale: float
    save_every: int
    """Epochs between LoRA files; 0 is only the last."""
    gradient_checkpointing: bool
    """Whether memory is saved at the cost of speed; the LoRA is the same."""
    memory_bytes: int
    """The estimated peak; 0 where the base model does not tell."""
    notices: tuple[Notice, ...]

    def as_json(self) -> dict[str, object]:
        """The plan as JSON values, notices among them."""
        return cast(dict[str, object], json.loads(json.dumps(dataclasses.asdict(self))))

    @property
    def parts(self) -> tuple[str, ...]:
        """What a LoRA is trained for."""
        return (*self.text_encoders, self.denoiser)

    @property
    def trains_text(self) -> bool:
        """Whether the answer to a caption changes with every step."""
        return bool(self.text_encoders)

    @property
    def digest(self) -> str:
        """The same for two plans that make the same LoRA; what is only said does not count."""
        facts = self.as_json()
        for said in SAYS_NOTHING_OF_THE_LORA:
            del facts[said]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def batches_per_epoch(buckets: Sequence[Size], *, repeats: int, batch_size: int) -> int:
    """A batch never mixes buckets, so every bucket rounds up for itself."""
    return sum(math.ceil(n * repeats / batch_size) for n in Counter(buckets).values())


def resolve(
    settings: TrainingSettings,
    dataset: PreparedDataset,
    base: BaseModelFiles,
    device: DeviceFacts,
) -> TrainingPlan:
    """Answer every question that `settings` leave open.

    Raises:
        InvalidSettings: a setting cannot be honoured.
    """
    _refuse_unavailable(settings)
    notices: list[Notice] = []
    resolution = _resolution(settings, base, notices)
    buckets = _buckets(dataset, resolution, base.size_step, notices)
    steps_per_epoch = batches_per_epoch(
        buckets, repeats=settings.repeats, batch_size=settings.batch_size
    )
    epochs, total_steps = _length(settings, len(buckets), steps_per_epoch, base, notices)
    learning_rate = _learning_rate(settings, notices)
    alpha = float(settings.network_dim if settings.alpha_dim is None else settings.alpha_dim)
    compute_dtype = _compute_dtype(settings, device, notices)
    seed = _seed(settings, notices)
    images = image_defaults(base)
    traits = TRAITS[base.family]
    notices += licence_notices(base.licence)
    notices += _ignored(settings, base)
    notices += _advice(settings, len(buckets), total_steps, alpha)
    plan = TrainingPlan(
        base_model=base.reference,
        base_revision=base.revision or "",
        family=base.family.value,
        prediction_type=base.prediction_type,
        seed=seed,
        pictures=tuple(
            PlannedPicture(name=p.name, sha256=p.sha256, caption=p.caption, bucket=bucket)
            for p, bucket in zip(dataset.pictures, buckets, strict=True)
        ),
        dataset_fingerprint=dataset.fingerprint,
        caption_prefix=settings.caption_prefix or "",
        resolution=resolution,
        epochs=epochs,
        repeats=settings.repeats,
        batch_size=settings.batch_size,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
        flip=settings.flip_aug,
        caption_dropout=settings.caption_dropout,
        denoiser=traits.denoiser,
        text_encoders=() if settings.train_unet_only else traits.text_encoders,
        network_targets=tuple(sorted({target.value for target in settings.network_targets})),
        network_dim=settings.network_dim,
        network_alpha=alpha,
        optimizer=settings.optimizer.value,
        learning_rate=learning_rate,
        optimizer_arguments=_optimizer_arguments(settings),
        scheduler=settings.scheduler.value,
        loss=settings.loss_type.value,
        noise_offset=settings.noise_offset,
        timestep_sampling=_timestep_sampling(settings, traits),
        prior_preservation=settings.prior_preservation,
        prior_prompts=_prior_prompts(settings, dataset),
        compute_dtype=compute_dtype,
        sample_every=settings.sample_every or 0,
        sample_prompts=settings.sample_prompts,
        sample_size=resolution // base.size_step * base.size_step,
        sample_steps=images.steps,
        sample_guidance_scale=images.guidance_scale,
        save_every=settings.save_every or 0,
        gradient_checkpointing=False,
        memory_bytes=0,
        notices=tuple(notices),
    )
    return _fitted(plan, base, device)


def _fitted(plan: TrainingPlan, base: BaseModelFiles, device: DeviceFacts) -> TrainingPlan:
    """With what the memory of the device asks for."""
    notices = list(plan.notices)
    size, checkpointing = settle(base, workload(plan, device.kind), device.free_bytes, notices)
    return dataclasses.replace(
        plan, memory_bytes=size, gradient_checkpointing=checkpointing, notices=tuple(notices)
    )


def workload(plan: TrainingPlan, device: str) -> Workload:
    """What the plan's memory depends on; `device` is `cpu` or `cuda`."""
    width, height = max((picture.bucket for picture in plan.pictures), key=math.prod)
    return Workload(
        width=width,
        height=height,
        batch_size=min(plan.batch_size, len(plan.pictures) * plan.repeats),
        network_dim=plan.network_dim,
        network_targets=plan.network_targets,
        text_encoders=plan.text_encoders,
        optimizer=plan.optimizer,
        compute_dtype=plan.compute_dtype,
        device=device,
        views=1 + plan.flip,
    )


def _refuse_unavailable(settings: TrainingSettings) -> None:
    wanted = {
        "normalizeDataset": settings.normalize_dataset,
        "maskedLoss": settings.masked_loss,
        f"optimizer {settings.optimizer}": settings.optimizer
        not in (OptimizerName.PRODIGY, OptimizerName.ADAMW),
        f"lossType {settings.loss_type}": settings.loss_type is not LossType.L2,
        "multiresNoiseIterations": settings.multires_noise_iterations > 0,
        "minSnrGamma": settings.min_snr_gamma is not None,
        "gradientAccumulation": settings.gradient_accumulation > 1,
        "validationSplit": settings.validation_split > 0,
    }
    missing = [name for name, is_wanted in wanted.items() if is_wanted]
    if missing:
        raise InvalidSettings(
            f"Not available yet in this version: {', '.join(missing)}. Leave "
            f"{'it' if len(missing) == 1 else 'them'} out to train without."
        )
    if settings.prior_preservation and not (settings.caption_prefix or settings.prior_prompts):
        raise InvalidSettings(
            "priorPreservation keeps what the base model draws without the subject: give "
            "priorPrompts that say what, or captionPrefix, so that captions without it do."
        )
    if settings.network_dim == 0:
        raise InvalidSettings(
            "networkDim 0 means no low-rank network, so there would be nothing to train. "
            "Give 1 to 256; 64 is the default."
        )
    if (settings.sample_every is None) != (not settings.sample_prompts):
        raise InvalidSettings(
            "sampleEvery and samplePrompts belong together: give the epochs between samples and "
            "the prompts to draw."
        )


def _resolution(settings: TrainingSettings, base: BaseModelFiles, notices: list[Notice]) -> int:
    if base.is_builtin and not settings.is_given("resolution"):
        message = f"{base.native_size} is used, the size of {base.reference}."
        notices.append(Notice("info", "resolution", message))
        return base.native_size
    step = base.size_step
    rounded = max(step, settings.resolution // step * step)
    if rounded != settings.resolution:
        message = f"{settings.resolution} became {rounded}: sides are multiples of {step} here."
        notices.append(Notice("info", "resolution", message))
    if rounded >= 2 * base.native_size:
        message = (
            f"{rounded} is {rounded / base.native_size:.0f} times the size that {base.reference} "
            f"was made for ({base.native_size}): subjects may appear doubled, and training "
            "takes much longer."
        )
        notices.append(Notice("warning", "resolution", message))
    return rounded


def _buckets(
    dataset: PreparedDataset, resolution: int, step: int, notices: list[Notice]
) -> list[Size]:
    sizes = bucket_sizes(resolution, step)
    buckets = [nearest_bucket(p.width, p.height, sizes) for p in dataset.pictures]
    for picture, bucket in zip(dataset.pictures, buckets, strict=True):
        if is_upscaled(picture.width, picture.height, bucket):
            message = (
                f"{picture.name} has only {picture.width} x {picture.height} pixels and is "
                f"enlarged to {bucket[0]} x {bucket[1]}: a larger copy would teach more."
            )
            notices.append(Notice("warning", "resolution", message))
    return buckets


def _length(
    settings: TrainingSettings,
    pictures: int,
    steps_per_epoch: int,
    base: BaseModelFiles,
    notices: list[Notice],
) -> tuple[int, int]:
    """Epochs and optimizer steps."""
    epochs = settings.epochs
    if epochs is None:
        wanted = training_steps(base, pictures)
        epochs = min(10_000, math.ceil(wanted / steps_per_epoch))
        message = (
            f"{epochs} epochs: about {wanted} steps suit {pictures} pictures, and one epoch has "
            f"{steps_per_epoch}."
        )
        notices.append(Notice("info", "epochs", message))
    steps = epochs * steps_per_epoch
    if settings.max_steps is not None and settings.max_steps < steps:
        message = f"{settings.max_steps} steps are done instead of {steps}."
        notices.append(Notice("info", "maxSteps", message))
        steps = settings.max_steps
    return epochs, steps


def _learning_rate(settings: TrainingSettings, notices: list[Notice]) -> float:
    if settings.optimizer is not OptimizerName.ADAMW:
        return settings.learning_rate
    if not settings.is_given("learning_rate"):
        message = "1e-4 is used: the general default of 1 suits Prodigy and destroys AdamW."
        notices.append(Notice("info", "learningRate", message))
        return 1e-4
    if settings.learning_rate > 0.01:
        message = f"{settings.learning_rate} is very high for AdamW; 1e-4 is usual."
        notices.append(Notice("warning", "learningRate", message))
    return settings.learning_rate


def _optimizer_arguments(settings: TrainingSettings) -> tuple[tuple[str, float | bool], ...]:
    """Only what the person set, except the two that the libraries preset differently."""
    arguments: dict[str, float | bool] = {}
    if settings.weight_decay is not None:
        arguments["weight_decay"] = settings.weight_decay
    if settings.optimizer is OptimizerName.PRODIGY:
        arguments["use_bias_correction"] = settings.bias_correction
        arguments["decouple"] = settings.decouple
        if settings.d0 is not None:
            arguments["d0"] = settings.d0
        if settings.d_coef is not None:
            arguments["d_coef"] = settings.d_coef
    return tuple(sorted(arguments.items()))


def _timestep_sampling(settings: TrainingSettings, traits: FamilyTraits) -> str:
    if settings.timestep_sampling is None or not traits.is_flow:
        return traits.timestep_sampling
    return settings.timestep_sampling.value


def _prior_prompts(settings: TrainingSettings, dataset: PreparedDataset) -> tuple[str, ...]:
    if not settings.prior_preservation:
        return ()
    captions = (without_prefix(p.caption, settings.caption_prefix) for p in dataset.pictures)
    return settings.prior_prompts or tuple(dict.fromkeys(captions))


def _compute_dtype(settings: TrainingSettings, device: DeviceFacts, notices: list[Notice]) -> str:
    if device.kind == "cpu":
        message = "fp32 is used: half precision is many times slower on a CPU."
        notices.append(Notice("info", "precision", message))
        return "fp32"
    if settings.precision is Precision.BF16 and not device.has_bf16:
        message = "fp16 is used: this GPU does not compute in bf16."
        notices.append(Notice("warning", "precision", message))
        return "fp16"
    return settings.precision.value


def _seed(settings: TrainingSettings, notices: list[Notice]) -> int:
    if settings.seed is not None:
        return settings.seed
    seed = secrets.randbits(31)
    notices.append(Notice("info", "seed", f"{seed} was drawn: give it to repeat this training."))
    return seed


def _ignored(settings: TrainingSettings, base: BaseModelFiles) -> Iterator[Notice]:
    """What was written and has no effect with this base model or these other settings."""
    no_masks = "without maskedLoss it has no effect."
    no_prior = "without priorPreservation it has no effect."
    not_adamw = "AdamW does not use it."
    not_here = f"{base.family.value} base models do not use it."
    adamw = settings.optimizer is OptimizerName.ADAMW
    reasons = {
        "head_mask_shade": no_masks,
        "body_mask_shade": no_masks,
        "bounding_mask_shade": no_masks,
        "background_mask_shade": no_masks,
        "mask_normalization": no_masks,
        "huber_c": "it belongs to lossType Huber and SmoothL1.",
        "multires_noise_discount": "without multiresNoiseIterations it has no effect.",
        "timestep_sampling": not_here,
        **({} if settings.prior_preservation else {"prior_prompts": no_prior}),
        "guidance_scale": not_here,
    }
    if adamw:
        reasons |= dict.fromkeys(("bias_correction", "d0", "decouple", "d_coef"), not_adamw)
    for attribute, reason in reasons.items():
        if settings.is_given(attribute):
            name = type(settings).model_fields[attribute].alias or attribute
            yield Notice("warning", name, f"Ignored: {reason}")


def _advice(
    settings: TrainingSettings, pictures: int, steps: int, alpha: float
) -> Iterator[Notice]:
    if alpha > settings.network_dim:
        message = f"{alpha:g} is more than networkDim {settings.network_dim}: the LoRA may overdo."
        yield Notice("warning", "alphaDim", message)
    is_prodigy = settings.optimizer is OptimizerName.PRODIGY
    if is_prodigy and not (settings.bias_correction and settings.decouple):
        message = "Prodigy benefits from biasCorrection and decouple."
        yield Notice("info", "optimizer", message)
    if settings.scheduler is SchedulerName.CONSTANT and is_prodigy:
        message = "Prodigy never lowers its step size by itself: Cosine ends more calmly."
        yield Notice("info", "scheduler", message)
    if settings.flip_aug:
        message = "Only for symmetrical subjects: a face or a logo is not one."
        yield Notice("info", "flipAug", message)
    if pictures < FEW_PICTURES:
        message = f"{pictures} usable pictures are few: 8 to 20 teach a subject better."
        yield Notice("warning", None, message)
    if steps > MANY_STEPS:
        message = f"{steps} steps are many: one subject is usually learnt in 1,000 to 4,000."
        yield Notice("warning", "epochs", message)
    if settings.network_dim > 128 and pictures < 20:
        message = f"{settings.network_dim} is a large network for {pictures} pictures: 64 will do."
        yield Notice("warning", "networkDim", message)

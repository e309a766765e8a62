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
from modelgenerator.datasets.masks import MASK_ENDING
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.licences import licence_notices
from modelgenerator.diffusion.recommended import image_defaults, training_steps
from modelgenerator.diffusion.traits import TRAITS, FamilyTraits
from modelgenerator.errors import InvalidSettings
from modelgenerator.notices import Notice, listed
from modelgenerator.settings import (
    NetworkTarget,
    OptimizerName,
    Precision,
    SchedulerName,
    TrainingSettings,
)
from modelgenerator.training.applicability import (
    family_takes,
    family_uses,
    has_threshold,
    ignored,
)
from modelgenerator.training.memory import Workload, settle
from modelgenerator.training.optimizer_traits import ALWAYS_PASSED, OPTIMIZER_TRAITS

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
    edition: str
    """Which of its family the base model is; empty where that makes no difference."""
    prediction_type: str
    seed: int
    pictures: tuple[PlannedPicture, ...]
    """What is trained on."""
    validation_pictures: tuple[PlannedPicture, ...]
    """What is kept out, to measure the loss on after every epoch."""
    dataset_fingerprint: str
    caption_prefix: str
    resolution: int
    epochs: int
    repeats: int
    batch_size: int
    gradient_accumulation: int
    """Batches before one optimizer step."""
    steps_per_epoch: int
    """Optimizer steps."""
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
    huber_c: float
    """1 where `loss` has no threshold."""
    min_snr_gamma: float
    """0 counts every noise level alike."""
    masked_loss: bool
    mask_normalization: bool
    """Whether a small subject counts as much as a large one; true without masks."""
    noise_offset: float
    multires_noise_iterations: int
    multires_noise_discount: float
    """0 without iterations."""
    timestep_sampling: str
    guidance_scale: float
    """What a base model that was distilled with guidance is told; others are told nothing."""
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
    seed = _seed(settings, notices)
    planned = _planned(dataset, _buckets(dataset, resolution, base, notices))
    pictures, kept_out = _split(planned, settings.validation_split, seed, notices)
    buckets = [picture.bucket for picture in pictures]
    steps_per_epoch = _steps_per_epoch(settings, buckets, notices)
    epochs, total_steps = _length(settings, len(buckets), steps_per_epoch, base, notices)
    learning_rate = _learning_rate(settings, notices)
    scheduler = _scheduler(settings, notices)
    alpha = float(settings.network_dim if settings.alpha_dim is None else settings.alpha_dim)
    compute_dtype = _compute_dtype(settings, base, device, notices)
    network_targets = _network_targets(settings, base, notices)
    images = image_defaults(base)
    traits = TRAITS[base.family]
    notices += licence_notices(base.licence)
    notices += ignored(settings, base)
    notices += _about_samples(settings, dataset, traits)
    notices += _advice(settings, len(buckets), total_steps, alpha)
    plan = TrainingPlan(
        base_model=base.reference,
        base_revision=base.revision or "",
        family=base.family.value,
        edition=base.edition,
        prediction_type=base.prediction_type,
        seed=seed,
        pictures=pictures,
        validation_pictures=kept_out,
        dataset_fingerprint=dataset.fingerprint,
        caption_prefix=settings.caption_prefix or "",
        resolution=resolution,
        epochs=epochs,
        repeats=settings.repeats,
        batch_size=settings.batch_size,
        gradient_accumulation=settings.gradient_accumulation,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
        flip=settings.flip_aug,
        caption_dropout=settings.caption_dropout,
        denoiser=traits.denoiser,
        text_encoders=() if settings.train_unet_only else traits.text_encoders,
        network_targets=network_targets,
        network_dim=settings.network_dim,
        network_alpha=alpha,
        optimizer=settings.optimizer.value,
        learning_rate=learning_rate,
        optimizer_arguments=_optimizer_arguments(settings),
        scheduler=scheduler,
        loss=settings.loss_type.value,
        huber_c=settings.huber_c if has_threshold(settings) else 1.0,
        min_snr_gamma=_min_snr_gamma(settings, traits),
        masked_loss=settings.masked_loss,
        mask_normalization=settings.mask_normalization or not settings.masked_loss,
        noise_offset=settings.noise_offset,
        multires_noise_iterations=settings.multires_noise_iterations,
        multires_noise_discount=(
            settings.multires_noise_discount if settings.multires_noise_iterations else 0.0
        ),
        timestep_sampling=_timestep_sampling(settings, traits),
        guidance_scale=settings.guidance_scale if base.takes_guidance else 1.0,
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
    dataset: PreparedDataset, resolution: int, base: BaseModelFiles, notices: list[Notice]
) -> list[Size]:
    longest = base.longest_side or 2 * resolution
    if resolution > longest:
        raise InvalidSettings(
            f"resolution {resolution}: {base.reference} knows no places beyond {longest} pixels. "
            f"Give {longest} or less; {base.native_size} is what it was made for."
        )
    sizes = [size for size in bucket_sizes(resolution, base.size_step) if max(size) <= longest]
    buckets = [nearest_bucket(p.width, p.height, sizes) for p in dataset.pictures]
    for picture, bucket in zip(dataset.pictures, buckets, strict=True):
        if is_upscaled(picture.width, picture.height, bucket):
            message = (
                f"{picture.name} has only {picture.width} x {picture.height} pixels and is "
                f"enlarged to {bucket[0]} x {bucket[1]}: a larger copy would teach more."
            )
            notices.append(Notice("warning", "resolution", message))
    return buckets


def _steps_per_epoch(
    settings: TrainingSettings, buckets: Sequence[Size], notices: list[Notice]
) -> int:
    batches = batches_per_epoch(buckets, repeats=settings.repeats, batch_size=settings.batch_size)
    if settings.gradient_accumulation > batches:
        message = (
            f"{settings.gradient_accumulation} is more than an epoch has batches: there is one "
            f"step after the {batches} of each epoch. Raise repeats to add up more."
        )
        notices.append(Notice("warning", "gradientAccumulation", message))
    return math.ceil(batches / settings.gradient_accumulation)


def _planned(dataset: PreparedDataset, buckets: Sequence[Size]) -> tuple[PlannedPicture, ...]:
    return tuple(
        PlannedPicture(name=p.name, sha256=p.sha256, caption=p.caption, bucket=bucket)
        for p, bucket in zip(dataset.pictures, buckets, strict=True)
    )


def _split(
    pictures: tuple[PlannedPicture, ...], share: float, seed: int, notices: list[Notice]
) -> tuple[tuple[PlannedPicture, ...], tuple[PlannedPicture, ...]]:
    """What is trained on, and what is kept out: at least one picture each."""
    if not share:
        return pictures, ()
    if len(pictures) == 1:
        raise InvalidSettings(
            "validationSplit keeps pictures out of the training, and there is only one picture: "
            "add pictures, or leave validationSplit out."
        )
    count = min(len(pictures) - 1, max(1, round(share * len(pictures))))
    drawn = set(sorted(pictures, key=lambda picture: _lot(seed, picture))[:count])
    kept_out = tuple(picture for picture in pictures if picture in drawn)
    message = f"Kept out of the training: {listed([picture.name for picture in kept_out])}."
    notices.append(Notice("info", "validationSplit", message))
    return tuple(picture for picture in pictures if picture not in drawn), kept_out


def _lot(seed: int, picture: PlannedPicture) -> str:
    """A random number that belongs to the picture, wherever it lies and whatever it is called.

    Like all randomness of a training a function of seed and purpose; made here because `randomness`
    loads torch.
    """
    return hashlib.sha256(f"{seed} validation {picture.sha256}".encode()).hexdigest()


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
    traits, rate = OPTIMIZER_TRAITS[settings.optimizer], settings.learning_rate
    if not settings.is_given("learning_rate"):
        if traits.preset_reason:
            notices.append(Notice("info", "learningRate", traits.preset_reason))
        return traits.preset_rate
    usual = f"for {settings.optimizer}; {traits.advised_rate:g} is usual."
    if rate > traits.high_rate:
        notices.append(Notice("warning", "learningRate", f"{rate:g} is very high {usual}"))
    if rate < traits.low_rate:
        message = f"{rate:g} scales the step size that is found, and is very low {usual}"
        notices.append(Notice("warning", "learningRate", message))
    return rate


def _has_own_rate(settings: TrainingSettings) -> bool:
    traits = OPTIMIZER_TRAITS[settings.optimizer]
    return bool(traits.own_rate_switches) and not settings.is_given("learning_rate")


def _scheduler(settings: TrainingSettings, notices: list[Notice]) -> str:
    if not _has_own_rate(settings):
        return settings.scheduler.value
    if settings.is_given("scheduler") and settings.scheduler is not SchedulerName.CONSTANT:
        message = f"Ignored: {settings.optimizer} without learningRate brings its own rate."
        notices.append(Notice("warning", "scheduler", message))
    return SchedulerName.CONSTANT.value


def _optimizer_arguments(settings: TrainingSettings) -> tuple[tuple[str, float | bool], ...]:
    """Only what the person set, except the switches whose presets in the libraries differ."""
    traits = OPTIMIZER_TRAITS[settings.optimizer]
    given: dict[str, float | bool] = {
        argument: getattr(settings, setting)
        for setting, argument in traits.arguments.items()
        if setting in ALWAYS_PASSED or settings.is_given(setting)
    }
    own_rate = dict.fromkeys(traits.own_rate_switches, _has_own_rate(settings))
    return tuple(sorted((given | own_rate).items()))


def _timestep_sampling(settings: TrainingSettings, traits: FamilyTraits) -> str:
    if settings.timestep_sampling is None or not family_uses("timestep_sampling", traits):
        return traits.timestep_sampling
    return settings.timestep_sampling.value


def _min_snr_gamma(settings: TrainingSettings, traits: FamilyTraits) -> float:
    return settings.min_snr_gamma or 0.0 if family_uses("min_snr_gamma", traits) else 0.0


def _prior_prompts(settings: TrainingSettings, dataset: PreparedDataset) -> tuple[str, ...]:
    if not settings.prior_preservation:
        return ()
    captions = (without_prefix(p.caption, settings.caption_prefix) for p in dataset.pictures)
    return settings.prior_prompts or tuple(dict.fromkeys(captions))


def _network_targets(
    settings: TrainingSettings, base: BaseModelFiles, notices: list[Notice]
) -> tuple[str, ...]:
    targets = {target.value for target in settings.network_targets}
    taken = {t for t in targets if family_takes("network_targets", t, TRAITS[base.family])}
    if taken != targets:
        message = "Ignored: convolutions. A transformer has none: its attention blocks are trained."
        notices.append(Notice("warning", "networkTargets", message))
        targets = {NetworkTarget.ATTENTION.value}
    return tuple(sorted(targets))


def _compute_dtype(
    settings: TrainingSettings, base: BaseModelFiles, device: DeviceFacts, notices: list[Notice]
) -> str:
    if device.kind == "cpu":
        message = "fp32 is used: half precision is many times slower on a CPU."
        notices.append(Notice("info", "precision", message))
        return "fp32"
    if not family_takes("precision", Precision.FP16.value, TRAITS[base.family]):
        return _flow_dtype(settings, base, device, notices)
    if settings.precision is Precision.BF16 and not device.has_bf16:
        message = "fp16 is used: this GPU does not compute in bf16."
        notices.append(Notice("warning", "precision", message))
        return "fp16"
    return settings.precision.value


def _flow_dtype(
    settings: TrainingSettings, base: BaseModelFiles, device: DeviceFacts, notices: list[Notice]
) -> str:
    """Never fp16."""
    used = "bf16" if device.has_bf16 else "fp32"
    reasons = {
        Precision.FP16: f"{base.reference} overflows in fp16.",
        Precision.BF16: "this GPU does not compute in bf16.",
    }
    if settings.precision.value != used:
        message = f"{used} is used: {reasons[settings.precision]}"
        notices.append(Notice("warning", "precision", message))
    return used


def _seed(settings: TrainingSettings, notices: list[Notice]) -> int:
    if settings.seed is not None:
        return settings.seed
    seed = secrets.randbits(31)
    notices.append(Notice("info", "seed", f"{seed} was drawn: give it to repeat this training."))
    return seed


def _about_samples(
    settings: TrainingSettings, dataset: PreparedDataset, traits: FamilyTraits
) -> Iterator[Notice]:
    """What losses, masks and noise of this training should be known for."""
    if has_threshold(settings) and settings.huber_c == 1:
        message = (
            "At 1, Huber and SmoothL1 are the same and treat all noise levels alike: 0.1 is a "
            "good start."
        )
        yield Notice("info", "huberC", message)
    for attribute in ("noise_offset", "multires_noise_iterations"):
        if traits.is_flow and getattr(settings, attribute):
            name = type(settings).model_fields[attribute].alias
            yield Notice("info", name, "It is applied here too; kohya's scripts skip flow models.")
    if settings.masked_loss:
        yield from _about_masks(dataset, normalized=settings.normalize_dataset)


def _about_masks(dataset: PreparedDataset, *, normalized: bool) -> Iterator[Notice]:
    """Raises InvalidSettings: there is no mask at all."""
    maskless = [picture.name for picture in dataset.pictures if picture.mask is None]
    if len(maskless) == len(dataset.pictures):
        stem = maskless[0].rpartition(".")[0] or maskless[0]
        raise InvalidSettings(
            f"maskedLoss needs masks, and there is none: put a grey picture beside each photo, of "
            f"the same size, white where it counts and black where not, and call that of "
            f"{maskless[0]} {stem}{MASK_ENDING}. Masks that are made for you come with the next "
            "version."
        )
    if maskless:
        message = f"Without a mask, and so counted all over: {listed(maskless)}."
        yield Notice("warning", "maskedLoss", message)
    if not normalized:
        yield Notice("info", "maskedLoss", "It works best with normalizeDataset.")


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

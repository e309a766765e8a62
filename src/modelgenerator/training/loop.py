"""The training loop: encoded pictures in, events out, one LoRA file at the end.

It does not know which family the base model is of, what a hyperparameter is called, or who listens:
progress is iterating, cancelling is to close the iterator.
"""

import io
import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from modelgenerator.diffusion.family import ModelFamily, PictureRequest
from modelgenerator.diffusion.gradient_checkpointing import gradient_checkpointing
from modelgenerator.errors import OutputNotWritable, TrainingDiverged
from modelgenerator.lora import files
from modelgenerator.lora.inject import LoraNetwork, injected
from modelgenerator.notices import Notice
from modelgenerator.training import checkpoint, checkpoint_files
from modelgenerator.training.checkpoint import Checkpoint
from modelgenerator.training.events import (
    CheckpointSaved,
    EpochFinished,
    Event,
    Finished,
    LoraSaved,
    Noticed,
    SampleReady,
    Started,
    StepFinished,
)
from modelgenerator.training.latents import EncodedDataset, EncodedPrompt, conditioning_of
from modelgenerator.training.losses import LOSSES
from modelgenerator.training.noise import sample_noise
from modelgenerator.training.optimizers import AdamW, FlatOptimizer, Prodigy, clip_
from modelgenerator.training.order import Visit, batches
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.precision import LossScaler, loss_scaler
from modelgenerator.training.randomness import Purpose, Randomness
from modelgenerator.training.record import lora_metadata
from modelgenerator.training.schedules import Schedule, constant, cosine, cosine_annealing
from modelgenerator.training.timesteps import DENSITIES
from modelgenerator.whole_files import write_whole

LORA_FILE = "lora.safetensors"
SAMPLES = "samples"
OPTIMIZERS: dict[str, Callable[..., FlatOptimizer]] = {"Prodigy": Prodigy, "AdamW": AdamW}
SCHEDULES: dict[str, Schedule] = {
    "Cosine": cosine,
    "Constant": constant,
    "CosineAnnealing": cosine_annealing,
}
CHECKPOINT_SECONDS = 20.0


@dataclass(kw_only=True)
class _Run:
    """Everything that changes, or is needed, while a training runs."""

    plan: TrainingPlan
    dataset: EncodedDataset
    base: ModelFamily
    network: LoraNetwork
    optimizer: FlatOptimizer
    scaler: LossScaler
    randomness: Randomness
    folder: Path
    step: int = 0
    epoch_losses: list[float] = field(default_factory=list[float])

    def snapshot(self) -> Checkpoint:
        return Checkpoint(
            step=self.step,
            plan_digest=self.plan.digest,
            network=self.network.state(),
            optimizer=self.optimizer.state(),
            scaler=self.scaler.state(),
            epoch_losses=tuple(self.epoch_losses),
        )

    def restore(self, saved: Checkpoint) -> None:
        self.step = saved.step
        self.network.load_state(saved.network)
        self.optimizer.load_state(saved.optimizer)
        self.scaler.load_state(saved.scaler)
        self.epoch_losses = list(saved.epoch_losses)


def train(
    plan: TrainingPlan,
    dataset: EncodedDataset,
    base: ModelFamily,
    folder: Path,
    *,
    resume_from: Checkpoint | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Generator[Event, None, None]:
    """Teach `base` the pictures of `dataset` and write `folder/lora.safetensors`.

    To cancel, close the iterator: a last checkpoint is written, no LoRA file is, and `base` is as
    it was.

    Raises:
        TrainingDiverged: the loss became NaN or infinite; the last good checkpoint stays.
        OutputNotWritable: the disk is full.
    """
    randomness = Randomness(plan.seed)
    denoiser = base.lora_parts[plan.denoiser]
    with (
        gradient_checkpointing(denoiser, enabled=plan.gradient_checkpointing),
        injected(
            {part: base.lora_parts[part] for part in plan.parts},
            rules=base.lora_targets(plan.network_targets),
            rank=plan.network_dim,
            alpha=plan.network_alpha,
            draw=partial(_first_values, randomness),
        ) as network,
    ):
        values_N, gradients_N = network.values_N, network.gradients_N
        run = _Run(
            plan=plan,
            dataset=dataset,
            base=base,
            network=network,
            optimizer=OPTIMIZERS[plan.optimizer](
                values_N, gradients_N, **dict(plan.optimizer_arguments)
            ),
            scaler=loss_scaler(plan.compute_dtype),
            randomness=randomness,
            folder=folder,
        )
        if resume_from is not None:
            run.restore(resume_from)
        try:
            yield Started(
                first_step=run.step + 1,
                total_steps=plan.total_steps,
                trainable_parameters=network.parameter_count,
            )
            yield from map(_noticed, resume_from.notices if resume_from else ())
            yield from _steps(run, checkpoint_seconds)
        except GeneratorExit:
            with suppress(OutputNotWritable):  # stopping must always be possible
                checkpoint.write(run.snapshot(), folder)
            raise
        lora_file = folder / LORA_FILE
        _save(run, lora_file)
    checkpoint_files.remove(folder)
    yield Finished(lora_file=lora_file, steps=run.step)


def _noticed(notice: Notice) -> Noticed:
    return Noticed(notice=notice)


def _steps(run: _Run, checkpoint_seconds: float) -> Iterator[Event]:
    plan = run.plan
    last_checkpoint = time.monotonic()
    # losses belong to an epoch that was not closed, even when its last step is done
    first_epoch = (run.step - bool(run.epoch_losses)) // plan.steps_per_epoch
    for epoch in range(first_epoch, plan.epochs):
        done = run.step - epoch * plan.steps_per_epoch
        for batch in batches(plan, run.randomness, epoch)[done:]:
            if run.step == plan.total_steps:
                return
            finished = _step(run, batch, epoch)
            yield finished
            if time.monotonic() - last_checkpoint >= checkpoint_seconds:
                file = checkpoint.write(run.snapshot(), run.folder)
                yield CheckpointSaved(step=run.step, file=file)
                last_checkpoint = time.monotonic()
        yield from _end_of_epoch(run, epoch + 1)


def _step(run: _Run, batch: Sequence[Visit], epoch: int) -> StepFinished:
    """One update; the step counts as done only when all of it is."""
    plan, network = run.plan, run.network
    rate = plan.learning_rate * SCHEDULES[plan.scheduler](run.step, plan.total_steps)
    network.zero_gradients()
    loss = _loss(run, batch)
    run.scaler.scaled(loss).backward()
    usable = run.scaler.unscale_(network.gradients_N)
    norm = clip_(network.gradients_N)
    loss_value, norm_value = loss.item(), norm.item()
    if not math.isfinite(loss_value) or (usable and not math.isfinite(norm_value)):
        raise _diverged(run, batch)
    if usable:
        run.optimizer.step(rate)
    # before a file or a checkpoint keeps them
    if not math.isfinite(network.values_N.sum().item()):
        raise _diverged(run, batch)
    run.step += 1
    run.epoch_losses.append(loss_value)
    return StepFinished(
        step=run.step,
        epoch=epoch + 1,
        loss=loss_value,
        learning_rate=rate,
        d=run.optimizer.effective_rate_factor.item(),
        gradient_norm=norm_value,
    )


def _diverged(run: _Run, batch: Sequence[Visit]) -> TrainingDiverged:
    names = [run.dataset.pictures[visit.picture].name for visit in batch]
    return TrainingDiverged(step=run.step + 1, pictures=names)


def _loss(run: _Run, batch: Sequence[Visit]) -> Tensor:
    """How far the denoiser is from the target on one batch, each sample counting alike."""
    base, measure = run.base, LOSSES[run.plan.loss]
    latents_BCHW = torch.stack([_latents(run, visit) for visit in batch])
    noise_BCHW, times_B = _noise_and_times(run, batch, tuple(latents_BCHW.shape[1:]))
    noised_BCHW = base.noising.add_noise(latents_BCHW, noise_BCHW, times_B)
    prompts = conditioning_of([_prompt(run, visit) for visit in batch], base)
    framing_B6 = torch.stack([run.dataset.pictures[visit.picture].framing_6 for visit in batch])
    predicted_BCHW = base.predict(noised_BCHW, times_B, prompts, framing_B6)
    target_BCHW = base.noising.target(latents_BCHW, noise_BCHW, times_B)
    loss = measure(predicted_BCHW, target_BCHW).mean()
    if run.dataset.prior:
        loss = loss + run.plan.prior_preservation * _prior_loss(run, batch)
    return loss


def _prior_loss(run: _Run, batch: Sequence[Visit]) -> Tensor:
    """How far the LoRA moves what the base model answers to prompts without the subject.

    Source: Ruiz et al. 2022, https://arxiv.org/abs/2208.12242, section 4.3, on pictures that the
    base model drew itself; its own answer takes the place of the noise, as in ai-toolkit's
    "differential output preservation".
    """
    base, randomness = run.base, run.randomness
    chosen = [
        run.dataset.prior[int(share * len(run.dataset.prior))]
        for share in (float(randomness.uniform(Purpose.PRIOR, v.number)) for v in batch)
    ]
    latents_BCHW = torch.cat([picture.mean_MCHW for picture in chosen])
    visits = [Visit(visit.picture, f"prior {visit.number}") for visit in batch]
    noise_BCHW, times_B = _noise_and_times(run, visits, tuple(latents_BCHW.shape[1:]))
    noised_BCHW = base.noising.add_noise(latents_BCHW, noise_BCHW, times_B)
    prompts = [picture.prompt for picture in chosen]
    framing_B6 = torch.stack([picture.framing_6 for picture in chosen])
    run.network.scale = 0
    with torch.no_grad():
        kept_BCHW = base.predict(noised_BCHW, times_B, conditioning_of(prompts, base), framing_B6)
    run.network.scale = 1
    now_BCHW = base.predict(noised_BCHW, times_B, conditioning_of(prompts, base), framing_B6)
    return LOSSES[run.plan.loss](now_BCHW, kept_BCHW).mean()


def _noise_and_times(
    run: _Run, batch: Sequence[Visit], shape: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    plan, base, randomness = run.plan, run.base, run.randomness
    noise_BCHW = torch.stack(
        [sample_noise(randomness, v.number, shape, offset=plan.noise_offset) for v in batch]
    )
    uniform_B = torch.stack([randomness.uniform(Purpose.TIMESTEP, v.number) for v in batch])
    places_B = DENSITIES[plan.timestep_sampling](uniform_B)
    return noise_BCHW.to(base.device), base.noising.times(places_B).to(base.device)


def _latents(run: _Run, visit: Visit) -> Tensor:
    picture = run.dataset.pictures[visit.picture]
    mirrored = run.plan.flip and bool(run.randomness.uniform(Purpose.FLIP, visit.number) < 0.5)
    mean_CHW = picture.mean_MCHW[int(mirrored)]
    drawn_CHW = run.randomness.normal(Purpose.POSTERIOR, visit.number, tuple(mean_CHW.shape))
    return mean_CHW + picture.deviation_MCHW[int(mirrored)] * drawn_CHW.to(mean_CHW.device)


def _prompt(run: _Run, visit: Visit) -> EncodedPrompt:
    dropout = run.plan.caption_dropout
    if dropout and bool(run.randomness.uniform(Purpose.CAPTION, visit.number) < dropout):
        return run.dataset.empty_prompt
    return run.dataset.pictures[visit.picture].prompt


def _save(run: _Run, file: Path) -> None:
    metadata = lora_metadata(run.plan, steps=run.step)
    files.save(file, run.network, names=run.base.lora_names, metadata=metadata)


def _first_values(randomness: Randomness, name: str, shape: tuple[int, int]) -> Tensor:
    """Uniform in [-1, 1)."""
    return randomness.uniform(Purpose.INIT, name, shape) * 2 - 1


def _end_of_epoch(run: _Run, epoch: int) -> Iterator[Event]:
    """Whoever is interrupted in here does all of it again: no file of an epoch is left out."""
    yield EpochFinished(epoch=epoch, mean_loss=sum(run.epoch_losses) / len(run.epoch_losses))
    plan = run.plan
    if plan.save_every and epoch % plan.save_every == 0 and run.step < plan.total_steps:
        file = run.folder / f"lora-epoch-{epoch:04}.safetensors"
        _save(run, file)
        yield LoraSaved(epoch=epoch, file=file)
    if plan.sample_every and epoch % plan.sample_every == 0:
        yield from _samples(run, epoch)
    run.epoch_losses.clear()


def _samples(run: _Run, epoch: int) -> Iterator[SampleReady]:
    """The same prompts from the same noise after each epoch: what changes is the LoRA."""
    plan = run.plan
    folder = run.folder / SAMPLES
    with suppress(OSError):  # what is wrong is said on writing
        folder.mkdir(exist_ok=True)
    for number, prompt in enumerate(plan.sample_prompts):
        request = PictureRequest(
            prompt=prompt,
            negative_prompt="",
            width=plan.sample_size,
            height=plan.sample_size,
            steps=plan.sample_steps,
            guidance_scale=plan.sample_guidance_scale,
            seed=(plan.seed + number) % 2**63,
        )
        png = io.BytesIO()
        run.base.draw([request])[0].save(png, format="PNG")
        file = folder / f"epoch-{epoch:04}-{number + 1}.png"
        write_whole(file, png.getvalue(), called="The sample")
        yield SampleReady(epoch=epoch, prompt=prompt, file=file)
    run.base.free_encoders(text=not plan.trains_text)

"""The training loop: encoded pictures in, events out, one LoRA file at the end.

It does not know which family the base model is of, what a hyperparameter is called, or who listens:
progress is iterating, cancelling is to close the iterator.
"""

import io
import math
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.gradient_checkpointing import gradient_checkpointing
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.errors import OutputNotWritable, TrainingDiverged
from modelgenerator.lora import files
from modelgenerator.lora.inject import LoraNetwork, injected
from modelgenerator.training import checkpoint, checkpoint_files, findings
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
    Validated,
)
from modelgenerator.training.latents import EncodedDataset
from modelgenerator.training.objective import Objective
from modelgenerator.training.optimizers.by_name import OPTIMIZERS
from modelgenerator.training.optimizers.flat import FlatMatrix, FlatOptimizer, clip_
from modelgenerator.training.order import Visit, steps
from modelgenerator.training.out_of_memory import give_back_free_memory, is_out_of_memory
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.precision import LossScaler, loss_scaler
from modelgenerator.training.randomness import Purpose, Randomness
from modelgenerator.training.ranks import ALONE, Ranks
from modelgenerator.training.readings import STEPS_BEHIND, Reading, Readings, numbers_of_step
from modelgenerator.training.record import lora_metadata
from modelgenerator.training.schedules import Schedule, constant, cosine, cosine_annealing
from modelgenerator.whole_files import write_whole

LORA_FILE = "lora.safetensors"
SAMPLES = "samples"
SCHEDULES: dict[str, Schedule] = {
    "Cosine": cosine,
    "Constant": constant,
    "CosineAnnealing": cosine_annealing,
}
CHECKPOINT_SECONDS = 20.0
STEPS_BETWEEN_COMPARISONS = 100
"""Of the values that several processes hold."""


@dataclass(kw_only=True)
class _Run:
    """Everything that changes, or is needed, while a training runs."""

    plan: TrainingPlan
    dataset: EncodedDataset
    base: ModelFamily
    network: LoraNetwork
    objective: Objective
    optimizer: FlatOptimizer
    scaler: LossScaler
    randomness: Randomness
    folder: Path
    first_d: float
    """What the optimizer put on the learning rate before it had seen a gradient."""
    readings: Readings
    ranks: Ranks
    first_step: int = 1
    """Of this run; the step after the checkpoint's."""
    step: int = 0
    """The last that was ordered; its reading may still wait."""
    epoch_losses: list[float] = field(default_factory=list[float])
    """Of the steps that were read."""

    def snapshot(self) -> Checkpoint:
        """Raises TrainingDiverged: a step that was not read yet did."""
        self.epoch_losses += [finished.loss for finished in self.readings.rest()]
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
        self.first_step = saved.step + 1
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
    steps_behind: int | None = None,
    ranks: Ranks = ALONE,
) -> Generator[Event, None, None]:
    """Teach `base` the pictures of `dataset` and write `folder/lora.safetensors`.

    To cancel, close the iterator: a last checkpoint is written, no LoRA file is, and `base` is as
    it was.  Steps are told `steps_behind` those that are computed, by default as many as suit the
    device: so many may be in that checkpoint which no event told.  Of several processes the first
    does this, and the others `follow`.

    Raises:
        TrainingDiverged: the loss became NaN or infinite; the last good checkpoint stays.
        OutputNotWritable: the disk is full.
    """
    with _begun(plan, dataset, base, folder, resume_from, steps_behind, ranks) as run:
        try:
            if notice := findings.cut_rank(
                plan.network_dim,
                run.network.cut_layers(plan.network_dim),
                len(run.network.layers),
            ):
                yield Noticed(notice=notice)
            yield Started(
                first_step=run.first_step,
                total_steps=plan.total_steps,
                trainable_parameters=run.network.parameter_count,
            )
            for notice in resume_from.notices if resume_from else ():
                yield Noticed(notice=notice)
            yield from _steps(run, checkpoint_seconds)
            yield from _told(run, run.readings.rest())
        except GeneratorExit:
            # stopping must always be possible
            with suppress(OutputNotWritable, TrainingDiverged):
                checkpoint.write(run.snapshot(), folder)
            raise
        lora_file = folder / LORA_FILE
        _save(run, lora_file)
    checkpoint_files.remove(folder)
    yield Finished(lora_file=lora_file, steps=run.step)


def follow(
    plan: TrainingPlan,
    dataset: EncodedDataset,
    base: ModelFamily,
    folder: Path,
    *,
    resume_from: Checkpoint | None = None,
    steps_behind: int | None = None,
    ranks: Ranks,
) -> None:
    """Make every step beside the process that `train`s; say nothing and write nothing.

    Raises:
        TrainingDiverged: the loss became NaN or infinite.
    """
    with _begun(plan, dataset, base, folder, resume_from, steps_behind, ranks) as run:
        for epoch in _epochs_left(run):
            for group in _groups_left(run, epoch):
                _step(run, group, epoch)
                for _ in run.readings.due():
                    pass
        for _ in run.readings.rest():
            pass


@contextmanager
def _begun(
    plan: TrainingPlan,
    dataset: EncodedDataset,
    base: ModelFamily,
    folder: Path,
    resume_from: Checkpoint | None,
    steps_behind: int | None,
    ranks: Ranks,
) -> Generator[_Run, None, None]:
    """A run that stands before its next step; at the end `base` is as it was."""
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
        optimizer = _optimizer(plan, network)
        run = _Run(
            plan=plan,
            dataset=dataset,
            base=base,
            network=network,
            objective=Objective(
                plan=plan, dataset=dataset, base=base, network=network, randomness=randomness
            ),
            optimizer=optimizer,
            scaler=loss_scaler(plan.compute_dtype),
            randomness=randomness,
            folder=folder,
            first_d=optimizer.effective_rate_factor.item(),
            readings=Readings(
                STEPS_BEHIND.get(base.device.type, 0) if steps_behind is None else steps_behind
            ),
            ranks=ranks,
        )
        if resume_from is not None:
            run.restore(resume_from)
        yield run


def _optimizer(plan: TrainingPlan, network: LoraNetwork) -> FlatOptimizer:
    matrices = [FlatMatrix(start, shape) for start, shape in network.matrices]
    return OPTIMIZERS[plan.optimizer](
        network.values_N, network.gradients_N, matrices, **dict(plan.optimizer_arguments)
    )


def _steps(run: _Run, checkpoint_seconds: float) -> Iterator[Event]:
    last_checkpoint = time.monotonic()
    for epoch in _epochs_left(run):
        for group in _groups_left(run, epoch):
            _step(run, group, epoch)
            yield from _told(run, run.readings.due())
            if time.monotonic() - last_checkpoint >= checkpoint_seconds:
                yield from _told(run, run.readings.rest())
                file = checkpoint.write(run.snapshot(), run.folder)
                yield CheckpointSaved(step=run.step, file=file)
                last_checkpoint = time.monotonic()
        if run.step == (epoch + 1) * run.plan.steps_per_epoch:
            yield from _end_of_epoch(run, epoch + 1)


def _epochs_left(run: _Run) -> range:
    """Those that have steps to do, or whose end was not done; from 0."""
    per_epoch = run.plan.steps_per_epoch
    # losses belong to an epoch that was not closed, even when its last step is done
    first = (run.step - bool(run.epoch_losses)) // per_epoch
    return range(first, math.ceil(run.plan.total_steps / per_epoch))


def _groups_left(run: _Run, epoch: int) -> list[list[list[Visit]]]:
    """The batches of every step of `epoch` that is to be done."""
    before = epoch * run.plan.steps_per_epoch
    groups = steps(run.plan, run.randomness, epoch)
    return groups[run.step - before : run.plan.total_steps - before]


def _step(run: _Run, group: Sequence[Sequence[Visit]], epoch: int) -> None:
    """One update by the batches of `group`; the step counts as done only when all of it is."""
    plan, network = run.plan, run.network
    rate = plan.learning_rate * SCHEDULES[plan.scheduler](run.step, plan.total_steps)
    loss = _gather_gradients(run, group)
    usable = run.scaler.unscale_(network.gradients_N)
    norm = clip_(network.gradients_N)
    if usable:
        run.optimizer.step(rate)
    run.step += 1
    _compare_now_and_then(run)
    d = run.optimizer.effective_rate_factor
    reading = Reading(
        step=run.step,
        epoch=epoch + 1,
        learning_rate=rate,
        pictures=[run.dataset.pictures[visit.picture].name for batch in group for visit in batch],
        is_applied=usable,
        numbers_4=numbers_of_step(loss, norm, network.values_N, d),
    )
    run.readings.add(reading)


def _compare_now_and_then(run: _Run) -> None:
    """All processes do so at the same steps.  Raises TrainingProcessFailed."""
    done = run.step - run.first_step
    if done % STEPS_BETWEEN_COMPARISONS == 0 or run.step == run.plan.total_steps:
        run.ranks.require_same(run.network.values_N)


def _told(run: _Run, finished: Iterator[StepFinished]) -> Iterator[Event]:
    """Steps that are read, and what is found out by them."""
    for step in finished:
        run.epoch_losses.append(step.loss)
        yield step
        if notice := findings.stuck_step_size(
            run.plan.optimizer, step=step.step, d=step.d, first_d=run.first_d
        ):
            yield Noticed(notice=notice)


def _gather_gradients(run: _Run, group: Sequence[Sequence[Visit]]) -> Tensor:
    """The mean loss over all samples of `group`, whose gradients are added up batch by batch.

    A process counts its part as what it is of the whole, so that the sum over all processes is
    that mean again, whoever had more of the samples.
    """
    run.network.zero_gradients()
    samples = sum(len(batch) for batch in group)
    loss = torch.zeros((), device=run.base.device)
    for batch in run.ranks.part_of(group):
        share = run.objective.loss(batch) * (len(batch) / samples)
        run.scaler.scaled(share).backward()
        loss += share.detach()
    run.ranks.add_up_(run.network.gradients_N, loss)
    return loss


def _save(run: _Run, file: Path) -> None:
    metadata = lora_metadata(run.plan, steps=run.step)
    files.save(file, run.network, names=run.base.lora_names, metadata=metadata)


def _first_values(randomness: Randomness, name: str, shape: tuple[int, int]) -> Tensor:
    """Uniform in [-1, 1)."""
    return randomness.uniform(Purpose.INIT, name, shape) * 2 - 1


def _end_of_epoch(run: _Run, epoch: int) -> Iterator[Event]:
    """Whoever is interrupted in here does all of it again: no file of an epoch is left out."""
    yield from _told(run, run.readings.rest())
    yield EpochFinished(epoch=epoch, mean_loss=sum(run.epoch_losses) / len(run.epoch_losses))
    plan = run.plan
    if plan.validation_pictures:
        yield Validated(epoch=epoch, loss=run.objective.validation_loss())
    if plan.save_every and epoch % plan.save_every == 0 and run.step < plan.total_steps:
        file = run.folder / f"lora-epoch-{epoch:04}.safetensors"
        _save(run, file)
        yield LoraSaved(epoch=epoch, file=file)
    if plan.sample_every and epoch % plan.sample_every == 0:
        yield from _samples(run, epoch)
    run.epoch_losses.clear()


def _samples(run: _Run, epoch: int) -> Iterator[SampleReady | Noticed]:
    """The same prompts from the same noise after each epoch: what changes is the LoRA."""
    plan = run.plan
    folder = run.folder / SAMPLES
    with suppress(OSError):  # what is wrong is said on writing
        folder.mkdir(exist_ok=True)
    for number, prompt in enumerate(plan.sample_prompts):
        png = _drawn(run, prompt, seed=(plan.seed + number) % 2**63)
        if png is None:  # the others are as large
            yield Noticed(notice=findings.no_room_for_samples(epoch, plan.sample_size))
            break
        file = folder / f"epoch-{epoch:04}-{number + 1}.png"
        write_whole(file, png, called="The sample")
        yield SampleReady(epoch=epoch, prompt=prompt, file=file)
    run.base.free_encoders(text=not plan.trains_text)
    give_back_free_memory()


def _drawn(run: _Run, prompt: str, *, seed: int) -> bytes | None:
    """A picture as PNG; None when there is not enough memory to draw it."""
    request = PictureRequest(
        prompt=prompt,
        negative_prompt="",
        width=run.plan.sample_size,
        height=run.plan.sample_size,
        steps=run.plan.sample_steps,
        guidance_scale=run.plan.sample_guidance_scale,
        seed=seed,
    )
    png = io.BytesIO()
    try:
        run.base.draw([request])[0].save(png, format="PNG")
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return None
    return png.getvalue()

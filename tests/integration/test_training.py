"""Trainings of a tiny pipeline from the first picture to the file, nothing replaced."""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.examples import plan_for
from tests.kills import killed_at
from torch import Tensor

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.family import Conditioning, ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import CannotResume, OutputNotWritable, TrainingDiverged
from modelgenerator.lora import files
from modelgenerator.training import checkpoint, checkpoint_files, findings
from modelgenerator.training.events import (
    CheckpointSaved,
    EpochFinished,
    Event,
    Finished,
    LoraSaved,
    Noticed,
    PictureEncoded,
    SampleReady,
    Started,
    StepFinished,
)
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.teach import teach

Planner = Callable[..., TrainingPlan]
Teacher = Callable[..., Iterator[Event]]

EVERYTHING = {
    "flipAug": True,
    "captionDropout": 0.4,
    "noiseOffset": 0.1,
    "multiresNoiseIterations": 3,
    "lossType": "Huber",
    "huberC": 0.1,
    "minSnrGamma": 5.0,
    "sampleEvery": 1,
    "samplePrompts": ["lvff", "lvff at sea"],
    "saveEvery": 1,
}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> ContentCache:
    return ContentCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def plan(photos: PreparedDataset, tiny_files: BaseModelFiles) -> Planner:
    """Two epochs of three steps, unless settings say otherwise."""

    def make(**settings: object) -> TrainingPlan:
        small = {"resolution": 64, "epochs": 2, "batchSize": 2, "networkDim": 4}
        resolved = plan_for(photos, tiny_files, **{**small, "captionPrefix": "lvff", **settings})
        return dataclasses.replace(resolved, sample_steps=2)

    return make


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, bytes]:
    """Finished LoRA files by the digest of their plan."""
    return {}


@pytest.fixture
def whole_lora(
    taught: Teacher, tmp_path: Path, uninterrupted: dict[str, bytes]
) -> Callable[[TrainingPlan], bytes]:
    """What a plan makes when nothing stops it; trained once for all tests."""

    def make(plan: TrainingPlan) -> bytes:
        if plan.digest not in uninterrupted:
            uninterrupted[plan.digest] = lora_of(taught(plan, tmp_path / "uninterrupted"))
        return uninterrupted[plan.digest]

    return make


@pytest.fixture
def taught(photos: PreparedDataset, tiny_base: ModelFamily, cache: ContentCache) -> Teacher:
    def teach_it(plan: TrainingPlan, folder: Path, **more: Any) -> Iterator[Event]:
        folder.mkdir(exist_ok=True)
        base = more.pop("base", tiny_base)
        return teach(plan, photos, base, folder, cache=cache, **more)

    return teach_it


def lora_of(events: Iterator[Event]) -> bytes:
    """Run to the end; the file's bytes."""
    *_, last = events
    assert isinstance(last, Finished)
    return last.lora_file.read_bytes()


def until(events: Iterator[Event], step: int) -> None:
    """Stop as Ctrl-C does, after so many steps."""
    for event in events:
        if isinstance(event, StepFinished) and event.step == step:
            break
    events.close()  # type: ignore[attr-defined]


def weights_of(base: ModelFamily) -> dict[str, Tensor]:
    return {
        f"{part}.{name}": tensor.clone()
        for part, module in base.lora_parts.items()
        for name, tensor in module.state_dict().items()
    }


def is_untouched(base: ModelFamily, before: dict[str, Tensor]) -> bool:
    modules = [m for part in base.lora_parts.values() for m in part.modules()]
    after = weights_of(base)
    return (
        after.keys() == before.keys()
        and all(torch.equal(after[name], before[name]) for name in after)
        and not any("forward" in vars(module) or module.training for module in modules)
        and not any(p.requires_grad for m in modules for p in m.parameters())
    )


# --- what it says, and what comes out


def test_events_come_in_their_order(plan: Planner, taught: Teacher, tmp_path: Path):
    events = list(taught(plan(sampleEvery=2, samplePrompts=["lvff"], saveEvery=1), tmp_path))
    assert [type(event) for event in events] == [
        *[PictureEncoded] * 5,
        Started,
        *[StepFinished] * 3,
        EpochFinished,
        LoraSaved,
        *[StepFinished] * 3,
        EpochFinished,
        SampleReady,
        Finished,
    ]


def test_steps_and_epochs_are_counted_from_one(plan: Planner, taught: Teacher, tmp_path: Path):
    events = list(taught(plan(), tmp_path))
    started = next(event for event in events if isinstance(event, Started))
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert (started.first_step, started.total_steps) == (1, 6)
    assert [(event.step, event.epoch) for event in steps] == [
        *((step, 1) for step in (1, 2, 3)),
        *((step, 2) for step in (4, 5, 6)),
    ]


def test_the_mean_loss_of_an_epoch_is_that_of_its_steps(
    plan: Planner, taught: Teacher, tmp_path: Path
):
    events = list(taught(plan(), tmp_path))
    losses = [event.loss for event in events if isinstance(event, StepFinished)]
    means = [event.mean_loss for event in events if isinstance(event, EpochFinished)]
    assert means == [sum(losses[:3]) / 3, sum(losses[3:]) / 3]


def test_max_steps_ends_in_the_middle_of_an_epoch(plan: Planner, taught: Teacher, tmp_path: Path):
    events = list(taught(plan(maxSteps=4), tmp_path))
    assert sum(isinstance(event, StepFinished) for event in events) == 4
    assert sum(isinstance(event, EpochFinished) for event in events) == 1
    assert isinstance(events[-1], Finished)
    assert events[-1].steps == 4


@pytest.mark.parametrize("scheduler", ["Cosine", "Constant", "CosineAnnealing"])
def test_the_scheduler_gives_every_step_its_learning_rate(
    plan: Planner, taught: Teacher, tmp_path: Path, scheduler: str
):
    planned = plan(scheduler=scheduler, learningRate=0.5)
    rates = [e.learning_rate for e in taught(planned, tmp_path) if isinstance(e, StepFinished)]
    floor = {"Cosine": 0.0, "Constant": 1.0, "CosineAnnealing": 0.01}[scheduler]
    wave = [(1 + math.cos(math.pi * step / 6)) / 2 for step in range(6)]
    assert rates == pytest.approx([0.5 * (floor + (1 - floor) * height) for height in wave])


def test_the_loss_falls_when_few_pictures_are_learnt_by_heart(
    plan: Planner, taught: Teacher, tmp_path: Path
):
    planned = plan(optimizer="AdamW", learningRate=0.01, epochs=24, networkDim=16, batchSize=4)
    losses = [e.mean_loss for e in taught(planned, tmp_path) if isinstance(e, EpochFinished)]
    assert sum(losses[-6:]) < 0.9 * sum(losses[:6])


def test_the_same_seed_gives_the_same_bytes(plan: Planner, taught: Teacher, tmp_path: Path):
    one = lora_of(taught(plan(**EVERYTHING), tmp_path / "one"))
    assert lora_of(taught(plan(**EVERYTHING), tmp_path / "other")) == one


def test_another_seed_gives_another_lora(plan: Planner, taught: Teacher, tmp_path: Path):
    lora_of(taught(plan(seed=1), tmp_path / "one"))
    lora_of(taught(plan(seed=2), tmp_path / "other"))
    one = load_file(tmp_path / "one" / "lora.safetensors")
    other = load_file(tmp_path / "other" / "lora.safetensors")
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "settings",
    [
        {"flipAug": True},
        {"captionDropout": 0.5},
        {"noiseOffset": 0.5},
        {"multiresNoiseIterations": 3},
        {"multiresNoiseIterations": 3, "multiresNoiseDiscount": 0.9},
        {"lossType": "Huber", "huberC": 0.1},
        {"lossType": "SmoothL1", "huberC": 0.1},
        {"minSnrGamma": 1.0},
        {"validationSplit": 0.2},
        {"optimizer": "AdamW"},
        {"optimizer": "AdamW8bit"},
        {"optimizer": "AdaFactor", "learningRate": 1e-3},
        {"optimizer": "AdaFactor", "weightDecay": 0.5},
        {"optimizer": "DAdaptation"},
        {"optimizer": "DAdaptAdam"},
        {"batchSize": 1, "gradientAccumulation": 2},
        {"scheduler": "Constant"},
        {"learningRate": 0.5},
        {"alphaDim": 2},
        {"dCoef": 2.0},
        {"d0": 1e-4},
        {"biasCorrection": True},
        {"decouple": True, "weightDecay": 0.5},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_a_setting_reaches_the_numbers(
    plan: Planner, taught: Teacher, tmp_path: Path, settings: dict[str, object]
):
    lora_of(taught(plan(d0=1e-3), tmp_path / "without"))
    lora_of(taught(plan(**{"d0": 1e-3, **settings}), tmp_path / "with"))
    one = load_file(tmp_path / "without" / "lora.safetensors")
    other = load_file(tmp_path / "with" / "lora.safetensors")
    assert any(
        not torch.equal(one[name], other[name]) for name in one if not name.endswith("alpha")
    )


def test_added_up_gradients_are_those_of_one_large_batch(
    tiny_base: ModelFamily,
    cache: ContentCache,
    photos: PreparedDataset,
    tiny_files: BaseModelFiles,
    tmp_path: Path,
):
    squares = dataclasses.replace(photos, pictures=photos.pictures[:3])
    learnt: list[dict[str, Tensor]] = []
    said: list[list[float]] = []
    for batch_size, accumulation in ((1, 3), (2, 2), (3, 1)):  # of 3 pictures: 1+1+1, 2+1, 3
        planned = plan_for(
            squares,
            tiny_files,
            resolution=64,
            epochs=4,
            networkDim=4,
            batchSize=batch_size,
            gradientAccumulation=accumulation,
            optimizer="AdamW",
            learningRate=1e-3,
        )
        folder = tmp_path / str(batch_size)
        folder.mkdir()
        events = list(teach(planned, squares, tiny_base, folder, cache=cache))
        done = [event for event in events if isinstance(event, StepFinished)]
        assert [event.step for event in done] == [1, 2, 3, 4]
        said.append([number for event in done for number in (event.loss, event.gradient_norm)])
        learnt.append(load_file(folder / "lora.safetensors"))
    for other, numbers in zip(learnt[:2], said[:2], strict=True):
        assert numbers == pytest.approx(said[2], rel=1e-3)
        torch.testing.assert_close(other, learnt[2], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("dim", "is_said"), [(4, False), (64, True)])
def test_layers_that_cannot_have_the_rank_are_told_before_the_first_step(
    plan: Planner, taught: Teacher, tmp_path: Path, dim: int, is_said: bool
):
    events = list(taught(plan(networkDim=dim, maxSteps=1), tmp_path))
    said = [event.notice for event in events if isinstance(event, Noticed)]
    assert [(notice.level, notice.setting) for notice in said] == [("info", "networkDim")] * is_said
    if is_said:
        kinds = [type(event) for event in events]
        assert kinds.index(Noticed) < kinds.index(Started)


@pytest.mark.parametrize(("d0", "is_said"), [(1e6, True), (1e-6, False)])
def test_a_step_size_that_does_not_grow_is_told_once(
    plan: Planner,
    taught: Teacher,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    d0: float,
    is_said: bool,
):
    monkeypatch.setattr(findings, "PATIENCE", 2)
    planned = plan(optimizer="DAdaptAdam", d0=d0, learningRate=1e-12 if is_said else 1.0)
    said = [event.notice for event in taught(planned, tmp_path) if isinstance(event, Noticed)]
    assert [(notice.level, notice.setting) for notice in said] == [("warning", "d0")] * is_said


def test_samples_do_not_change_what_is_learnt(plan: Planner, taught: Teacher, tmp_path: Path):
    lora_of(taught(plan(), tmp_path / "without"))
    lora_of(taught(plan(sampleEvery=1, samplePrompts=["lvff"]), tmp_path / "with"))
    one = load_file(tmp_path / "without" / "lora.safetensors")
    other = load_file(tmp_path / "with" / "lora.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_train_unet_only_leaves_no_text_encoder_in_the_file(
    plan: Planner, taught: Teacher, tmp_path: Path
):
    def keys(name: str, **settings: object) -> set[str]:
        lora_of(taught(plan(**settings), tmp_path / name))
        return set(load_file(tmp_path / name / "lora.safetensors"))

    both, unet = keys("both"), keys("unet", trainUnetOnly=True)
    assert {key.partition("_")[2].partition("_")[0] for key in both} == {"te", "unet"}
    assert unet == {key for key in both if key.startswith("lora_unet_")}


def test_convolutions_reach_the_file(plan: Planner, taught: Teacher, tmp_path: Path):
    lora_of(taught(plan(networkTargets=["convolutions"], trainUnetOnly=True), tmp_path))
    tensors = load_file(tmp_path / "lora.safetensors")
    key = "lora_unet_down_blocks_0_resnets_0_conv1"
    assert tensors[f"{key}.lora_down.weight"].shape == (4, 16, 3, 3)
    assert tensors[f"{key}.lora_up.weight"].any()
    assert not any("transformer_blocks" in name for name in tensors)


def test_train_unet_only_does_without_the_text_encoder(
    plan: Planner,
    taught: Teacher,
    tmp_path: Path,
    tiny_files: BaseModelFiles,
    load_files: Callable[[BaseModelFiles], ModelFamily],
):
    base = load_files(tiny_files)
    events = taught(plan(trainUnetOnly=True), tmp_path, base=base)
    for event in events:
        if isinstance(event, Started):
            for parameter in base.lora_parts["text_encoder"].parameters():
                parameter.fill_(torch.nan)
    assert (tmp_path / "lora.safetensors").exists()


def test_the_file_names_the_plan_and_no_photo(plan: Planner, taught: Teacher, tmp_path: Path):
    planned = plan(sampleEvery=1, samplePrompts=["a secret wish"])
    lora_of(taught(planned, tmp_path))
    metadata = files.load(tmp_path / "lora.safetensors").metadata
    assert json.loads(metadata["modelgenerator.plan"])["seed"] == 1
    assert metadata["modelspec.trigger_phrase"] == "lvff"
    assert not any(word in str(metadata) for word in ("0.png", "scene 1", "a secret wish"))


def test_every_epoch_leaves_the_files_that_were_asked_for(
    plan: Planner, taught: Teacher, tmp_path: Path
):
    planned = plan(epochs=4, saveEvery=2, sampleEvery=3, samplePrompts=["one", "two"])
    events = list(taught(planned, tmp_path))
    assert sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.*")) == [
        "lora-epoch-0002.safetensors",
        "lora.safetensors",
        "samples/epoch-0003-1.png",
        "samples/epoch-0003-2.png",
    ]
    assert [e.prompt for e in events if isinstance(e, SampleReady)] == ["one", "two"]
    assert [e.epoch for e in events if isinstance(e, LoraSaved)] == [2]
    assert files.load(tmp_path / "lora-epoch-0002.safetensors").metadata["ss_steps"] == "6"


def test_a_sample_that_cannot_be_written_is_told(plan: Planner, taught: Teacher, tmp_path: Path):
    (tmp_path / "samples").touch()
    with pytest.raises(OutputNotWritable, match="The sample cannot be written"):
        list(taught(plan(sampleEvery=1, samplePrompts=["lvff"]), tmp_path))


# --- stopping and going on


@pytest.mark.parametrize("step", [1, 2, 3, 4, 6])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimizer": "AdamW"},
        EVERYTHING,
        {"maxSteps": 5, "trainUnetOnly": True},
        {"batchSize": 1, "gradientAccumulation": 2},
    ],
    ids=["Prodigy", "AdamW", "everything", "maxSteps", "gradientAccumulation"],
)
def test_an_interrupted_training_ends_with_the_same_bytes(
    plan: Planner,
    taught: Teacher,
    whole_lora: Callable[[TrainingPlan], bytes],
    tmp_path: Path,
    step: int,
    settings: dict[str, object],
):
    planned = plan(**settings)
    step = min(step, planned.total_steps)
    until(taught(planned, tmp_path / "parts"), step)
    assert not (tmp_path / "parts" / "lora.safetensors").exists()
    saved = checkpoint.read(tmp_path / "parts", plan_digest=planned.digest)
    assert saved.step == step

    events = list(taught(planned, tmp_path / "parts", resume_from=saved))
    assert lora_of(iter(events)) == whole_lora(planned)
    steps = [event.step for event in events if isinstance(event, StepFinished)]
    assert steps == list(range(step + 1, planned.total_steps + 1))
    assert not (tmp_path / "parts" / checkpoint_files.FILE).exists()


@pytest.mark.parametrize("optimizer", ["AdaFactor", "AdamW8bit", "DAdaptation", "DAdaptAdam"])
def test_every_optimizer_goes_on_bit_by_bit(
    plan: Planner,
    taught: Teacher,
    whole_lora: Callable[[TrainingPlan], bytes],
    tmp_path: Path,
    optimizer: str,
):
    planned = plan(optimizer=optimizer, trainUnetOnly=True, maxSteps=4)
    until(taught(planned, tmp_path / "parts"), 2)
    saved = checkpoint.read(tmp_path / "parts", plan_digest=planned.digest)
    assert lora_of(taught(planned, tmp_path / "parts", resume_from=saved)) == whole_lora(planned)


def test_a_training_that_keeps_what_the_base_model_knows_can_be_resumed_too(
    plan: Planner, taught: Teacher, whole_lora: Callable[[TrainingPlan], bytes], tmp_path: Path
):
    planned = plan(priorPreservation=1.0, priorPrompts=["a tree"], captionDropout=0.4, maxSteps=4)
    until(taught(planned, tmp_path / "parts"), 2)
    saved = checkpoint.read(tmp_path / "parts", plan_digest=planned.digest)
    assert lora_of(taught(planned, tmp_path / "parts", resume_from=saved)) == whole_lora(planned)
    assert whole_lora(planned) != whole_lora(plan(captionDropout=0.4, maxSteps=4))


@pytest.mark.parametrize("step", [1, 3, 5])
@pytest.mark.parametrize("optimizer", ["Prodigy", "AdamW"])
def test_a_killed_training_goes_on_from_its_last_checkpoint(
    plan: Planner,
    taught: Teacher,
    whole_lora: Callable[[TrainingPlan], bytes],
    tmp_path: Path,
    step: int,
    optimizer: str,
):
    planned = plan(**EVERYTHING, optimizer=optimizer)
    folder = tmp_path / "parts"
    events = taught(planned, folder, checkpoint_seconds=0)
    kept = next(
        event.file.read_bytes()
        for event in events
        if isinstance(event, CheckpointSaved) and event.step == step
    )
    for _ in range(3):  # it goes on, and what it does is lost
        next(events)
    events.close()  # type: ignore[attr-defined]
    (folder / checkpoint_files.FILE).write_bytes(kept)

    saved = checkpoint.read(folder, plan_digest=planned.digest)
    assert lora_of(taught(planned, folder, resume_from=saved)) == whole_lora(planned)


# four for a checkpoint: all on the disk, the old one aside, the new one in its place, tidied up;
# from 23 on three for the LoRA, and three to remove the checkpoints; it survives the last
@pytest.mark.parametrize("instant", [11, 12, 13, 14, *range(23, 30)])
def test_a_training_killed_at_any_work_on_the_disk_ends_with_the_same_bytes(
    plan: Planner,
    taught: Teacher,
    whole_lora: Callable[[TrainingPlan], bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    instant: int,
):
    planned, folder = plan(), tmp_path / "parts"
    with killed_at(instant, monkeypatch):
        list(taught(planned, folder, checkpoint_seconds=0))
    if checkpoint_files.are_in(folder):
        saved = checkpoint.read(folder, plan_digest=planned.digest)
        list(taught(planned, folder, resume_from=saved))
    assert (folder / "lora.safetensors").read_bytes() == whole_lora(planned)
    assert [file.name for file in folder.iterdir()] == ["lora.safetensors"]


def test_a_training_whose_newest_checkpoint_is_damaged_goes_on_from_the_one_before(
    plan: Planner, taught: Teacher, whole_lora: Callable[[TrainingPlan], bytes], tmp_path: Path
):
    planned, folder = plan(), tmp_path / "parts"
    until(taught(planned, folder, checkpoint_seconds=0), 4)
    (folder / checkpoint_files.FILE).write_bytes(b"the disk lost it")
    saved = checkpoint.read(folder, plan_digest=planned.digest)
    events = list(taught(planned, folder, resume_from=saved))
    assert [e.notice for e in events if isinstance(e, Noticed)] == list(saved.notices)
    first = next(event.step for event in events if isinstance(event, StepFinished))
    assert f"at step {first}." in saved.notices[0].message
    assert lora_of(iter(events)) == whole_lora(planned)


@pytest.mark.parametrize("stop_at", [StepFinished, EpochFinished, LoraSaved, SampleReady])
def test_no_file_of_an_epoch_is_left_out_by_stopping_at_its_end(
    plan: Planner, taught: Teacher, tmp_path: Path, stop_at: type[Event]
):
    planned = plan(epochs=3, **{k: v for k, v in EVERYTHING.items() if k != "flipAug"})
    whole = {
        e.epoch: e.mean_loss
        for e in taught(planned, tmp_path / "whole")
        if isinstance(e, EpochFinished)
    }

    events = taught(planned, tmp_path / "parts")
    for event in events:
        at_the_end = not isinstance(event, StepFinished) or event.step == 3
        if isinstance(event, stop_at) and at_the_end:
            break
    events.close()  # type: ignore[attr-defined]
    saved = checkpoint.read(tmp_path / "parts", plan_digest=planned.digest)
    rest = list(taught(planned, tmp_path / "parts", resume_from=saved))

    means = {e.epoch: e.mean_loss for e in rest if isinstance(e, EpochFinished)}
    assert means == whole

    def names(folder: Path) -> Sequence[str]:
        return sorted(file.name for file in folder.rglob("*.*"))

    assert names(tmp_path / "parts") == names(tmp_path / "whole")


def test_a_training_stopped_before_its_first_step_can_go_on(
    plan: Planner, taught: Teacher, tmp_path: Path
):
    planned = plan()
    events = taught(planned, tmp_path)
    while not isinstance(next(events), Started):
        pass
    events.close()  # type: ignore[attr-defined]
    saved = checkpoint.read(tmp_path, plan_digest=planned.digest)
    assert saved.step == 0
    assert lora_of(taught(planned, tmp_path, resume_from=saved))


def test_stopping_is_possible_when_nothing_can_be_written(
    plan: Planner, taught: Teacher, tmp_path: Path
):
    events = taught(plan(), tmp_path)
    (tmp_path / f".{checkpoint_files.FILE}.partial").mkdir()
    until(events, 2)
    assert not (tmp_path / checkpoint_files.FILE).exists()


def test_the_checkpoint_of_another_plan_is_refused(plan: Planner, taught: Teacher, tmp_path: Path):
    until(taught(plan(), tmp_path), 1)
    with pytest.raises(CannotResume):
        checkpoint.read(tmp_path, plan_digest=plan(seed=2).digest)


# --- memory


@pytest.mark.parametrize("settings", [{}, {"networkTargets": ["attention", "convolutions"]}])
def test_gradient_checkpointing_changes_no_byte_of_the_lora(
    plan: Planner,
    taught: Teacher,
    whole_lora: Callable[[TrainingPlan], bytes],
    tmp_path: Path,
    tiny_base: ModelFamily,
    settings: dict[str, object],
):
    planned = plan(**settings)
    saving = dataclasses.replace(planned, gradient_checkpointing=True)
    unet: Any = tiny_base.lora_parts["unet"]
    seen: list[bool] = []
    events = taught(saving, tmp_path / "saving")
    for event in events:
        if isinstance(event, StepFinished):
            seen.append(unet.is_gradient_checkpointing)
    assert set(seen) == {True}
    assert not unet.is_gradient_checkpointing
    assert (tmp_path / "saving" / "lora.safetensors").read_bytes() == whole_lora(planned)


def test_gradient_checkpointing_keeps_less_for_the_way_back(
    plan: Planner, taught: Teacher, tmp_path: Path
):
    def kept(planned: TrainingPlan, folder: Path) -> int:
        sizes: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        events = taught(planned, folder)
        while not isinstance(next(events), Started):
            pass
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            next(events)
        events.close()  # type: ignore[attr-defined]
        return sum(sizes.values())

    planned = plan(trainUnetOnly=True)
    saving = dataclasses.replace(planned, gradient_checkpointing=True)
    assert kept(saving, tmp_path / "saving") < 0.8 * kept(planned, tmp_path / "whole")


# --- the base model


@pytest.mark.parametrize("how", ["to its end", "stopped"])
def test_the_base_model_is_as_before(
    plan: Planner, taught: Teacher, tmp_path: Path, tiny_base: ModelFamily, how: str
):
    before = weights_of(tiny_base)
    until(taught(plan(), tmp_path), 4 if how == "stopped" else 99)
    assert is_untouched(tiny_base, before)


class Faulty:
    """A base model whose denoiser answers NaN from one call on."""

    def __init__(self, base: ModelFamily, good_calls: int) -> None:
        self._base, self._left = base, good_calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    def predict(
        self,
        noised_BCHW: Tensor,
        times_B: Tensor,
        prompts: Conditioning,
        framing_B6: Tensor,
        *,
        guidance: float = 1.0,
    ) -> Tensor:
        self._left -= 1
        answer_BCHW = self._base.predict(
            noised_BCHW, times_B, prompts, framing_B6, guidance=guidance
        )
        return answer_BCHW if self._left >= 0 else answer_BCHW * torch.nan


def test_a_loss_that_is_no_number_names_step_and_pictures_and_keeps_the_last_checkpoint(
    plan: Planner, taught: Teacher, tmp_path: Path, tiny_base: ModelFamily
):
    before = weights_of(tiny_base)
    planned = plan()
    base = Faulty(tiny_base, good_calls=4)
    with pytest.raises(TrainingDiverged, match="at step 5, on") as stop:
        list(taught(planned, tmp_path, base=base, checkpoint_seconds=0))
    assert stop.value.step == 5
    assert set(stop.value.pictures) <= {f"{number}.png" for number in range(5)}
    assert 1 <= len(stop.value.pictures) <= 2
    saved = checkpoint.read(tmp_path, plan_digest=planned.digest)
    assert saved.step == 4
    assert all(tensor.isfinite().all() for tensor in saved.network.values())
    assert not (tmp_path / "lora.safetensors").exists()
    assert is_untouched(tiny_base, before)


def test_an_update_that_overflows_reaches_neither_checkpoint_nor_file(
    plan: Planner, taught: Teacher, tmp_path: Path
):
    planned = plan(optimizer="AdamW", learningRate=1e38, weightDecay=1e10, maxSteps=1)
    with pytest.raises(TrainingDiverged):
        list(taught(planned, tmp_path, checkpoint_seconds=0))
    assert not list(tmp_path.iterdir())


# --- what a sample sees


class Recording(Faulty):
    """A base model that remembers what its denoiser was asked."""

    def __init__(self, base: ModelFamily) -> None:
        super().__init__(base, good_calls=10**9)
        self.asked: list[tuple[int, Tensor]] = []

    def predict(
        self,
        noised_BCHW: Tensor,
        times_B: Tensor,
        prompts: Conditioning,
        framing_B6: Tensor,
        *,
        guidance: float = 1.0,
    ) -> Tensor:
        self.asked += zip(times_B.tolist(), noised_BCHW.clone(), strict=True)
        return super().predict(noised_BCHW, times_B, prompts, framing_B6, guidance=guidance)


def test_what_a_visit_draws_does_not_depend_on_its_batch(
    plan: Planner, taught: Teacher, tmp_path: Path, tiny_base: ModelFamily
):
    def asked(batch_size: int) -> list[tuple[int, Tensor]]:
        base = Recording(tiny_base)
        settings = {"noiseOffset": 0.1, "flipAug": True, "batchSize": batch_size}
        lora_of(taught(plan(**settings), tmp_path / str(batch_size), base=base))
        return sorted(base.asked, key=lambda one: (one[0], float(one[1].sum())))

    alone, together = asked(1), asked(4)
    assert len(alone) == len(together) == 10
    for (time, noised_CHW), (other_time, other_CHW) in zip(alone, together, strict=True):
        assert time == other_time
        assert torch.equal(noised_CHW, other_CHW)


# --- half precision: scaling by powers of two is exact, so fp32 shows it to the last bit


def in_fp16(planned: TrainingPlan) -> TrainingPlan:
    return dataclasses.replace(planned, compute_dtype="fp16")


def test_scaling_the_loss_changes_nothing_that_is_learnt(
    plan: Planner, taught: Teacher, tmp_path: Path
):
    lora_of(taught(plan(), tmp_path / "fp32"))
    lora_of(taught(in_fp16(plan()), tmp_path / "fp16"))
    one = load_file(tmp_path / "fp32" / "lora.safetensors")
    other = load_file(tmp_path / "fp16" / "lora.safetensors")
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=0, atol=1e-6)


class Overflowing(Faulty):
    """A base model whose gradients are infinite in one call; its answers are not."""

    def predict(
        self,
        noised_BCHW: Tensor,
        times_B: Tensor,
        prompts: Conditioning,
        framing_B6: Tensor,
        *,
        guidance: float = 1.0,
    ) -> Tensor:
        answer_BCHW = self._base.predict(
            noised_BCHW, times_B, prompts, framing_B6, guidance=guidance
        )
        self._left -= 1
        if self._left == 0:
            answer_BCHW.register_hook(lambda gradient: gradient * torch.inf)
        return answer_BCHW


def test_a_step_whose_gradients_overflow_is_skipped_and_the_next_one_learns(
    plan: Planner, taught: Teacher, tmp_path: Path, tiny_base: ModelFamily
):
    planned = in_fp16(plan(optimizer="AdamW"))
    base = Overflowing(tiny_base, good_calls=2)
    states: dict[int, checkpoint.Checkpoint] = {}
    for event in taught(planned, tmp_path, base=base, checkpoint_seconds=0):
        if isinstance(event, CheckpointSaved):
            states[event.step] = checkpoint.read(tmp_path, plan_digest=planned.digest)

    def is_changed(step: int) -> bool:
        now, before = states[step].network, states[step - 1].network
        return any(not torch.equal(now[name], before[name]) for name in now)

    assert [is_changed(step) for step in range(2, 7)] == [False, True, True, True, True]
    assert [float(states[step].scaler["factor"]) for step in (1, 2, 6)] == [65536, 32768, 32768]
    assert [int(states[step].scaler["good_steps"]) for step in (1, 2, 6)] == [1, 0, 4]


def test_gradients_that_overflow_without_scaling_stop_the_training(
    plan: Planner, taught: Teacher, tmp_path: Path, tiny_base: ModelFamily
):
    with pytest.raises(TrainingDiverged, match="at step 2"):
        list(taught(plan(), tmp_path, base=Overflowing(tiny_base, good_calls=2)))

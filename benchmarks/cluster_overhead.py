"""What Ray adds to a training and to a picture whose base model is loaded.

In: how many turns.  Out: a line for each executor and measure, and ratios.  The same jobs are given
to both executors in turns.  A message's way is timed from the moment when the file that it tells
of was written to that in which the executor's reader has it: one machine, one clock.
"""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from pathlib import Path
from statistics import median
from uuid import UUID

from PIL import Image
from tests.clusters import ray_cluster

from modelgenerator.diffusion.builtin import world
from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs.executors.executor import Executor
from modelgenerator.service.jobs.executors.local import LocalExecutor
from modelgenerator.service.jobs.executors.ray import RayExecutor
from modelgenerator.service.jobs.executors.slots import slots_of
from modelgenerator.service.jobs.messages import (
    Assignment,
    CheckpointStored,
    Message,
    Phase,
    PhaseBegun,
    PictureStored,
    Progressed,
    Succeeded,
    Told,
)
from modelgenerator.service.records.clock import system_clock
from modelgenerator.service.records.datasets import SnapshotPicture
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.job_specs import (
    GenerateSpec,
    PictureToDraw,
    TrainSpec,
    Written,
)
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.store.links import LinkSigner
from modelgenerator.service.store.opening import open_files

BASE, SUBJECT = "modelgenerator/creatures", "lvff"
SCENES = ("beach", "forest", "city", "meadow")
PICTURES = 10
"""For each turn."""
SECONDS = 180
LOOK_SECONDS = 0.001
_STEPS = {"maxSteps": 60, "saveEvery": 3, "seed": 7, "captionPrefix": SUBJECT}


@dataclass
class Side:
    """One executor, and the seconds that were seen with it."""

    called: str
    executor: Executor
    config: ServiceConfig
    seen: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def saw(self, measure: str, seconds: float) -> None:
        self.seen.setdefault(measure, []).append(seconds)


def measure(folder: Path, turns: int) -> None:
    storage = folder / "files"
    storage.mkdir()
    with ray_cluster(head_cpus=4) as machines, _sides(folder, storage, machines.address) as sides:
        train = _training(sides[0].config)
        for number in range(1 + turns):
            for side in sides:
                _train(side, train, is_first=number == 0)
        for side in sides:
            _draw(side, is_first=True)
        for _ in range(turns * PICTURES):
            for side in sides:
                _draw(side)
        _print(sides)


@contextmanager
def _sides(folder: Path, storage: Path, address: str) -> Generator[Sequence[Side], None, None]:
    sides: list[Side] = []
    try:
        for called in ("local", "ray"):
            config = ServiceConfig.model_validate(
                {
                    "data_dir": folder / called,
                    "storage_url": str(storage),
                    "ray_address": address,
                    "checkpoint_seconds": 1,
                }
            )
            is_local = called == "local"
            executor = LocalExecutor(config, slots_of([], 1)) if is_local else RayExecutor(config)
            sides.append(Side(called, executor, config))
        _until_connected(sides[-1])
        yield sides
    finally:
        for side in sides:
            side.executor.close()


def _until_connected(side: Side) -> None:
    began = time.monotonic()
    while not side.executor.free_slots():
        assert time.monotonic() - began < SECONDS, "there is no cluster"
        time.sleep(0.05)


# --- jobs


def _training(config: ServiceConfig) -> TrainSpec:
    """Of four pictures, which are stored."""
    files = open_files(config, LinkSigner([b"s" * 32]), system_clock)
    pictures: list[SnapshotPicture] = []
    for number, scene in enumerate(SCENES):
        content = BytesIO()
        drawn = Image.fromarray(world.subject_picture(SUBJECT, scene, 1).pixels_HW3)
        drawn.resize((256, 256), Image.Resampling.NEAREST).save(content, "PNG")
        stored = files.put(f"pictures/{number}.png", content.getvalue())
        pictures.append(
            SnapshotPicture(
                picture_id=UUID(int=number),
                label=f"{scene}.png",
                sha256=stored.sha256,
                caption=f"{SUBJECT} creature, {scene}",
                storage_key=stored.key,
                mask_key=None,
            )
        )
    return TrainSpec(
        training_id=UUID(int=1),
        organization_id=UUID(int=2),
        dataset_id=UUID(int=3),
        settings={"baseModel": BASE, **_STEPS},
        base_model=BASE,
        base_revision=None,
        pictures=tuple(pictures),
        subject_kind=None,
        class_name="creature",
        captioner="none",
        storage_prefix="training",
    )


def _train(side: Side, spec: TrainSpec, *, is_first: bool = False) -> None:
    began = time.time()
    said = _said(side, JobKind.TRAIN, spec)
    starts = next(at for message, at in said if message == PhaseBegun(Phase.LOADING_BASE_MODEL))
    steps = next(at for message, at in said if _is_step(message))
    called = "first training" if is_first else "training"
    side.saw(f"{called}: submit to loading the base model", starts - began)
    side.saw(f"{called}: submit to first step", steps - began)
    side.saw(f"{called}: submit to end", said[-1][1] - began)


def _is_step(message: Message) -> bool:
    return isinstance(message, Progressed) and "loss" in message.progress


def _draw(side: Side, *, is_first: bool = False) -> None:
    wish = {"prompt": f"{SUBJECT} creature in the snow", "seed": 3}
    picture = PictureToDraw(
        position=0, base_model=BASE, base_revision=None, lora=None, settings=wish
    )
    spec = GenerateSpec(
        inference_id=UUID(int=4),
        organization_id=UUID(int=2),
        pictures=(picture,),
        storage_prefix="inference",
    )
    began = time.time()
    said = _said(side, JobKind.GENERATE, spec)
    called = "first" if is_first else "warm"
    side.saw(f"{called} picture: submit to end", said[-1][1] - began)


_NUMBERS = count(1)


def _said(side: Side, kind: JobKind, spec: Written) -> list[tuple[Message, float]]:
    """What a job says, and when it was seen."""
    assignment = Assignment(
        job_id=new_id(system_clock()), attempt=next(_NUMBERS), kind=kind, spec=spec.as_json()
    )
    give_up = time.monotonic() + SECONDS
    while not (slots := [one for one in side.executor.free_slots() if kind in one.kinds]):
        assert time.monotonic() < give_up, "no slot is free"
        time.sleep(LOOK_SECONDS)
    job = side.executor.start(slots[-1], assignment)
    said: list[tuple[Message, float]] = []
    while job.is_alive:
        assert time.monotonic() < give_up, said
        for message in job.messages():
            said.append((message, time.time()))
            _time_the_way(side, *said[-1])
        time.sleep(LOOK_SECONDS)
    assert isinstance(said[-1][0], Succeeded), said[-1]
    return said


def _time_the_way(side: Side, message: Message, at: float) -> None:
    """From the file that was written to the message that tells of it."""
    key: object = None
    if isinstance(message, PictureStored):
        key = message.picture.storage_key
    elif isinstance(message, CheckpointStored):
        key = message.storage_key
    elif isinstance(message, Told):
        key = message.data.get("storageKey")
    if isinstance(key, str):
        with suppress(FileNotFoundError):  # a newer checkpoint has taken its place
            written = (Path(side.config.storage_url) / "objects" / key).stat().st_mtime
            kind = "picture" if isinstance(message, PictureStored) else "training"
            side.saw(f"{kind}: file written to message read", at - written)


def _print(sides: Sequence[Side]) -> None:
    local, ray = sides
    print("| what | times | local, s | Ray, s | Ray - local, s | Ray / local |")
    print("|---|---|---|---|---|---|")
    for what, theirs in local.seen.items():
        ours = ray.seen[what]
        mine, yours = median(theirs), median(ours)
        cells = f"{mine:.3f} | {yours:.3f} | {yours - mine:+.3f} | {yours / mine:.2f}"
        print(f"| {what} | {len(theirs)} | {cells} |")

"""Real child processes that draw with copies of the embedded base model, behind a real dispatcher.

In: how many pictures.  Out: a line for each way.
"""

import random
import shutil
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import torch
from warm_requests import BASES, HEAD, LORAS, WORKERS, Went, Wish, two_organizations, wishes

from modelgenerator.diffusion import builtin, hub
from modelgenerator.diffusion.bringing import bring_and_load
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.lora import files as lora_files
from modelgenerator.lora.inject import LoraNetwork, choose_targets
from modelgenerator.service.config import PriceList, ServiceConfig
from modelgenerator.service.jobs.dispatcher import Dispatcher
from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.executors.local import LocalExecutor, LocalJob
from modelgenerator.service.jobs.messages import Assignment
from modelgenerator.service.operations.service import Service, opened
from modelgenerator.service.records.generations import Inference
from modelgenerator.service.records.holds import NOTHING, Holds
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.job_specs import (
    GenerateSpec,
    LoraToLoad,
    PictureToDraw,
    base_model_key,
)
from modelgenerator.service.records.jobs import Job, JobKind, JobStatus
from modelgenerator.service.store.keys import organization_key

STEPS, RANK = 4, 8
PER_SECOND = 1.0
"""Where requests come one after the other."""
SLOTS = tuple(Slot(name=f"pictures-{n}", kinds=(JobKind.GENERATE,)) for n in range(WORKERS))


def measure(folder: Path, count: int) -> None:
    bases = _copies(folder / "bases")
    loras = _loras(folder / "loras", bases[0])
    print(HEAD)
    for kept in (BASES, 1):
        for rate in (None, PER_SECOND):
            for prefers in (False, True):
                place = folder / f"{kept}-{rate}-{prefers}"
                with _run(place, kept, prefers=prefers) as run:
                    run.all_of(wishes(count), bases, loras, rate)
                shutil.rmtree(place)


def _copies(folder: Path) -> Sequence[str]:
    made = [folder / f"base-{number}" for number in range(BASES)]
    for copy in made:
        shutil.copytree(Path(builtin.__file__).parent / "creatures", copy)
    return [str(copy) for copy in made]


def _loras(folder: Path, base_model: str) -> Sequence[bytes]:
    """Of random numbers, too small to be seen."""
    base, names = _loaded(base_model), list[bytes]()
    rules = base.lora_targets(("attention",))
    network = LoraNetwork(choose_targets(base.lora_parts, rules=rules, rank=RANK, alpha=RANK))
    folder.mkdir()
    for number in range(BASES * LORAS):
        chance = torch.Generator().manual_seed(number)
        drawn = {
            name: 0.01 * torch.randn(values.shape, generator=chance)
            for name, values in network.state().items()
        }
        network.load_state(drawn)
        file = folder / f"{number}.safetensors"
        lora_files.save(file, network, names=base.lora_names, metadata={})
        names.append(file.read_bytes())
    return names


def _loaded(base_model: str) -> ModelFamily:
    steps = bring_and_load(hub.look_at(base_model), "fp32")
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


class _Counting(LocalExecutor):
    """Counts who is given what; may keep to itself what is loaded."""

    def __init__(self, config: ServiceConfig, went: Went, *, prefers: bool) -> None:
        super().__init__(config, SLOTS)
        self._went, self._prefers = went, prefers
        self._known: dict[str, Holds] = {}

    def free_slots(self) -> Sequence[Slot]:
        slots = super().free_slots()
        self._known = {slot.name: slot.holds for slot in slots}
        if self._prefers:
            return slots
        return [replace(slot, holds=NOTHING, nearby=NOTHING) for slot in slots]

    def start(self, slot: Slot, assignment: Assignment) -> LocalJob:
        self._went.begun(self._known[slot.name], assignment.base_model, assignment.lora_sha256)
        return super().start(slot, assignment)


class _Run:
    def __init__(self, service: Service, went: Went, *, kept: int, prefers: bool) -> None:
        self._service, self._went, self._kept, self._prefers = service, went, kept, prefers
        self._owners = two_organizations(service.database, service.clock)

    def all_of(
        self,
        asked: Sequence[Wish],
        bases: Sequence[str],
        loras: Sequence[bytes],
        rate: float | None,
    ) -> None:
        stored = [self._stored(number, lora) for number, lora in enumerate(loras)]
        began, chance, at = time.monotonic(), random.Random(8), 0.0
        for wish in asked:
            at += chance.expovariate(rate) if rate else 0.0
            time.sleep(max(0.0, began + at - time.monotonic()))
            self._ask(wish, bases[wish.base], stored[wish.base * LORAS + wish.lora])
        while (left := self._left()) > 0:
            time.sleep(min(1.0, 0.02 * left))
        took = time.monotonic() - began
        jobs = list(self._jobs())
        for job in jobs:
            assert job.status is JobStatus.SUCCEEDED, job.error
            assert job.finished_at is not None
            self._went.seconds.append((job.finished_at - job.created_at).total_seconds())
        loadings = sum(self._loaded_a_base(job) for job in jobs)
        assert loadings == self._went.jobs - self._went.bases, "what children say is what happens"
        how = "at once" if rate is None else f"{rate:.2f}/s"
        policy = "yes" if self._prefers else "no"
        print(self._went.row(str(self._kept), how, policy, took), flush=True)

    def _stored(self, number: int, content: bytes) -> LoraToLoad:
        owner = self._owners[number % LORAS % 2]
        key = organization_key(owner, "loras", f"{number}.safetensors")
        sha256 = self._service.files.put(key, content).sha256
        return LoraToLoad(training_id=UUID(int=number + 1), storage_key=key, sha256=sha256)

    def _ask(self, wish: Wish, base_model: str, lora: LoraToLoad) -> None:
        now, owner = self._service.clock(), self._owners[wish.organization]
        inference = Inference(
            id=new_id(now),
            organization_id=owner,
            base_model=base_model,
            trained_model_id=None,
            images=(),
            job_id=new_id(now),
            flow_run_id=None,
            created_at=now,
        )
        picture = PictureToDraw(
            position=0,
            base_model=base_model,
            base_revision=None,
            lora=lora,
            settings={"prompt": "lvff creature in the snow", "seed": 3, "steps": STEPS},
        )
        spec = GenerateSpec(
            inference_id=inference.id,
            organization_id=owner,
            pictures=(picture,),
            storage_prefix=organization_key(owner, "inferences", inference.id.hex),
        )
        job = Job(
            id=inference.job_id,
            organization_id=owner,
            kind=JobKind.GENERATE,
            target_id=inference.id,
            spec=spec.as_json(),
            prices=PriceList(),
            estimate=0,
            created_at=now,
            base_model=base_model_key(base_model, None),
            lora_sha256=lora.sha256,
        )
        with self._service.database.transaction() as transaction:
            transaction.of(owner).jobs.add(job)
            transaction.of(owner).inferences.add(inference)
        self._service.news.work_came()

    def _left(self) -> int:
        with self._service.database.reading() as transaction:
            stores = [transaction.of(owner) for owner in self._owners]
            return sum(len(store.jobs.unfinished(limit=10_000)) for store in stores)

    def _jobs(self) -> Iterator[Job]:
        with self._service.database.reading() as transaction:
            for owner in self._owners:
                yield from transaction.of(owner).jobs.all()

    def _loaded_a_base(self, job: Job) -> bool:
        with self._service.database.reading() as transaction:
            events = transaction.of(job.organization_id).jobs.events_after(job.id, 0)
        return any(event.data.get("phase") == "loadingBaseModel" for event in events)


@contextmanager
def _run(folder: Path, kept: int, *, prefers: bool) -> Generator[_Run]:
    said = {"data_dir": folder, "loaded_gigabytes": 0.0 if kept == 1 else None}
    with opened(ServiceConfig.model_validate(said)) as service:
        went = Went()
        executor = _Counting(service.config, went, prefers=prefers)
        with Dispatcher(service, executor):
            yield _Run(service, went, kept=kept, prefers=prefers)

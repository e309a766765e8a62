"""A worker at the edge of the jobs: it takes what waits and leaves what a body would leave.

Files are real and small; what a base model would have drawn is a plain picture.
"""

import hashlib
import io
from collections.abc import Sequence
from uuid import UUID

from PIL import Image
from tests.serving import Serving
from tests.uploaded import LEASE, add_picture, ended

from modelgenerator.service.records.datasets import Dataset, Origin
from modelgenerator.service.records.generations import GeneratedPicture
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.job_specs import (
    GenerateObjectsResult,
    GenerateSpec,
    TrainResult,
    TrainSpec,
    ZipResult,
    ZipSpec,
)
from modelgenerator.service.records.jobs import Fault, Job, JobError, JobKind, JobStatus
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.job_queue import Offer
from modelgenerator.service.store.transaction import OrganizationStore


def png(shade: int = 0, side: int = 64) -> bytes:
    """A picture of one colour and a line."""
    picture = Image.new("RGB", (side, side), (shade, 90, 160))
    picture.paste((250, 250, 250), (0, side // 2, side, side // 2 + 2))
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def a_dataset(here: Serving, count: int = 4, **changes: object) -> UUID:
    """A dataset with so many pictures."""
    now = here.clock()
    dataset = Dataset(
        id=new_id(now),
        organization_id=here.organization_id,
        origin=Origin.API,
        created_at=now,
        **changes,  # type: ignore[arg-type]
    )
    with here.service.database.transaction() as transaction:
        transaction.of(here.organization_id).datasets.add(dataset)
    for number in range(count):
        add_picture(here, dataset, number)
    return dataset.id


def claim(here: Serving, *kinds: JobKind) -> Job | None:
    """Take the next job."""
    offer = Offer(owner="worker", kinds=kinds or tuple(JobKind), gpus=0)
    with here.service.database.transaction() as transaction:
        return transaction.jobs.claim(offer, here.clock(), LEASE)


def work(here: Serving, *kinds: JobKind, used_ms: int = 90_000) -> Job:
    """Take the next job and do it."""
    job = claim(here, *kinds)
    assert job is not None, "there is a job"
    return succeed(here, job, used_ms=used_ms)


def succeed(here: Serving, job: Job, *, used_ms: int = 90_000, objects: object = None) -> Job:
    """The job has left what its body would leave."""
    if objects is not None:
        return ended(here, job, used_ms=used_ms, result=_objects(objects))
    with here.service.database.transaction() as transaction:
        result = _LEFT[job.kind](here, transaction.of(job.organization_id), job)
    return ended(here, job, used_ms=used_ms, result=result)


def fail(here: Serving, job: Job, *, fault: Fault = Fault.THEIRS, used_ms: int = 30_000) -> Job:
    """The job has failed."""
    error = JobError(code="trainingDiverged", message="It diverged.", fault=fault, hint="Lower it.")
    return ended(here, job, JobStatus.FAILED, error=error, used_ms=used_ms)


def stop(here: Serving, job: Job, *, used_ms: int = 30_000) -> Job:
    """The worker has done what a cancel asked."""
    return ended(here, job, JobStatus.CANCELLED, used_ms=used_ms)


def _trained(here: Serving, store: OrganizationStore, job: Job) -> JsonObject:
    del store
    spec = TrainSpec.from_json(job.spec)
    stored = here.service.files.put(f"{spec.storage_prefix}/lora.safetensors", b"a lora")
    return TrainResult(
        storage_key=stored.key,
        sha256=stored.sha256,
        byte_count=stored.byte_count,
        base_model=spec.base_model,
        base_revision=spec.base_revision,
        family="stable-diffusion",
        steps=100,
    ).as_json()


def _drawn(here: Serving, store: OrganizationStore, job: Job) -> JsonObject:
    spec = GenerateSpec.from_json(job.spec)
    for picture in spec.pictures:
        content = png(picture.position)
        key = f"{spec.storage_prefix}/{picture.position}.{picture.format}"
        here.service.files.put(key, content)
        lora = picture.lora
        store.generated_pictures.add(
            GeneratedPicture(
                id=new_id(here.clock()),
                organization_id=job.organization_id,
                inference_id=spec.inference_id,
                position=picture.position,
                storage_key=key,
                sha256=hashlib.sha256(content).hexdigest(),
                byte_count=len(content),
                width=64,
                height=64,
                seed=7,
                parameters={
                    "prompt": picture.settings["prompt"],
                    "negativePrompt": "",
                    "steps": 25,
                    "guidanceScale": 7.5,
                    "loraScale": 1.0,
                    "format": picture.format,
                    "baseModel": picture.base_model,
                    "trainingId": None if lora is None else str(lora.training_id),
                },
                created_at=here.clock(),
            )
        )
    return {}


def _packed(here: Serving, store: OrganizationStore, job: Job) -> JsonObject:
    """Of a size that makes the price easy to see: 2 MB."""
    del store
    spec = ZipSpec.from_json(job.spec)
    stored = here.service.files.put(f"{spec.storage_prefix}/archive.zip", b"\0" * 2_000_000)
    return ZipResult(
        storage_key=stored.key, sha256=stored.sha256, byte_count=stored.byte_count
    ).as_json()


def _objects(written: object, tokens: int = 1_000) -> JsonObject:
    return GenerateObjectsResult(result=written, tokens=tokens).as_json()


_LEFT = {JobKind.TRAIN: _trained, JobKind.GENERATE: _drawn, JobKind.ZIP: _packed}


def amounts(here: Serving) -> Sequence[tuple[str, int]]:
    """What was paid so far, without the starting balance: kind and microdollars."""
    with here.service.database.reading() as transaction:
        entries = transaction.of(here.organization_id).accounts.entries.all()
    return [(entry.kind.value, -entry.amount) for entry in entries[1:]]


def balance(here: Serving) -> tuple[int, int]:
    """Balance and what is held."""
    with here.service.database.reading() as transaction:
        account = transaction.of(here.organization_id).accounts.read()
    return account.balance, account.held

"""Datasets as uploads leave them, and jobs as workers end them, for tests of what comes of both."""

import io
from datetime import timedelta
from uuid import UUID

import numpy as np
from PIL import Image
from tests.serving import Serving

from modelgenerator.datasets.subject import SubjectKind
from modelgenerator.service.operations.outcomes import record_end
from modelgenerator.service.records.datasets import (
    Dataset,
    DatasetPicture,
    Origin,
    Subject,
)
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.job_specs import DrawnPicture, StoredLora, TrainResult
from modelgenerator.service.records.jobs import Job, JobError, JobKind, JobStatus
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.job_queue import Offer
from modelgenerator.service.store.keys import organization_key

LEASE = timedelta(seconds=30)
SETTINGS = {"baseModel": "creatures", "captionPrefix": "lvff", "epochs": 2}


def a_dataset(serving: Serving, pictures: int = 5, organization_id: UUID | None = None) -> UUID:
    """A subject's dataset of small pictures, each another one."""
    owner, clock = organization_id or serving.organization_id, serving.clock
    dataset = Dataset(
        id=new_id(clock()), organization_id=owner, origin=Origin.API, created_at=clock()
    )
    subject = Subject(
        id=new_id(clock()),
        organization_id=owner,
        name="Fuchsi",
        kind=SubjectKind.ANIMAL,
        class_name="fox",
        dataset_id=dataset.id,
        created_at=clock(),
    )
    with serving.service.database.transaction() as transaction:
        store = transaction.of(owner)
        store.datasets.add(dataset)
        store.subjects.add(subject)
    for number in range(pictures):
        add_picture(serving, dataset, number)
    return dataset.id


def add_picture(serving: Serving, dataset: Dataset, number: int) -> None:
    """One more picture; the same number is the same picture."""
    id = new_id(serving.clock())
    key = organization_key(dataset.organization_id, "datasets", dataset.id.hex, f"{id.hex}.png")
    stored = serving.service.files.put(key, _png(number))
    picture = DatasetPicture(
        id=id,
        organization_id=dataset.organization_id,
        dataset_id=dataset.id,
        position=number,
        label=f"{number}.png",
        upload_sha256=stored.sha256,
        sha256=stored.sha256,
        byte_count=stored.byte_count,
        width=64,
        height=64,
        caption=None,
        storage_key=key,
        mask_key=None,
        created_at=serving.clock(),
    )
    with serving.service.database.transaction() as transaction:
        transaction.of(dataset.organization_id).pictures.add(picture)


def claimed(serving: Serving, kind: JobKind = JobKind.TRAIN) -> Job:
    """The next job of this kind, as a worker has it."""
    offer = Offer(owner="worker", kinds=[kind])
    with serving.service.database.transaction() as transaction:
        job = transaction.jobs.claim(offer, serving.clock(), LEASE)
    assert job is not None
    return job


def ended(
    serving: Serving,
    job: Job,
    status: JobStatus = JobStatus.SUCCEEDED,
    *,
    used_ms: int = 0,
    error: JobError | None = None,
    result: JsonObject | None = None,
) -> Job:
    """The job as its worker ended it, with all that follows."""
    service = serving.service
    with service.database.transaction() as transaction:
        over = transaction.jobs.finish(
            job.lease, status, service.clock(), error=error, used_ms=used_ms
        )
        record_end(service, transaction, over, result)
    return over


def trained(
    serving: Serving, job: Job, *, used_ms: int = 60_000, preparing_ms: int = 10_000
) -> TrainResult:
    """The job as a worker ended it that left a LoRA in both layouts."""
    prefix = str(job.spec["storagePrefix"])
    kohya = serving.service.files.put(f"{prefix}/lora.safetensors", b"kohya's")
    diffusers = serving.service.files.put(f"{prefix}/diffusers.safetensors", b"diffusers'")
    serving.service.files.put(f"{prefix}/sample.png", b"a sample")
    result = TrainResult(
        storage_key=kohya.key,
        sha256=kohya.sha256,
        byte_count=kohya.byte_count,
        other_layout=StoredLora(
            layout="diffusers",
            storage_key=diffusers.key,
            sha256=diffusers.sha256,
            byte_count=diffusers.byte_count,
        ),
        base_model=str(job.spec["baseModel"]),
        base_revision=None,
        family="stable-diffusion-1",
        steps=10,
        preparing_ms=preparing_ms,
    )
    ended(serving, job, used_ms=used_ms, result=result.as_json())
    return result


def drawn(serving: Serving, job: Job, position: int) -> DrawnPicture:
    """What a body says of a picture that it stored."""
    key = f"{job.spec['storagePrefix']}/{position}.png"
    stored = serving.service.files.put(key, _png(position))
    return DrawnPicture(
        position=position,
        storage_key=key,
        sha256=stored.sha256,
        byte_count=stored.byte_count,
        width=64,
        height=64,
        seed=position,
        parameters={"prompt": "lvff"},
    )


def _png(number: int) -> bytes:
    noise = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, format="PNG")
    return file.getvalue()

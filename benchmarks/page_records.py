"""What the pages of a large organization show, with real files behind the pictures.

In: an opened service.  Out: trainings as `service_records` writes them, and beside them a dataset
with many photos, many drawn pictures of 1024 pixels, and a pack.  Files are few and shared: a page
shows some dozens.
"""

import io
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import numpy as np
from PIL import Image
from service_records import Written, write_trainings

from modelgenerator.service.config import PriceList
from modelgenerator.service.operations.inferences import PRIORITY
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.datasets import (
    Dataset,
    DatasetPicture,
    Origin,
    Subject,
    SubjectKind,
)
from modelgenerator.service.records.generations import GeneratedPicture, Inference, InferencePack
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.job_specs import GenerateSpec, LoraToLoad, PictureToDraw
from modelgenerator.service.records.jobs import Job, JobKind, JobStatus
from modelgenerator.service.records.trainings import TrainedModel
from modelgenerator.service.store import datasets, generations, job_tables
from modelgenerator.service.store.keys import organization_key
from modelgenerator.service.store.scoped import LONGEST_PAGE

SIDE = 1_024
FILES = 64
EACH = 4
"""Pictures of one inference."""
BASE = "modelgenerator/creatures"
PROMPT = "lvff creature in the snow"


@dataclass(frozen=True)
class Size:
    """How much there is."""

    trainings: int
    inferences: int
    dataset_pictures: int


@dataclass(frozen=True)
class Filled:
    """Of each kind one, to be looked at."""

    subject_id: UUID
    training_id: UUID
    other_training_id: UUID
    inference_id: UUID
    pack_id: UUID
    flow_id: UUID
    pictures: int


def fill(service: Service, size: Size) -> Filled:
    """Write it; what is in the middle of it."""
    training_id = write_trainings(service, size.trainings)
    with service.database.reading() as transaction:
        (organization,) = transaction.identities.organizations()
        store = transaction.of(organization.id)
        models = store.trained_models.usable(service.clock(), limit=LONGEST_PAGE)
        (flow,) = store.flows.all()
    files = [_stored(service, organization.id, number) for number in range(FILES)]
    start = service.clock() - timedelta(seconds=size.inferences + 1)
    made = Written(organization.id, start, *(new_id(start) for _ in range(3)), 0)
    subject = _subject(made, size.dataset_pictures, files)
    inference_id = made.dataset_id
    for number in range(size.inferences):
        made.now += timedelta(seconds=1)
        inference_id = _inference(made, models[number % len(models)], files, number)
    pack = _pack(made)
    with service.database.changing_tables() as connection:
        made.flush(connection)
    other = next(one.training_id for one in models if one.training_id != training_id)
    return Filled(
        subject_id=subject.id,
        training_id=training_id,
        other_training_id=other,
        inference_id=inference_id,
        pack_id=pack.id,
        flow_id=flow.id,
        pictures=size.inferences * EACH + size.trainings,
    )


def _stored(service: Service, organization_id: UUID, number: int) -> str:
    """The key of a picture that compresses as badly as a photo."""
    coarse = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    large = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    large.save(file, format="PNG", compress_level=1)
    key = organization_key(organization_id, "drawn", f"{number:04}.png")
    service.files.put(key, file.getvalue())
    return key


def _subject(made: Written, count: int, files: list[str]) -> Subject:
    dataset = made.add(
        datasets.DATASETS,
        Dataset(
            id=made.id(),
            organization_id=made.organization_id,
            origin=Origin.DASHBOARD,
            created_at=made.now,
        ),
    )
    subject = Subject(
        id=made.id(),
        organization_id=made.organization_id,
        name="Many photos",
        kind=SubjectKind.PERSON,
        class_name="woman",
        dataset_id=dataset.id,
        created_at=made.now,
    )
    made.add(datasets.SUBJECTS, subject)
    for number in range(count):
        made.add(datasets.PICTURES, _photo(made, dataset.id, number, files[number % len(files)]))
    return subject


def _photo(made: Written, dataset_id: UUID, number: int, key: str) -> DatasetPicture:
    return DatasetPicture(
        id=made.id(),
        organization_id=made.organization_id,
        dataset_id=dataset_id,
        position=number,
        label=f"IMG_{number:04}.png",
        upload_sha256=f"{number:064x}",
        sha256=f"{number:064x}",
        byte_count=2_000_000,
        width=SIDE,
        height=SIDE,
        caption="lvff woman at the window, in a blue coat",
        storage_key=key,
        mask_key=None,
        created_at=made.now,
    )


def _inference(made: Written, model: TrainedModel, files: list[str], number: int) -> UUID:
    inference_id = made.id()
    job = _add_job(made, inference_id, model)
    images = tuple(_shown(model, EACH * number + position) for position in range(EACH))
    inference = Inference(
        id=inference_id,
        organization_id=made.organization_id,
        base_model=BASE,
        trained_model_id=model.id,
        images=images,
        job_id=job.id,
        flow_run_id=None,
        created_at=made.now,
    )
    made.add(generations.INFERENCES, inference)
    for position in range(EACH):
        seed = EACH * number + position
        picture = GeneratedPicture(
            id=made.id(),
            organization_id=made.organization_id,
            inference_id=inference_id,
            position=position,
            storage_key=files[seed % len(files)],
            sha256=f"{seed:064x}",
            byte_count=1_500_000,
            width=SIDE,
            height=SIDE,
            seed=seed,
            parameters=images[position],
            created_at=made.now,
        )
        made.add(generations.GENERATED_PICTURES, picture)
    return inference_id


def _shown(model: TrainedModel, seed: int) -> dict[str, object]:
    return {
        "prompt": PROMPT,
        "negativePrompt": "",
        "width": SIDE,
        "height": SIDE,
        "steps": 25,
        "guidanceScale": 7.5,
        "scheduler": None,
        "seed": seed,
        "loraScale": 1.0,
        "format": "png",
        "baseModel": BASE,
        "trainingId": str(model.training_id),
    }


def _add_job(made: Written, inference_id: UUID, model: TrainedModel) -> Job:
    lora = LoraToLoad(
        training_id=model.training_id, storage_key=model.storage_key, sha256=model.sha256
    )
    wanted = [
        PictureToDraw(
            position=position,
            base_model=BASE,
            base_revision=None,
            lora=lora,
            settings={"prompt": PROMPT, "seed": position, "count": 1},
        )
        for position in range(EACH)
    ]
    spec = GenerateSpec(
        inference_id=inference_id,
        organization_id=made.organization_id,
        pictures=tuple(wanted),
        storage_prefix=organization_key(made.organization_id, "inferences", inference_id.hex),
    )
    job = Job(
        id=made.id(),
        organization_id=made.organization_id,
        kind=JobKind.GENERATE,
        target_id=inference_id,
        spec=spec.as_json(),
        prices=PriceList(),
        estimate=0,
        created_at=made.now,
        priority=PRIORITY,
        status=JobStatus.SUCCEEDED,
        attempt=1,
        started_at=made.now,
        finished_at=made.now,
    )
    return made.add(job_tables.JOBS, job)


def _pack(made: Written) -> InferencePack:
    pack = InferencePack(
        id=made.id(),
        organization_id=made.organization_id,
        name="Scenes",
        images=tuple({"prompt": f"{PROMPT} {number}", "seed": number} for number in range(50)),
        created_at=made.now,
        updated_at=made.now,
    )
    return made.add(generations.INFERENCE_PACKS, pack)

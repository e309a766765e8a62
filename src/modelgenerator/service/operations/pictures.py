"""Pictures that were drawn, as records.

In: what a job's body says of a picture that it stored.  Out: a `GeneratedPicture`, once.
"""

from datetime import datetime

from modelgenerator.service.records.generations import GeneratedPicture
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.job_specs import DrawnPicture
from modelgenerator.service.records.jobs import Job
from modelgenerator.service.store.transaction import OrganizationStore


def add_picture(store: OrganizationStore, job: Job, drawn: DrawnPicture, now: datetime) -> None:
    """Write it down; nothing where an earlier attempt has drawn the same one."""
    pictures = store.generated_pictures
    if pictures.first(inference_id=job.target_id, position=drawn.position) is not None:
        return
    picture = GeneratedPicture(
        id=new_id(now),
        organization_id=job.organization_id,
        inference_id=job.target_id,
        position=drawn.position,
        storage_key=drawn.storage_key,
        sha256=drawn.sha256,
        byte_count=drawn.byte_count,
        width=drawn.width,
        height=drawn.height,
        seed=drawn.seed,
        parameters=drawn.parameters,
        created_at=now,
    )
    pictures.add(picture)


def drawn_positions(store: OrganizationStore, job: Job) -> frozenset[int]:
    """Of the pictures that earlier attempts of `job` have drawn."""
    found = store.generated_pictures.all(inference_id=job.target_id)
    return frozenset(picture.position for picture in found)

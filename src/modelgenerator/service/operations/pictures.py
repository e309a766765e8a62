"""A picture that a job has drawn becomes a record, as soon as it is stored.

In: a job and what its body says of a picture, within a transaction.  Out: the record; a picture
that another attempt drew again is the one that is there already.
"""

from datetime import datetime

from modelgenerator.service.records.generations import GeneratedPicture
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.job_specs import DrawnPicture
from modelgenerator.service.records.jobs import Job
from modelgenerator.service.store.transaction import OrganizationStore


def add_picture(
    store: OrganizationStore, job: Job, drawn: DrawnPicture, now: datetime
) -> GeneratedPicture:
    """Remember what was drawn at its position."""
    earlier = store.generated_pictures.first(inference_id=job.target_id, position=drawn.position)
    if earlier is not None:
        return earlier
    picture = GeneratedPicture(
        id=new_id(now),
        organization_id=store.organization_id,
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
    store.generated_pictures.add(picture)
    return picture


def drawn_positions(store: OrganizationStore, job: Job) -> frozenset[int]:
    """Of the pictures that earlier attempts of `job` have drawn."""
    found = store.generated_pictures.all(inference_id=job.target_id)
    return frozenset(picture.position for picture in found)

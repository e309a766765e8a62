"""What an organization has drawn: pictures, and those being drawn.

In: who asks, and how much.  Out: pictures the newest first, each with what was asked for;
inferences that have not ended.  Nothing is changed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.inferences import (
    ShownInference,
    ShownPicture,
    shown_inferences,
    shown_picture,
)
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.generations import Inference
from modelgenerator.service.records.jobs import JobKind, JobStatus
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import JsonObject, Training
from modelgenerator.service.store.scoped import Page
from modelgenerator.service.store.transaction import OrganizationStore


@dataclass(frozen=True, kw_only=True)
class GalleryPicture:
    """A picture among all that were drawn."""

    shown: ShownPicture
    inference: Inference
    training: Training | None
    """Whose model drew it, if it is still there."""

    @property
    def settings(self) -> JsonObject:
        """What it was drawn with, every question answered."""
        return self.inference.images[self.shown.picture.position]


def list_pictures(
    service: Service,
    caller: Caller,
    cursor: str | None,
    *,
    limit: int,
    training_id: UUID | None = None,
    but_of: Sequence[UUID] = (),
) -> Page[GalleryPicture]:
    """The organization's, the newest first; of one training, and none of the inferences `but_of`.

    Raises:
        NotFound: there is no such training.
        InvalidValue: a cursor that no page gave.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        model_id: UUID | None = None
        if training_id is not None:
            store.trainings.there(training_id)
            model = store.trained_models.first(training_id=training_id)
            if model is None:
                return Page((), None)
            model_id = model.id
        page = store.generated_pictures.listed(
            cursor, limit=limit, trained_model_id=model_id, but_of=but_of
        )
        inferences = store.inferences.some({picture.inference_id for picture in page.items})
        trainings = _trainings_of(store, inferences.values())
    return Page(
        tuple(
            _in_gallery(shown_picture(service, one), inferences[one.inference_id], trainings)
            for one in page.items
        ),
        page.next_cursor,
    )


def being_drawn(
    service: Service, caller: Caller, *, limit: int, also: Sequence[UUID] = ()
) -> list[ShownInference]:
    """Inferences that have not ended, and `also` those named, the newest first."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        jobs = [
            job
            for status in (JobStatus.QUEUED, JobStatus.RUNNING)
            for job in store.jobs.all(kind=JobKind.GENERATE, status=status)
        ]
        wanted = sorted({job.target_id for job in jobs} | set(also), reverse=True)[:limit]
        found = store.inferences.some(wanted)
        newest = [found[id] for id in wanted if id in found]
        return list(shown_inferences(service, transaction, store, newest))


def _trainings_of(
    store: OrganizationStore, inferences: Iterable[Inference]
) -> Mapping[UUID, Training]:
    named = {id for one in inferences for image in one.images if (id := _training_id(image))}
    return store.trainings.some(named)


def _in_gallery(
    shown: ShownPicture, inference: Inference, trainings: Mapping[UUID, Training]
) -> GalleryPicture:
    id = _training_id(inference.images[shown.picture.position])
    training = None if id is None else trainings.get(id)
    is_there = training is not None and training.deleted_at is None
    return GalleryPicture(shown=shown, inference=inference, training=training if is_there else None)


def _training_id(image: JsonObject) -> UUID | None:
    named = image.get("trainingId")
    return None if named is None else UUID(str(named))

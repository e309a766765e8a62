"""All that was made of a dataset's pictures: trainings, models, generated pictures, archives.

In: a dataset, within a transaction.  Out: the records and the places in the storage, whichever way
they came from the pictures.  What is done with them is not known here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from modelgenerator.service.records.datasets import DatasetPicture
from modelgenerator.service.records.generations import GeneratedPicture, Inference
from modelgenerator.service.records.jobs import Job, JobKind
from modelgenerator.service.records.trainings import TrainedModel, Training
from modelgenerator.service.store.keys import organization_key
from modelgenerator.service.store.transaction import OrganizationStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A dataset's pictures and what was made of them."""

    pictures: tuple[DatasetPicture, ...]
    snapshot_count: int
    trainings: tuple[Training, ...]
    models: tuple[TrainedModel, ...]
    inferences: tuple[Inference, ...]
    generated: tuple[GeneratedPicture, ...]
    jobs: tuple[Job, ...]
    """All that worked on any of it."""
    prefixes: tuple[str, ...]
    """Where all of it is stored."""

    @property
    def counts(self) -> dict[str, object]:
        """Records by kind."""
        return {
            "pictures": len(self.pictures),
            "masks": sum(picture.mask_key is not None for picture in self.pictures),
            "snapshots": self.snapshot_count,
            "trainings": len(self.trainings),
            "models": len(self.models),
            "inferences": len(self.inferences),
            "generatedPictures": len(self.generated),
        }

    @property
    def sha256s(self) -> tuple[str, ...]:
        """Of the files that are known by them."""
        files = (*self.pictures, *self.models, *self.generated)
        return tuple(sorted({file.sha256 for file in files}))


def derived_from(store: OrganizationStore, dataset_id: UUID) -> Derived:
    """Everything of one dataset."""
    trainings = store.snapshots.trainings_of(dataset_id)
    models = [it for one in trainings for it in store.trained_models.all(training_id=one.id)]
    training_jobs = [job for one in trainings for job in store.jobs.all(target_id=one.id)]
    drawing = [job for one in trainings for job in store.jobs.naming(JobKind.GENERATE, str(one.id))]
    inferences = _inferences(store, drawing, models)
    drawing_jobs = [job for one in inferences for job in store.jobs.all(target_id=one.id)]
    places = [organization_key(store.organization_id, "datasets", dataset_id.hex)]
    places += [*_places(training_jobs), *(model.storage_key for model in models)]
    pictures_at = [*_places(drawing_jobs)]
    archives = [job for place in pictures_at for job in store.jobs.naming(JobKind.ZIP, place)]
    places += [*pictures_at, *_places(archives)]
    jobs = {job.id: job for job in (*training_jobs, *drawing, *drawing_jobs, *archives)}
    return Derived(
        pictures=tuple(store.pictures.in_order(dataset_id)),
        snapshot_count=store.snapshots.count(dataset_id=dataset_id),
        trainings=tuple(trainings),
        models=tuple(models),
        inferences=tuple(inferences),
        generated=tuple(
            it for one in inferences for it in store.generated_pictures.all(inference_id=one.id)
        ),
        jobs=tuple(jobs.values()),
        prefixes=tuple(dict.fromkeys(places)),
    )


def _inferences(
    store: OrganizationStore, jobs: Iterable[Job], models: Iterable[TrainedModel]
) -> list[Inference]:
    """By their jobs, which name every model that they draw with."""
    found = [store.inferences.find(job.target_id) for job in jobs]
    found += [it for model in models for it in store.inferences.all(trained_model_id=model.id)]
    return [*{one.id: one for one in found if one is not None}.values()]


def _places(jobs: Iterable[Job]) -> Iterator[str]:
    for job in jobs:
        place = job.spec.get("storagePrefix")
        if isinstance(place, str):
            yield place

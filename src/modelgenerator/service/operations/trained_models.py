"""Trained models after the training: taken home, renamed, kept longer, deleted.

In: who asks, and which training.  Out: the file that holds the LoRA, or a changed record, or a
receipt that everything is gone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from modelgenerator.service.errors import (
    Conflict,
    Forbidden,
    InvalidValue,
    ModelExpired,
    NotFound,
    StillInUse,
)
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.cancelling import ask_to_end
from modelgenerator.service.operations.kept_files import left_behind
from modelgenerator.service.operations.names import checked_name
from modelgenerator.service.operations.priorities import check_priority
from modelgenerator.service.operations.removals import finish_removal, receipt_for
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.trainings import training_prefix
from modelgenerator.service.records.deletions import DeletionReceipt
from modelgenerator.service.records.job_specs import GenerateSpec, StoredLora
from modelgenerator.service.records.jobs import JobKind, JobStatus
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.priorities import Priority, number_of
from modelgenerator.service.records.trainings import TrainedModel, Training
from modelgenerator.service.store.transaction import OrganizationStore

LONGEST_LIFE = timedelta(days=3_650)
"""From now, beyond which no expiry is set."""


_DOWNLOAD_BEGINS = timedelta(minutes=10)
"""From when it was asked for; it may take longer."""


@dataclass(frozen=True, slots=True)
class LoraFile:
    """A LoRA to be sent."""

    link: str | None
    """Where the storage sends it itself."""
    chunks: Iterator[bytes]
    """Of which the last comes only if they are the right ones; none where there is a link."""
    byte_count: int
    sha256: str
    filename: str


def download_model(service: Service, caller: Caller, id: UUID, layout: str | None) -> LoraFile:
    """The LoRA of a training; in `layout`, or as the programs for its base model read it.

    Raises:
        NotFound: there is no such training, or it was not stored in that layout.
        Forbidden: the operator does not allow it.
        Conflict: it has not succeeded.
        ModelExpired: its weights are deleted.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        training = store.trainings.there(id)
        if not service.config.allow_download:
            raise Forbidden(
                "Whoever runs this service does not let trained models be downloaded.",
                hint="Draw pictures with it: POST /v1/inferences.",
            )
        model = usable_model(store, training, service.clock())
    stored = _in_layout(model, layout)
    files, key = service.files, stored.storage_key
    if files.links_lead_to_storage:
        link, chunks = files.link("GET", key, expires_in=_DOWNLOAD_BEGINS), iter(())
    else:
        link, chunks = None, files.whole(key, sha256=stored.sha256)
    return LoraFile(
        link=link,
        chunks=chunks,
        byte_count=stored.byte_count,
        sha256=stored.sha256,
        filename=f"{training.id.hex}.{stored.layout}.safetensors",
    )


def usable_model(store: OrganizationStore, training: Training, now: datetime) -> TrainedModel:
    """The model that a training made.

    Raises:
        Conflict: it has not succeeded, or not yet.
        ModelExpired: its weights are deleted, or are about to be.
    """
    model = store.trained_models.first(training_id=training.id)
    if model is None:
        status = store.jobs.get(training.job_id).status
        so_far = (
            f"The training {training.name} {status.in_words}"
            if status.is_final
            else (f"The training {training.name} is still {status}")
        )
        raise Conflict(f"{so_far}: there is no trained model.", field="trainingId")
    if model.is_expired(now):
        raise ModelExpired(model.deleted_at or model.expires_at)
    return model


def change_training(
    service: Service,
    caller: Caller,
    id: UUID,
    *,
    name: str | None = None,
    expires_at: datetime | None = None,
    priority: Priority | None = None,
) -> None:
    """Another name, another expiry of its model, another priority as long as it has not ended.

    Raises:
        NotFound: there is none.
        InvalidValue: the expiry is over already, or further than ten years away; or a priority
            that is not given here.
        Conflict: there is no model yet.
        AlreadyFinished: it has ended, and a priority changes nothing.
        ModelExpired: it has expired.
    """
    caller.require(Role.MEMBER)
    if expires_at is not None:
        _refuse_expiry(expires_at, service.clock())
    if priority is not None:
        check_priority(service.config, priority)
    with service.database.transaction() as transaction:
        store, now = transaction.of(caller.organization_id), service.clock()
        job_id = store.trainings.there(id).job_id
        if priority is not None:  # in the order in which a training's end locks them
            store.jobs.get_locked(job_id)
        training = store.trainings.get_locked(id)
        if name is not None:
            store.trainings.replace(replace(training, name=checked_name(name)))
        if expires_at is not None:
            model = usable_model(store, training, now)
            store.trained_models.replace(replace(model, expires_at=expires_at))
        if priority is not None:
            store.jobs.give_priority(training.job_id, number_of(priority, JobKind.TRAIN), now)
    if priority is not None:
        service.news.tell(training.job_id)
        service.news.work_came()


def delete_training(
    service: Service, caller: Caller, id: UUID, *, cancel: bool = False
) -> DeletionReceipt:
    """Weights, samples and checkpoints; what was paid stays in the ledger.

    Raises:
        NotFound: there is none.
        StillInUse: it still runs, and `cancel` was not said; or pictures are drawn with it.
    """
    caller.require(Role.MEMBER)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        store.trainings.there(id)
        training = store.trainings.get_locked(id)
        job = store.jobs.get(training.job_id)
        if not job.status.is_final and not cancel:
            raise StillInUse(
                f"The training is {job.status}.", hint="Cancel it first, or say ?cancel=true."
            )
        if is_drawn_with(store, id):
            raise StillInUse(
                "Pictures are being drawn with its model.", hint="Wait for them, or cancel them."
            )
        receipt = _forget(service, store, training)
        if not job.status.is_final:
            ask_to_end(service, transaction, store, job.id)
    service.news.tell(training.job_id)
    return finish_removal(service, receipt)


def is_drawn_with(store: OrganizationStore, training_id: UUID) -> bool:
    """Whether an inference that has not ended was promised the model of this training."""
    unfinished = [
        job
        for status in (JobStatus.QUEUED, JobStatus.RUNNING)
        for job in store.jobs.all(kind=JobKind.GENERATE, status=status)
    ]
    return any(
        picture.lora is not None and picture.lora.training_id == training_id
        for job in unfinished
        for picture in GenerateSpec.from_json(job.spec).pictures
    )


def _forget(service: Service, store: OrganizationStore, training: Training) -> DeletionReceipt:
    now = service.clock()
    store.trainings.replace(replace(training, deleted_at=now))
    model = store.trained_models.first(training_id=training.id)
    if model is not None and model.deleted_at is None:
        store.trained_models.replace(replace(model, deleted_at=now))
    for endpoint in store.webhook_endpoints.all(job_id=training.job_id):
        store.webhook_endpoints.replace(replace(endpoint, disabled_at=now))
    return receipt_for(
        store,
        "training",
        training.id,
        prefixes=[training_prefix(training), *left_behind(store, training)],
        counts={"models": int(model is not None)},
        sha256s=[model.sha256] if model else [],
        now=now,
    )


def _in_layout(model: TrainedModel, layout: str | None) -> StoredLora:
    own = StoredLora.model_validate(
        {
            "layout": model.layout,
            "storage_key": model.storage_key,
            "sha256": model.sha256,
            "byte_count": model.byte_count,
        }
    )
    if layout in (None, own.layout):
        return own
    if model.other_layout is not None:
        other = StoredLora.from_json(model.other_layout)
        if other.layout == layout:
            return other
    raise NotFound(f"file of this model in the layout {layout}, only", own.layout)


def _refuse_expiry(expires_at: datetime, now: datetime) -> None:
    if expires_at.tzinfo is None:
        raise InvalidValue(
            "expiresAt says its time zone, as 2027-01-31T12:00:00Z.", field="expiresAt"
        )
    if expires_at <= now:
        raise InvalidValue(
            "expiresAt lies in the past.", field="expiresAt", hint="To end it now, delete it."
        )
    if expires_at > now + LONGEST_LIFE:
        raise InvalidValue("expiresAt is at most ten years from now.", field="expiresAt")

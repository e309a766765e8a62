"""Trainings: planned without a trace, started, gone on with.

In: who asks, and what is to be trained.  Out: a training with a job in the queue, paid for in
advance; everything is decided before, so that only what cannot be known can fail later.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import cast
from uuid import UUID

from modelgenerator.service.errors import AlreadyFinished, Conflict
from modelgenerator.service.operations.base_models import commit_of
from modelgenerator.service.operations.callers import (
    Caller,
    answered_before,
    earlier_answer,
    remember,
)
from modelgenerator.service.operations.estimates import Estimate
from modelgenerator.service.operations.names import checked_name
from modelgenerator.service.operations.paying import hold_estimate
from modelgenerator.service.operations.planning import (
    PlannedTraining,
    TrainingRequest,
    plan_as_json,
    plan_training,
)
from modelgenerator.service.operations.priorities import check_priority
from modelgenerator.service.operations.queue_room import require_room
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.snapshots import fingerprint_of, snapshot_of
from modelgenerator.service.operations.webhooks import check_address, new_endpoint
from modelgenerator.service.records.datasets import DatasetSnapshot
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.job_specs import TrainSpec
from modelgenerator.service.records.jobs import Job, JobKind, JobStatus
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.priorities import number_of
from modelgenerator.service.records.trainings import Training
from modelgenerator.service.store.keys import organization_key
from modelgenerator.service.store.transaction import OrganizationStore


def create_training(service: Service, caller: Caller, request: TrainingRequest) -> UUID:
    """Start a training; its id.

    Raises:
        InsufficientFunds: the balance does not cover the estimate.
        QueueFull: too much waits already.
        Conflict: the dataset was changed while it was looked at.
        AddressRefused: nothing may be sent to the webhook.
        Everything that `plan_training` raises.
    """
    caller.require(Role.MEMBER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        if (earlier := answered_before(store, caller)) is not None:
            return earlier
    check_priority(service.config, request.priority)
    name = None if request.name is None else checked_name(request.name)
    if request.webhook_url is not None:
        check_address(service, request.webhook_url, field="webhookUrl")
    planned = plan_training(service, caller, request)
    now = service.clock()
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        id = add_training(service, store, caller, replace(request, name=name), planned, now)
    service.news.work_came()
    return id


def add_training(
    service: Service,
    store: OrganizationStore,
    caller: Caller,
    request: TrainingRequest,
    planned: PlannedTraining,
    now: datetime,
) -> UUID:
    """The part of `create_training` that is decided in one transaction; who calls tells the news.

    Raises:
        InsufficientFunds, QueueFull, Conflict: see `create_training`.
    """
    if (earlier := earlier_answer(store, caller, now)) is not None:
        return earlier
    if request.flow_run_id is None:  # a run that was let in goes on to its end
        require_room(service, store)
    snapshot = _same_snapshot(store, request.dataset_id, planned, now)
    training_id = new_id(now)
    job = _first_job(service, caller, training_id, request, planned)
    training = Training(
        id=training_id,
        organization_id=caller.organization_id,
        name=request.name or _usual_name(store, request.dataset_id, planned),
        origin=caller.origin,
        snapshot_id=snapshot.id,
        template_version_id=planned.template_version_id,
        settings=planned.settings,
        plan=plan_as_json(planned.plan),
        notices=tuple(asdict(notice) for notice in planned.notices),
        estimate={**planned.estimate.as_json(), "shape": planned.shape.as_json()},
        job_id=job.id,
        flow_run_id=request.flow_run_id,
        created_at=now,
    )
    _add(service, store, training, job, request.webhook_url)
    remember(store, caller, training.id)
    return training.id


def webhook_secret_of(service: Service, caller: Caller, id: UUID) -> str | None:
    """What signs the messages to the address that was given with a training; none without one.

    Raises:
        NotFound: there is no such training.
    """
    caller.require(Role.MEMBER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        training = store.trainings.there(id)
        endpoint = store.webhook_endpoints.first(job_id=training.job_id)
    return endpoint.secrets[0] if endpoint else None


def resume_training(service: Service, caller: Caller, id: UUID) -> UUID:
    """Go on from the last checkpoint of a training that failed or was cancelled.

    Raises:
        NotFound: there is none.
        Conflict: it still runs, or has no checkpoint.
        AlreadyFinished: it succeeded.
        InsufficientFunds: the balance does not cover the rest.
    """
    caller.require(Role.MEMBER)
    now = service.clock()
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        if (earlier := earlier_answer(store, caller, now)) is not None:
            return earlier
        store.trainings.there(id)
        training = store.trainings.get_locked(id)
        before = store.jobs.get(training.job_id)
        _refuse_to_resume(before)
        job = _next_job(service, training, before, now)
        store.jobs.add(job)
        hold_estimate(service, store, job)
        store.trainings.replace(replace(training, job_id=job.id))
        for endpoint in store.webhook_endpoints.all(job_id=before.id):
            store.webhook_endpoints.replace(replace(endpoint, job_id=job.id))
        remember(store, caller, training.id)
    service.news.work_came()
    return training.id


def training_prefix(training: Training) -> str:
    """Below it lies everything that a training stores."""
    return _prefix(training.organization_id, training.id)


def _add(
    service: Service, store: OrganizationStore, training: Training, job: Job, url: str | None
) -> None:
    store.jobs.add(job)
    hold_estimate(service, store, job)
    store.trainings.add(training)
    if url is not None:
        endpoint = new_endpoint(training.organization_id, url, training.created_at, job_id=job.id)
        store.webhook_endpoints.add(endpoint)


def _same_snapshot(
    store: OrganizationStore, dataset_id: UUID, planned: PlannedTraining, now: datetime
) -> DatasetSnapshot:
    snapshot = snapshot_of(store, dataset_id, now)
    if snapshot.fingerprint != fingerprint_of(planned.pictures):
        raise Conflict(
            "The dataset was changed while it was looked at.",
            field="datasetId",
            hint="Ask again.",
        )
    return snapshot


def _first_job(
    service: Service,
    caller: Caller,
    training_id: UUID,
    request: TrainingRequest,
    planned: PlannedTraining,
) -> Job:
    now = service.clock()
    spec = TrainSpec(
        training_id=training_id,
        organization_id=caller.organization_id,
        dataset_id=request.dataset_id,
        settings=planned.settings,
        base_model=planned.base.reference,
        base_revision=commit_of(planned.base),
        pictures=planned.pictures,
        subject_kind=planned.subject.kind,
        class_name=planned.subject.class_name,
        captioner=planned.captioner,
        storage_prefix=_prefix(caller.organization_id, training_id),
        memory_bytes=planned.plan.memory_bytes if service.config.executor == "ray" else None,
    )
    needs_gpu = planned.shape.machine != "cpu"
    return Job(
        id=new_id(now),
        organization_id=caller.organization_id,
        kind=JobKind.TRAIN,
        target_id=training_id,
        spec=spec.as_json(),
        prices=service.config.prices,
        estimate=planned.estimate.cost,
        created_at=now,
        priority=number_of(request.priority, JobKind.TRAIN),
        gpus=int(needs_gpu),
        gpu_memory=planned.plan.memory_bytes if needs_gpu else 0,
    )


def _next_job(service: Service, training: Training, before: Job, now: datetime) -> Job:
    """On the prices of today, for the steps that are left."""
    prices = service.config.prices
    rest = Estimate.from_json(training.estimate).share(_part_left(training, before), prices)
    return Job(
        id=new_id(now),
        organization_id=training.organization_id,
        kind=JobKind.TRAIN,
        target_id=training.id,
        spec=before.spec,
        prices=prices,
        estimate=rest.cost,
        created_at=now,
        priority=before.priority,
        gpus=before.gpus,
        gpu_memory=before.gpu_memory,
        checkpoint_key=before.checkpoint_key,
    )


def _refuse_to_resume(before: Job) -> None:
    if before.status is JobStatus.SUCCEEDED:
        raise AlreadyFinished("The training has succeeded already.")
    if not before.status.is_final:
        raise Conflict(f"The training is {before.status}: there is nothing to go on with yet.")
    if before.checkpoint_key is None:
        raise Conflict(
            "The training ended before its first checkpoint, so there is nothing to go on with.",
            hint="Start a new training with the same settings.",
        )


def _part_left(training: Training, before: Job) -> float:
    """Of the steps; what was done after the last checkpoint is little, and done again."""
    total = max(1, cast(int, training.plan["totalSteps"]))
    progress: Mapping[str, object] = before.progress or {}
    step = progress.get("step")
    done = min(step, total) if isinstance(step, int) else 0
    return (total - done) / total


def _usual_name(store: OrganizationStore, dataset_id: UUID, planned: PlannedTraining) -> str:
    subject = store.subjects.first(dataset_id=dataset_id)
    return (subject.name if subject else "") or planned.plan.caption_prefix or "Training"


def _prefix(organization_id: UUID, training_id: UUID) -> str:
    return organization_key(organization_id, "trainings", training_id.hex)

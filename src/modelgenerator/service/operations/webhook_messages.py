"""What is to be told to whoever asked to be told, written with what it tells of.

In: a job that began or ended, or a run, within a transaction.  Out: deliveries in the outbox; they
are sent afterwards.  A message is thin: it says what happened to which thing, and whoever wants
more asks for the thing.
"""

from datetime import datetime
from uuid import UUID

from modelgenerator.service.records.flows import FlowRun, RunStatus
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.jobs import Job, JobKind
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.records.webhooks import (
    DeliveryStatus,
    WebhookDelivery,
    WebhookEndpoint,
)
from modelgenerator.service.store.transaction import OrganizationStore, Transaction

_TOLD_OF = {JobKind.TRAIN: "training", JobKind.GENERATE: "inference"}
"""Jobs of which something is told; the others belong to runs, which tell of themselves."""
EVENT_TYPES = tuple(
    f"{what}.{happened}"
    for what in ("training", "inference", "run")
    for happened in ("started", "succeeded", "failed", "cancelled")
)


def tell_of_start(transaction: Transaction, job: Job, now: datetime) -> None:
    """That an attempt at `job` began; told of the first one alone."""
    if job.attempt == 1 and job.kind in _TOLD_OF:
        _tell_of_job(transaction.of(job.organization_id), job, "started", now)


def tell_of_end(store: OrganizationStore, job: Job, now: datetime) -> None:
    """How `job` ended."""
    assert job.status.is_final, "it has ended"
    if job.kind in _TOLD_OF:
        _tell_of_job(store, job, job.status.value, now)


def tell_of_run(
    store: OrganizationStore, run: FlowRun, now: datetime, error: JsonObject | None = None
) -> None:
    """That `run` began, or how it ended."""
    happened = "started" if run.status is RunStatus.RUNNING else run.status.value
    data: dict[str, object] = {"id": str(run.id), "status": run.status.value}
    if error is not None:
        data["error"] = {"code": error["code"], "message": str(error["message"])[:1_000]}
    tell(store, f"run.{happened}", data, now, job_id=None)


def tell(
    store: OrganizationStore, type: str, data: JsonObject, now: datetime, *, job_id: UUID | None
) -> None:
    """Write a message of one of `EVENT_TYPES` for every endpoint that wants it."""
    assert type in EVENT_TYPES, f"nothing is told of {type}"
    payload = {"type": type, "timestamp": now.isoformat(), "data": data}
    endpoints = store.webhook_endpoints.all(job_id=None, disabled_at=None)
    if job_id is not None:
        endpoints += store.webhook_endpoints.all(job_id=job_id, disabled_at=None)
    for endpoint in endpoints:
        if not endpoint.event_types or type in endpoint.event_types:
            store.webhook_deliveries.add(_delivery(endpoint, type, payload, now))


def _tell_of_job(store: OrganizationStore, job: Job, happened: str, now: datetime) -> None:
    data: dict[str, object] = {"id": str(job.target_id), "status": job.status.value}
    if job.error is not None:
        data["error"] = {"code": job.error.code, "message": job.error.message[:1_000]}
    tell(store, f"{_TOLD_OF[job.kind]}.{happened}", data, now, job_id=job.id)


def _delivery(
    endpoint: WebhookEndpoint, type: str, payload: JsonObject, now: datetime
) -> WebhookDelivery:
    return WebhookDelivery(
        id=new_id(now),
        organization_id=endpoint.organization_id,
        endpoint_id=endpoint.id,
        type=type,
        payload=payload,
        status=DeliveryStatus.PENDING,
        tries=0,
        next_try_at=now,
        response=None,
        created_at=now,
    )

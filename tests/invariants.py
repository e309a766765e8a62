"""What must hold of a deployment after whatever happened to it.

In: its servers, none of which runs, and what its clients were promised.  Out: every violation
in words; nothing if all is well.
"""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from PIL import Image
from tests.chaos import Promises
from tests.server import Server

from modelgenerator.lora import files as lora_files
from modelgenerator.service.billing.ledger import faults as ledger_faults
from modelgenerator.service.operations.deletions import forget_rooms
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.webhooks import message_id
from modelgenerator.service.records.flows import RunStatus
from modelgenerator.service.records.jobs import AttemptEnd, Job, JobKind, JobStatus
from modelgenerator.service.records.webhooks import DeliveryStatus
from modelgenerator.service.store.transaction import OrganizationStore


def violations(servers: Sequence[Server], promises: Promises) -> list[str]:
    """All of them."""
    with servers[0].opened() as service, service.database.reading() as transaction:
        (organization,) = transaction.identities.organizations()
        store = transaction.of(organization.id)
        found = [*promises.faults, *_found(service, store, promises)]
    for other in servers[1:]:
        with other.opened() as service:
            forget_rooms(service)  # as it does each minute: another server deleted them
            found += _left_rooms(service, promises)
    return found


def _found(service: Service, store: OrganizationStore, promises: Promises) -> Iterator[str]:
    jobs = store.jobs.all()
    yield from _promised(store, promises)
    yield from _ended_once(store, jobs)
    yield from _paid_once(store, jobs)
    yield from _left_whole(service, store, jobs)
    yield from _wrote_apart(service, jobs)
    yield from _kept(service, store, promises)
    yield from _gone(service, promises)
    yield from _told(store, jobs, promises)


def _promised(store: OrganizationStore, promises: Promises) -> Iterator[str]:
    """I1, and that nothing was made twice."""
    for id in promises.trainings:
        training = store.trainings.find(UUID(id))
        if training is None:
            yield f"training {id} was promised and is not there"
    for id in promises.inferences:
        if store.inferences.find(UUID(id)) is None:
            yield f"inference {id} was promised and is not there"
    for id in promises.runs:
        run = store.flow_runs.find(UUID(id))
        if run is None or run.status in (RunStatus.QUEUED, RunStatus.RUNNING):
            yield f"run {id} was promised and is {run and run.status}"
    counts = {
        "trainings": (store.trainings.count(), len(set(promises.trainings))),
        "inferences": (store.inferences.count(), len(set(promises.inferences))),
        "runs": (store.flow_runs.count(), len(set(promises.runs))),
    }
    for name, (there, asked) in counts.items():
        if there != asked:
            yield f"{asked} {name} were promised and {there} are there"


def _ended_once(store: OrganizationStore, jobs: list[Job]) -> Iterator[str]:
    """I1, I2 and I10."""
    for job in jobs:
        if not job.status.is_final:
            yield f"job {job.id} is {job.status}"
        events = store.jobs.events_after(job.id, 0, limit=100_000)
        if [event.sequence for event in events] != list(range(1, len(events) + 1)):
            yield f"events of job {job.id} have gaps"
        if sum(event.is_final for event in events) != 1 or not events[-1].is_final:
            yield f"job {job.id} did not end once, and last"
        attempts = [event.attempt for event in events]
        if attempts != sorted(attempts):
            yield f"an earlier attempt of job {job.id} spoke after a later one"
        for attempt in set(attempts):
            steps = [_last_step(it.data) for it in events if it.attempt == attempt]
            steps = [step for step in steps if step is not None]
            if steps != sorted(steps):
                yield f"job {job.id} went back within attempt {attempt}"


def _last_step(data: Any) -> int | None:
    steps = data.get("steps")
    return steps[-1] if isinstance(steps, list) and steps else None


def _paid_once(store: OrganizationStore, jobs: list[Job]) -> Iterator[str]:
    """I3."""
    yield from ledger_faults(store.accounts)
    if (held := store.accounts.read().held) != 0:
        yield f"{held} are held and nothing runs"
    entries = Counter((it.job_id, it.kind) for it in store.accounts.entries.all() if it.job_id)
    for (job_id, kind), count in entries.items():
        if count > 1:
            yield f"job {job_id} paid {count} times for {kind}"
    paid = {job_id for job_id, _ in entries}
    for job in jobs:
        is_owed = job.status is JobStatus.SUCCEEDED and job.kind is not JobKind.GENERATE_OBJECTS
        if is_owed and job.id not in paid:
            yield f"job {job.id} ({job.kind}) succeeded and was not paid"


def _left_whole(service: Service, store: OrganizationStore, jobs: list[Job]) -> Iterator[str]:
    """I4."""
    for job in jobs:
        if job.kind is JobKind.TRAIN and job.status is JobStatus.SUCCEEDED and job.spec:
            model = store.trained_models.first(training_id=job.target_id)
            if model is None:
                yield f"training {job.target_id} succeeded and left no model"
            else:
                content = service.files.read(model.storage_key)
                yield from _same(content, model.sha256, model.storage_key)
                file = service.config.data_dir / "checked.safetensors"
                file.write_bytes(content)
                lora_files.load(file)
    for picture in store.generated_pictures.all():
        content = service.files.read(picture.storage_key)
        yield from _same(content, picture.sha256, picture.storage_key)
        Image.open(io.BytesIO(content)).load()


def _same(content: bytes, sha256: str, key: str) -> Iterator[str]:
    if hashlib.sha256(content).hexdigest() != sha256:
        yield f"{key} is not what was written"


def _wrote_apart(service: Service, jobs: list[Job]) -> Iterator[str]:
    """I5: a file of an attempt names job and attempt, and only attempts that were are named."""
    attempts = {f"{job.id.hex}-{number:04}" for job in jobs for number in range(1, job.attempt + 1)}
    for key in service.files.keys("organizations"):
        if "/attempts/" in key:
            named = key.partition("/attempts/")[2].partition("/")[0]
            if named not in attempts:
                yield f"{key} is of an attempt that never was"


def _kept(service: Service, store: OrganizationStore, promises: Promises) -> Iterator[str]:
    """I6."""
    for dataset, id in promises.pictures:
        if dataset in promises.deleted_datasets:
            continue
        picture = store.pictures.find(UUID(id))
        if picture is None:
            yield f"picture {id} was accepted and is not there"
            continue
        content = service.files.read(picture.storage_key)
        yield from _same(content, picture.sha256, picture.storage_key)
        Image.open(io.BytesIO(content)).load()


def _gone(service: Service, promises: Promises) -> Iterator[str]:
    """I8."""
    for dataset in promises.deleted_datasets:
        name = UUID(dataset).hex
        yield from (
            f"{key} was deleted" for key in service.files.keys("organizations") if name in key
        )
    yield from _left_rooms(service, promises)


def _left_rooms(service: Service, promises: Promises) -> Iterator[str]:
    for dataset in promises.deleted_datasets:
        rooms = service.config.data_dir.rglob(f"*{UUID(dataset).hex}*")
        yield from (f"{path} was deleted" for path in rooms)


def _told(store: OrganizationStore, jobs: list[Job], promises: Promises) -> Iterator[str]:
    """I9: whatever ended was told, or tried as often as promised."""
    told: set[tuple[object, object]] = set()
    for delivery in store.webhook_deliveries.all():
        data = delivery.payload["data"]
        assert isinstance(data, Mapping)
        about = (data["id"], data["status"])
        if about in told:
            yield f"{about} was written twice to be told"
        told.add(about)
        if delivery.status is DeliveryStatus.PENDING:
            yield f"message {delivery.id} ({delivery.type}) was not sent"
        elif message_id(delivery) not in promises.heard:
            yield f"message {delivery.id} ({delivery.type}) did not come"
    ends = [(job.target_id, job.status) for job in jobs if job.kind in _TOLD_OF]
    ends += [(run.id, run.status) for run in store.flow_runs.all()]
    for id, status in ends:
        if (str(id), status.value) not in told:
            yield f"nobody was told that {id} {status.value}"


_TOLD_OF = (JobKind.TRAIN, JobKind.GENERATE)


@dataclass(frozen=True)
class Survived:
    """What jobs went through, for people to read."""

    ends: Mapping[str, int]
    failures: Mapping[str, int]
    lost_attempts: int
    resumed_from: Sequence[int]
    """Steps from which a later attempt of a training went on."""


def survived(server: Server) -> Survived:
    """All of them."""
    with server.opened() as service, service.database.reading() as transaction:
        (organization,) = transaction.identities.organizations()
        jobs = transaction.of(organization.id).jobs
        all_jobs = jobs.all()
        attempts = [attempt for job in all_jobs for attempt in jobs.attempts(job.id)]
        resumed = [one for job in all_jobs for one in jobs.events_named(job.id, ["resumed"])]
        return Survived(
            ends=Counter(job.status.value for job in all_jobs),
            failures=Counter(job.error.code for job in all_jobs if job.error is not None),
            lost_attempts=sum(attempt.end is AttemptEnd.LOST for attempt in attempts),
            resumed_from=[int(str(event.data["step"])) for event in resumed],
        )

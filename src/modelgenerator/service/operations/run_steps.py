"""How a step of a run ends: its result in the shape that flows promise, its charge, its run.

In: a job that has ended, or why a step cannot begin.  Out: the step's record, the run's, and an
event of each.  Which step comes next is not known here.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast
from uuid import UUID

from modelgenerator.flows.definition import StepType
from modelgenerator.flows.limits import MAX_RESULT, passed_limits
from modelgenerator.service.billing.prices import object_generator_charge, zipper_charge
from modelgenerator.service.operations.paying import ledger_of, payment_key, settle
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.stored_addresses import address_of
from modelgenerator.service.operations.webhook_messages import tell_of_run
from modelgenerator.service.records.flows import FlowRun, RunEventName, RunStatus, StepResult
from modelgenerator.service.records.generations import GeneratedPicture
from modelgenerator.service.records.job_specs import GenerateObjectsResult, ZipResult
from modelgenerator.service.records.jobs import Fault, Job, JobError, JobKind, JobStatus
from modelgenerator.service.records.money import EntryKind
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.transaction import OrganizationStore, Transaction

_PAID_HERE = (JobKind.ZIP, JobKind.GENERATE_OBJECTS)
"""Kinds of jobs that only steps have; the others are paid where they are known."""


def when_step_job_ended(
    service: Service, transaction: Transaction, job: Job, result: JsonObject | None
) -> None:
    """Write down what the job left for the step that it worked for; nothing if it is no step's.

    A job that ends before its step knows of it is looked at when the step is told.
    """
    store = transaction.of(job.organization_id)
    step = store.step_results.first(job_id=job.id)
    if step is not None:
        end_step(service, store, step, job, result)


def end_step(
    service: Service,
    store: OrganizationStore,
    step: StepResult,
    job: Job,
    result: JsonObject | None,
) -> None:
    """The same for a step that is known; a second time changes nothing."""
    run = store.flow_runs.get_locked(step.run_id)
    step = store.step_results.get_locked(step.id)
    if step.status is not RunStatus.RUNNING:
        return
    if job.kind in _PAID_HERE and job.status is not JobStatus.SUCCEEDED:
        ledger_of(service, store, service.clock()).release(payment_key(job))
    if job.status is JobStatus.CANCELLED:
        cancel_step(service, store, run, step)
    elif job.status is JobStatus.FAILED:
        assert job.error is not None, "what failed says why"
        fail_step(service, store, run, step, error_of(job.error))
    else:
        left = _LEFT[StepType(step.type)](service, store, job, result or {})
        faults = list(passed_limits(left, most=MAX_RESULT))
        if faults:
            reason = f"What the step left cannot be kept: {faults[0]}."
            fail_step(service, store, run, step, {"code": "unusableResult", "message": reason})
        else:
            finish_step(service, store, run, step, left)


def finish_step(
    service: Service,
    store: OrganizationStore,
    run: FlowRun,
    step: StepResult,
    result: JsonObject,
) -> None:
    """The step has left `result`; its run goes on, unless it is to be cancelled."""
    now = service.clock()
    store.step_results.replace(replace(step.moved_to(RunStatus.SUCCEEDED, now), result=result))
    _tell_end(service, store, run, step, RunStatus.SUCCEEDED)
    if run.cancel_requested_at is not None:
        end_run(service, store, run, RunStatus.CANCELLED)


def fail_step(
    service: Service,
    store: OrganizationStore,
    run: FlowRun,
    step: StepResult,
    error: JsonObject,
) -> None:
    """The step and its run have failed; what earlier steps left is kept."""
    now = service.clock()
    store.step_results.replace(replace(step.moved_to(RunStatus.FAILED, now), error=error))
    _tell_end(service, store, run, step, RunStatus.FAILED, error)
    if run.cancel_requested_at is not None:
        end_run(service, store, run, RunStatus.CANCELLED)
    else:
        end_run(service, store, run, RunStatus.FAILED, {**error, "stepId": step.step_id})


def cancel_step(service: Service, store: OrganizationStore, run: FlowRun, step: StepResult) -> None:
    """The step was cancelled, and with it its run."""
    store.step_results.replace(step.moved_to(RunStatus.CANCELLED, service.clock()))
    _tell_end(service, store, run, step, RunStatus.CANCELLED)
    end_run(service, store, run, RunStatus.CANCELLED)


def end_run(
    service: Service,
    store: OrganizationStore,
    run: FlowRun,
    status: RunStatus,
    error: JsonObject | None = None,
) -> None:
    """The run has ended; a failed one may be resumed."""
    now = service.clock()
    # read again: events were counted in its row
    run = store.flow_runs.get_locked(run.id)
    ended = replace(run.moved_to(status, now), error=error)
    store.flow_runs.replace(ended)
    tell_of_run(store, ended, now, error)
    data: dict[str, object] = {"status": status.value}
    store.run_events.tell(
        run.id, RunEventName.FINISHED, data if error is None else {**data, "error": error}, now
    )
    service.news.tell(run.id)


def error_of(error: JobError) -> dict[str, object]:
    """Why a job failed, as it is kept with its step."""
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "isOurFault": error.fault is Fault.OURS,
    }


def pictures_of(store: OrganizationStore, inference_id: UUID) -> list[GeneratedPicture]:
    """What was drawn, in its order."""
    drawn = store.generated_pictures.all(inference_id=inference_id)
    return sorted(drawn, key=lambda picture: picture.position)


def _tell_end(
    service: Service,
    store: OrganizationStore,
    run: FlowRun,
    step: StepResult,
    status: RunStatus,
    error: JsonObject | None = None,
) -> None:
    data: dict[str, object] = {"stepId": step.step_id, "status": status.value}
    if error is not None:
        data["error"] = error
    store.run_events.tell(run.id, RunEventName.STEP_FINISHED, data, service.clock())
    service.news.tell(run.id)
    service.news.work_came()


def _left_by_training(
    service: Service, store: OrganizationStore, job: Job, result: JsonObject
) -> JsonObject:
    del service, store, result
    return {"id": str(job.target_id)}


def _left_by_pictures(
    service: Service, store: OrganizationStore, job: Job, result: JsonObject
) -> JsonObject:
    del service, result
    return {"images": [_image(picture) for picture in pictures_of(store, job.target_id)]}


def _image(picture: GeneratedPicture) -> dict[str, object]:
    """As `flows.results` promises it."""
    known = picture.parameters
    return {
        "url": address_of(picture.storage_key),
        "seed": picture.seed,
        "prompt": known.get("prompt", ""),
        "negativePrompt": known.get("negativePrompt", ""),
        "steps": known.get("steps"),
        "width": picture.width,
        "height": picture.height,
        "guidanceScale": known.get("guidanceScale"),
        "scheduler": known.get("scheduler"),
        "loraScale": known.get("loraScale"),
        "format": known.get("format"),
        "baseModel": known.get("baseModel"),
        "trainingId": known.get("trainingId"),
    }


def _left_by_zip(
    service: Service, store: OrganizationStore, job: Job, result: JsonObject
) -> JsonObject:
    archive = ZipResult.from_json(result)
    cost = zipper_charge(job.prices, archive.byte_count)
    memo = f"Archive of {archive.byte_count:,} bytes"
    settle(service, store, job, EntryKind.ZIPPER, cost, memo=memo, now=service.clock())
    return {"url": address_of(archive.storage_key)}


def _left_by_objects(
    service: Service, store: OrganizationStore, job: Job, result: JsonObject
) -> JsonObject:
    written = GenerateObjectsResult.from_json(result)
    cost = object_generator_charge(job.prices, written.tokens)
    memo = f"{written.tokens:,} tokens of a language model"
    settle(service, store, job, EntryKind.OBJECT_GENERATOR, cost, memo=memo, now=service.clock())
    return cast(JsonObject, written.result)


_LEFT: Mapping[StepType, Callable[[Service, OrganizationStore, Job, JsonObject], JsonObject]] = {
    StepType.MODEL_GENERATOR: _left_by_training,
    StepType.IMAGE_GENERATOR: _left_by_pictures,
    StepType.ZIPPER: _left_by_zip,
    StepType.OBJECT_GENERATOR: _left_by_objects,
}

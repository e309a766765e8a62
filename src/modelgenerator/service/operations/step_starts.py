"""How a step begins that works through a job: a training, pictures, an archive, objects.

In: a run and a step whose turn it is.  Out: a job in the queue, with its cost held back.  A
training or a request for pictures is a record of its own, made by the operation that makes all of
them, under a key that is the step's: whoever begins the same attempt again finds the same record.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from modelgenerator.errors import InvalidFlowInput
from modelgenerator.flows.definition import StepType
from modelgenerator.flows.engine import StepToRun
from modelgenerator.flows.parameters import (
    ImageGeneratorParameters,
    ModelGeneratorParameters,
    ObjectGeneratorParameters,
    ZipperParameters,
)
from modelgenerator.service.billing.prices import object_generator_charge, zipper_charge
from modelgenerator.service.operations.callers import Caller, RequestKey
from modelgenerator.service.operations.form_inputs import id_of, ids_in
from modelgenerator.service.operations.inferences import InferenceRequest, create_inference
from modelgenerator.service.operations.paying import hold_estimate
from modelgenerator.service.operations.planning import TrainingRequest
from modelgenerator.service.operations.run_steps import pictures_of
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.stored_addresses import address_of, with_addresses
from modelgenerator.service.operations.trainings import create_training, resume_training
from modelgenerator.service.records.datasets import Origin
from modelgenerator.service.records.flows import FlowRun, FlowVersion, StepResult
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.job_specs import GenerateObjectsSpec, ZipEntry, ZipSpec
from modelgenerator.service.records.jobs import Job, JobKind
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.priorities import Priority, number_of
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.keys import organization_key
from modelgenerator.service.store.transaction import OrganizationStore

_LETTERS_A_TOKEN = 4
_TOKENS_AN_OBJECT = 500
"""What is held for an object before anybody knows how long it becomes."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A step of a run that is being begun."""

    run: FlowRun
    version: FlowVersion
    steps: tuple[StepResult, ...]
    """The run's, this one among them."""
    record: StepResult
    to_run: StepToRun
    earlier_job: Job | None
    """What worked for this step before the run was resumed."""


def caller_of(begun: Begun) -> Caller:
    """On whose behalf a step asks: the organization's that the flow belongs to."""
    step = begun.record
    key = f"run {step.run_id.hex} step {step.step_id} attempt {step.attempt}"
    asked = json.dumps(begun.to_run.values, sort_keys=True)
    return Caller(
        organization_id=step.organization_id,
        role=Role.MEMBER,
        origin=Origin.FLOW,
        request=RequestKey(key, hashlib.sha256(asked.encode()).hexdigest()),
    )


def begin_elsewhere(service: Service, begun: Begun) -> UUID:
    """Make the training or the request for pictures that the step asks for; the id of its job.

    Raises:
        Everything that `create_training` and `create_inference` raise.
        InvalidFlowInput: a stranger who runs a public flow named a record that is not his.
    """
    caller, parameters = caller_of(begun), begun.to_run.parameters
    if begun.run.is_public:
        _refuse_foreign(begun)
    if isinstance(parameters, ModelGeneratorParameters):
        id = _train(service, caller, begun, parameters)
    else:
        assert isinstance(parameters, ImageGeneratorParameters), "the others begin here"
        id = create_inference(service, caller, _pictures_asked(begun, parameters))
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        is_training = begun.record.type == StepType.MODEL_GENERATOR
        return (store.trainings if is_training else store.inferences).get(id).job_id


def zip_job(
    service: Service, store: OrganizationStore, begun: Begun, parameters: ZipperParameters
) -> Job:
    """Add the job of a Zipper step."""
    entries, byte_count = _entries(store, begun.steps, parameters.sources)
    run_id, step = begun.run.id, begun.record
    spec = ZipSpec(
        run_id=run_id,
        step_id=step.step_id,
        organization_id=step.organization_id,
        filename=parameters.filename,
        entries=entries,
        storage_prefix=_prefix(step),
    )
    estimate = zipper_charge(service.config.prices, byte_count)
    return _add_job(service, store, step, JobKind.ZIP, spec.as_json(), estimate)


def objects_job(
    service: Service, store: OrganizationStore, begun: Begun, parameters: ObjectGeneratorParameters
) -> Job:
    """Add the job of an ObjectGenerator step."""
    step = begun.record
    context = next((it.result for it in begun.steps if it.step_id == parameters.context_id), None)
    spec = GenerateObjectsSpec(
        run_id=begun.run.id,
        step_id=step.step_id,
        organization_id=step.organization_id,
        description=parameters.description,
        object_schema=parameters.schema,
        input=parameters.input,
        amount=parameters.amount,
        creativity=parameters.creativity,
        context=context,
    )
    letters = len(json.dumps(begun.to_run.values)) + len(json.dumps(context))
    tokens = math.ceil(letters / _LETTERS_A_TOKEN) + _TOKENS_AN_OBJECT * parameters.amount
    estimate = object_generator_charge(service.config.prices, tokens)
    return _add_job(service, store, step, JobKind.GENERATE_OBJECTS, spec.as_json(), estimate)


def _train(
    service: Service, caller: Caller, begun: Begun, parameters: ModelGeneratorParameters
) -> UUID:
    earlier = begun.earlier_job
    if earlier is not None and earlier.checkpoint_key is not None:
        return resume_training(service, caller, earlier.target_id)
    request = TrainingRequest(
        dataset_id=_id(parameters.dataset_id, "datasetId"),
        template_id=_optional_id(parameters.training_settings_id, "trainingSettingsId"),
        settings=parameters.settings,
        acknowledges_warnings=True,
        flow_run_id=begun.run.id,
    )
    return create_training(service, caller, request)


def _pictures_asked(begun: Begun, parameters: ImageGeneratorParameters) -> InferenceRequest:
    values = begun.to_run.values
    base_model = cast(str | None, values.get("baseModel"))
    training_id = cast(str | None, values.get("trainingId"))
    return InferenceRequest(
        images=cast(list[Mapping[str, object]], values["images"]),
        base_model=base_model,
        training_id=_optional_id(training_id, "trainingId"),
        pack_id=_optional_id(parameters.inference_pack_id, "inferencePackId"),
        flow_run_id=begun.run.id,
    )


def _refuse_foreign(begun: Begun) -> None:
    """A visitor's records are what he uploaded and what his run made; the owner's, what he named.

    Without it, a text of the form that a flow uses as an id would open every record of its owner.
    """
    mine = {*begun.run.dataset_ids, *ids_in(begun.version.definition)}
    for step in begun.steps:
        if step.type == StepType.MODEL_GENERATOR and step.result is not None:
            mine |= ids_in(step.result)
    values = begun.to_run.values
    images = cast(list[Mapping[str, object]], values.get("images", []))
    for asked in (values, *images):
        for name in ("datasetId", "trainingSettingsId", "trainingId", "inferencePackId"):
            if name in asked and id_of(str(asked[name])) not in mine:
                raise InvalidFlowInput(f"{name} leads to nothing that this run may use.")


def _entries(
    store: OrganizationStore, steps: tuple[StepResult, ...], sources: tuple[str, ...]
) -> tuple[tuple[ZipEntry, ...], int]:
    """The files of an archive, and how many bytes they are as they are stored."""
    by_id = {step.step_id: step for step in steps}
    pictures: dict[str, ZipEntry] = {}
    names: dict[str, str] = {}
    byte_count = 0
    for source, step_id in enumerate(sources):
        job_id = by_id[step_id].job_id
        if by_id[step_id].type != StepType.IMAGE_GENERATOR or job_id is None:
            continue
        for number, picture in enumerate(pictures_of(store, store.jobs.get(job_id).target_id)):
            name = f"img_{source}_{number}.jpg"
            names.setdefault(address_of(picture.storage_key), name)
            pictures[name] = ZipEntry(
                name=name, storage_key=picture.storage_key, sha256=picture.sha256
            )
            byte_count += picture.byte_count
    texts = [
        _text_entry(by_id[step_id], names)
        for step_id in dict.fromkeys(sources)
        if by_id[step_id].type != StepType.IMAGE_GENERATOR
    ]
    byte_count += sum(len((entry.text or "").encode()) for entry in texts)
    return (*pictures.values(), *texts), byte_count


def _text_entry(step: StepResult, names: Mapping[str, str]) -> ZipEntry:
    """A result as JSON; pictures that are in the archive have their names there."""
    shown = with_addresses(step.result, names)
    text = json.dumps(shown, ensure_ascii=False, indent=2) + "\n"
    return ZipEntry(name=f"{step.step_id}.json", text=text)


def _add_job(
    service: Service,
    store: OrganizationStore,
    step: StepResult,
    kind: JobKind,
    spec: JsonObject,
    estimate: int,
) -> Job:
    """Raises InsufficientFunds: the balance does not cover the estimate."""
    now = service.clock()
    job = Job(
        id=new_id(now),
        organization_id=step.organization_id,
        kind=kind,
        target_id=step.id,
        spec=spec,
        prices=service.config.prices,
        estimate=estimate,
        created_at=now,
        priority=number_of(Priority.NORMAL, kind),
    )
    store.jobs.add(job)
    hold_estimate(service, store, job)
    return job


def _prefix(step: StepResult) -> str:
    return organization_key(
        step.organization_id, "runs", step.run_id.hex, f"{step.id.hex}-{step.attempt}"
    )


def _id(text: str, name: str) -> UUID:
    id = id_of(text)
    if id is None:
        raise InvalidFlowInput(f"{name} is no id: {text[:60]}")
    return id


def _optional_id(text: str | None, name: str) -> UUID | None:
    return None if text is None else _id(text, name)

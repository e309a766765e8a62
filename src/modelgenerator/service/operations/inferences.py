"""Pictures: asked for, shown as they come, deleted.

In: who asks, and what the pictures are to be.  Out: an inference with a job in the queue, paid for
in advance; its pictures with links for an hour.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from modelgenerator.flows.parameters import FlowImage
from modelgenerator.service.billing.prices import pictures_charge
from modelgenerator.service.errors import StillInUse
from modelgenerator.service.operations.callers import (
    Caller,
    answered_before,
    earlier_answer,
    remember,
)
from modelgenerator.service.operations.paying import hold_estimate, paid_for_each
from modelgenerator.service.operations.picture_memory import gpu_memory_for, within_largest
from modelgenerator.service.operations.picture_wishes import (
    PlannedPicture,
    UsableModel,
    plan_pictures,
    read_wishes,
    training_of,
)
from modelgenerator.service.operations.priorities import check_priority
from modelgenerator.service.operations.queue_room import require_room
from modelgenerator.service.operations.removals import finish_removal, receipt_for
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.trained_models import usable_model
from modelgenerator.service.operations.waiting import Waiting, why_they_wait
from modelgenerator.service.operations.webhooks import check_address, new_endpoint
from modelgenerator.service.records.deletions import DeletionReceipt
from modelgenerator.service.records.generations import GeneratedPicture, Inference
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.job_specs import GenerateSpec, base_model_key
from modelgenerator.service.records.jobs import Job, JobKind
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.priorities import Priority, number_of
from modelgenerator.service.records.servers import Server
from modelgenerator.service.store.keys import organization_key
from modelgenerator.service.store.scoped import Page
from modelgenerator.service.store.transaction import OrganizationStore, Transaction

LINK_TIME = timedelta(hours=1)
NO_IMAGES: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, kw_only=True)
class InferenceRequest:
    """What a person, a page or a flow asks for."""

    images: Sequence[Mapping[str, object]] = field(default=NO_IMAGES)
    """By camelCase name, as `FlowImage` reads them."""
    base_model: str | None = None
    training_id: UUID | None = None
    """For the images that do not say it themselves."""
    pack_id: UUID | None = None
    """Its images are drawn after the others."""
    priority: Priority = Priority.NORMAL
    webhook_url: str | None = None
    flow_run_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class ShownPicture:
    """A picture and where it is to be seen."""

    picture: GeneratedPicture
    url: str


@dataclass(frozen=True, kw_only=True)
class ShownInference:
    """An inference and what it has drawn so far."""

    inference: Inference
    job: Job
    pictures: tuple[ShownPicture, ...]
    cost_so_far: int
    """Microdollars."""
    final_cost: int | None
    """None as long as it has not ended."""
    waiting: Waiting | None
    """Why, while it waits."""


def create_inference(service: Service, caller: Caller, request: InferenceRequest) -> UUID:
    """Ask for pictures; the inference's id.

    Raises:
        What `create_inferences` raises.
    """
    return create_inferences(service, [(caller, request)])[0]


def create_inferences(
    service: Service, asked: Sequence[tuple[Caller, InferenceRequest]]
) -> list[UUID]:
    """Ask for pictures by several inferences, by all or by none; their ids.

    Raises:
        Forbidden: the caller may only look.
        NotFound: there is no such training or pack.
        Conflict: the training has not succeeded.
        InvalidValue: a priority that is not given here.
        ModelExpired: its weights are deleted.
        InsufficientFunds: the balance does not cover the pictures.
        QueueFull: too much waits already.
        Everything that `read_wishes` and `plan_pictures` raise.
    """
    plans = [_plan(service, caller, request) for caller, request in asked]
    with service.database.transaction() as transaction:
        ids = [
            plan if isinstance(plan, UUID) else _add(service, transaction, plan) for plan in plans
        ]
    service.news.work_came()
    return ids


def read_inference(service: Service, caller: Caller, id: UUID) -> ShownInference:
    """One of them, with what is drawn.

    Raises:
        NotFound: there is none.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        inference = store.inferences.get(id)
        (shown,) = shown_inferences(service, transaction, store, [inference])
    return shown


def list_inferences(
    service: Service, caller: Caller, cursor: str | None, *, limit: int
) -> Page[ShownInference]:
    """The organization's, the newest first, each with its pictures."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        page = store.inferences.page(cursor, limit=limit)
        shown = tuple(shown_inferences(service, transaction, store, page.items))
    return Page(shown, page.next_cursor)


def webhook_secret_of_inference(service: Service, caller: Caller, id: UUID) -> str | None:
    """What signs the messages to the address that was given with it; none without one.

    Raises:
        NotFound: there is no such inference.
    """
    caller.require(Role.MEMBER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        endpoint = store.webhook_endpoints.first(job_id=store.inferences.get(id).job_id)
    return endpoint.secrets[0] if endpoint else None


def job_of_inference(service: Service, caller: Caller, id: UUID) -> UUID:
    """Its job, whose events are the inference's.

    Raises:
        NotFound: there is none.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        return transaction.of(caller.organization_id).inferences.get(id).job_id


def delete_inference(service: Service, caller: Caller, id: UUID) -> DeletionReceipt:
    """Its pictures and what was asked; what was paid stays in the ledger.

    Raises:
        NotFound: there is none.
        StillInUse: it still runs.
    """
    caller.require(Role.MEMBER)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        inference = store.inferences.get_locked(id)
        job = store.jobs.get(inference.job_id)
        if not job.status.is_final:
            raise StillInUse(f"The inference is {job.status}.", hint="Cancel it first.")
        pictures = store.generated_pictures.all(inference_id=id)
        store.inferences.delete(id)
        receipt = receipt_for(
            store,
            "inference",
            id,
            prefixes=[_prefix(inference.organization_id, id)],
            counts={"generatedPictures": len(pictures)},
            sha256s=[picture.sha256 for picture in pictures],
            now=service.clock(),
        )
    return finish_removal(service, receipt)


@dataclass(frozen=True, kw_only=True)
class _Planned:
    """What is to be drawn, when everything slow has been looked at."""

    caller: Caller
    request: InferenceRequest
    wishes: Sequence[FlowImage]
    models: Mapping[UUID, UsableModel]
    pictures: Sequence[PlannedPicture]
    gpu_memory: int
    """Bytes, as estimated."""


def _plan(service: Service, caller: Caller, request: InferenceRequest) -> _Planned | UUID:
    """What to add; or what the same request made before."""
    caller.require(Role.MEMBER)
    check_priority(service.config, request.priority)
    if request.webhook_url is not None:
        check_address(service, request.webhook_url, field="webhookUrl")
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        if (earlier := answered_before(store, caller)) is not None:
            return earlier
        wishes = _wishes(store, request)
        models = _models(service, store, wishes)
    pictures = plan_pictures(service, wishes, models)
    return _Planned(
        caller=caller,
        request=request,
        wishes=wishes,
        models=models,
        pictures=pictures,
        gpu_memory=gpu_memory_for(service, pictures),
    )


def _add(service: Service, transaction: Transaction, plan: _Planned) -> UUID:
    caller, request, now = plan.caller, plan.request, service.clock()
    store = transaction.of(caller.organization_id)
    if (earlier := earlier_answer(store, caller, now)) is not None:
        return earlier
    if request.flow_run_id is None:  # a run that was let in goes on to its end
        require_room(service, store)
    _models(service, store, plan.wishes)  # none has expired while base models were looked at
    inference_id = new_id(now)
    job = _job(service, plan, inference_id, transaction.servers.alive(now))
    store.jobs.add(job)
    hold_estimate(service, store, job)
    store.inferences.add(_inference(job, request, plan.wishes, plan.models, plan.pictures))
    if request.webhook_url is not None:
        store.webhook_endpoints.add(
            new_endpoint(caller.organization_id, request.webhook_url, now, job_id=job.id)
        )
    remember(store, caller, inference_id)
    return inference_id


def _wishes(store: OrganizationStore, request: InferenceRequest) -> list[FlowImage]:
    images = list(request.images)
    if request.pack_id is not None:
        images += store.inference_packs.get(request.pack_id).images
    return read_wishes(images, base_model=request.base_model, training_id=request.training_id)


def _models(
    service: Service, store: OrganizationStore, wishes: Sequence[FlowImage]
) -> dict[UUID, UsableModel]:
    """The trained models that are named, each of which may be used."""
    ids = {id for wish in wishes if (id := training_of(wish)) is not None}
    now = service.clock()
    trainings = {id: store.trainings.there(id) for id in ids}
    return {
        id: UsableModel(training, usable_model(store, training, now))
        for id, training in trainings.items()
    }


def _job(service: Service, plan: _Planned, inference_id: UUID, servers: Sequence[Server]) -> Job:
    caller, pictures, request = plan.caller, plan.pictures, plan.request
    now, prices = service.clock(), service.config.prices
    spec = GenerateSpec(
        inference_id=inference_id,
        organization_id=caller.organization_id,
        pictures=tuple(picture.to_draw for picture in pictures),
        storage_prefix=_prefix(caller.organization_id, inference_id),
    )
    first = spec.pictures[0]
    return Job(
        id=new_id(now),
        organization_id=caller.organization_id,
        kind=JobKind.GENERATE,
        target_id=inference_id,
        spec=spec.as_json(),
        prices=prices,
        estimate=pictures_charge(prices, len(pictures)),
        created_at=now,
        priority=number_of(request.priority, JobKind.GENERATE),
        gpus=int(service.devices()[0].kind != "cpu"),
        gpu_memory=within_largest(plan.gpu_memory, service, servers),
        base_model=base_model_key(first.base_model, first.base_revision),
        lora_sha256=None if first.lora is None else first.lora.sha256,
    )


def _inference(
    job: Job,
    request: InferenceRequest,
    wishes: Sequence[FlowImage],
    models: Mapping[UUID, UsableModel],
    pictures: Sequence[PlannedPicture],
) -> Inference:
    bases = {picture.to_draw.base_model for picture in pictures}
    used = {training_of(wish) for wish in wishes}
    only = next(iter(used)) if len(used) == 1 else None
    return Inference(
        id=job.target_id,
        organization_id=job.organization_id,
        base_model=next(iter(bases)) if len(bases) == 1 else None,
        trained_model_id=None if only is None else models[only].model.id,
        images=tuple(picture.shown for picture in pictures),
        job_id=job.id,
        flow_run_id=request.flow_run_id,
        created_at=job.created_at,
    )


def shown_inferences(
    service: Service,
    transaction: Transaction,
    store: OrganizationStore,
    inferences: Sequence[Inference],
) -> Iterator[ShownInference]:
    """With as many statements for a page as for one."""
    jobs = store.jobs.some(inference.job_id for inference in inferences)
    paid = paid_for_each(store, jobs.values())
    waiting = why_they_wait(service, transaction, store.organization_id, jobs.values())
    ids = [inference.id for inference in inferences]
    pictures = sorted(
        store.generated_pictures.among("inference_id", ids), key=lambda one: one.position
    )
    for inference in inferences:
        job = jobs[inference.job_id]
        mine = tuple(
            shown_picture(service, one) for one in pictures if one.inference_id == inference.id
        )
        cost = -paid[job.id].amount if job.id in paid else 0
        is_over = job.status.is_final
        yield ShownInference(
            inference=inference,
            job=job,
            pictures=mine,
            cost_so_far=cost if is_over else pictures_charge(job.prices, len(mine)),
            final_cost=cost if is_over else None,
            waiting=waiting.get(job.id),
        )


def shown_picture(service: Service, picture: GeneratedPicture) -> ShownPicture:
    """With a link."""
    url = service.files.link("GET", picture.storage_key, expires_in=LINK_TIME)
    return ShownPicture(picture=picture, url=url)


def _prefix(organization_id: UUID, inference_id: UUID) -> str:
    return organization_key(organization_id, "inferences", inference_id.hex)

"""What a training would be, before anything is started: settings, plan, time and money.

In: who asks, and which dataset, template and settings.  Out: a `PlannedTraining`, or a refusal
with every fault.  Nothing is written; what is slow, the hub and the photos, is kept for the next
time.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast
from uuid import UUID

from modelgenerator.captioning.captions import CaptioningNoticed
from modelgenerator.datasets.looking import Looker
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.datasets.subject import Subject
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import NotEnoughMemory, UnusableDataset
from modelgenerator.notices import Notice
from modelgenerator.service.errors import NotFound, TooFewPictures
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.datasets import subject_words
from modelgenerator.service.operations.estimates import Estimate, WorkShape, estimate
from modelgenerator.service.operations.local_copies import local_source
from modelgenerator.service.operations.looked_at import look_in_turns
from modelgenerator.service.operations.preparation import (
    PreparationCaches,
    PreparationNoticed,
    preparation_of,
    preparing_pictures,
    usual_captioner,
)
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.snapshots import pictures_now
from modelgenerator.service.records.datasets import SnapshotPicture
from modelgenerator.service.records.job_specs import CaptionerName
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.priorities import Priority
from modelgenerator.service.records.trainings import JsonObject, TemplateVersion
from modelgenerator.service.store.transaction import OrganizationStore
from modelgenerator.settings import TrainingSettings
from modelgenerator.training.plan import DeviceFacts, TrainingPlan
from modelgenerator.training.planning.processes import pictures_in_step
from modelgenerator.training.planning.resolve import resolve

FEWEST_PICTURES = 4
"""Usable ones; with fewer a person must say that it is meant."""
NO_SETTINGS: Mapping[str, object] = {}


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """What a person, a page or a flow asks for."""

    dataset_id: UUID
    template_id: UUID | None = None
    settings: Mapping[str, object] = field(default_factory=lambda: NO_SETTINGS)
    """By camelCase name; each wins over the template's."""
    name: str | None = None
    priority: Priority = Priority.NORMAL
    webhook_url: str | None = None
    acknowledges_warnings: bool = False
    flow_run_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class PlannedTraining:
    """Everything that is decided, and said, before a training starts."""

    settings: JsonObject
    """Template and request merged, with the seed."""
    template_version_id: UUID | None
    pictures: tuple[SnapshotPicture, ...]
    subject: Subject
    captioner: CaptionerName
    base: BaseModelFiles
    plan: TrainingPlan
    notices: tuple[Notice, ...]
    shape: WorkShape
    estimate: Estimate


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What the database says of a request."""

    version: TemplateVersion | None
    pictures: tuple[SnapshotPicture, ...]
    subject: Subject


def plan_training(service: Service, caller: Caller, request: TrainingRequest) -> PlannedTraining:
    """What would be trained, how long it would take and what it would cost.

    Raises:
        Forbidden: the caller may only look.
        NotFound: there is no such dataset or template.
        InvalidSettings: with every fault at once.
        UnusableDataset, UnusableMask, TooFewPictures: the pictures will not do.
        BaseModelNotFound, BaseModelGated, BaseModelUnsupported, HubUnreachable: see `hub.look_at`.
        NotEnoughMemory: it does not fit into the machine.
        CaptionerUnavailable: the captioner that the operator set up does not answer.
    """
    caller.require(Role.MEMBER)
    with service.database.reading() as transaction:
        known = _known(transaction.of(caller.organization_id), request)
    template = known.version.settings if known.version else NO_SETTINGS
    settings = TrainingSettings.from_written({**template, **request.settings})
    base = service.base_models.look_at(settings.base_model, service.clock())
    captioner = usual_captioner()
    dataset, notices = _prepared(service, caller, request.dataset_id, known, settings, captioner)
    if len(dataset.pictures) < FEWEST_PICTURES and not request.acknowledges_warnings:
        raise _too_few(len(dataset.pictures))
    device, plan = _planned_for(service.devices(), settings, dataset, base)
    shape = WorkShape.of(plan, base, device.kind_of_machine)
    with service.database.reading() as transaction:
        rates = transaction.rates.of(shape.base_model)
    return PlannedTraining(
        settings={**settings.given(), "seed": plan.seed},
        template_version_id=known.version.id if known.version else None,
        pictures=known.pictures,
        subject=known.subject,
        captioner=captioner,
        base=base,
        plan=plan,
        notices=(*notices, *dataset.notices, *plan.notices),
        shape=shape,
        estimate=estimate(plan, base, shape, rates, service.config.prices),
    )


def _planned_for(
    devices: tuple[DeviceFacts, ...],
    settings: TrainingSettings,
    dataset: PreparedDataset,
    base: BaseModelFiles,
) -> tuple[DeviceFacts, TrainingPlan]:
    """For the smallest device that it fits; where none is large enough, for several of them.

    Raises:
        NotEnoughMemory: it does not fit; what is told is of one of the largest.
    """
    most = min(devices[-1].count, pictures_in_step(settings))
    tries = [(device, count) for count in range(1, most + 1) for device in devices]
    for device, count in tries:
        with suppress(NotEnoughMemory):
            return device, resolve(
                settings, dataset, base, replace(device, count=count), processes=count
            )
    largest = replace(devices[-1], count=1)
    return largest, resolve(settings, dataset, base, largest)


def plan_as_json(plan: TrainingPlan) -> JsonObject:
    """A plan as people read it: names in camelCase, without the notices, which stand beside it."""
    written = plan.as_json()
    del written["notices"]
    arguments = cast(list[tuple[str, object]], written["optimizer_arguments"])
    written["optimizer_arguments"] = {_camel(name): value for name, value in arguments}
    for pictures in ("pictures", "validation_pictures"):
        given = cast(list[dict[str, object]], written[pictures])
        written[pictures] = [{_camel(name): it for name, it in one.items()} for one in given]
    return {_camel(name): value for name, value in written.items()}


def _known(store: OrganizationStore, request: TrainingRequest) -> _Known:
    pictures = pictures_now(store, request.dataset_id)
    if not pictures:
        raise UnusableDataset("There are no pictures in this dataset yet: upload some first.")
    subject = subject_words(store.subjects.first(dataset_id=request.dataset_id))
    version = None
    if request.template_id is not None:
        version = _newest_version(store, request.template_id)
    return _Known(version=version, pictures=pictures, subject=subject)


def _newest_version(store: OrganizationStore, template_id: UUID) -> TemplateVersion:
    template = store.templates.get(template_id)
    version = store.template_versions.newest(template_id)
    if template.deleted_at is not None or version is None:
        raise NotFound("training template", template_id)
    return version


def _prepared(
    service: Service,
    caller: Caller,
    dataset_id: UUID,
    known: _Known,
    settings: TrainingSettings,
    captioner: CaptionerName,
) -> tuple[PreparedDataset, list[Notice]]:
    """Looked at by the photo workers, in turns with others; captioned without holding them up."""
    room = service.dataset_room(caller.organization_id, dataset_id)
    caches = PreparationCaches.in_room(room)
    source = local_source(service.files, known.pictures, room)
    how, _ = preparation_of(settings, known.subject)
    labels = {picture.label for picture in known.pictures}
    look_in_turns(service, source, Looker(how.limits, how.segmenter), caches.looks, labels)
    steps = preparing_pictures(
        replace(source, path=Path(source.path.name)),  # messages name it
        settings,
        known.subject,
        captioner,
        workers=None,
        caches=caches,
    )
    notices: list[Notice] = []
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            return end.value, notices
        if isinstance(event, PreparationNoticed | CaptioningNoticed):
            notices.append(event.notice)


def _too_few(count: int) -> TooFewPictures:
    pictures = "1 picture" if count == 1 else f"{count} pictures"
    return TooFewPictures(
        f"Only {pictures} of this dataset can be used, and a subject is hardly learnt from fewer "
        f"than {FEWEST_PICTURES}.",
        field="datasetId",
        hint="Upload more, or say acknowledgeWarnings: true to train on these.",
    )


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)

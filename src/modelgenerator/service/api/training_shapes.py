"""How trainings look in answers."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Self
from uuid import UUID

from modelgenerator.service.api.job_shapes import Started, error_shape, waiting_shape
from modelgenerator.service.api.shapes import Shape
from modelgenerator.service.operations.estimates import Certainty
from modelgenerator.service.operations.planning import PlannedTraining, plan_as_json
from modelgenerator.service.operations.training_status import ShownTraining
from modelgenerator.service.records.datasets import Origin
from modelgenerator.service.records.priorities import priority_of
from modelgenerator.service.records.trainings import JsonObject, TrainedModel


class EstimateShape(Shape):
    """How long it takes and what it costs, before it starts."""

    seconds: int
    fewest_seconds: int
    most_seconds: int
    minutes: float
    certainty: Certainty
    """`measured` on trainings like this one, `scaled` from others, or a `guess`."""
    because: str
    """The same in words."""
    cost: int
    """Microdollars; so much is held back until the training has ended."""


class NoticeShape(Shape):
    """Something that was decided or advised."""

    level: str
    setting: str | None
    message: str


class ModelShape(Shape):
    """The LoRA of a training."""

    base_model: str
    family: str
    layouts: tuple[str, ...]
    """In which it can be downloaded; the first is the one of the programs for its base model."""
    byte_count: int
    sha256: str
    expires_at: datetime
    deleted_at: datetime | None


class TrainingSummary(Started):
    """A training in a list."""

    id: UUID
    name: str
    dataset_id: UUID
    origin: Origin
    run_id: UUID | None
    """The flow run that it is a step of."""
    base_model: str
    total_steps: int
    estimate: EstimateShape
    expires_at: datetime | None
    """When its model expires; null without a model."""
    model: ModelShape | None


class TrainingShape(TrainingSummary):
    """A training."""

    settings: Mapping[str, object]
    """Template and request merged, with the seed: the same again trains the same LoRA."""
    plan: Mapping[str, object]
    """The settings with every question answered."""
    notices: tuple[NoticeShape, ...]
    webhook_secret: str | None = None
    """Signs the messages to `webhookUrl`; in the answer to the request that gave it."""


class DryRun(Shape):
    """What a training would be; nothing was started."""

    settings: Mapping[str, object]
    plan: Mapping[str, object]
    notices: tuple[NoticeShape, ...]
    pictures: int
    """That would be trained on."""
    steps: int
    minutes: float
    cost: int
    """Microdollars."""
    estimate: EstimateShape

    @classmethod
    def of(cls, planned: PlannedTraining) -> Self:
        """In the shape of answers."""
        told = _estimate(planned.estimate.as_json())
        return cls(
            settings=planned.settings,
            plan=plan_as_json(planned.plan),
            notices=tuple(NoticeShape(**asdict(notice)) for notice in planned.notices),
            pictures=len(planned.plan.pictures),
            steps=planned.plan.total_steps,
            minutes=told.minutes,
            cost=told.cost,
            estimate=told,
        )


def summary(shown: ShownTraining) -> TrainingSummary:
    """Without settings, plan and notices."""
    return TrainingSummary.model_validate(_facts(shown))


def full(shown: ShownTraining, webhook_secret: str | None = None) -> TrainingShape:
    """All of it."""
    training = shown.training
    return TrainingShape.model_validate(
        {
            **_facts(shown),
            "settings": training.settings,
            "plan": training.plan,
            "notices": training.notices,
            "webhook_secret": webhook_secret,
        }
    )


def _facts(shown: ShownTraining) -> dict[str, object]:
    training, job = shown.training, shown.job
    return {
        "id": training.id,
        "name": training.name,
        "dataset_id": shown.dataset_id,
        "origin": training.origin,
        "run_id": training.flow_run_id,
        "base_model": training.plan["baseModel"],
        "total_steps": training.plan["totalSteps"],
        "estimate": _estimate(training.estimate),
        "expires_at": shown.model.expires_at if shown.model else None,
        "model": _model(shown.model) if shown.model else None,
        "status": job.status,
        "priority": priority_of(job.priority),
        "phase": job.phase,
        "progress": job.progress,
        "waiting_for": waiting_shape(shown.waiting),
        "is_cancelling": job.cancel_requested_at is not None and not job.status.is_final,
        "cost_so_far": shown.cost_so_far,
        "final_cost": shown.final_cost,
        "error": error_shape(job, shown.cost_so_far),
        "created_at": training.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }


def _estimate(kept: JsonObject) -> EstimateShape:
    return EstimateShape.model_validate(
        {name: value for name, value in kept.items() if name != "shape"}
    )


def _model(model: TrainedModel) -> ModelShape:
    other = model.other_layout
    layouts = (model.layout,) if other is None else (model.layout, str(other["layout"]))
    return ModelShape(
        base_model=model.base_model,
        family=model.family,
        layouts=layouts,
        byte_count=model.byte_count,
        sha256=model.sha256,
        expires_at=model.expires_at,
        deleted_at=model.deleted_at,
    )

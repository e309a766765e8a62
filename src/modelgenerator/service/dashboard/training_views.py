"""A training as its page shows it: phases, how far it is, why it failed, what its plan came from.

In: what the operations tell of a training.  Out: values for templates.  Nothing is asked here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.job_phases import PHASES
from modelgenerator.service.dashboard.settings_form import in_words
from modelgenerator.service.errors import in_dollars
from modelgenerator.service.operations.priorities import priorities_of
from modelgenerator.service.operations.training_curves import Curves, Point
from modelgenerator.service.operations.training_origins import TrainingOrigin
from modelgenerator.service.operations.training_status import Sample, ShownTraining
from modelgenerator.service.records.jobs import AttemptEnd, Job, JobStatus
from modelgenerator.service.records.priorities import Priority, priority_of
from modelgenerator.service.records.trainings import JsonObject, Training
from modelgenerator.settings import TrainingSettings

ENDINGS: Mapping[AttemptEnd, str] = {
    AttemptEnd.FINISHED: "finished",
    AttemptEnd.HANDED_BACK: "handed back to the queue",
    AttemptEnd.LOST: "its worker gave no sign of life",
}
"""How an attempt ended, in words."""

_ON_THE_WAY = ("loadingBaseModel", "preparingDataset", "encoding", "training", "sampling", "saving")
_WAY = {"queued": "Queued", **{name: PHASES[name] for name in _ON_THE_WAY}, "done": "Done"}
"""Waiting for a machine is a part of being queued."""
_RESOLVED_AS = {
    "flipAug": "flip",
    "alphaDim": "networkAlpha",
    "lossType": "loss",
    "precision": "computeDtype",
}
"""Settings whose answer has another name in the plan."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of the way."""

    name: str
    state: str
    """`past`, `now`, `stopped` or `ahead`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HowFar:
    """Numbers of a training that runs, as far as they are known."""

    step: int
    total_steps: int
    epoch: int
    epochs: int
    seconds_left: float | None
    steps_per_second: float | None

    @property
    def part(self) -> float:
        """From 0 to 1."""
        return min(1.0, self.step / max(1, self.total_steps))


@dataclass(frozen=True, slots=True)
class SampleRow:
    """What one prompt looked like after each epoch; none: it was not drawn then."""

    prompt: str
    samples: tuple[Sample | None, ...]


@dataclass(frozen=True, slots=True)
class SampleGrid:
    """Samples by prompt and epoch."""

    epochs: tuple[int, ...]
    rows: tuple[SampleRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """One setting, from what was written to what came of it; none: nothing was said."""

    name: str
    written: str | None
    template: str | None
    default: str
    resolved: str | None
    differs: bool
    """From what it would be if nobody had said anything."""


@dataclass(frozen=True, slots=True)
class CurveFacts:
    """A curve in three numbers, for those who do not see it."""

    latest: float | None
    lowest: float | None
    last_epoch: float | None
    """Mean of the last epoch."""


def phases_of(job: Job, plan: JsonObject) -> list[Phase]:
    """The way of a training, and where on it this one is."""
    names = [name for name in _WAY if name != "sampling" or plan.get("sampleEvery")]
    here = names.index(_phase_of(job)) if _phase_of(job) in names else 0
    at = "stopped" if job.status in (JobStatus.FAILED, JobStatus.CANCELLED) else "now"
    if job.status is JobStatus.SUCCEEDED:
        at = "past"
    return [
        Phase(_WAY[name], "past" if place < here else at if place == here else "ahead")
        for place, name in enumerate(names)
    ]


def how_far(job: Job, plan: JsonObject) -> HowFar:
    """From what the job told last."""
    told: JsonObject = job.progress or {}
    return HowFar(
        step=int(_number(told.get("step")) or 0),
        total_steps=int(_number(plan.get("totalSteps")) or 0),
        epoch=int(_number(told.get("epoch")) or 0),
        epochs=int(_number(plan.get("epochs")) or 0),
        seconds_left=None if job.status.is_final else _number(told.get("secondsRemaining")),
        steps_per_second=_number(told.get("stepsPerSecond")),
    )


@dataclass(frozen=True, slots=True)
class ShownPriority:
    """What a training's is, and what a button makes of it."""

    now: Priority
    others: tuple[tuple[str, Priority], ...]
    """The next lower and the next higher one, as far as people may ask for them."""


def priority_of_job(job: Job, config: ServiceConfig) -> ShownPriority:
    """Of one that has not ended."""
    now = priority_of(job.priority)
    near = [one for one in priorities_of(config) if abs(one.rank - now.rank) == 1]
    words = ("Lower priority", "Raise priority")
    return ShownPriority(now, tuple((words[one.rank > now.rank], one) for one in near))


def can_resume(job: Job) -> bool:
    """Whether there is something to go on from."""
    has_ended = job.status in (JobStatus.FAILED, JobStatus.CANCELLED)
    return has_ended and job.checkpoint_key is not None


def grid_of(samples: Iterable[Sample]) -> SampleGrid:
    """By prompt and epoch, each in its order; drawn again, the later one is shown."""
    found: dict[str, dict[int, Sample]] = {}
    for sample in samples:
        found.setdefault(sample.prompt, {})[sample.epoch] = sample
    epochs = tuple(sorted({epoch for row in found.values() for epoch in row}))
    rows = tuple(
        SampleRow(prompt, tuple(row.get(epoch) for epoch in epochs))
        for prompt, row in found.items()
    )
    return SampleGrid(epochs, rows)


def plan_rows(training: Training, origin: TrainingOrigin) -> list[PlanRow]:
    """Every setting; those that somebody wrote come first."""
    template: JsonObject = origin.version.settings if origin.version else {}
    rows = [_plan_row(name, training, template) for name in TrainingSettings.model_fields]
    return sorted(rows, key=lambda row: not row.differs)


def facts_of(values: Sequence[tuple[int, float | None]], steps_per_epoch: int) -> CurveFacts:
    """Of (step, value), in order."""
    known = [(step, value) for step, value in values if value is not None]
    if not known:
        return CurveFacts(None, None, None)
    begin = (known[-1][0] - 1) // max(1, steps_per_epoch) * max(1, steps_per_epoch)
    last = [value for step, value in known if step > begin]
    return CurveFacts(known[-1][1], min(value for _, value in known), sum(last) / len(last))


def loss_facts(points: Iterable[Point], plan: JsonObject) -> CurveFacts:
    """Of the loss."""
    return facts_of([(it.step, it.loss) for it in points], _steps_per_epoch(plan))


def rate_facts(points: Iterable[Point], plan: JsonObject) -> CurveFacts:
    """Of the learning rate as it takes effect."""
    return facts_of([(it.step, it.learning_rate) for it in points], _steps_per_epoch(plan))


def curves_as_json(curves: Curves, shown: ShownTraining) -> dict[str, object]:
    """What `charts.js` draws."""
    per_epoch = _steps_per_epoch(shown.training.plan)
    return {
        "points": [[it.step, it.loss, it.learning_rate] for it in curves.points],
        "validation": [[epoch * per_epoch, loss] for epoch, loss in curves.validation],
        "every": curves.every,
        "stepsPerEpoch": per_epoch,
        "cursor": curves.cursor,
        "isWhole": curves.is_whole,
        "isOver": shown.job.status.is_final,
    }


def calls_of(shown: ShownTraining, now: datetime) -> list[Call]:
    """What the page of this training does, as code."""
    id = shown.training.id
    path, handle = f"/v1/trainings/{id}", f'client.training("{id}")'
    calls = [Call("GET", path, python=f"print({handle}.read())")]
    if not shown.job.status.is_final:
        calls.append(Call("POST", f"{path}/cancel", python=f"{handle}.cancel()"))
        calls.append(Call("GET", f"{path}/events", python=f"{handle}.wait(progress=True)"))
    if can_resume(shown.job):
        calls.append(Call("POST", f"{path}/resume", python=f"{handle}.resume()"))
    if shown.model is not None and not shown.model.is_expired(now):
        calls.append(
            Call(
                "GET",
                f"{path}/model",
                saves_as="lora.safetensors",
                python=f'{handle}.download("lora.safetensors")',
            )
        )
        later = shown.model.expires_at.isoformat()
        calls.append(Call("PATCH", path, {"name": shown.training.name, "expiresAt": later}))
    settings: Mapping[str, object] = shown.training.settings
    calls.append(
        Call("POST", "/v1/trainings", {"datasetId": str(shown.dataset_id), "settings": settings})
    )
    calls.append(Call("DELETE", path))
    return calls


def _phase_of(job: Job) -> str:
    if job.status is JobStatus.SUCCEEDED:
        return "done"
    if job.status is JobStatus.QUEUED:
        return "queued"
    return job.phase or ("queued" if job.started_at is None else "loadingBaseModel")


def _plan_row(name: str, training: Training, template: JsonObject) -> PlanRow:
    said = TrainingSettings.written_name(name)
    field = TrainingSettings.model_fields[name]
    given = training.settings.get(said)
    is_from_template = said in template and given == template[said]
    is_written = said in training.settings and not is_from_template
    resolved = _resolved(said, training.plan)
    return PlanRow(
        name=said,
        written=in_words(given) if is_written else None,
        template=in_words(template[said]) if said in template else None,
        default="must be given" if field.is_required() else in_words(field.get_default()),
        resolved=None if resolved is None else in_words(resolved),
        differs=is_written or said in template,
    )


def _resolved(said: str, plan: JsonObject) -> object:
    if said == "trainUnetOnly":
        return not plan.get("textEncoders")
    arguments = cast(JsonObject, plan.get("optimizerArguments") or {})
    if said in arguments:
        return arguments[said]
    return plan.get(_RESOLVED_AS.get(said, said))


def _steps_per_epoch(plan: JsonObject) -> int:
    return int(_number(plan.get("stepsPerEpoch")) or 1)


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None


def beside_cost(shown: ShownTraining) -> str:
    """What is said beside the cost so far."""
    if shown.final_cost is not None:
        return "final"
    estimate = int(str(shown.training.estimate["cost"]))
    if shown.cost_so_far > estimate:
        return f"so far; {in_dollars(estimate)} were expected in all"
    return f"so far, about {in_dollars(estimate)} in all"

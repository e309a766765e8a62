"""How far a run is: every step of its flow, begun or not, as a line of a timeline.

In: a run with what its steps left so far.  Out: lines in order, and a mark that changes when there
is more to see than numbers that run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from modelgenerator.flows.definition import StepType, flow_of
from modelgenerator.flows.parameters import DEFAULT_FILENAME
from modelgenerator.service.dashboard.job_phases import phase_in_words
from modelgenerator.service.operations.runs import SeenRun, SeenStep
from modelgenerator.service.records.flows import RunStatus

DOING = {
    StepType.MODEL_GENERATOR: "Learning from the photos",
    StepType.IMAGE_GENERATOR: "Drawing the pictures",
    StepType.OBJECT_TRANSFORMER: "Putting things together",
    StepType.ZIPPER: "Packing the files",
    StepType.OBJECT_GENERATOR: "Writing",
}
"""What a step does, for people who do not know what steps are."""


@dataclass(frozen=True, slots=True)
class Line:
    """A step of a run."""

    id: str
    kind: str
    doing: str
    status: str
    """A run's, or `waiting` for a step that has not begun."""
    seen: SeenStep | None
    part: float
    """How much of it is done, from 0 to 1."""
    note: str
    """How far it is, in words."""
    seconds: float | None
    """It took, or has been working."""


def timeline(run: SeenRun, now: datetime) -> list[Line]:
    """All steps in order."""
    begun = {each.step.step_id: each for each in run.steps}
    steps = flow_of(run.version.definition).steps
    return [_line(step.id, step.type, begun.get(step.id), now) for step in steps]


def part_done(lines: list[Line]) -> float:
    """How much of a run is done, every step counted alike."""
    return sum(line.part for line in lines) / max(len(lines), 1)


def mark_of(run: SeenRun) -> str:
    """Changes with the status of the run or of a step."""
    steps = (f"{each.step.status[:1]}{each.step.attempt}" for each in run.steps)
    return f"{run.run.status}-{'-'.join(steps)}"


def filenames_of(run: SeenRun) -> dict[str, str]:
    """How the steps that pack files wish them to be called."""
    packed = [each.step for each in run.steps if each.step.type == StepType.ZIPPER]
    return {step.step_id: str(step.parameters.get("filename", DEFAULT_FILENAME)) for step in packed}


def is_over(run: SeenRun) -> bool:
    """Whether nothing more happens by itself."""
    return run.run.status not in (RunStatus.QUEUED, RunStatus.RUNNING)


def _line(id: str, kind: StepType, seen: SeenStep | None, now: datetime) -> Line:
    if seen is None:
        return Line(id, kind.value, DOING[kind], "waiting", None, 0.0, "", None)
    step = seen.step
    seconds = ((step.finished_at or now) - step.created_at).total_seconds()
    part, note = _progress(seen) if step.status is RunStatus.RUNNING else (0.0, "")
    if step.status is RunStatus.SUCCEEDED:
        part = 1.0
    return Line(id, kind.value, DOING[kind], step.status.value, seen, part, note, seconds)


def _progress(seen: SeenStep) -> tuple[float, str]:
    """How much of a working step is done, from 0 to 1, and in words."""
    if seen.job is None:
        return 0.0, ""
    if seen.waiting is not None:
        return 0.0, seen.waiting.message
    if seen.job.status == "queued":
        return 0.0, "waits for its turn"
    told: Mapping[str, object] = seen.job.progress or {}
    step, total = told.get("step"), told.get("totalSteps")
    if isinstance(step, int) and isinstance(total, int) and total:
        return min(step / total, 1.0), f"{step} of {total}"
    return 0.0, phase_in_words(seen.job)

"""What is the same in the answers about everything that a job does: status, progress, failure."""

from collections.abc import Mapping
from datetime import datetime

from modelgenerator.service.api.shapes import Shape
from modelgenerator.service.operations.paying import charged_sentence
from modelgenerator.service.operations.waiting import Waiting, WaitReason
from modelgenerator.service.records.jobs import Fault, Job, JobAttempt, JobStatus
from modelgenerator.service.records.priorities import Priority


class JobErrorShape(Shape):
    """Why it failed."""

    code: str
    """For programs: `trainingDiverged`."""
    message: str
    hint: str | None
    """What to do next."""
    fault: Fault
    """`ours` costs nothing."""
    charged: str
    """Who pays for it, in words."""


class WaitingShape(Shape):
    """Why it waits."""

    reason: WaitReason
    """`triedLater`, `noServer`, `noCluster`, `noGpu`, `noLargerGpu`, `runningLimit`, `placesTaken`,
    `roomIsMade`; `begins`: it is about to begin; `waitingForMachine`: it has its turn, and no
    machine of the cluster has room."""
    message: str
    """The same in words."""
    jobs_before: int | None
    """Of all organizations together, as far as their order is known."""


class AttemptShape(Shape):
    """One worker's turn at it."""

    number: int
    started_at: datetime
    ended_at: datetime | None
    end: str | None
    """`finished`, `handedBack` or `lost`."""


class Started(Shape):
    """What a job says of itself, part of every answer about one."""

    status: JobStatus
    priority: Priority
    phase: str | None
    """`waitingForMachine`, `starting`, `loadingBaseModel`, `preparingDataset`, `encoding`,
    `training`, `sampling`, `saving`."""
    progress: Mapping[str, object] | None
    """`step`, `totalSteps`, `epoch`, `loss`, `learningRate`, `d`, `stepsPerSecond`,
    `secondsRemaining`: as far as they are known."""
    waiting_for: WaitingShape | None
    """Null unless it waits."""
    is_cancelling: bool
    """It runs and was asked to end."""
    cost_so_far: int
    """Microdollars."""
    final_cost: int | None
    """Microdollars; null until it has ended."""
    error: JobErrorShape | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def error_shape(job: Job, cost: int) -> JobErrorShape | None:
    """Why a job failed, and who pays."""
    if job.error is None:
        return None
    return JobErrorShape(
        code=job.error.code,
        message=job.error.message,
        hint=job.error.hint,
        fault=job.error.fault,
        charged=charged_sentence(job, cost),
    )


def waiting_shape(waiting: Waiting | None) -> WaitingShape | None:
    """Why something waits, if it does."""
    if waiting is None:
        return None
    return WaitingShape(
        reason=waiting.reason, message=waiting.message, jobs_before=waiting.jobs_before
    )


def attempt_shape(attempt: JobAttempt) -> AttemptShape:
    """One attempt; which machine it was on is nobody's business."""
    return AttemptShape(
        number=attempt.number,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        end=attempt.end,
    )

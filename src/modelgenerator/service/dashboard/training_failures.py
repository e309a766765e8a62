"""Why a training ended without a model, in a person's words, and the one button that helps.

In: a training as it is shown.  Out: what happened, whose side it was on, what was charged.
"""

from collections.abc import Callable
from dataclasses import dataclass

from modelgenerator.service.dashboard.training_views import can_resume
from modelgenerator.service.operations.paying import (
    OUR_FAULT,
    charged_sentence,
    hint_without_charge,
)
from modelgenerator.service.operations.training_status import ShownTraining
from modelgenerator.service.records.jobs import Fault, JobError, JobStatus


@dataclass(frozen=True, slots=True)
class Remedy:
    """What helps: a page, or a form that is sent."""

    words: str
    address: str
    is_sent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A training that ended without a model."""

    title: str
    happened: str
    hint: str | None
    side: str
    charged: str
    remedy: Remedy


def failure_of(shown: ShownTraining) -> Failure | None:
    """None: it did not fail."""
    error = shown.job.error
    if shown.job.status is not JobStatus.FAILED or error is None:
        return None
    title, helping = _BY_CODE.get(error.code, ("The training failed", _again))
    return Failure(
        title=title,
        happened=error.message,
        hint=hint_without_charge(error.hint),
        side=_side(error),
        charged=charged_sentence(shown.job, shown.cost_so_far),
        remedy=helping(shown),
    )


def _side(error: JobError) -> str:
    if error.code == "insufficientFunds":
        return "Your organization's balance was used up."
    if error.fault is Fault.OURS:
        return OUR_FAULT
    return "This is on your side: it comes from the photos or the settings, which you can change."


def _again(shown: ShownTraining) -> Remedy:
    id = shown.training.id
    if can_resume(shown.job):
        return Remedy("Resume from the last checkpoint", f"/trainings/{id}/resume", is_sent=True)
    return Remedy("Try again", f"/trainings/new?from={id}")


def _smaller(shown: ShownTraining) -> Remedy:
    now = shown.training.plan.get("resolution")
    smaller = max(8, int(now * 0.75) // 8 * 8) if isinstance(now, int) else 512
    address = f"/trainings/new?from={shown.training.id}&resolution={smaller}"
    return Remedy(f"Try again at {smaller} pixels", address)


def _gentler(shown: ShownTraining) -> Remedy:
    """A tenth of what it was, or what is usual where that is less."""
    plan = shown.training.plan
    now, usual = plan.get("learningRate"), _USUAL_RATE.get(str(plan.get("optimizer")), 1.0)
    gentler = f"{min(now / 10, usual):.3g}" if isinstance(now, int | float) else f"{usual:g}"
    address = f"/trainings/new?from={shown.training.id}&learningRate={gentler}"
    return Remedy(f"Try again with a learning rate of {gentler}", address)


def _credit(_: ShownTraining) -> Remedy:
    return Remedy("Add credit", "/billing#add-credit")


def _pictures(shown: ShownTraining) -> Remedy:
    address = f"/subjects/{shown.subject.id}" if shown.subject else "/subjects"
    return Remedy("Check the photos", address)


def _base_model(shown: ShownTraining) -> Remedy:
    return Remedy("Choose another base model", f"/trainings/new?from={shown.training.id}")


_USUAL_RATE = {"AdamW": 1e-4, "AdamW8bit": 1e-4, "AdaFactor": 1e-4}
"""Of optimizers that do not find their own step size."""
_BY_CODE: dict[str, tuple[str, Callable[[ShownTraining], Remedy]]] = {
    "insufficientFunds": ("The balance ran out", _credit),
    "trainingDiverged": ("The training did not hold together", _gentler),
    "outOfMemory": ("Not enough memory", _smaller),
    "notEnoughMemory": ("Not enough memory", _smaller),
    "workerCrashed": ("The worker stopped", _again),
    "tooManyAttempts": ("The worker stopped again and again", _again),
    "stalled": ("The worker stood still", _again),
    "internalError": ("Something went wrong on the server", _again),
    "hubUnreachable": ("The base model could not be fetched", _again),
    "baseModelNotFound": ("The base model was not found", _base_model),
    "baseModelGated": ("The base model may not be used", _base_model),
    "baseModelUnsupported": ("The base model cannot be trained", _base_model),
    "unusableDataset": ("The photos cannot be used", _pictures),
    "unusablePhoto": ("A photo cannot be used", _pictures),
    "unusableMask": ("A mask cannot be used", _pictures),
    "fileDamaged": ("A stored photo is damaged", _pictures),
    "storageFull": ("The server's disk is full", _again),
    "outputNotWritable": ("The server's disk is full", _again),
}

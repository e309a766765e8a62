"""Home: what there is to see and to do first."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response

from modelgenerator.service.dashboard.job_phases import phase_in_words
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.operations.overview import Overview, WorkingJob, read_overview
from modelgenerator.service.operations.paying import charged_sentence, hint_without_charge
from modelgenerator.service.operations.storage_use import SOON
from modelgenerator.service.operations.works import WorkKind
from modelgenerator.service.records.jobs import Job

router = APIRouter(route_class=PageRoute, include_in_schema=False)


_PLACES = {
    WorkKind.TRAINING: "/trainings",
    WorkKind.PICTURES: "/generate",
    WorkKind.RUN: "/runs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A job as a person reads of it."""

    job: Job
    name: str
    address: str
    done: float | None
    """From 0 to 1, as far as the job has told of it."""
    doing: str
    charged: str
    """For those that failed."""
    hint: str | None
    """What helps then."""


@router.get("/")
def home(visit: VisitHere) -> Response:
    """The first page."""
    return visit.page("home/home.html", **_shown(visit))


@router.get("/now")
def now(visit: VisitHere) -> Response:
    """The part of it that changes by itself."""
    if not visit.is_partial:
        return visit.go("/")
    return visit.page("home/now.html", **_shown(visit))


def _shown(visit: Visit) -> dict[str, Any]:
    seen = read_overview(visit.service, visit.caller)
    return {
        "seen": seen,
        "work": [row_of(one) for one in seen.work],
        "failed": [row_of(one) for one in seen.failed],
        "machine": machine_words(seen),
        "soon": SOON.days,
    }


def row_of(one: WorkingJob) -> Row:
    """Its name, where it leads, and how far it is."""
    job, work, counted = one.job, one.work, _counted(one.job)
    words = f"{counted[2]} {counted[0]:,} of {counted[1]:,}" if counted else phase_in_words(job)
    return Row(
        job=job,
        name=work.name,
        address=f"{_PLACES[work.kind]}/{work.id}",
        done=counted and min(1.0, counted[0] / counted[1]),
        doing=words,
        charged=charged_sentence(job, one.cost),
        hint=hint_without_charge(job.error.hint) if job.error else None,
    )


def machine_words(seen: Overview) -> tuple[str, str]:
    """What works here, and how much of it is free."""
    machine = seen.machine
    if not machine.gpus:
        jobs = "1 job" if machine.busy == 1 else f"{machine.busy} jobs"
        name = "The Ray cluster" if machine.is_cluster else "This machine's processor"
        return name, jobs if machine.busy else "free"
    busy, count = machine.busy, len(machine.gpus)
    words = "busy" if busy >= count else f"{count - busy} of {count} free" if busy else "free"
    names = dict.fromkeys(machine.gpus)
    name = ", ".join(f"{machine.gpus.count(one)} × {one}" for one in names)  # noqa: RUF001
    return name, words


_COUNTED = (("step", "totalSteps", "step"), ("pictures", "totalPictures", "picture"))


def _counted(job: Job) -> tuple[int, int, str] | None:
    told = job.progress or {}
    for name, total_name, word in _COUNTED:
        done, total = told.get(name), told.get(total_name)
        if isinstance(done, int) and isinstance(total, int) and total > 0:
            return done, total, word
    return None

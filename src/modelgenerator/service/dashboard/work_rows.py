"""Jobs in the rows of lists: a name that leads somewhere, and how far it is.

In: jobs as operations know them.  Out: what a row shows.
"""

from dataclasses import dataclass

from modelgenerator.service.dashboard.job_phases import phase_in_words
from modelgenerator.service.operations.paying import charged_sentence, hint_without_charge
from modelgenerator.service.operations.working_jobs import WorkingJob
from modelgenerator.service.operations.works import WorkKind
from modelgenerator.service.records.jobs import Job
from modelgenerator.service.records.priorities import Priority, priority_of

_PLACES = {
    WorkKind.TRAINING: "/trainings",
    WorkKind.PICTURES: "/generate",
    WorkKind.RUN: "/runs",
}
_COUNTED = (("step", "totalSteps", "step"), ("pictures", "totalPictures", "picture"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A job as a person reads of it."""

    job: Job
    name: str
    address: str
    done: float | None
    """From 0 to 1, as far as the job has told of it."""
    doing: str
    """Or why it waits."""
    priority: Priority
    charged: str
    """For those that failed."""
    hint: str | None
    """What helps then."""


def row_of(one: WorkingJob) -> Row:
    """Its name, where it leads, and how far it is."""
    job, work, counted = one.job, one.work, _counted(one.job)
    words = f"{counted[2]} {counted[0]:,} of {counted[1]:,}" if counted else phase_in_words(job)
    return Row(
        job=job,
        name=work.name,
        address=f"{_PLACES[work.kind]}/{work.id}",
        done=counted and min(1.0, counted[0] / counted[1]),
        doing=one.waiting.message if one.waiting else words,
        priority=priority_of(job.priority),
        charged=charged_sentence(job, one.cost),
        hint=hint_without_charge(job.error.hint) if job.error else None,
    )


def _counted(job: Job) -> tuple[int, int, str] | None:
    told = job.progress or {}
    for name, total_name, word in _COUNTED:
        done, total = told.get(name), told.get(total_name)
        if isinstance(done, int) and isinstance(total, int) and total > 0:
            return done, total, word
    return None

"""What a job is doing, as a person says it.

In: a job with what it told last.  Out: words.  Which phases a training goes through, and in which
order, is not known here.
"""

from collections.abc import Mapping

from modelgenerator.service.records.jobs import Job

PHASES: Mapping[str, str] = {
    "waitingForMachine": "Waiting for a machine",
    "starting": "Starting",
    "loadingBaseModel": "Loading base model",
    "preparingDataset": "Preparing photos",
    "encoding": "Encoding",
    "training": "Training",
    "sampling": "Sampling",
    "drawing": "Drawing",
    "writing": "Writing",
    "saving": "Saving",
}
"""By the name that a worker tells."""


def phase_in_words(job: Job) -> str:
    """Of a job that runs, as a part of a sentence."""
    return "starting" if job.phase is None else PHASES.get(job.phase, "Working").lower()

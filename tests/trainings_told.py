"""Trainings as workers tell of them, for tests of what is shown."""

import hashlib

from tests.serving import Serving
from tests.uploaded import SETTINGS, a_dataset, ended
from tests.working import png

from modelgenerator.service.records.jobs import Fault, Job, JobError, JobStatus
from modelgenerator.service.store.job_changes import Told


def a_training(it: Serving, name: str = "Fuchsi 1", **settings: object) -> str:
    """A training that waits; its id."""
    body = {"datasetId": str(a_dataset(it)), "settings": {**SETTINGS, **settings}, "name": name}
    answer = it.http.post("/v1/trainings", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def told_steps(it: Serving, job: Job, first: int, last: int, loss: float = 0.5) -> None:
    """Its worker is in the middle of training."""
    steps = list(range(first, last + 1))
    data = {
        "steps": steps,
        "losses": [loss for _ in steps],
        "learningRates": [1.0 for _ in steps],
        "d": [1e-4 for _ in steps],
        "gradientNorms": [0.1 for _ in steps],
    }
    progress = {"step": last, "epoch": 1, "secondsRemaining": 3, "stepsPerSecond": 2.0}
    with it.service.database.transaction() as transaction:
        transaction.jobs.record(
            job.lease, [Told("steps", data)], it.clock(), phase="training", progress=progress
        )


def told_sample(it: Serving, job: Job, epoch: int, prompt: str) -> None:
    """Its worker has drawn a sample."""
    name = hashlib.sha256(f"{epoch} {prompt}".encode()).hexdigest()
    stored = it.service.files.put(f"{job.spec['storagePrefix']}/{name}.png", png(epoch))
    data = {"epoch": epoch, "prompt": prompt, "storageKey": stored.key}
    with it.service.database.transaction() as transaction:
        transaction.jobs.record(job.lease, [Told("sample", data)], it.clock())


def failed(
    it: Serving, job: Job, code: str, fault: Fault, *, checkpoint: str | None = None
) -> None:
    """Its worker gave up."""
    if checkpoint is not None:
        with it.service.database.transaction() as transaction:
            transaction.jobs.save_checkpoint(
                job.lease, checkpoint, {"step": 2}, it.clock(), used_ms=30_000
            )
    error = JobError(code=code, message="It broke.", fault=fault, hint=None)
    ended(it, job, JobStatus.FAILED, used_ms=60_000, error=error)

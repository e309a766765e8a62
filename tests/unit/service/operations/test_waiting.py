"""Why a job waits, in the words of each reason."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.machines import GIGABYTE, HEAVY, a_server
from tests.remembered import SetClock, a_job

from modelgenerator.service.operations.waiting import (
    Situation,
    Waiting,
    WaitReason,
    waits,
    why_it_waits,
)
from modelgenerator.service.records.jobs import Job, JobKind, JobStatus
from modelgenerator.service.records.servers import Places, Server
from modelgenerator.service.store.job_counts import JobCount

CLOCK = SetClock()
JOB = a_job(UUID(int=1), CLOCK)
ON_PROCESSORS = Places(kinds=HEAVY, count=1)


def running(jobs: int, kind: JobKind = JobKind.TRAIN) -> JobCount:
    return JobCount(
        status=JobStatus.RUNNING,
        kind=kind,
        machine="gpu-1",
        phase="training",
        is_own=False,
        jobs=jobs,
        gpus=jobs,
    )


def why(
    job: Job,
    *counts: JobCount,
    before: int = 0,
    servers: Sequence[Server] | None = None,
    places: Sequence[Places] | None = None,
    **more: Any,
) -> Waiting:
    if servers is None:
        told = {} if places is None else {"places": tuple(places)}
        servers = [a_server(CLOCK, **told)]
    situation = Situation(
        now=CLOCK.now, servers=servers, counts=counts, before={job.id: before}, **more
    )
    return why_it_waits(job, situation)


def test_a_server_that_is_about_to_end_takes_no_jobs():
    assert why(JOB, servers=[a_server(CLOCK, places=())]).reason is WaitReason.NO_SERVER


def test_nobody_takes_jobs():
    waiting = why(JOB, servers=[])
    assert waiting.reason is WaitReason.NO_SERVER
    assert waiting.message.startswith("No server takes jobs now.")


def test_the_cluster_is_not_there():
    waiting = why(JOB, servers=[a_server(CLOCK, machines=(), places=())])
    assert waiting.reason is WaitReason.NO_CLUSTER
    assert waiting.message.startswith("The Ray cluster is not there.")


@pytest.mark.parametrize(
    ("changes", "places", "reason", "message"),
    [
        (
            {"gpus": 1},
            [ON_PROCESSORS],
            WaitReason.NO_GPU,
            "It needs a GPU, and no machine here has one.",
        ),
        (
            {"gpus": 2},
            [Places(kinds=HEAVY, count=2, gpus=1)],
            WaitReason.NO_GPU,
            "It needs 2 GPUs at once, and no machine here has more than 1 GPU.",
        ),
        (
            {"gpus": 1, "gpu_memory": 40 * GIGABYTE},
            [
                Places(kinds=HEAVY, count=2, gpus=1, gpu_memory=16 * GIGABYTE),
                Places(kinds=HEAVY, count=2, gpus=1, gpu_memory=24 * GIGABYTE),
                ON_PROCESSORS,
            ],
            WaitReason.NO_LARGER_GPU,
            "It needs a GPU with 40 GB, and the largest here has 24 GB.",
        ),
    ],
    ids=["none", "not so many", "too small"],
)
def test_no_place_is_large_enough(changes, places, reason, message):
    assert why(replace(JOB, **changes), places=places) == Waiting(reason, message)


def test_what_came_to_nothing_is_tried_later():
    later = replace(JOB, not_before=CLOCK.now + timedelta(seconds=8))
    waiting = why(later)
    assert waiting.reason is WaitReason.TRIED_LATER
    assert waiting.message == "Its last attempt came to nothing. It is tried again in 8 seconds."
    assert why(later, servers=[]).reason is WaitReason.NO_SERVER


def test_an_organization_runs_as_many_as_it_may():
    own = replace(running(3), is_own=True)
    light = replace(own, kind=JobKind.ZIP)
    waiting = why(JOB, own, running(9), light, most_of_one=3)
    assert waiting.reason is WaitReason.RUNNING_LIMIT
    assert waiting.message == "Your organization has 3 jobs running, as many as it may at once."
    assert why(JOB, own, most_of_one=4).reason is WaitReason.PLACES_TAKEN
    zip_ = replace(JOB, kind=JobKind.ZIP)
    light_place = Places(kinds=("zip",), count=1)
    assert why(zip_, own, most_of_one=3, places=[light_place]).reason is WaitReason.BEGINS


def test_a_training_makes_room():
    waiting = why(JOB, running(2), room_is_made={JOB.id})
    assert waiting.reason is WaitReason.ROOM_IS_MADE


@pytest.mark.parametrize(
    ("before", "count", "message"),
    [
        (0, 2, "It is next, and all 2 places for it are taken."),
        (1, 2, "1 job goes before it, and all 2 places for it are taken."),
        (1200, 1, "1,200 jobs go before it, and the only place for it is taken."),
    ],
)
def test_others_go_before_it(before, count, message):
    places = [Places(kinds=HEAVY, count=count), Places(kinds=("zip",), count=3)]
    waiting = why(JOB, running(count), running(3, JobKind.ZIP), before=before, places=places)
    assert waiting == Waiting(WaitReason.PLACES_TAKEN, message, before)


def test_with_a_place_that_is_free_it_begins():
    assert why(JOB, running(1)) == Waiting(WaitReason.BEGINS, "It begins in a moment.", 0)
    assert why(JOB, running(1), before=1).reason is WaitReason.PLACES_TAKEN


@pytest.mark.parametrize(
    ("changes", "needs"),
    [
        ({}, "it needs processors and memory that others use"),
        ({"gpus": 1}, "it needs a GPU"),
        ({"gpus": 1, "gpu_memory": 24 * GIGABYTE}, "it needs a GPU with 24 GB"),
        ({"gpus": 2}, "it needs 2 GPUs on one machine"),
    ],
)
def test_a_cluster_has_no_room(changes, needs):
    job = replace(JOB, status=JobStatus.RUNNING, phase="waitingForMachine", **changes)
    waiting = why(job)
    assert waiting.reason is WaitReason.WAITING_FOR_MACHINE
    assert waiting.message == (
        f"It has its turn, and no machine of the cluster has room for it yet: {needs}."
    )


def test_what_runs_has_ended_or_is_to_end_does_not_wait():
    assert waits(JOB)
    assert waits(replace(JOB, status=JobStatus.RUNNING, phase="waitingForMachine"))
    assert not waits(replace(JOB, status=JobStatus.RUNNING, phase="training"))
    assert not waits(replace(JOB, status=JobStatus.CANCELLED))
    assert not waits(replace(JOB, cancel_requested_at=CLOCK.now))

"""Machines, what runs on them, and the queue: over HTTP, and what another organization sees."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.household import neighbours
from tests.integration.service.test_reads_stay_quick import asked
from tests.machines import HEAVY, a_machine, a_server, on_processors, tell
from tests.serving import Serving, serving
from tests.uploaded import SETTINGS, a_dataset, claimed, ended

from modelgenerator.service.operations import cluster
from modelgenerator.service.records.jobs import Job, JobKind, JobStatus
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.servers import Places
from modelgenerator.service.store.job_queue import Offer


@pytest.fixture
def it(tmp_path) -> Iterator[Serving]:
    with serving(tmp_path) as it:
        yield it


def seen(it: Serving, http: Any = None) -> dict[str, Any]:
    answer = (http or it.http).get("/v1/cluster")
    assert answer.status_code == 200, answer.text
    return answer.json()


def a_training(it: Serving, name: str = "Mine") -> str:
    body = {"datasetId": str(a_dataset(it)), "settings": SETTINGS, "name": name}
    answer = it.http.post("/v1/trainings", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def begun(it: Serving, machine: str | None, phase: str = "training", **progress: int) -> Job:
    with it.service.database.transaction() as transaction:
        offer = Offer(owner="w", kinds=list(JobKind))
        job = transaction.jobs.claim(offer, it.clock(), timedelta(minutes=1))
        assert job is not None
        transaction.jobs.record(
            job.lease, [], it.clock(), phase=phase, machine=machine, progress=progress or None
        )
    return job


def test_nobody_is_there(it):
    training = a_training(it)
    found = seen(it)
    assert (found["machines"], found["servers"], found["places"]) == ([], [], 0)
    (waits,) = found["queue"]
    assert (waits["kind"], waits["id"], waits["name"]) == ("training", training, "Mine")
    assert waits["waitingFor"]["reason"] == "noServer"


def test_machines_of_several_servers_are_merged_and_say_what_runs_there(it):
    both = (a_machine("gpu-2"), a_machine("gpu-1"))
    one = a_server(it.clock, machines=both)
    two = a_server(it.clock, "two", host="two", version="0.0.1", machines=both[1:], places=())
    tell(it, one, two)
    training = a_training(it)
    begun(it, "gpu-1", step=3, totalSteps=9)
    found = seen(it)
    assert [machine["name"] for machine in found["machines"]] == ["gpu-1", "gpu-2"]
    first, second = found["machines"]
    assert (first["cpus"], first["gpus"], first["gpuKind"]) == (16, 2, "L4")
    assert (first["memoryBytes"], first["gpuMemoryBytes"]) == (64 * 10**9, 24 * 10**9)
    (work,) = first["running"]["own"]
    assert (work["id"], work["phase"]) == (training, "training")
    assert work["progress"] == {"step": 3, "totalSteps": 9}
    assert second["running"] == {"own": [], "ownCount": 0, "othersCount": 0, "gpus": 0}
    assert (found["places"], found["placesTaken"], found["usesGpus"]) == (2, 1, True)
    told = [(it["host"], it["version"], it["isOtherVersion"]) for it in found["servers"]]
    assert told == [("one", one.version, False), ("two", "0.0.1", True)]


def test_a_server_that_is_silent_is_gone_and_its_machine_with_it(it):
    on_processors(it)
    a_training(it)
    begun(it, "one")
    it.clock.advance(21)
    found = seen(it)
    (machine,) = found["machines"]
    assert (machine["name"], machine["isThere"]) == ("one", False)
    assert (machine["memoryBytes"], machine["running"]["ownCount"]) == (None, 1)
    assert found["servers"] == []


def test_what_waits_for_a_machine_is_on_none_and_says_why(it):
    tell(it, a_server(it.clock))
    training = a_training(it)
    begun(it, None, phase="waitingForMachine")
    found = seen(it)
    (work,) = found["unplaced"]["own"]
    assert work["waitingFor"]["reason"] == "waitingForMachine"
    shown = it.http.get(f"/v1/trainings/{training}").json()
    assert shown["waitingFor"] == work["waitingFor"]


def test_the_queue_is_in_the_order_in_which_it_begins(it):
    on_processors(it)
    first, second = a_training(it, "First"), a_training(it, "Second")
    claimed(it)
    body = {"baseModel": "creatures", "images": [{"prompt": "a cat", "steps": 2}]}
    drawing = it.http.post("/v1/inferences", json=body).json()
    assert drawing["waitingFor"]["reason"] == "begins"
    found = seen(it)
    assert [work["id"] for work in found["queue"]] == [drawing["id"], second]
    told = found["queue"][1]["waitingFor"]
    assert told == {
        "reason": "placesTaken",
        "message": "1 job goes before it, and the only place for it is taken.",
        "jobsBefore": 1,
    }
    listed = {one["id"]: one["waitingFor"] for one in it.http.get("/v1/trainings").json()["items"]}
    assert listed == {first: None, second: told}
    (one,) = it.http.get("/v1/inferences").json()["items"]
    assert one["waitingFor"]["jobsBefore"] == 0
    begun(it, "one")
    shown = it.http.get(f"/v1/inferences/{drawing['id']}").json()
    assert (shown["status"], shown["waitingFor"]) == ("running", None)


def test_a_job_that_needs_more_than_there_is_says_what(it):
    gpu = Places(kinds=HEAVY, count=1, gpus=1, gpu_memory=8 * 10**9)
    tell(it, a_server(it.clock, places=(gpu,)))
    training = a_training(it)
    with it.service.database.changing_tables() as connection:
        connection.exec_driver_sql("UPDATE jobs SET gpus = 1, gpu_memory = 24000000000")
    told = it.http.get(f"/v1/trainings/{training}").json()["waitingFor"]
    assert told["reason"] == "noLargerGpu"
    assert told["message"] == "It needs a GPU with 24 GB, and the largest here has 8 GB."


def test_of_another_organization_numbers_are_seen_and_nothing_else(it):
    on_processors(it)
    ids = [a_training(it, "Secret running"), a_training(it, "Secret waiting")]
    begun(it, "one", step=3, totalSteps=9)
    theirs = seen(it, neighbours(it))
    (machine,) = theirs["machines"]
    assert machine["running"] == {"own": [], "ownCount": 0, "othersCount": 1, "gpus": 0}
    assert (theirs["queue"], theirs["queuedCount"], theirs["othersQueued"]) == ([], 0, 1)
    assert (theirs["places"], theirs["placesTaken"]) == (3, 1)
    told = json.dumps(theirs)
    assert not any(hidden in told for hidden in ("Secret", "step", *ids, str(it.organization_id)))


def test_whoever_may_look_sees_it_and_nobody_else(it):
    assert it.as_role(Role.VIEWER).get("/v1/cluster").status_code == 200
    assert it.with_key(None).get("/v1/cluster").status_code == 401


def test_it_takes_as_many_statements_for_many_jobs_as_for_one(it):
    on_processors(it)

    def statements() -> int:
        with asked(it.service.database) as found:
            cluster.read_cluster(it.service, it.owner)
        return len(found)

    a_training(it)
    a_training(it)
    begun(it, "one")
    for_one = statements()
    for _ in range(2):
        a_training(it)
        a_training(it)
        begun(it, "one")
    assert statements() == for_one


def test_what_has_ended_is_not_there(it):
    tell(it, replace(a_server(it.clock), machines=()))
    a_training(it)
    ended(it, begun(it, "one"), JobStatus.CANCELLED)
    found = seen(it)
    assert (found["machines"], found["queue"], found["unplaced"]["ownCount"]) == ([], [], 0)

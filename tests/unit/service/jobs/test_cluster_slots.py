from uuid import UUID

import pytest

from modelgenerator.service.config import ServiceConfig, read_config
from modelgenerator.service.jobs.executors.cluster_slots import needs_of, slots_of_cluster
from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.executors.ray_words import Cluster, Needs
from modelgenerator.service.jobs.messages import Assignment
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.records.servers import Machine

TRAIN, GENERATE, ZIP = JobKind.TRAIN, JobKind.GENERATE, JobKind.ZIP


def heavy(cluster: Cluster, **config: object) -> int:
    slots = slots_of_cluster(cluster, ServiceConfig.model_validate(config))
    return sum(TRAIN in slot.kinds for slot in slots)


@pytest.mark.parametrize(
    ("cluster", "config", "count"),
    [
        (Cluster(cpus=16, gpus=0), {}, 9),
        (Cluster(cpus=16, gpus=4), {}, 9),
        (Cluster(cpus=16, gpus=4), {"cluster_gpu_gigabytes": 24}, 5),
        (Cluster(cpus=0, gpus=0), {}, 2),
        (Cluster(cpus=16, gpus=4), {"cluster_jobs": 3}, 3),
    ],
    ids=["CPUs", "GPUs of unknown size", "GPUs", "scaled to zero", "the operator says"],
)
def test_one_job_more_than_there_is_room_for_is_given(cluster, config, count):
    assert heavy(cluster, **config) == count


def test_a_gpu_offers_the_memory_that_the_operator_says():
    config = ServiceConfig(cluster_gpu_gigabytes=24)
    slots = slots_of_cluster(Cluster(cpus=4, gpus=1), config)
    (train, *_) = [slot for slot in slots if TRAIN in slot.kinds]
    assert (train.gpus, train.gpu_memory) == (1, 24 * 10**9)


def test_archives_wait_behind_nothing_heavy_and_pictures_not_behind_trainings():
    slots = slots_of_cluster(Cluster(cpus=2, gpus=0), ServiceConfig())
    assert ZIP in slots[0].kinds
    assert TRAIN not in slots[0].kinds
    assert slots[2].kinds == (GENERATE,)
    assert len({slot.name for slot in slots}) == len(slots)


@pytest.mark.parametrize(
    ("kind", "gpus", "cpus", "needs"),
    [
        (TRAIN, 1, 8, Needs(cpus=1, gpus=1)),
        (TRAIN, 0, 8, Needs(cpus=2, memory=7)),
        (TRAIN, 0, 1, Needs(cpus=1, memory=7)),
        (ZIP, 0, 8, Needs(cpus=1)),
    ],
)
def test_a_job_asks_for_what_it_was_planned_with(kind, gpus, cpus, needs):
    assignment = Assignment(
        job_id=UUID(int=1), attempt=1, kind=kind, spec={"memoryBytes": 7}, gpus=gpus
    )
    slot = Slot(name="any", kinds=(kind,))
    assert needs_of(assignment, slot, Cluster(cpus=cpus, gpus=1)) == needs


def machine(kind: str, gpus: int) -> Machine:
    return Machine(name=kind, cpus=8, gpus=gpus, gpu_kind=kind)


def test_gpus_of_several_kinds_are_filled_from_the_smallest():
    config = read_config({"MODELGENERATOR_CLUSTER_GPUS": "H100=80, L4=24"})
    machines = (machine("H100", 1), machine("L4", 2), machine("T4", 4))
    cluster = Cluster(cpus=24, gpus=7, machines=machines)
    slots = [slot for slot in slots_of_cluster(cluster, config) if TRAIN in slot.kinds]
    seen = [(slot.gpu_memory // 10**9, slot.gpu_kinds) for slot in slots]
    working = [(24, ("L4",)), (24, ("L4",)), (80, ("H100",))]
    assert seen == [*working, (24, ("L4", "H100")), (80, ("H100",))]
    assert len({slot.name for slot in slots}) == len(slots)


def test_pictures_of_any_size_wait_behind_no_training():
    config = read_config({"MODELGENERATOR_CLUSTER_GPUS": "H100=80, L4=24"})
    slots = slots_of_cluster(Cluster(cpus=0, gpus=0), config)
    pictures = [slot for slot in slots if slot.kinds == (GENERATE,)]
    seen = [(slot.gpu_memory // 10**9, slot.gpu_kinds) for slot in pictures]
    assert seen == [(24, ("L4", "H100")), (80, ("H100",))]
    # what fits the smaller one is not bound to the larger
    assert [slot.gpu_memory_above for slot in pictures] == [-1, 24 * 10**9]
    waiting = [slot for slot in slots if slot.name.endswith("waiting")]
    assert [slot.gpu_memory_above for slot in waiting] == [-1, 24 * 10**9]
    assert all(slot.gpu_memory_above == -1 for slot in slots if slot not in (*pictures, *waiting))


def test_a_job_asks_for_a_kind_of_gpu_that_has_the_memory():
    assignment = Assignment(job_id=UUID(int=1), attempt=1, kind=TRAIN, spec={}, gpus=1)
    slot = Slot(name="any", kinds=(TRAIN,), gpus=1, gpu_kinds=("L4", "H100"))
    needs = needs_of(assignment, slot, Cluster(cpus=8, gpus=1))
    assert needs == Needs(cpus=1, gpus=1, gpu_kinds=("L4", "H100"))

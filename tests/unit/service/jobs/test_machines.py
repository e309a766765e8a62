"""Machines as the system and Ray tell of them, and the places on them."""

import socket

from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.executors.machines import machines_of, this_machine
from modelgenerator.service.jobs.executors.slots import slots_of
from modelgenerator.service.jobs.presence import places_of
from modelgenerator.service.operations.devices import Gpu
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.records.servers import Machine, Places


def a_gpu(index: int, name: str = "L4", memory: int = 24) -> Gpu:
    return Gpu(index=index, name=name, memory=memory, free=memory, has_bf16=True)


def a_node(id: str, host: str, address: str = "10.0.0.1", port: int = 1, **resources: float):
    return {
        "NodeID": id,
        "Alive": True,
        "NodeManagerHostname": host,
        "NodeManagerAddress": address,
        "NodeManagerPort": port,
        "Resources": {"CPU": 8.0, "memory": 1e9, **resources},
    }


def test_this_machine_has_its_gpus_and_the_memory_of_the_smallest():
    bare = this_machine(())
    assert bare.name == socket.gethostname()
    assert (bare.gpus, bare.gpu_kind, bare.gpu_memory) == (0, None, 0)
    assert bare.cpus > 0
    assert bare.memory > 10**8
    mixed = this_machine([a_gpu(0), a_gpu(1, "A100", 80), a_gpu(2)])
    assert (mixed.gpus, mixed.gpu_kind, mixed.gpu_memory) == (3, "L4, A100", 24)


def test_machines_of_a_cluster_are_those_that_live():
    with_gpus = {**a_node("a", "one", GPU=2.0), "Labels": {"ray.io/accelerator-type": "L4"}}
    nodes = [with_gpus, a_node("b", "two"), {**a_node("c", "x"), "Alive": False}]
    assert machines_of(nodes) == {
        "a": Machine(name="one", cpus=8, memory=10**9, gpus=2, gpu_kind="L4"),
        "b": Machine(name="two", cpus=8, memory=10**9),
    }


def test_machines_with_one_host_name_are_told_apart():
    nodes = [
        a_node("a", "ubuntu", "10.0.0.1"),
        a_node("b", "ubuntu", "10.0.0.2", 1),
        a_node("c", "ubuntu", "10.0.0.2", 2),
        a_node("d", "other", "10.0.0.4"),
    ]
    assert [machine.name for machine in machines_of(nodes).values()] == [
        "ubuntu (10.0.0.1)",
        "ubuntu (10.0.0.2:1)",
        "ubuntu (10.0.0.2:2)",
        "other",
    ]


def test_places_are_slots_of_one_kind_together():
    assert places_of(slots_of([a_gpu(0), a_gpu(1)], None)) == (
        Places(kinds=("zip", "generateObjects"), count=1),
        Places(kinds=("train", "generate"), count=2, gpus=1, gpu_memory=24),
    )
    assert places_of([]) == ()
    assert places_of([Slot(name="a", kinds=(JobKind.ZIP,))]) == (Places(kinds=("zip",), count=1),)

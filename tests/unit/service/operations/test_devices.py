import pytest

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.operations.devices import (
    Gpu,
    facts_of,
    facts_of_cluster,
    gpus_here,
    kind_in_plans,
)


def test_where_no_device_file_is_nobody_is_asked(tmp_path):
    assert gpus_here(tmp_path) == ()


@pytest.mark.slow
def test_where_one_is_torch_is_asked_elsewhere(tmp_path):
    (tmp_path / "nvidia0").touch()
    found = gpus_here(tmp_path)
    assert all(gpu.memory > 0 for gpu in found)


def test_a_training_is_planned_for_the_smallest_gpu():
    facts = facts_of(
        (Gpu(0, "large", 80_000, 79_000, True), Gpu(1, "small", 24_000, 23_000, False))
    )
    assert (facts.kind, facts.has_bf16, facts.free_bytes) == ("cuda", False, 23_000)
    assert (facts.kind_of_machine, facts_of(()).kind_of_machine) == ("small", "cpu")


def test_a_cluster_is_planned_for_as_the_operator_says():
    (facts,) = facts_of_cluster(ServiceConfig(cluster_gpu_gigabytes=24))
    assert (facts.kind, facts.free_bytes) == ("cuda", 24 * 10**9)
    assert facts.kind_of_machine == "cuda"  # nobody said which
    (facts,) = facts_of_cluster(ServiceConfig())
    assert facts.kind == "cpu"


def test_of_several_kinds_the_smallest_comes_first_and_old_ones_have_no_bf16():
    kinds = facts_of_cluster(ServiceConfig(cluster_gpus={"H100": 80, "T4": 16}))
    seen = [(it.kind_of_machine, it.free_bytes, it.has_bf16) for it in kinds]
    assert seen == [("T4", 16 * 10**9, False), ("H100", 80 * 10**9, True)]


@pytest.mark.parametrize(
    ("config", "kind"),
    [({"cluster_gpu_gigabytes": 24}, "cuda"), ({"cluster_gpus": {"H100": 80}}, "H100")],
)
def test_what_ended_on_a_cluster_is_remembered_as_its_plan_called_the_gpu(config, kind):
    cluster = ServiceConfig(**config)
    (planned,) = facts_of_cluster(cluster)
    assert planned.kind_of_machine == kind_in_plans(cluster, "H100") == kind

from tests.dispatching import SPEC

from modelgenerator.service.records.job_specs import TrainSpec


def test_memory_is_told_only_where_a_cluster_must_know():
    assert "memoryBytes" not in SPEC.as_json()
    told = SPEC.model_copy(update={"memory_bytes": 7})
    assert told.as_json()["memoryBytes"] == 7
    assert TrainSpec.from_json(told.as_json()) == told
    assert TrainSpec.from_json(SPEC.as_json()) == SPEC

"""What slots know of each other."""

from uuid import UUID

from modelgenerator.service.jobs.executors.cluster_slots import drawing_places, with_loaded
from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.executors.nearby import aware, aware_of_others, held_during
from modelgenerator.service.jobs.executors.ray_words import NOTHING_LOADED, Held, Loaded
from modelgenerator.service.jobs.executors.slots import HEAVY, LIGHT
from modelgenerator.service.jobs.messages import Assignment
from modelgenerator.service.records.holds import NOTHING, Holds
from modelgenerator.service.records.jobs import JobKind


def holding(*base_models: str, loras: tuple[str, ...] = ()) -> Holds:
    return Holds(base_models=frozenset(base_models), loras=frozenset(loras))


def slot(name: str, holds: Holds = NOTHING, kinds=HEAVY, **more) -> Slot:
    return Slot(name=name, kinds=kinds, holds=holds, **more)


def held(*base_models: str, kinds: tuple[str, ...] = (), loras: tuple[str, ...] = ()) -> Held:
    return Held(kinds, holding(*base_models, loras=loras))


def an_assignment(kind: JobKind = JobKind.GENERATE, **more: str) -> Assignment:
    return Assignment(job_id=UUID(int=1), attempt=1, kind=kind, spec={}, **more)


def test_a_slot_knows_the_base_models_of_all_others_and_the_loras_of_the_free_ones():
    a, b = slot("a", holding("x", loras=("1",))), slot("b", holding("y", loras=("2",)))
    busy = slot("c", holding("z", loras=("3",)))
    first, second = aware([a, b], [busy])
    assert (first.holds, first.nearby) == (a.holds, holding("y", "z", loras=("2",)))
    assert second.nearby == holding("x", "z", loras=("1",))


def test_a_slot_that_draws_nothing_knows_nothing():
    light, other = slot("light", kinds=LIGHT), slot("a", holding("x"))
    assert aware([light, other], []) == [light, other]


def test_nobody_waits_for_a_slot_that_could_not_take_his_place():
    small, large = (
        slot("small", holding("x"), gpus=1),
        slot("l", holding("y"), gpus=1, gpu_memory=9),
    )
    for_small, for_large = aware([small, large], [])
    assert for_small.nearby == large.holds
    assert for_large.nearby == NOTHING


def test_what_is_about_to_be_loaded_counts_and_a_training_lets_all_go():
    begun = held_during(an_assignment(base_model="b", lora_sha256="2"), holding("a", loras=("1",)))
    assert begun == holding("a", "b", loras=("1", "2"))
    assert held_during(an_assignment(JobKind.TRAIN), holding("a")) == NOTHING


def test_each_free_slot_of_a_cluster_stands_for_a_runner_that_waits():
    free = [slot("light", kinds=LIGHT), slot("pictures"), slot("cluster-0"), slot("cluster-1")]
    loaded = Loaded([held("a"), held("b")], [held("c")])
    light, *others = with_loaded(free, free, loaded)
    assert light == free[0]
    assert [one.holds for one in others] == [holding("a"), holding("b"), NOTHING]
    assert [one.nearby for one in others] == [
        holding("b", "c"),
        holding("a", "c"),
        holding("a", "b", "c"),
    ]


def test_a_runner_that_no_slot_stands_for_is_nearby():
    free = [slot("pictures")]
    (only,) = with_loaded(free, free, Loaded([held("a"), held("b")], []))
    assert (only.holds, only.nearby) == (holding("a"), holding("b"))
    assert with_loaded([], free, Loaded([], [held("a")])) == []


def test_what_others_have_is_known_beside_what_is_nearby_here():
    mine = slot("a", nearby=holding("x", loras=("1",)))
    free, busy = (
        slot("one 0", holding("y", loras=("2",))),
        slot("one 1", holding("z", loras=("3",))),
    )
    light = slot("light", kinds=LIGHT)
    known, unchanged = aware_of_others([mine, light], [free], [busy])
    assert known.nearby == holding("x", "y", "z", loras=("1", "2"))
    assert unchanged == light


def test_other_servers_are_told_of_runners_that_have_something_as_they_were_asked_for():
    slots = [
        slot("L4-0", gpus=1, gpu_memory=24, gpu_kinds=("L4",)),
        slot("H100-0", gpus=1, gpu_memory=80, gpu_kinds=("H100",)),
    ]
    idle = [held("a", kinds=("L4",)), held(kinds=("L4",)), held("x", kinds=("T4",))]
    told = drawing_places(slots, Loaded(idle, [held("b", kinds=("H100",))]))
    assert [(it.gpus, it.gpu_memory, it.holds, it.is_free) for it in told] == [
        (1, 24, holding("a"), True),
        (1, 80, holding("b"), False),
    ]
    assert drawing_places([], Loaded(idle, [])) == []


def test_a_runner_that_is_given_work_waits_no_more():
    before = Loaded([held("a"), held("b")], [held("c")])
    after = before.begun(an_assignment(base_model="d"), held("b"))
    assert after == Loaded([held("a")], [held("c"), held("b", "d")])
    new = NOTHING_LOADED.begun(an_assignment(base_model="d"), held())
    assert new == Loaded([], [held("d")])


def test_a_runner_is_given_the_work_of_slots_that_ask_for_the_same_gpus():
    free = [slot("any", gpu_kinds=("A10", "H100")), slot("H100-0", gpu_kinds=("H100",))]
    loaded = Loaded([held("a", kinds=("H100",)), held("b", kinds=("A10", "H100"))], [])
    any_kind, large = with_loaded(free, free, loaded)
    assert (any_kind.holds, large.holds) == (holding("b"), holding("a"))

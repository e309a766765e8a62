from tests.serving import serving

from modelgenerator.service.jobs.executors.choice import executor_for
from modelgenerator.service.jobs.executors.slots import slots_of
from modelgenerator.service.operations.devices import Gpu
from modelgenerator.service.records.jobs import JobKind

TRAIN, GENERATE, ZIP, OBJECTS = (
    JobKind.TRAIN,
    JobKind.GENERATE,
    JobKind.ZIP,
    JobKind.GENERATE_OBJECTS,
)
LARGE = Gpu(0, "large", 80_000, 79_000, has_bf16=True)
SMALL = Gpu(1, "small", 24_000, 23_000, has_bf16=False)


def test_without_a_gpu_no_picture_waits_behind_a_training_and_no_archive_behind_pictures():
    light, pictures, device = slots_of((), None)
    assert set(light.kinds) == {ZIP, OBJECTS}
    assert set(pictures.kinds) == {GENERATE}
    assert set(device.kinds) == {TRAIN, GENERATE}
    assert light.gpus == pictures.gpus == device.gpus == 0


def test_each_gpu_has_a_slot_of_its_own():
    light, first, second = slots_of((LARGE, SMALL), None)
    assert set(light.kinds) == {ZIP, OBJECTS}
    assert (first.gpus, first.gpu_memory, first.gpu_index) == (1, 80_000, 0)
    assert (second.gpus, second.gpu_memory, second.gpu_index) == (1, 24_000, 1)


def test_the_operator_says_how_many_there_are():
    assert [slot.gpu_index for slot in slots_of((LARGE, SMALL), 3)] == [None, 0, 1, 0]
    assert len(slots_of((LARGE, SMALL), 1)) == 2
    assert [slot.name for slot in slots_of((), 2)] == ["light", "pictures", "cpu-0", "cpu-1"]


def test_this_machine_has_the_slots_that_the_operator_says(tmp_path):
    with serving(tmp_path, device_slots=2) as here:
        found = executor_for(here.service).free_slots()
    assert list(found) == list(slots_of(here.service.gpus, 2))

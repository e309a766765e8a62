"""What several processes change of a plan, and what they must not."""

import dataclasses

import pytest
from tests.examples import CPU, GPU, plan_for

from modelgenerator.errors import InvalidSettings

TWO_GPUS = dataclasses.replace(GPU, count=2)


def test_the_lora_does_not_depend_on_the_number_of_processes():
    one, two = plan_for(batchSize=4), plan_for(batchSize=4, processes=2)
    assert two.processes == 2
    assert two.digest == one.digest
    assert (two.batch_size, two.total_steps) == (one.batch_size, one.total_steps)
    assert two.learning_rate == one.learning_rate


def test_each_process_needs_a_gpu():
    assert plan_for(device=TWO_GPUS, batchSize=4, processes=2).processes == 2
    with pytest.raises(InvalidSettings, match=r"this machine has 2: ask for 2\."):
        plan_for(device=TWO_GPUS, batchSize=4, processes=3)


def test_on_a_cpu_there_are_as_many_as_wished():
    assert plan_for(device=CPU, batchSize=4, processes=3).processes == 3


def test_each_process_needs_a_picture_in_a_step():
    with pytest.raises(InvalidSettings, match=r"a step has 1: raise batchSize or gradientAcc"):
        plan_for(processes=2)
    assert plan_for(gradientAccumulation=2, processes=2).processes == 2

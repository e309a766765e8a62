import pytest
import torch

from modelgenerator.errors import TrainingDiverged
from modelgenerator.training.optimizers.by_name import OPTIMIZERS
from modelgenerator.training.optimizers.flat import FlatMatrix
from modelgenerator.training.readings import STEPS_BEHIND, Reading, Readings, numbers_of_step


def reading(
    step: int = 1, *, loss: float = 0.5, norm: float = 2.0, value: float = 1.0, applied: bool = True
) -> Reading:
    d = torch.tensor(1e-6, dtype=torch.float64)
    values_N = torch.tensor([value, 0.25])
    return Reading(
        step=step,
        epoch=1,
        learning_rate=0.1,
        pictures=["0.png", "1.png"],
        is_applied=applied,
        numbers_4=numbers_of_step(torch.tensor(loss), torch.tensor(norm), values_N, d),
    )


@pytest.mark.parametrize("behind", [0, 1, 3])
def test_steps_are_told_in_order_and_as_many_behind_as_was_asked_for(behind: int):
    readings, told = Readings(behind), list[int]()
    for step in range(1, 6):
        readings.add(reading(step))
        told += [finished.step for finished in readings.due()]
    assert told == list(range(1, 6 - behind))
    assert [finished.step for finished in readings.rest()] == list(range(6 - behind, 6))
    assert not list(readings.rest())


def test_a_step_says_what_was_computed_to_the_last_bit():
    finished = reading(7, loss=0.1, norm=3.3).finished()
    assert (finished.step, finished.epoch, finished.learning_rate) == (7, 1, 0.1)
    assert (finished.loss, finished.d) == (torch.tensor(0.1).item(), 1e-6)
    assert finished.gradient_norm == torch.tensor(3.3).item()


def test_what_changes_after_a_step_does_not_change_what_it_says():
    d, values_N = torch.tensor(1e-6, dtype=torch.float64), torch.ones(2)
    numbers = numbers_of_step(torch.tensor(0.5), torch.tensor(2.0), values_N, d)
    d.mul_(2)
    values_N.fill_(torch.nan)
    assert numbers.read() == [0.5, 2.0, 2.0, 1e-6]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("what", ["loss", "norm", "value"])
def test_a_number_that_is_not_finite_names_its_own_step_and_pictures(what: str, bad: float):
    readings = Readings(1)
    readings.add(reading(4, **{what: bad}))
    readings.add(reading(5))
    with pytest.raises(TrainingDiverged) as stop:
        list(readings.due())
    assert (stop.value.step, stop.value.pictures) == (4, ("0.png", "1.png"))


def test_a_skipped_step_may_have_gradients_that_are_not_finite():
    assert reading(norm=torch.inf, applied=False).finished().gradient_norm == torch.inf


def test_only_a_gpu_is_read_behind():
    assert STEPS_BEHIND == {"cuda": 1}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_an_optimizer_that_meets_such_a_number_before_it_is_read_passes_it_on(
    name: str, bad: float
):
    values_N, gradients_N = torch.ones(512), torch.ones(512)
    optimizer = OPTIMIZERS[name](values_N, gradients_N, [FlatMatrix(0, (16, 32))])
    gradients_N.fill_(bad)
    for _ in range(2):
        optimizer.step(1e-3)
    assert not values_N.sum().isfinite()

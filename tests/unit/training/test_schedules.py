import math

import pytest
import torch

from modelgenerator.training.schedules import Schedule, constant, cosine, cosine_annealing

TOTAL = 40


@pytest.mark.parametrize("schedule", [constant, cosine, cosine_annealing])
def test_the_first_step_has_the_whole_learning_rate(schedule: Schedule):
    assert schedule(0, TOTAL) == 1


def test_constant_stays():
    assert {constant(step, TOTAL) for step in range(TOTAL)} == {1.0}


@pytest.mark.parametrize(
    ("step", "factor"), [(10, (1 + math.sqrt(0.5)) / 2), (20, 0.5), (30, (1 - math.sqrt(0.5)) / 2)]
)
def test_cosine_has_the_values_of_its_formula(step: int, factor: float):
    assert cosine(step, TOTAL) == pytest.approx(factor, abs=1e-12)


@pytest.mark.parametrize(("step", "factor"), [(20, 0.505), (30, 0.01 + 0.99 * 0.1464466094067262)])
def test_cosine_annealing_has_the_values_of_its_formula(step: int, factor: float):
    assert cosine_annealing(step, TOTAL) == pytest.approx(factor, abs=1e-12)


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (constant, [1, 1, 1, 1, 1, 1]),
        (cosine, [1, 0.9330127, 0.75, 0.5, 0.25, 0.0669873]),
        (cosine_annealing, [1, 0.9336826, 0.7525, 0.505, 0.2575, 0.0763174]),
    ],
)
def test_a_training_of_six_steps_starts_at_once_and_falls_so(
    schedule: Schedule, factors: list[float]
):
    assert [schedule(step, 6) for step in range(6)] == pytest.approx(factors, abs=1e-7)


@pytest.mark.parametrize(("schedule", "end"), [(cosine, 0.0), (cosine_annealing, 0.01)])
def test_the_fall_ends_where_the_settings_page_says(schedule: Schedule, end: float):
    total = 10_000
    assert schedule(total - 1, total) == pytest.approx(end, abs=3e-8)
    assert schedule(total - 1, total) >= end


def test_the_last_step_of_annealing_still_learns_and_that_of_cosine_hardly():
    assert cosine_annealing(999, 1000) > 0.01
    assert 0 < cosine(999, 1000) < 1e-5


@pytest.mark.parametrize(("schedule", "floor"), [(cosine, 0.0), (cosine_annealing, 0.01)])
def test_the_values_are_those_of_torchs_cosine_annealing(schedule: Schedule, floor: float):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=TOTAL, eta_min=floor)
    for step in range(TOTAL):
        assert schedule(step, TOTAL) == pytest.approx(float(reference.get_last_lr()[0]), abs=1e-12)
        optimizer.step()
        reference.step()


def test_a_training_of_one_step_has_one_factor():
    assert [constant(0, 1), cosine(0, 1), cosine_annealing(0, 1)] == [1, 1, 1]


@pytest.mark.parametrize("step", [-1, TOTAL])
def test_a_step_outside_the_training_is_a_mistake(step: int):
    with pytest.raises(AssertionError):
        cosine(step, TOTAL)

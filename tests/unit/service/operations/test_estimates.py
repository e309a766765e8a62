from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.examples import base_files, flux_files, plan_for

from modelgenerator.service.config import PriceList
from modelgenerator.service.operations.estimates import (
    Certainty,
    Estimate,
    WorkShape,
    estimate,
    learnt,
    rate_of,
)
from modelgenerator.service.records.rates import MeasuredRate

NOW = datetime(2026, 11, 25, tzinfo=UTC)
PRICES = PriceList()
PLAN = plan_for(epochs=10)  # 8 pictures of 512 x 512, 80 steps
BASE = base_files()
SHAPE = WorkShape.of(PLAN, BASE, "cuda")


def a_rate(**changes: Any) -> MeasuredRate:
    """Two seconds a step, half a second a picture."""
    rate = learnt(SHAPE, None, used_ms=164_000, preparing_ms=4_000, steps=80, pictures=8, now=NOW)
    return replace(rate, **changes)


def of(*rates: MeasuredRate, plan=PLAN, base=BASE) -> Estimate:
    return estimate(plan, base, WorkShape.of(plan, base, "cuda"), rates, PRICES)


def of_kind(machine: str, *rates: MeasuredRate) -> Estimate:
    return estimate(PLAN, BASE, WorkShape.of(PLAN, BASE, machine), rates, PRICES)


def test_the_same_shape_is_measured_and_priced_by_the_second():
    told = of(a_rate())
    assert (told.certainty, told.seconds) == (Certainty.MEASURED, 164)
    assert told.cost == 164_000
    assert told.fewest_seconds < told.seconds < told.most_seconds
    assert "once" in told.because


def test_another_size_is_scaled_by_pixels_and_batch():
    small = a_rate(pixels=256**2)
    told = of(small)
    assert told.certainty is Certainty.SCALED
    assert told.seconds == 4 * 160 + 4 * 4
    assert "256 x 256" in told.because


def test_of_several_the_nearest_is_scaled():
    near = a_rate(pixels=480**2, step_us=1_000_000)
    far = a_rate(pixels=64**2, step_us=1_000_000)
    other_manner = a_rate(pixels=512**2, manner="fp32 unet", step_us=9_000_000)
    assert of(far, near, other_manner).because == of(near).because


def test_another_gpu_is_a_better_guess_than_none_and_stays_one():
    told = of(a_rate(machine="H100", pixels=256**2))
    assert (told.certainty, told.seconds) == (Certainty.GUESS, 4 * 160 + 4 * 4)
    assert "other GPUs (H100)" in told.because
    assert of(a_rate(machine="H100"), a_rate(pixels=256**2)).certainty is Certainty.SCALED


def test_what_an_earlier_version_measured_has_no_kind():
    assert "GPUs of which nobody said the kind" in of_kind("H100", a_rate()).because


def test_a_processor_says_nothing_of_a_gpu():
    assert of(a_rate(machine="cpu")) == of()
    on_a_processor = WorkShape.of(PLAN, BASE, "cpu")
    told = estimate(PLAN, BASE, on_a_processor, [a_rate(machine="H100")], PRICES)
    assert told == estimate(PLAN, BASE, on_a_processor, [], PRICES)


def test_without_any_measure_it_is_a_guess_with_a_wide_range():
    told = of()
    assert told.certainty is Certainty.GUESS
    assert told.most_seconds >= 4 * told.fewest_seconds
    assert "guess" in told.because


def test_a_larger_base_model_is_guessed_to_take_longer():
    flux = plan_for(base=flux_files(), epochs=10)
    assert of(plan=flux, base=flux_files()).seconds > of().seconds


def test_the_newest_training_counts_more_than_older_ones_and_not_all():
    rate = learnt(
        SHAPE, a_rate(), used_ms=324_000, preparing_ms=4_000, steps=80, pictures=8, now=NOW
    )
    assert rate.step_us == 2_600_000
    assert rate.trainings == 2
    assert rate_of(SHAPE, [rate]) == rate


def test_a_part_of_a_training_costs_a_part():
    whole = of(a_rate())
    assert (whole.share(0.5, PRICES).seconds, whole.share(0.5, PRICES).cost) == (82, 82_000)
    assert whole.share(0.0, PRICES).seconds == 1


@pytest.mark.parametrize("kind", ["shape", "estimate"])
def test_what_is_kept_comes_back(kind: str):
    if kind == "shape":
        assert WorkShape.from_json(SHAPE.as_json()) == SHAPE
    else:
        assert Estimate.from_json(of().as_json()) == of()


def test_a_machine_that_prepared_longer_than_it_ran_is_no_reason_to_break():
    rate = learnt(SHAPE, None, used_ms=10, preparing_ms=90, steps=0, pictures=0, now=NOW)
    assert (rate.step_us, rate.picture_us) == (0, 10_000)

from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelgenerator.service.billing.prices import (
    flow_run_charge,
    object_generator_charge,
    object_transformer_charge,
    pictures_charge,
    training_charge,
    zipper_charge,
)
from modelgenerator.service.config import PriceList

PUBLISHED = PriceList()


@pytest.mark.parametrize(
    ("duration", "microdollars"),
    [
        (timedelta(minutes=40), 2_400_000),
        (timedelta(0), 0),
        (timedelta(seconds=1), 1_000),
        (timedelta(microseconds=1), 1),
    ],
)
def test_a_training_costs_the_time_it_took(duration, microdollars):
    assert training_charge(PUBLISHED, duration) == microdollars


def test_fifteen_pictures_cost_thirty_cents():
    assert pictures_charge(PUBLISHED, 15) == 300_000


@pytest.mark.parametrize(("is_public", "microdollars"), [(True, 280_000), (False, 10_000)])
def test_a_run_costs_by_who_may_run_it(is_public, microdollars):
    assert flow_run_charge(PUBLISHED, is_public=is_public) == microdollars


def test_an_object_transformer_costs_one_cent():
    assert object_transformer_charge(PUBLISHED) == 10_000


@pytest.mark.parametrize(
    ("byte_count", "microdollars"), [(50_000_000, 185_000), (0, 10_000), (1, 10_001)]
)
def test_a_zip_costs_by_its_size(byte_count, microdollars):
    assert zipper_charge(PUBLISHED, byte_count) == microdollars


def test_a_thousand_tokens_cost_two_and_a_half_cents():
    assert object_generator_charge(PUBLISHED, 1_000) == 25_000


@given(st.timedeltas(timedelta(0), timedelta(days=300)), st.integers(0, 10**9))
def test_a_charge_is_rounded_up_by_less_than_a_microdollar(duration, price):
    minutes = Fraction(duration // timedelta.resolution, 60_000_000)
    charged = training_charge(PriceList(training_minute=price), duration)
    assert 0 <= charged - minutes * price < 1

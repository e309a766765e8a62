"""Sums of money as the page of billing tells them."""

import pytest

from modelgenerator.service.dashboard.billing import burn_of, microdollars_in, months_of
from modelgenerator.service.errors import InvalidValue
from modelgenerator.service.operations.money import Spent
from modelgenerator.service.records.money import EntryKind


def spent(month: str, kind: EntryKind, amount: int) -> Spent:
    return Spent(month=month, kind=kind, amount=amount, entries=1)


def test_a_month_tells_what_went_less_what_came_back() -> None:
    (november, october) = months_of(
        [
            spent("2026-10", EntryKind.TRAINING, -300),
            spent("2026-11", EntryKind.CREDIT, 5_000),
            spent("2026-11", EntryKind.PICTURES, -700),
            spent("2026-11", EntryKind.REFUND, 100),
        ]
    )
    assert (november.name, november.spent, november.added, november.part) == (
        "2026-11",
        600,
        5_000,
        1.0,
    )
    assert november.by_kind == {EntryKind.PICTURES: 700, EntryKind.REFUND: -100}
    assert (october.spent, october.added, october.part) == (300, 0, 0.5)


def test_a_month_in_which_nothing_was_paid_has_an_empty_bar() -> None:
    (only,) = months_of([spent("2026-11", EntryKind.CREDIT, 5_000)])
    assert (only.spent, only.part) == (0, 0.0)


def test_the_balance_lasts_as_long_as_the_last_week_says() -> None:
    assert (burn_of(700, 1_000).a_day, burn_of(700, 1_000).days_left) == (100, 10)
    assert burn_of(0, 1_000).days_left is None
    assert burn_of(7, 1_000_000).days_left is None
    assert burn_of(-700, 1_000).a_day == 0


@pytest.mark.parametrize(
    ("written", "meant"),
    [("5", 5_000_000), (" $12.50 ", 12_500_000), ("1,000", 1_000_000_000), ("0.000001", 1)],
)
def test_dollars_are_read_as_people_write_them(written: str, meant: int) -> None:
    assert microdollars_in(written) == meant


@pytest.mark.parametrize(
    "written", ["", "five", "0", "-1", "0.0000001", "1000001", "NaN", "1e999999"]
)
def test_what_is_no_amount_is_refused(written: str) -> None:
    with pytest.raises(InvalidValue):
        microdollars_in(written)

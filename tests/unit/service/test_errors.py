import ast
import inspect
from datetime import UTC, datetime, timedelta

import pytest

from modelgenerator.service import errors
from modelgenerator.service.errors import (
    InsufficientFunds,
    LeaseLost,
    ModelExpired,
    NotFound,
    RateLimited,
    ServiceError,
    StoreBusy,
    in_dollars,
)

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, ServiceError) and kind is not ServiceError
]


@pytest.mark.parametrize("kind", CLASSES)
def test_the_tree_that_is_drawn_names_every_error_with_its_status(kind):
    drawn = ast.get_docstring(ast.parse(inspect.getsource(errors)))
    assert drawn is not None
    (line,) = [line for line in drawn.splitlines() if f"── {kind.__name__} " in line]
    told = [int(word) for word in line.split() if word.isdigit()]
    assert told == ([kind.status] if told else [])
    assert kind.status in range(400, 600)


def test_the_docstring_is_the_message_unless_one_is_given():
    assert str(LeaseLost()) == LeaseLost.__doc__
    assert str(LeaseLost("Attempt 2 goes on.")) == "Attempt 2 goes on."


def test_the_code_is_the_name_in_camel_case():
    assert InsufficientFunds(needed=1, present=0).code == "insufficientFunds"


def test_insufficient_funds_names_both_amounts():
    error = InsufficientFunds(needed=2_400_000, present=25)
    assert "Insufficient Funds" in str(error)
    assert "$2.40" in str(error)
    assert "$0.000025" in str(error)
    assert error.status == 402


def test_a_model_that_expired_says_when():
    assert "2026-11-25" in str(ModelExpired(datetime(2026, 11, 25, tzinfo=UTC)))


def test_not_found_says_the_same_of_what_is_not_there_and_of_what_is_not_yours():
    assert str(NotFound("training", 7)) == "There is no training 7."


def test_what_passes_by_itself_says_when_to_ask_again():
    assert RateLimited(timedelta(seconds=3)).retry_after == timedelta(seconds=3)
    assert StoreBusy().retry_after is not None
    assert LeaseLost().retry_after is None


@pytest.mark.parametrize(
    ("microdollars", "text"),
    [
        (0, "$0.00"),
        (2_400_000, "$2.40"),
        (-3_500, "-$0.0035"),
        (1, "$0.000001"),
        (1_234_560_000, "$1,234.56"),
    ],
)
def test_dollars(microdollars, text):
    assert in_dollars(microdollars) == text

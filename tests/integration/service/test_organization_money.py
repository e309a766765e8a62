"""Balance, ledger and credits over HTTP."""

import csv
import io

import pytest
from tests.serving import serving

from modelgenerator.service.billing.ledger import Ledger
from modelgenerator.service.records.money import EntryKind
from modelgenerator.service.records.organizations import Role


@pytest.fixture
def it(tmp_path):
    with serving(tmp_path) as it:
        yield it


def charge(it, key, amount, kind=EntryKind.PICTURES, memo="a picture"):
    with it.service.database.transaction() as transaction:
        accounts = transaction.of(it.organization_id).accounts
        Ledger(accounts, it.clock()).charge(key, kind, amount, memo=memo)


def test_the_balance_is_shown_with_what_is_held_and_the_prices(it):
    shown = it.http.get("/v1/organization").json()
    assert (shown["balance"], shown["held"], shown["available"]) == (100_000_000, 0, 100_000_000)
    assert shown["balanceInWords"] == "$100.00"
    assert shown["prices"]["trainingMinute"] == 60_000
    assert shown["isCharging"] is True


def test_a_credit_is_entered_once_by_an_administrator(it):
    body, key = {"amount": 2_500_000, "memo": "Invoice 7"}, {"Idempotency-Key": "k"}
    first, second = (
        it.http.post("/v1/organization/credits", json=body, headers=key) for _ in range(2)
    )
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert it.http.get("/v1/organization").json()["balance"] == 102_500_000
    member = it.as_role(Role.MEMBER)
    assert member.post("/v1/organization/credits", json=body).status_code == 403


@pytest.mark.parametrize("amount", [0, -1, 1.5, "1", True, 10**12 + 1])
def test_a_credit_is_a_whole_number_of_microdollars(it, amount):
    answer = it.http.post("/v1/organization/credits", json={"amount": amount})
    assert answer.status_code in (400, 422)
    assert it.http.get("/v1/organization").json()["balance"] == 100_000_000


def test_the_ledger_comes_in_pages_and_by_kind(it):
    for number in range(3):
        charge(it, f"{number}", 20_000)
    first = it.http.get("/v1/organization/ledger?limit=2").json()
    rest = it.http.get(f"/v1/organization/ledger?cursor={first['nextCursor']}").json()
    assert [one["balanceAfter"] for one in (*first["items"], *rest["items"])] == [
        99_940_000,
        99_960_000,
        99_980_000,
        100_000_000,
    ]
    credits = it.http.get("/v1/organization/ledger?kind=credit").json()["items"]
    assert [one["memo"] for one in credits] == ["Starting balance"]


def test_the_ledger_is_a_table_in_which_nothing_is_a_formula(it):
    charge(it, "odd", 25, memo='=HYPERLINK("x"), "naïve"')
    text = it.http.get("/v1/organization/ledger.csv").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["microdollars"] for row in rows] == ["-25", "100000000"]
    assert rows[0]["memo"] == '\'=HYPERLINK("x"), "naïve"'


def test_sums_are_by_month_and_kind(it):
    charge(it, "a", 20_000)
    charge(it, "b", 20_000)
    it.clock.advance(10 * 86_400)
    charge(it, "c", 60_000, EntryKind.TRAINING)
    assert it.http.get("/v1/organization/spending").json() == [
        {"month": "2026-12", "kind": "training", "amount": -60_000, "entries": 1},
        {"month": "2026-11", "kind": "credit", "amount": 100_000_000, "entries": 1},
        {"month": "2026-11", "kind": "pictures", "amount": -40_000, "entries": 2},
    ]

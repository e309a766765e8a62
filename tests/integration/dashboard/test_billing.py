"""The page of what is there, where it went, and what things cost."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.household import a_household, neighbours
from tests.pages import signed_in
from tests.serving import Serving, serving

from modelgenerator.service.operations.money import add_credit
from modelgenerator.service.records.organizations import Role


def test_an_entry_leads_to_what_it_paid_for(it: Serving) -> None:
    household = a_household(it)
    page = signed_in(it, Role.VIEWER).get("/billing").text
    for place, kept in (
        ("/trainings/", "/v1/trainings"),
        ("/generate/", "/v1/inferences"),
        ("/runs/", "/v1/runs"),
    ):
        assert f'href="{place}{household.ids[kept]}"' in page
    assert "Starting balance" in page
    assert "+$100.00" in page


def test_the_ledger_is_filtered_by_kind(it: Serving) -> None:
    household = a_household(it)
    person = signed_in(it)
    page = person.get("/billing", params={"kind": "pictures"}).text
    assert household.ids["/v1/inferences"] in page
    assert "+$100.00" not in page
    assert "There is no such entry." in person.get("/billing?kind=refund").text


def test_the_ledger_goes_on_behind_its_first_page(it: Serving) -> None:
    for number in range(60):
        add_credit(it.service, it.owner, amount=1_000_000, memo=f"Number {number}")
    person = signed_in(it)
    page = person.get("/billing?kind=credit").text
    assert "Number 59" in page
    assert "Number 3 " not in page
    (_, _, older) = page.partition('<p class="more"><a class="button" href="')
    rest = person.get(older.partition('"')[0].replace("&amp;", "&")).text
    assert "Number 3 " in rest
    assert "Starting balance" in rest


def test_an_administrator_adds_credit_once_however_often_he_sends_it(it: Serving) -> None:
    person = signed_in(it, Role.ADMIN)
    form = {"amount": "$12.50", "memo": "Invoice 7", "requestKey": "one"}
    for _ in range(2):
        answer = person.post("/billing/credit", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/billing")
    page = person.get("/billing").text
    assert "$12.50 added." in page
    assert "$112.50" in page
    assert "$125.00" not in page


@pytest.mark.parametrize("amount", ["", "much", "0", "-5", "nan", "inf", "1.1234567", "1e30"])
def test_what_is_no_amount_is_said_at_its_field(it: Serving, amount: str) -> None:
    answer = signed_in(it).post("/billing/credit", data={"amount": amount, "memo": "kept <b>"})
    assert answer.status_code == 400
    assert 'id="amount-fault"' in answer.text
    assert 'value="kept &lt;b&gt;"' in answer.text


def test_who_may_not_add_credit_is_told_whom_to_ask(it: Serving) -> None:
    person = signed_in(it, Role.MEMBER)
    page = person.get("/billing").text
    assert 'action="/billing/credit' not in page
    assert "mailto:" in page
    assert person.post("/billing/credit", data={"amount": "5"}).status_code == 403
    assert it.http.get("/v1/organization").json()["balance"] == 100_000_000


def test_a_memo_with_html_in_it_stays_text(it: Serving) -> None:
    add_credit(it.service, it.owner, amount=1, memo="<script>alert(1)</script>")
    page = signed_in(it).get("/billing").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page


def test_the_ledger_comes_as_csv_that_no_spreadsheet_runs(it: Serving) -> None:
    add_credit(it.service, it.owner, amount=1, memo="=1+1")
    answer = signed_in(it, Role.VIEWER).get("/billing/ledger.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    assert "'=1+1" in answer.text


def test_a_server_that_charges_nothing_says_so(tmp_path: Path) -> None:
    with serving(tmp_path, billing=False) as it:
        assert "Billing is off on this server" in signed_in(it).get("/billing").text


def test_another_organization_s_money_is_not_seen(it: Serving) -> None:
    a_household(it)
    theirs = neighbours(it)
    theirs.post("/v1/organization/credits", json={"amount": 7_000_000, "memo": "Theirs"})
    assert "Theirs" not in signed_in(it).get("/billing").text


def test_what_was_spent_this_month_and_lately_is_shown(it: Serving) -> None:
    a_household(it)
    it.clock.advance(timedelta(days=1).total_seconds())
    page = signed_in(it).get("/billing").text
    assert "Spent this month" in page
    assert "2026-11" in page
    assert "lasts about" in page or "A day, over the last week" in page

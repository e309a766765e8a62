"""What happened, in the order in which it happened."""

import base64
import html
import re

import pytest
from tests import uploaded
from tests.household import a_household, neighbours
from tests.pages import signed_in
from tests.remembered import SetClock
from tests.serving import Serving

from modelgenerator.service.errors import InvalidValue
from modelgenerator.service.operations.history import Topic, list_happenings
from modelgenerator.service.operations.money import add_credit
from modelgenerator.service.records.jobs import Fault, JobError, JobStatus
from modelgenerator.service.records.organizations import Role


def told(page: str) -> list[str]:
    """Each happening's words, the newest first."""
    items = re.findall(r"<li>\s*<span class=\"quiet small-text\">.*?</li>", page, re.S)
    texts = [html.unescape(re.sub(r"<[^>]+>", " ", item)) for item in items]
    return [" ".join(text.split()) for text in texts]


def a_failed_training(it: Serving, why: str) -> str:
    body = {"datasetId": str(uploaded.a_dataset(it)), "settings": dict(uploaded.SETTINGS)}
    id = it.http.post("/v1/trainings", json=body).json()["id"]
    error = JobError(code="x", message=why, fault=Fault.THEIRS, hint="Choose a lower rate.")
    uploaded.ended(it, uploaded.claimed(it), JobStatus.FAILED, error=error)
    return id


def test_everything_is_told_the_newest_first(it: Serving) -> None:
    household = a_household(it)
    page = signed_in(it).get("/logs").text
    lines = told(page)
    said = ["Run: Zip", "Pictures: lvff", "Training: Fuchsi", "Subject Fuchsi", "Starting balance"]
    places = [next(n for n, line in enumerate(lines) if words in line) for words in said]
    assert places == sorted(places)
    for address, kept in (
        ("/trainings/", "/v1/trainings"),
        ("/generate/", "/v1/inferences"),
        ("/runs/", "/v1/runs"),
        ("/flows/", "/v1/flows"),
        ("/subjects/", "/v1/subjects"),
        ("/deletions/", "/v1/deletions"),
        ("/webhooks/", "/v1/webhooks"),
    ):
        assert f'href="{address}{household.ids[kept]}"' in page


def test_a_failure_says_why_as_text(it: Serving) -> None:
    id = a_failed_training(it, "The loss is <b>no number</b>.")
    page = signed_in(it).get("/logs?kind=trainings").text
    assert "The loss is &lt;b&gt;no number&lt;/b&gt;. Choose a lower rate." in page
    assert f'href="/trainings/{id}"' in page
    assert "Starting balance" not in page


def test_words_are_looked_for(it: Serving) -> None:
    a_household(it)
    a_failed_training(it, "The loss is no number any more.")
    (line,) = told(signed_in(it).get("/logs?search=FAILED+fuchsi").text)
    assert "no number" in line
    assert (
        "Nothing that was looked at fits."
        in signed_in(it, Role.VIEWER).get("/logs?search=elephant").text
    )


def test_pages_hold_everything_once(it: Serving) -> None:
    a_household(it)
    whole = list_happenings(it.service, it.owner, None, limit=200).items
    pieces, cursor = [], None
    while True:
        page = list_happenings(it.service, it.owner, cursor, limit=3)
        pieces += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert pieces == list(whole)
    assert len({(piece.place.source, piece.place.id) for piece in pieces}) == len(pieces)


def test_a_search_goes_on_where_it_stopped(it: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        add_credit(it.service, it.owner, amount=2, memo=f"Number {number}")
    monkeypatch.setattr("modelgenerator.service.operations.history.MOST_LOOKED_AT", 10)
    found, cursor, stops = [], None, 0
    while True:
        page = list_happenings(
            it.service, it.owner, cursor, limit=5, about=Topic.MONEY, words="number 1"
        )
        found += [each.told.words for each in page.items]
        stops += page.looked_back_to is not None
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(found) == 12  # 1, 10 to 19, 21
    assert stops > 0


def test_things_that_happened_at_once_are_told_once_each(
    it: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SetClock, "__call__", lambda clock: clock.now)
    for _ in range(5):
        add_credit(it.service, it.owner, amount=1)
    it.http.post("/v1/subjects", json={"name": "S"})
    found, cursor = [], None
    while True:
        page = list_happenings(it.service, it.owner, cursor, limit=2)
        found += [each.place for each in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len({place.at for place in found}) < len(found)
    assert len(found) == len(set(found))
    assert len(found) == len(list_happenings(it.service, it.owner, None, limit=200).items)


def test_only_administrators_are_told_of_keys_and_webhooks(it: Serving) -> None:
    a_household(it)
    page = signed_in(it, Role.MEMBER).get("/logs").text
    assert "API key K" not in page
    assert "8.8.8.8" not in page
    page = signed_in(it, Role.VIEWER).get("/logs?kind=keys").text
    assert "API key K" not in page
    assert "API key K" in signed_in(it, Role.ADMIN).get("/logs?kind=keys").text


def test_what_was_deleted_is_told_without_its_name(it: Serving) -> None:
    household = a_household(it)
    it.http.delete(f"/v1/subjects/{household.ids['/v1/subjects']}?cancel=true")
    page = signed_in(it).get("/logs").text
    assert "Fuchsi" not in page
    assert "A subject was deleted" in page
    assert "of something that was deleted" in page


def test_another_organization_s_past_is_not_told(it: Serving) -> None:
    neighbours(it).post("/v1/subjects", json={"name": "Theirs"})
    assert "Theirs" not in signed_in(it).get("/logs").text


@pytest.mark.parametrize("cursor", ["x", "bm8", "WzEsMiwzXQ", "W10", ""])
def test_a_cursor_that_is_none_is_refused(it: Serving, cursor: str) -> None:
    with pytest.raises(InvalidValue):
        list_happenings(it.service, it.owner, cursor, limit=3)
    assert signed_in(it).get("/logs", params={"cursor": cursor}).status_code == 400


@pytest.mark.parametrize(
    "written",
    [
        '["0001-01-01T00:00:00+23:59", "runBegan", "00000000000000000000000000000001"]',
        "[" * 20_000,
        '["2026-01-01T00:00:00", "runBegan", "00000000000000000000000000000001"]',
        "{}",
    ],
)
def test_a_cursor_that_no_page_gave_is_refused(it: Serving, written: str) -> None:
    cursor = base64.urlsafe_b64encode(written.encode()).decode().rstrip("=")
    with pytest.raises(InvalidValue, match="This cursor is none that a page gave"):
        list_happenings(it.service, it.owner, cursor, limit=3)

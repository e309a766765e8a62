"""What is asked of the database does not grow with what an organization has."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event
from tests import uploaded
from tests.carried import carried_on
from tests.flows import flow, transform
from tests.machines import on_processors
from tests.remembered import START
from tests.serving import Serving, serving
from tests.uploaded import SETTINGS, a_dataset, claimed

from modelgenerator.service.operations import flows, gallery, runs
from modelgenerator.service.operations.pictures import add_picture
from modelgenerator.service.records.jobs import JobKind, JobStatus
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.job_queue import Offer
from modelgenerator.service.store.transaction import OrganizationStore

ID = UUID(int=1)
FIFTY = [UUID(int=number) for number in range(50)]


@pytest.fixture
def it(tmp_path) -> Iterator[Serving]:
    with serving(tmp_path) as it:
        yield it


@contextmanager
def asked(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """The statements that the database is asked, with their parameters."""
    statements: list[tuple[str, Any]] = []

    def hear(*heard: Any) -> None:
        _, _, statement, parameters, _, _ = heard
        statements.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", hear)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", hear)


def plans(database: Database, statements: list[tuple[str, Any]]) -> list[str]:
    """How SQLite finds what they ask for, a line for each table."""
    with database.changing_tables() as connection:
        return [
            row.detail
            for statement, parameters in statements
            if statement.startswith(("SELECT", "UPDATE", "WITH"))
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]


@pytest.mark.parametrize("listed", ["subjects", "trainings", "inferences", "training-templates"])
def test_a_list_takes_as_many_statements_for_a_page_as_for_one(it, listed):
    def begin() -> None:
        if listed == "subjects":
            a_dataset(it, pictures=2)
            return
        if listed == "training-templates":
            body = {"name": "T", "settings": {"epochs": 2}}
            assert it.http.post(f"/v1/{listed}", json=body).status_code == 201
            return
        if listed == "trainings":
            body = {"datasetId": str(dataset), "settings": SETTINGS}
        else:
            body = {"baseModel": "creatures", "images": [{"prompt": "a cat", "steps": 2}]}
        assert it.http.post(f"/v1/{listed}", json=body).status_code == 202

    def statements() -> int:
        with asked(it.service.database) as found:
            assert len(it.http.get(f"/v1/{listed}").json()["items"]) == begun
        return len(found)

    dataset, begun = a_dataset(it), 1
    on_processors(it)
    if listed != "subjects":
        begin()
    statements()  # the first shows the key, which is remembered
    for_one = statements()
    begin()
    begin()
    begun = 3
    assert statements() == for_one


def test_a_gallery_takes_as_many_statements_for_a_page_as_for_one(it):
    def statements() -> int:
        with asked(it.service.database) as found:
            page = gallery.list_pictures(it.service, it.owner, None, limit=48)
        assert len(page.items) == drawn
        return len(found)

    drawn = 0
    for count in (1, 3):
        body = {"baseModel": "creatures", "images": [{"prompt": "a cat", "count": count}]}
        assert it.http.post("/v1/inferences", json=body).status_code == 202
        job = claimed(it, JobKind.GENERATE)
        for position in range(count):
            with it.service.database.transaction() as transaction:
                store = transaction.of(it.organization_id)
                add_picture(store, job, uploaded.drawn(it, job, position), it.clock())
        drawn += count
        if count == 1:
            for_one = statements()
    assert statements() == for_one


@pytest.mark.parametrize("with_costs", [True, False])
def test_a_run_takes_as_many_statements_for_many_steps_as_for_one(it, with_costs):
    def statements(*steps: dict[str, Any]) -> int:
        saved = flows.create_flow(it.service, it.owner, flow(*steps))
        given = {"photos": str(a_dataset(it, pictures=4)), "scenes": ["sea"]}
        run = runs.start_run(it.service, it.owner, saved.flow.id, given)
        carried_on(it)
        with asked(it.service.database) as found:
            seen = runs.read_run(it.service, it.owner, run, with_costs=with_costs)
        assert len(seen.steps) == len(steps)
        assert [each.cost for each in seen.steps] == [10_000 * with_costs] * len(steps)
        assert (seen.cost > 0) == with_costs
        return len(found)

    one, two, three = (transform({"said": "hi"}, name) for name in ("one", "two", "three"))
    assert statements(one) == statements(one, two, three)


@pytest.mark.parametrize(
    "read",
    [
        lambda store: store.generated_pictures.listed(limit=48, trained_model_id=ID),
        lambda store: store.accounts.entries.among("job_id", FIFTY),
        lambda store: store.accounts.entries_under(map(str, FIFTY)),
        lambda store: store.accounts.spent_since(START),
        lambda store: store.deletion_receipts.all(target_id=ID),
        lambda store: store.flow_runs.page(flow_id=ID),
        lambda store: store.generated_pictures.all(inference_id=ID),
        lambda store: store.generated_pictures.among("inference_id", FIFTY),
        lambda store: store.generated_pictures.count(inference_id=ID),
        lambda store: store.inferences.all(trained_model_id=ID),
        lambda store: store.jobs.all(target_id=ID),
        lambda store: store.jobs.some(FIFTY),
        lambda store: store.jobs.among("target_id", FIFTY),
        lambda store: store.jobs.unfinished(limit=10),
        lambda store: store.jobs.failed_since(START, limit=10),
        lambda store: store.jobs.in_order(JobStatus.QUEUED, limit=10),
        lambda store: store.jobs.counts(),
        lambda store: store.trained_models.expiring(START, START, limit=10),
        lambda store: store.pictures.count(dataset_id=ID),
        lambda store: store.snapshots.dataset_ids(FIFTY),
        lambda store: store.snapshots.first(dataset_id=ID, fingerprint=""),
        lambda store: store.snapshots.times_trained(FIFTY),
        lambda store: store.pictures.counts(FIFTY),
        lambda store: store.step_results.in_order(ID),
        lambda store: store.trained_models.among("training_id", FIFTY),
        lambda store: store.webhook_deliveries.page(endpoint_id=ID),
        lambda store: store.webhook_endpoints.all(job_id=ID, disabled_at=None),
    ],
)
def test_what_belongs_to_something_is_found_without_looking_at_all_that_there_is(
    it, read: Callable[[OrganizationStore], object]
):
    database = it.service.database
    with asked(database) as statements, database.reading() as transaction:
        read(transaction.of(it.organization_id))
    found = plans(database, statements)
    assert found
    for line in found:
        assert line.startswith(("SEARCH", "USE TEMP B-TREE", "LIST SUBQUERY")), line
        assert not line.endswith("(organization_id=?)"), line


def test_a_claim_looks_at_the_first_job_of_each_organization(it):
    database = it.service.database
    offer = Offer(owner="worker", kinds=list(JobKind))
    with asked(database) as statements, database.transaction() as transaction:
        transaction.jobs.claim(offer, it.clock(), timedelta(seconds=30))
    (waiting,) = (line for line in plans(database, statements) if " waiting " in line)
    assert "ix_jobs_first_in_its_organization (organization_id=? AND status=?)" in waiting

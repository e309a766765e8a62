"""A run goes through its steps, pays for each, and is gone on with where it failed."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.flows import DRAWER, PACKER, TRAINER, flow, step, transform
from tests.remembered import an_organization
from tests.serving import Serving, serving
from tests.working import a_dataset, amounts, balance, claim, fail, stop, succeed, work

from modelgenerator.errors import InvalidFlowInput
from modelgenerator.service.billing.ledger import Ledger, faults
from modelgenerator.service.errors import (
    AlreadyFinished,
    Conflict,
    InsufficientFunds,
    NotFound,
)
from modelgenerator.service.operations import flows, runs
from modelgenerator.service.operations.callers import Caller, RequestKey
from modelgenerator.service.operations.carrying_on import carry_on
from modelgenerator.service.operations.run_cancelling import cancel_run
from modelgenerator.service.operations.run_events import run_events_after
from modelgenerator.service.records.flows import RunStatus
from modelgenerator.service.records.jobs import Fault, JobKind, JobStatus
from modelgenerator.service.records.money import EntryKind
from modelgenerator.service.records.organizations import Role

EMBEDDED = {"baseModel": "modelgenerator/creatures", "epochs": 1, "captionPrefix": "lvff"}
TRAIN = {**TRAINER, "parameters": {"datasetId": "$.input.photos", "settings": EMBEDDED}}
MADE = transform({"first": "$.results.drawer.images[0].url", "note": "$.input.name"})


@pytest.fixture
def here(tmp_path: Path):
    with serving(tmp_path) as it:
        yield it


def started(here: Serving, *steps, **given):
    saved = flows.create_flow(here.service, here.owner, flow(*steps))
    asked = {"photos": str(a_dataset(here)), "scenes": ["sea", "snow"], **given}
    return runs.start_run(here.service, here.owner, saved.flow.id, asked)


def seen(here: Serving, run_id):
    return runs.read_run(here.service, here.owner, run_id)


def statuses(here: Serving, run_id):
    run = seen(here, run_id)
    return run.run.status, [each.step.status.value for each in run.steps]


def told(here: Serving, run_id, after=0):
    found = []
    while more := run_events_after(here.service, here.owner, run_id, after):
        found += more
        after = more[-1].number
        if more[-1].is_final:
            break
    return found


def test_a_run_goes_through_all_its_steps(here: Serving):
    run_id = started(here, TRAIN, DRAWER, MADE, PACKER)
    assert statuses(here, run_id) == (RunStatus.QUEUED, [])
    carry_on(here.service)
    assert statuses(here, run_id) == (RunStatus.RUNNING, ["running"])
    assert carry_on(here.service) == 0, "the training has not ended"
    trained = work(here, JobKind.TRAIN)
    carry_on(here.service)
    work(here, JobKind.GENERATE)
    carry_on(here.service)
    carry_on(here.service)
    work(here, JobKind.ZIP)
    carry_on(here.service)
    run = seen(here, run_id)
    assert run.run.status is RunStatus.SUCCEEDED
    training, drawing, made, packed = (each.result for each in run.steps)
    assert training == {"id": str(trained.target_id)}
    assert [image["prompt"] for image in drawing["images"]] == ["lvff, sea", "lvff, snow"]
    assert {image["trainingId"] for image in drawing["images"]} == {training["id"]}
    assert made == {"first": drawing["images"][0]["url"], "note": "lvff"}
    assert here.with_key(None).get(packed["url"]).status_code == 200
    assert carry_on(here.service) == 0


def test_each_step_is_paid_by_the_price_list_and_the_run_once(here: Serving):
    run_id = started(here, TRAIN, DRAWER, MADE, PACKER)
    for kind in (JobKind.TRAIN, JobKind.GENERATE, None, JobKind.ZIP, None):
        carry_on(here.service)
        if kind is not None:
            work(here, kind, used_ms=90_000)
    assert amounts(here) == [
        ("flowRun", 10_000),
        ("training", 90_000),
        ("pictures", 40_000),
        ("objectTransformer", 10_000),
        ("zipper", 17_000),
    ]
    assert seen(here, run_id).cost == 167_000
    assert balance(here) == (100_000_000 - 167_000, 0)


def test_a_model_of_a_run_lives_seven_days(here: Serving):
    started(here, TRAIN)
    carry_on(here.service)
    work(here)
    with here.service.database.reading() as transaction:
        (model,) = transaction.of(here.organization_id).trained_models.all()
    assert (model.expires_at - model.created_at).days == 7


def test_links_are_made_when_a_run_is_read_and_open_its_own_files_only(here: Serving):
    run_id = started(here, TRAIN, DRAWER, MADE, name="stored:organizations/x/y.png")
    for kind in (JobKind.TRAIN, JobKind.GENERATE, None):
        carry_on(here.service)
        if kind:
            work(here, kind)
    made = seen(here, run_id).steps[2]
    assert made.step.result["first"].startswith("stored:organizations/")
    assert here.with_key(None).get(made.result["first"]).content.startswith(b"\x89PNG")
    assert made.result["note"] == "stored:organizations/x/y.png", "a text from a form stays text"


def test_a_text_from_a_form_is_never_read_as_language(here: Serving):
    run_id = started(here, transform({"said": "$.input.name"}), name="$.store.prompt")
    carry_on(here.service)
    assert seen(here, run_id).steps[0].result == {"said": "$.store.prompt"}


def test_an_archive_has_the_pictures_by_number_and_other_results_as_json(here: Serving):
    started(here, TRAIN, DRAWER, MADE, step("Zipper", "z", sources=["made", "drawer", "trainer"]))
    for kind in (JobKind.TRAIN, JobKind.GENERATE, None):
        carry_on(here.service)
        if kind:
            work(here, kind)
    carry_on(here.service)
    job = claim(here)
    entries = {entry["name"]: entry for entry in job.spec["entries"]}
    assert list(entries) == ["img_1_0.jpg", "img_1_1.jpg", "made.json", "trainer.json"]
    assert json.loads(entries["made.json"]["text"]) == {"first": "img_1_0.jpg", "note": "lvff"}
    assert entries["img_1_0.jpg"]["storageKey"].endswith(".png")
    assert job.estimate > 10_000


def test_what_a_form_does_not_allow_starts_nothing(here: Serving):
    saved = flows.create_flow(here.service, here.owner, flow())
    asked = {"photos": str(a_dataset(here, 2)), "scenes": []}
    with pytest.raises(InvalidFlowInput) as raised:
        runs.start_run(here.service, here.owner, saved.flow.id, asked)
    places = {fault["pointer"] for fault in raised.value.faults_as_json}
    assert places == {"/photos", "/scenes"}
    assert amounts(here) == []


def test_a_dataset_of_another_organization_is_none(here: Serving):
    saved = flows.create_flow(here.service, here.owner, flow())
    other = Caller(
        organization_id=an_organization(here.service.database, here.clock, balance=10**6),
        role=Role.OWNER,
    )
    theirs = flows.create_flow(here.service, other, flow())
    asked = {"photos": str(a_dataset(here)), "scenes": ["sea"]}
    with pytest.raises(InvalidFlowInput, match="no such dataset"):
        runs.start_run(here.service, other, theirs.flow.id, asked)
    run_id = runs.start_run(here.service, here.owner, saved.flow.id, asked)
    for ask in (runs.read_run, runs.resume_run, cancel_run):
        with pytest.raises(NotFound):
            ask(here.service, other, run_id)
    with pytest.raises(NotFound):
        run_events_after(here.service, other, run_id, 0)


def test_an_upload_that_a_run_took_is_kept(here: Serving):
    dataset_id = a_dataset(here, expires_at=here.clock() + timedelta(hours=1))
    run_id = started(here, TRAIN, photos=str(dataset_id))
    with here.service.database.reading() as transaction:
        dataset = transaction.of(here.organization_id).datasets.get(dataset_id)
    assert dataset.expires_at is None
    assert seen(here, run_id).run.dataset_ids == (dataset_id,)


def left(here: Serving, amount: int) -> None:
    """Spend all but so much."""
    with here.service.database.transaction() as transaction:
        accounts = transaction.of(here.organization_id).accounts
        spent = accounts.read().available - amount
        ledger = Ledger(accounts, here.clock())
        ledger.charge(str(spent), EntryKind.PICTURES, spent, memo="spent")


def test_a_balance_that_does_not_cover_the_run_starts_nothing(here: Serving):
    left(here, 9_999)
    with pytest.raises(InsufficientFunds):
        started(here, TRAIN)
    with here.service.database.reading() as transaction:
        assert transaction.of(here.organization_id).flow_runs.count() == 0


@pytest.mark.parametrize(
    ("amount", "steps", "done"),
    [
        (10_000, [TRAIN], 0),
        (10_000, [transform({})], 0),
        (10_000, [step("ImageGenerator", "drawer", baseModel="modelgenerator/creatures",
                       images=[{"prompt": "x"}])], 0),
        (25_000, [transform({}), step("Zipper", "z", sources=["made"])], 1),
    ],
)  # fmt: skip
def test_a_balance_that_runs_out_stops_the_run_which_goes_on_after_a_top_up(
    here: Serving, amount, steps, done
):
    left(here, amount)
    run_id = started(here, *steps)
    for _ in range(done + 1):
        carry_on(here.service)
    run = seen(here, run_id)
    assert run.run.status is RunStatus.FAILED
    assert run.run.error["code"] == "insufficientFunds"
    assert run.run.error["message"].startswith("Insufficient Funds")
    assert [each.step.status for each in run.steps][:done] == [RunStatus.SUCCEEDED] * done
    assert claim(here) is None, "nothing waits that nobody pays"
    with here.service.database.transaction() as transaction:
        accounts = transaction.of(here.organization_id).accounts
        Ledger(accounts, here.clock()).credit("more", 5_000_000, memo="Top-up")
    runs.resume_run(here.service, here.owner, run_id)
    carry_on(here.service)
    if steps[-1]["type"] != "ObjectTransformer":
        work(here)
    carry_on(here.service)
    assert seen(here, run_id).run.status is RunStatus.SUCCEEDED
    assert [kind for kind, _ in amounts(here)].count("flowRun") == 1
    with here.service.database.reading() as transaction:
        assert list(faults(transaction.of(here.organization_id).accounts)) == []


def test_a_failed_step_keeps_what_came_before_and_is_begun_again(here: Serving):
    run_id = started(here, TRAIN, DRAWER)
    carry_on(here.service)
    work(here, JobKind.TRAIN)
    carry_on(here.service)
    fail(here, claim(here))
    run = seen(here, run_id)
    assert statuses(here, run_id) == (RunStatus.FAILED, ["succeeded", "failed"])
    assert run.run.error == {
        "code": "trainingDiverged",
        "message": "It diverged.",
        "hint": "Lower it.",
        "isOurFault": False,
        "stepId": "drawer",
    }
    assert run.steps[0].result is not None
    assert carry_on(here.service) == 0
    runs.resume_run(here.service, here.owner, run_id)
    carry_on(here.service)
    work(here, JobKind.GENERATE)
    carry_on(here.service)
    assert statuses(here, run_id) == (RunStatus.SUCCEEDED, ["succeeded", "succeeded"])
    assert seen(here, run_id).steps[1].step.attempt == 2
    kinds = [kind for kind, _ in amounts(here)]
    assert kinds.count("training") == 1
    assert kinds.count("flowRun") == 1


def test_a_training_that_failed_goes_on_from_its_checkpoint(here: Serving):
    run_id = started(here, TRAIN)
    carry_on(here.service)
    job = claim(here)
    with here.service.database.transaction() as transaction:
        transaction.jobs.save_checkpoint(
            job.lease, "organizations/a/c", {}, here.clock(), used_ms=1
        )
    fail(here, job, fault=Fault.OURS)
    runs.resume_run(here.service, here.owner, run_id)
    carry_on(here.service)
    again = claim(here)
    assert again.target_id == job.target_id
    assert again.checkpoint_key == "organizations/a/c"
    succeed(here, again)
    carry_on(here.service)
    assert seen(here, run_id).run.status is RunStatus.SUCCEEDED


def test_a_step_that_cannot_be_told_what_to_do_fails_with_its_path(here: Serving):
    run_id = started(here, transform({"a": "$.input.free.nothing"}), free={})
    carry_on(here.service)
    run = seen(here, run_id)
    assert run.run.status is RunStatus.FAILED
    assert "$.input.free.nothing" in run.run.error["message"]
    assert run.run.error["code"] == "unresolvedTemplate"


def test_a_model_that_has_expired_stops_the_run_at_its_step(here: Serving):
    run_id = started(here, TRAIN, DRAWER)
    carry_on(here.service)
    work(here)
    here.clock.advance(8 * 24 * 3600)
    carry_on(here.service)
    assert seen(here, run_id).run.error["code"] == "modelExpired"


def test_only_a_failed_run_is_resumed(here: Serving):
    run_id = started(here, transform({}))
    with pytest.raises(Conflict):
        runs.resume_run(here.service, here.owner, run_id)
    carry_on(here.service)
    carry_on(here.service)
    with pytest.raises(AlreadyFinished):
        runs.resume_run(here.service, here.owner, run_id)


def test_a_run_that_waits_is_cancelled_at_once(here: Serving):
    run_id = started(here, TRAIN)
    for _ in range(2):
        cancel_run(here.service, here.owner, run_id)
    assert statuses(here, run_id) == (RunStatus.CANCELLED, [])
    assert carry_on(here.service) == 0


def test_a_waiting_job_is_cancelled_with_its_run(here: Serving):
    run_id = started(here, TRAIN)
    carry_on(here.service)
    cancel_run(here.service, here.owner, run_id)
    assert statuses(here, run_id) == (RunStatus.CANCELLED, ["cancelled"])
    assert claim(here) is None
    assert balance(here) == (99_990_000, 0)


def test_a_running_job_is_asked_to_end_and_pays_what_it_used(here: Serving):
    run_id = started(here, TRAIN, DRAWER)
    carry_on(here.service)
    job = claim(here)
    cancel_run(here.service, here.owner, run_id)
    assert seen(here, run_id).run.status is RunStatus.RUNNING
    assert seen(here, run_id).steps[0].job.cancel_requested_at is not None
    stop(here, job)
    assert statuses(here, run_id) == (RunStatus.CANCELLED, ["cancelled"])
    assert carry_on(here.service) == 0
    assert amounts(here) == [("flowRun", 10_000), ("training", 30_000)]
    cancel_run(here.service, here.owner, run_id)


def test_a_run_that_is_to_be_cancelled_begins_no_other_step(here: Serving):
    run_id = started(here, TRAIN, DRAWER)
    carry_on(here.service)
    job = claim(here)
    cancel_run(here.service, here.owner, run_id)
    succeed(here, job)  # it was faster
    assert statuses(here, run_id) == (RunStatus.CANCELLED, ["succeeded"])
    assert carry_on(here.service) == 0


def test_what_has_ended_is_not_cancelled(here: Serving):
    run_id = started(here, transform({}))
    carry_on(here.service)
    carry_on(here.service)
    with pytest.raises(AlreadyFinished):
        cancel_run(here.service, here.owner, run_id)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("where", ["before", "after"])
def test_who_is_killed_while_a_step_begins_is_followed_by_one_who_begins_it_once(
    here: Serving, monkeypatch, where
):
    run_id = started(here, TRAIN)
    from modelgenerator.service.operations import step_starts

    whole = step_starts.create_training

    def cut_off(*arguments):
        if where == "after":
            whole(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(step_starts, "create_training", cut_off)
        with pytest.raises(Killed):
            carry_on(here.service)
    assert statuses(here, run_id) == (RunStatus.RUNNING, ["running"])
    assert carry_on(here.service) == 1
    with here.service.database.reading() as transaction:
        assert transaction.of(here.organization_id).trainings.count() == 1
    work(here)
    carry_on(here.service)
    assert seen(here, run_id).run.status is RunStatus.SUCCEEDED


def test_a_job_that_ends_before_its_step_knows_of_it_is_not_lost(here: Serving, monkeypatch):
    run_id = started(here, TRAIN)
    from modelgenerator.service.operations import carrying_on

    whole = carrying_on.begin_elsewhere

    def quick(*arguments):
        job_id = whole(*arguments)
        work(here)
        return job_id

    monkeypatch.setattr(carrying_on, "begin_elsewhere", quick)
    carry_on(here.service)
    assert statuses(here, run_id) == (RunStatus.RUNNING, ["succeeded"])
    carry_on(here.service)
    assert seen(here, run_id).run.status is RunStatus.SUCCEEDED


@pytest.mark.parametrize("killed", [False, True])
def test_a_run_that_is_cancelled_while_its_step_begins_leaves_no_job_behind(
    here: Serving, monkeypatch, killed
):
    run_id = started(here, TRAIN)
    from modelgenerator.service.operations import carrying_on

    whole = carrying_on.begin_elsewhere

    def cancelled_meanwhile(*arguments):
        job_id = whole(*arguments)
        cancel_run(here.service, here.owner, run_id)
        if killed:
            raise Killed
        return job_id

    with monkeypatch.context() as patch:
        patch.setattr(carrying_on, "begin_elsewhere", cancelled_meanwhile)
        if killed:
            with pytest.raises(Killed):
                carry_on(here.service)
        else:
            carry_on(here.service)
    carry_on(here.service)
    assert statuses(here, run_id) == (RunStatus.CANCELLED, ["cancelled"])
    assert claim(here) is None
    with here.service.database.reading() as transaction:
        (job,) = transaction.of(here.organization_id).jobs.all()
    assert job.status is JobStatus.CANCELLED
    assert balance(here)[1] == 0


def test_a_mistake_of_ours_stops_one_run_and_no_other(here: Serving, monkeypatch):
    broken, fine = started(here, TRAIN), started(here, transform({}))
    from modelgenerator.service.operations import carrying_on

    def breaks(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(carrying_on, "begin_elsewhere", breaks)
    carry_on(here.service)
    assert seen(here, broken).run.error["code"] == "internalError"
    assert seen(here, broken).run.error["isOurFault"] is True
    assert statuses(here, fine)[1] == ["succeeded"]


def test_a_request_that_is_sent_again_starts_one_run(here: Serving):
    saved = flows.create_flow(here.service, here.owner, flow(transform({})))
    again = replace(here.owner, request=RequestKey("k", "f"))
    asked = {"photos": str(a_dataset(here)), "scenes": ["sea"]}
    made = {runs.start_run(here.service, again, saved.flow.id, asked) for _ in range(2)}
    assert len(made) == 1
    assert amounts(here) == [("flowRun", 10_000)]


def test_a_run_keeps_to_the_version_that_it_began_with(here: Serving):
    saved = flows.create_flow(here.service, here.owner, flow(transform({"a": 1})))
    asked = {"photos": str(a_dataset(here)), "scenes": ["sea"]}
    run_id = runs.start_run(here.service, here.owner, saved.flow.id, asked)
    flows.update_flow(here.service, here.owner, saved.flow.id, flow(transform({"a": 2})))
    flows.delete_flow(here.service, here.owner, saved.flow.id)
    carry_on(here.service)
    assert seen(here, run_id).steps[0].result == {"a": 1}
    with pytest.raises(NotFound):
        runs.start_run(here.service, here.owner, saved.flow.id, asked)


def test_events_of_a_run_and_of_its_jobs_come_in_one_order(here: Serving):
    run_id = started(here, TRAIN, MADE_OF_INPUT)
    carry_on(here.service)
    assert [each.name for each in told(here, run_id)] == ["queued", "stepStarted", "job.queued"]
    work(here)
    carry_on(here.service)
    carry_on(here.service)
    found = told(here, run_id)
    assert [each.name for each in found] == [
        "queued",
        "stepStarted",
        "job.queued",
        "job.started",
        "job.finished",
        "stepFinished",
        "stepStarted",
        "stepFinished",
        "finished",
    ]
    assert [each.is_final for each in found] == [False] * 8 + [True]
    assert (found[1].data["number"], found[1].data["of"]) == (1, 2)
    assert {each.data["stepId"] for each in found[2:5]} == {"trainer"}


MADE_OF_INPUT = transform({"note": "$.input.name"})


def test_a_reader_that_was_cut_off_anywhere_misses_nothing(here: Serving):
    run_id = started(here, TRAIN, DRAWER)
    for kind in (JobKind.TRAIN, JobKind.GENERATE):
        carry_on(here.service)
        work(here, kind)
    carry_on(here.service)
    whole = told(here, run_id)
    numbers = [each.number for each in whole]
    assert numbers == sorted(set(numbers))
    for index, each in enumerate(whole[:-1]):
        assert told(here, run_id, each.number) == whole[index + 1 :]


def test_a_run_that_was_resumed_tells_on_after_its_first_end(here: Serving):
    run_id = started(here, TRAIN)
    carry_on(here.service)
    fail(here, claim(here))
    first = told(here, run_id)
    assert (first[-1].name, first[-1].is_final) == ("finished", True)
    runs.resume_run(here.service, here.owner, run_id)
    carry_on(here.service)
    work(here)
    carry_on(here.service)
    names = [each.name for each in told(here, run_id, first[-1].number)]
    assert names[:2] == ["resumed", "stepStarted"]
    assert names[-1] == "finished"
    assert sum(each.is_final for each in told(here, run_id)) == 1


def test_a_flow_of_objects_asks_a_language_model_and_pays_its_tokens(tmp_path: Path):
    with serving(tmp_path, object_generator_endpoint="http://127.0.0.1:9/v1") as here:
        writer = step(
            "ObjectGenerator",
            "writer",
            description="Write scenes.",
            schema={"type": "object", "properties": {"scene": {"type": "string"}}},
            creativity=2.5,
        )
        more = step(
            "ObjectGenerator", "more", description="d", schema={"type": "object"},
            contextId="writer", amount=3,
        )  # fmt: skip
        run_id = started(here, writer, more)
        carry_on(here.service)
        job = claim(here)
        assert job.spec["creativity"] == 2.5
        assert balance(here)[1] == job.estimate > 0
        succeed(here, job, objects={"scene": "sea"})
        carry_on(here.service)
        job = claim(here)
        assert job.spec["context"] == {"scene": "sea"}
        succeed(here, job, objects={"list": [{}, {}, {}]})
        carry_on(here.service)
        assert seen(here, run_id).run.status is RunStatus.SUCCEEDED
        assert amounts(here) == [
            ("flowRun", 10_000),
            ("objectGenerator", 25_000),
            ("objectGenerator", 25_000),
        ]
        assert balance(here)[1] == 0


def test_what_cannot_be_kept_fails_its_step(tmp_path: Path):
    with serving(tmp_path, object_generator_endpoint="http://127.0.0.1:9/v1") as here:
        run_id = started(
            here, step("ObjectGenerator", "writer", description="d", schema={"type": "object"})
        )
        carry_on(here.service)
        succeed(here, claim(here), objects={"a": "\0"})
        assert seen(here, run_id).run.error["code"] == "unusableResult"

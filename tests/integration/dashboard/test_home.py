"""Home: money, machines, work, what ends soon, what failed."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.machines import on_processors
from tests.pages import signed_in
from tests.serving import Serving, serving
from tests.uploaded import SETTINGS, a_dataset, claimed, drawn, ended, trained

from modelgenerator.service.dashboard.work_rows import row_of
from modelgenerator.service.operations.overview import read_overview
from modelgenerator.service.operations.pictures import add_picture
from modelgenerator.service.operations.waiting import Waiting, WaitReason
from modelgenerator.service.operations.working_jobs import WorkingJob
from modelgenerator.service.operations.works import Work, WorkKind
from modelgenerator.service.records.jobs import Fault, Job, JobError, JobKind, JobStatus
from modelgenerator.service.records.organizations import Role

PART = {"hx-request": "true"}


def begun(it: Serving, dataset: object, name: str = "First <b>try</b>") -> str:
    body = {"datasetId": str(dataset), "settings": SETTINGS, "name": name}
    answer = it.http.post("/v1/trainings", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def test_who_has_nothing_is_shown_where_to_begin(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        page = signed_in(it).get("/").text
        assert "Try it with the sample subject" in page
        assert "Use my own photos" in page
        assert "$100.00" in page
        assert "jobs wait until there is one" in page
        viewer = signed_in(it, Role.VIEWER).get("/").text
        assert "Try it with the sample subject" not in viewer
        assert "ask an administrator" in viewer


def test_the_next_step_is_offered_until_something_was_trained(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        dataset, person = a_dataset(it), signed_in(it)
        assert "Next: train Fuchsi" in person.get("/").text
        begun(it, dataset)
        assert "Next: train Fuchsi" not in person.get("/").text


def test_what_runs_and_waits_is_shown_with_how_far_it_is(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        dataset = a_dataset(it)
        first, second = begun(it, dataset), begun(it, dataset, "Second")
        job = claimed(it)
        with it.service.database.transaction() as transaction:
            progress = {"step": 5, "totalSteps": 20}
            transaction.jobs.record(job.lease, [], it.clock(), phase="training", progress=progress)
        person = signed_in(it)
        part = person.get("/now", headers=PART).text
        assert f'<a href="/trainings/{first}">First &lt;b&gt;try&lt;/b&gt;</a>' in part
        assert "step 5 of 20" in part
        assert f'<a href="/trainings/{second}">Second</a>' in part
        assert part.index(first) < part.index(second)
        assert "No server takes jobs now." in part
        on_processors(it)
        part = person.get("/now", headers=PART).text
        assert ">one</a>" in part
        assert "1 job" in part
        assert "It is next, and the only place for it is taken." in part


def test_failures_of_the_last_day_say_why_and_who_pays(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        begun(it, a_dataset(it))
        hint = "Nothing was charged. Wait."
        error = JobError(code="x", message="The loss became <NaN>.", fault=Fault.OURS, hint=hint)
        ended(it, claimed(it), JobStatus.FAILED, error=error)
        page = signed_in(it).get("/").text
        assert "The loss became &lt;NaN&gt;. Wait." in page
        assert "Nothing was charged: it was not your fault." in page
        assert page.count("Nothing was charged") == 1
        it.clock.advance(timedelta(hours=25).total_seconds())
        assert "The loss became" not in signed_in(it).get("/").text


def test_a_failure_that_is_not_ours_says_what_was_charged_for_what(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        error = JobError(code="x", message="Too bright.", fault=Fault.THEIRS)
        begun(it, a_dataset(it))
        ended(it, claimed(it), JobStatus.FAILED, used_ms=3_600_000, error=error)
        page = person.get("/").text
        assert "was charged for the time that was used." in page
        body = {"baseModel": "creatures", "images": [{"prompt": "lvff", "steps": 2}]}
        it.http.post("/v1/inferences", json=body)
        ended(it, claimed(it, JobKind.GENERATE), JobStatus.FAILED, error=error)
        assert "Nothing was charged." in person.get("/").text


def test_what_was_spent_is_what_was_paid_since(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        begun(it, a_dataset(it))
        trained(it, claimed(it), used_ms=3_600_000)
        spent = read_overview(it.service, it.owner)
        assert spent.spent_week > 0
        assert spent.spent_month == spent.spent_week
        it.clock.advance(timedelta(days=8).total_seconds())
        assert read_overview(it.service, it.owner).spent_week == 0


def test_a_model_that_expires_soon_is_named(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        begun(it, a_dataset(it), "Fuchsi 1")
        trained(it, claimed(it))
        assert read_overview(it.service, it.owner).expiring == ()
        with it.service.database.transaction() as transaction:
            models = transaction.of(it.organization_id).trained_models
            (model,) = models.all()
            models.replace(replace(model, expires_at=it.clock() + timedelta(days=3)))
        page = signed_in(it).get("/").text
        assert "Models that expire within 14 days" in page
        assert "in 3 days" in page


def test_the_newest_pictures_lead_to_where_they_were_drawn(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        body = {"baseModel": "creatures", "images": [{"prompt": "lvff", "steps": 2}]}
        asked = it.http.post("/v1/inferences", json=body).json()
        job = claimed(it, JobKind.GENERATE)
        with it.service.database.transaction() as transaction:
            store = transaction.of(it.organization_id)
            add_picture(store, job, drawn(it, job, 0), it.clock())
        page = signed_in(it).get("/").text
        assert f'href="/generate/{asked["id"]}"' in page
        assert 'alt="lvff"' in page


def test_without_a_script_the_live_part_is_the_page(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        answer = signed_in(it).get("/now")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_job_that_told_nothing_yet_says_its_phase(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        begun(it, a_dataset(it))
        job: Job = replace(claimed(it), phase="preparingDataset")
        work = Work(WorkKind.RUN, job.id, "Zip")
        row = row_of(WorkingJob(job=job, work=work))
        assert (row.address, row.done, row.doing) == (f"/runs/{job.id}", None, "preparing photos")
        counted = replace(job, progress={"pictures": 1, "totalPictures": 4})
        row = row_of(WorkingJob(job=counted, work=work))
        assert (row.done, row.doing) == (0.25, "picture 1 of 4")
        why = Waiting(WaitReason.BEGINS, "It begins in a moment.")
        assert row_of(WorkingJob(job=job, work=work, waiting=why)).doing == why.message

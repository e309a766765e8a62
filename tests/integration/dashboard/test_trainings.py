"""The pages of trainings: the list, one of them, what they can be told to do."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.machines import on_processors
from tests.pages import signed_in
from tests.serving import serving
from tests.trainings_told import a_training, failed, told_sample, told_steps
from tests.uploaded import claimed, trained

from modelgenerator.service.records.jobs import Fault
from modelgenerator.service.records.organizations import Role

NASTY = "<img src=x onerror=alert(1)>"


def page(person: TestClient, address: str) -> str:
    answer = person.get(address)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_new_organization_is_told_what_to_do_first(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        assert "No training yet" in page(signed_in(it), "/trainings")


def test_the_list_is_filtered_by_status_and_subject(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        first, second = a_training(it, "First"), a_training(it, "Second")
        trained(it, claimed(it))
        subject = it.http.get("/v1/subjects").json()["items"][-1]["id"]
        everything = page(person, "/trainings")
        assert everything.index(second) < everything.index(first)
        assert "Fuchsi" in everything
        succeeded = page(person, "/trainings?status=succeeded")
        assert first in succeeded
        assert second not in succeeded
        of_subject = page(person, f"/trainings?subject={subject}")
        assert first in of_subject
        assert second not in of_subject
        assert "No training fits" in page(person, f"/trainings?status=failed&subject={subject}")


def test_the_list_is_renewed_only_while_something_runs_and_keeps_what_is_ticked(
    tmp_path: Path,
) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        id = a_training(it)
        part = person.get(f"/trainings?id={id}", headers={"hx-request": "true"}).text
        assert "<html" not in part
        assert "every 2s" in part
        assert " checked>" in part
        trained(it, claimed(it))
        assert "every 2s" not in page(person, "/trainings")


def test_a_waiting_training_says_how_many_go_before_it(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        first, second = a_training(it, "First"), a_training(it, "Second")
        assert "No server takes jobs now." in page(person, f"/trainings/{first}")
        on_processors(it)
        assert "It begins in a moment." in page(person, f"/trainings/{first}")
        assert "1 job goes before it" in page(person, f"/trainings/{second}")


def test_a_running_training_shows_where_it_is_and_is_renewed(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person, id = signed_in(it), a_training(it)
        told_steps(it, claimed(it), 1, 2)
        shown = page(person, f"/trainings/{id}/status")
        assert 'aria-current="step">Training' in shown
        assert "every 2s" in shown
        assert "3 s" in shown
        assert f'action="/trainings/{id}/cancel"' in shown


def test_what_is_asked_is_done(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person, id = signed_in(it, Role.MEMBER), a_training(it)
        answer = person.post(f"/trainings/{id}/rename", data={"name": NASTY})
        assert answer.headers["location"] == f"/trainings/{id}"
        whole = page(person, f"/trainings/{id}")
        assert NASTY not in whole
        assert "&lt;img src=x" in whole
        assert NASTY not in page(person, "/trainings")
        assert "Raise priority" in whole
        assert (
            person.post(f"/trainings/{id}/priority", data={"priority": "high"}).status_code == 303
        )
        whole = page(person, f"/trainings/{id}")
        assert "High</dd>" in whole
        assert "Raise priority" not in whole
        assert person.post(f"/trainings/{id}/cancel").status_code == 303
        whole = page(person, f"/trainings/{id}")
        assert "Nothing was charged." in whole
        assert "Will take about" not in whole
        again = person.post(f"/trainings/{id}/resume")
        assert again.status_code == 409
        assert "before its first checkpoint" in again.text
        gone = person.post(f"/trainings/{id}/delete")
        assert gone.headers["location"].startswith("/deletions/")
        assert person.get(f"/trainings/{id}").status_code == 404


def test_a_model_is_downloaded_in_both_layouts_and_kept_longer(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person, id = signed_in(it), a_training(it)
        trained(it, claimed(it))
        whole = page(person, f"/trainings/{id}")
        assert f'href="/generate?training={id}"' in whole
        for layout, content in (("kohya", b"kohya's"), ("diffusers", b"diffusers'")):
            answer = person.get(f"/trainings/{id}/model?layout={layout}")
            assert answer.content == content
            assert f"{layout}.safetensors" in answer.headers["content-disposition"]
        before = it.http.get(f"/v1/trainings/{id}").json()["expiresAt"]
        until = whole.partition('name="until" value="')[2].partition('"')[0]
        assert "Keep 30 days longer" in whole
        kept = person.post(f"/trainings/{id}/extend", data={"until": until})
        assert kept.headers["location"] == f"/trainings/{id}"
        assert it.http.get(f"/v1/trainings/{id}").json()["expiresAt"] > before
        past = {"until": "2001-01-01T00:00:00Z"}
        assert person.post(f"/trainings/{id}/extend", data=past).status_code == 400


def test_curves_are_told_whole_and_then_what_came_since(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person, id = signed_in(it), a_training(it)
        job = claimed(it)
        told_steps(it, job, 1, 3, loss=0.5)
        first = person.get(f"/trainings/{id}/curves.json").json()
        assert first["points"] == [[step, 0.5, pytest.approx(1e-4)] for step in (1, 2, 3)]
        assert first["isWhole"] is True
        assert first["isOver"] is False
        told_steps(it, job, 3, 4, loss=0.25)
        address = f"/trainings/{id}/curves.json"
        since = person.get(address, params={"after": first["cursor"]}).json()
        assert [point[:2] for point in since["points"]] == [[3, 0.25], [4, 0.25]]
        assert since["isWhole"] is False
        whole = person.get(address).json()["points"]
        assert [point[:2] for point in whole] == [[1, 0.5], [2, 0.5], [3, 0.25], [4, 0.25]]
        newest = first["cursor"].partition("-")[0]
        for cursor in ("x", f"{newest}-x", f"{newest}-{10**30}", f"{newest}-{-(10**30)}"):
            assert person.get(address, params={"after": cursor}).status_code == 400
        assert "0.25" in page(person, f"/trainings/{id}")


def test_samples_come_only_when_there_are_more(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        id = a_training(it, sampleEvery=1, samplePrompts=["lvff <b>"])
        assert "The first are drawn after epoch 1" in page(person, f"/trainings/{id}")
        job = claimed(it)
        told_sample(it, job, 1, "lvff <b>")
        address = f"/trainings/{id}/samples"
        assert person.get(address, params={"seen": 1}).status_code == 204
        shown = page(person, address)
        assert "Epoch 1" in shown
        assert "lvff &lt;b&gt;" in shown
        trained(it, job)
        whole = page(person, f"/trainings/{id}")
        assert "What it learnt" in whole


def test_the_log_is_searched_and_kept(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person, id = signed_in(it), a_training(it)
        told_steps(it, claimed(it), 1, 2)
        assert "Waits for its turn." in page(person, f"/trainings/{id}/log")
        assert "Waits" not in page(person, f"/trainings/{id}/log?search=loss")
        assert "No line has" in page(person, f"/trainings/{id}/log?search=zebra")
        assert "No line has" in page(person, f"/trainings/{id}?search=zebra")
        whole = person.get(f"/trainings/{id}/log.txt")
        assert "Step 2: loss 0.5." in whole.text
        assert "attachment" in whole.headers["content-disposition"]


def test_settings_say_who_wrote_them_and_what_was_used(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        template = it.http.post(
            "/v1/training-templates", json={"name": "Mine", "settings": {"networkDim": 7}}
        ).json()["id"]
        first = it.http.get(f"/v1/trainings/{a_training(it)}").json()
        body = {
            "datasetId": first["datasetId"],
            "trainingSettingsId": template,
            "settings": {"baseModel": "creatures", "epochs": 3},
        }
        id = it.http.post("/v1/trainings", json=body).json()["id"]
        whole = page(person, f"/trainings/{id}")
        assert f'href="/templates/{template}"' in whole
        row = whole.partition("<code>networkDim</code>")[2].partition("</tr>")[0]
        assert '<td data-name="You wrote">\u2013</td>' in row
        assert '<td data-name="Template">7</td>' in row
        assert '<td data-name="Used">7</td>' in row


@pytest.mark.parametrize(
    ("code", "fault", "words", "address"),
    [
        ("insufficientFunds", Fault.THEIRS, "Add credit", "/billing#add-credit"),
        ("trainingDiverged", Fault.THEIRS, "Try again with a learning rate", "learningRate="),
        ("outOfMemory", Fault.OURS, "Try again at", "resolution="),
        ("workerCrashed", Fault.OURS, "Try again", "/trainings/new?from="),
        ("unusableDataset", Fault.THEIRS, "Check the photos", "/subjects/"),
        ("somethingNew", Fault.OURS, "Try again", "/trainings/new?from="),
    ],
)
def test_a_failure_says_whose_side_what_was_charged_and_what_helps(
    tmp_path: Path, code: str, fault: Fault, words: str, address: str
) -> None:
    with serving(tmp_path) as it:
        person, id = signed_in(it), a_training(it)
        failed(it, claimed(it), code, fault)
        trouble = page(person, f"/trainings/{id}").partition('class="trouble"')[2]
        trouble = trouble.partition("</section>")[0].partition('class="card"')[0]
        assert "It broke." in trouble
        assert words in trouble
        assert address in trouble
        assert trouble.count("<a class=") + trouble.count("<button") == 1
        charged = (
            "Nothing was charged"
            if fault is Fault.OURS
            else "was charged for the time that was used"
        )
        assert charged in trouble


def test_a_failure_with_a_checkpoint_is_gone_on_from(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person, id = signed_in(it), a_training(it)
        failed(it, claimed(it), "workerCrashed", Fault.OURS, checkpoint="some/checkpoint")
        assert f'action="/trainings/{id}/resume"' in page(person, f"/trainings/{id}")
        assert person.post(f"/trainings/{id}/resume").status_code == 303
        assert it.http.get(f"/v1/trainings/{id}").json()["status"] == "queued"


def test_who_may_only_look_is_offered_nothing_else(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        viewer, id = signed_in(it, Role.VIEWER), a_training(it)
        whole = page(viewer, f"/trainings/{id}")
        assert '<form method="post" action="/trainings' not in whole
        assert "New training" not in page(viewer, "/trainings")
        for what in ("cancel", "resume", "rename", "extend", "delete"):
            form = {"name": "x", "until": "2099-01-01T00:00:00Z"}
            assert viewer.post(f"/trainings/{id}/{what}", data=form).status_code == 403


def test_another_organizations_training_is_not_there(tmp_path: Path) -> None:
    with serving(tmp_path / "one") as it, serving(tmp_path / "two") as other:
        id = a_training(other)
        person = signed_in(it)
        for part in ("", "/status", "/samples", "/curves.json", "/log", "/log.txt", "/model"):
            assert person.get(f"/trainings/{id}{part}").status_code == 404

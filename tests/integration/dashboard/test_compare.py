"""Trainings side by side: what differs, what was drawn, what is asked of each."""

from pathlib import Path

from tests.pages import signed_in
from tests.serving import serving
from tests.trainings_told import a_training, told_sample, told_steps
from tests.uploaded import claimed, drawn, ended, trained

from modelgenerator.service.operations.pictures import add_picture
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.records.organizations import Role


def test_only_what_differs_is_shown(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        first, second = a_training(it, "A", networkDim=4), a_training(it, "B", networkDim=8)
        answer = signed_in(it).get(f"/trainings/compare?id={first}&id={second}")
        assert answer.status_code == 200, answer.text
        table = answer.text.partition("What differs")[2].partition("</table>")[0]
        row = table.partition(">network dim</th>")[2].partition("</tr>")[0]
        assert row == "<td>4</td><td>8</td>"
        assert "base model" not in table
        assert 'aria-label="Loss by step; the numbers are in the table"' in answer.text
        assert 'aria-label="Learning rate as it takes effect, by step"' in answer.text
        assert f"/trainings/{first}/curves.json" in answer.text


def test_a_training_that_was_cancelled_in_the_queue_never_began(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        first, second = a_training(it, "A"), a_training(it, "B")
        person = signed_in(it)
        person.post(f"/trainings/{first}/cancel")
        page = person.get(f"/trainings/compare?id={first}&id={second}").text
        took = page.partition(">took</th>")[2].partition("</tr>")[0]
        assert took == "<td>never began</td><td>not over</td>"


def test_samples_of_the_same_prompt_stand_side_by_side(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        ids = []
        for name, alone in (("A", "only A"), ("B", "only B")):
            ids.append(a_training(it, name, sampleEvery=1, samplePrompts=["both", alone]))
            job = claimed(it)
            told_steps(it, job, 1, 2)
            told_sample(it, job, 1, "both")
            told_sample(it, job, 1, alone)
        page = signed_in(it).get(f"/trainings/compare?id={ids[0]}&id={ids[1]}").text
        samples = page.partition("Last samples of the same prompts")[2].partition("</table>")[0]
        assert 'scope="row">both' in samples
        assert "only" not in samples


def test_where_nothing_is_charged_no_price_is_shown(tmp_path: Path) -> None:
    with serving(tmp_path, billing=False) as it:
        person, ids = signed_in(it), [a_training(it, name) for name in "AB"]
        for _ in ids:
            trained(it, claimed(it))
        addresses = [f"/trainings/compare?id={ids[0]}&id={ids[1]}", "/trainings"]
        for address in [*addresses, f"/trainings/{ids[0]}"]:
            page = person.get(address).text.partition("<main")[2].partition("as-code")[0]
            assert page
            assert "$" not in page
            assert "ost</" not in page


def test_too_few_trainings_are_refused_in_words(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person, id = signed_in(it), a_training(it)
        for query in ("", f"?id={id}", f"?id={id}&id={id}"):
            answer = person.get(f"/trainings/compare{query}")
            assert answer.status_code == 400
            assert "2 to 8 trainings can be compared" in answer.text


def test_the_same_prompts_are_asked_of_each_once_and_shown_as_they_come(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it, Role.MEMBER)
        ids = [a_training(it, name) for name in "AB"]
        for _ in ids:
            trained(it, claimed(it))
        chosen = "&".join(f"id={id}" for id in ids)
        assert "$0.04 for each prompt" in person.get(f"/trainings/compare?{chosen}").text
        form = {"id": ids, "prompts": "lvff <b>\n\nlvff at sea", "seed": "7", "requestKey": "once"}
        answer = person.post("/trainings/compare/draw", data=form)
        assert answer.status_code == 303, answer.text
        address = answer.headers["location"].partition("#")[0]
        assert address.count("inference=") == 2
        assert (
            person.post("/trainings/compare/draw", data=form).headers["location"]
            == (answer.headers["location"])
        )
        assert len(it.http.get("/v1/inferences").json()["items"]) == 2
        waits = person.get(address).text
        assert "every 2s" in waits
        assert "lvff &lt;b&gt;" in waits
        assert "seed 8" in waits
        for _ in ids:
            job = claimed(it, JobKind.GENERATE)
            for position in (0, 1):
                with it.service.database.transaction() as transaction:
                    store = transaction.of(it.organization_id)
                    add_picture(store, job, drawn(it, job, position), it.clock())
            ended(it, job)
        part = address.replace("compare?", "compare/pictures?")
        over = person.get(f"{part}&seen=0").text
        assert over.count("<img") == 4
        assert "every 2s" not in over


def test_what_cannot_be_drawn_is_said_at_the_form(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        ids = [a_training(it, name) for name in "AB"]
        form = {"id": ids, "prompts": "lvff", "seed": "1"}
        answer = person.post("/trainings/compare/draw", data=form)
        assert answer.status_code == 400
        assert "None of these trainings has a model" in answer.text
        trained(it, claimed(it))
        answer = person.post("/trainings/compare/draw", data={**form, "seed": "9" * 5_000})
        assert "The seed is a whole number" in answer.text
        answer = person.post("/trainings/compare/draw", data={**form, "seed": "many"})
        assert answer.status_code == 400
        assert "The seed is a whole number from 0 to 2^63 - 1" in answer.text
        assert ">lvff</textarea>" in answer.text
        viewer = signed_in(it, Role.VIEWER)
        assert viewer.post("/trainings/compare/draw", data=form).status_code == 403


def test_all_draw_or_none_and_what_is_lacking_can_be_added(tmp_path: Path) -> None:
    with serving(tmp_path, price_picture="30") as it:
        person = signed_in(it)
        ids = [a_training(it, name) for name in "AB"]
        for _ in ids:
            trained(it, claimed(it), used_ms=0)
        form = {"id": ids, "prompts": "lvff\nlvff at sea", "seed": "1"}
        answer = person.post("/trainings/compare/draw", data=form)
        assert answer.status_code == 402
        assert "The balance is too small" in answer.text
        assert 'href="/billing#add-credit">Add credit</a>' in answer.text
        assert "lvff at sea</textarea>" in answer.text
        assert it.http.get("/v1/inferences").json()["items"] == []

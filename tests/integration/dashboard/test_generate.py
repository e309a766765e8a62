"""Asking for pictures and looking at them, without a browser."""

import io
import re
from pathlib import Path
from uuid import UUID

import pytest
from PIL import Image
from tests import uploaded
from tests.pages import signed_in
from tests.remembered import an_organization
from tests.serving import Serving, serving

from modelgenerator.service.errors import in_dollars
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.inferences import InferenceRequest, create_inference
from modelgenerator.service.operations.pictures import add_picture
from modelgenerator.service.records.job_specs import DrawnPicture
from modelgenerator.service.records.jobs import Fault, Job, JobError, JobKind, JobStatus
from modelgenerator.service.records.organizations import Role

CREATURES = "modelgenerator/creatures"


@pytest.fixture
def training(it: Serving) -> str:
    return a_trained_one(it)


def a_trained_one(it: Serving) -> str:
    dataset = uploaded.a_dataset(it)
    body = {"datasetId": str(dataset), "settings": dict(uploaded.SETTINGS), "name": "first"}
    id = it.http.post("/v1/trainings", json=body).json()["id"]
    uploaded.trained(it, uploaded.claimed(it), used_ms=0)
    return id


def asked(it: Serving, prompt: str = "a creature in the snow", **image: object) -> UUID:
    """An inference that waits for a worker."""
    request = InferenceRequest(images=[{"prompt": prompt, **image}], base_model=CREATURES)
    return create_inference(it.service, it.owner, request)


def drawn(it: Serving, *, ends: bool = True, side: int | None = None) -> Job:
    """The next inference as a worker leaves it."""
    job = uploaded.claimed(it, JobKind.GENERATE)
    count = len(job.spec["pictures"])  # type: ignore[arg-type]
    for position in range(count if ends else 1):
        picture = uploaded.drawn(it, job, position)
        if side is not None:
            picture = large(it, job, picture, side)
        with it.service.database.transaction() as transaction:
            add_picture(transaction.of(it.organization_id), job, picture, it.clock())
    return uploaded.ended(it, job) if ends else job


def large(it: Serving, job: Job, picture: DrawnPicture, side: int) -> DrawnPicture:
    file = io.BytesIO()
    Image.new("RGB", (side, side // 2), (200, 30, 60)).save(file, format="PNG")
    key = f"{job.spec['storagePrefix']}/large-{picture.position}.png"
    stored = it.service.files.put(key, file.getvalue())
    return picture.model_copy(
        update={
            "storage_key": key,
            "sha256": stored.sha256,
            "byte_count": stored.byte_count,
            "width": side,
            "height": side // 2,
        }
    )


def form(training: str, **more: str) -> dict[str, str]:
    return {"model": training, "prompt": "lvff creature at night", "count": "4", **more}


def test_one_click_draws_what_was_taught(it: Serving, training: str) -> None:
    page = signed_in(it).get(f"/generate?training={training}").text
    assert ">lvff creature in the snow</textarea>" in page
    assert "Draw 4 pictures for $0.08" in page
    assert re.search(r'value="[^"]*" selected>Fuchsi: first</option>', page)
    for words in ("lvff", "creature", "at night", "on the beach"):
        assert f'data-insert="{words}"' in page
    assert 'data-width="32" data-height="32"' in page


def test_what_is_asked_for_is_drawn_and_shown_on_top_of_the_same_page(
    it: Serving, training: str
) -> None:
    person = signed_in(it)
    answer = person.post("/generate", data=form(training, seed="7", loraScale="0.8"))
    assert answer.status_code == 303, answer.text
    page = person.get(answer.headers["location"]).text
    assert "No server takes jobs now." in page
    assert page.count("Not drawn yet") == 4
    assert 'hx-trigger="every 1s"' in page
    assert ">lvff creature at night</textarea>" in page
    assert re.search(r'name="seed"[^>]* value="7"', page)
    assert re.search(r'name="count"[^>]* value="4"', page)
    (one,) = it.http.get("/v1/inferences").json()["items"]
    assert [image["seed"] for image in one["images"]] == [7, 8, 9, 10]
    assert one["images"][0]["loraScale"] == 0.8


def test_pictures_appear_as_they_come_and_are_asked_for_until_then(
    it: Serving, training: str
) -> None:
    person = signed_in(it)
    where = person.post("/generate", data=form(training, count="2")).headers["location"]
    id = it.http.get("/v1/inferences").json()["items"][0]["id"]
    job = drawn(it, ends=False)
    part = person.get(f"/generate/drawing?id={id}").text
    assert "<html" not in part
    assert "Drawing: 1 of 2 pictures is there." in part
    assert (part.count("Not drawn yet"), part.count("/thumbnail")) == (1, 1)
    uploaded.ended(it, job, JobStatus.SUCCEEDED)
    part = person.get(f"/generate/drawing?id={id}").text
    assert "hx-trigger" not in part
    assert "/thumbnail" in part
    assert person.get(where).text.count("/thumbnail") == 1, "it is shown once, not in the gallery"
    assert person.get("/generate").text.count("/thumbnail") == 1


def test_a_form_that_is_sent_twice_draws_once(it: Serving, training: str) -> None:
    person = signed_in(it)
    sent = form(training, requestKey="one")
    first, second = (person.post("/generate", data=sent) for _ in range(2))
    assert first.headers["location"] == second.headers["location"]
    assert len(it.http.get("/v1/inferences").json()["items"]) == 1


@pytest.mark.parametrize(
    ("more", "name", "words"),
    [
        ({"prompt": " "}, "prompt", "Say what the pictures show."),
        ({"count": "17"}, "count", "count must be a whole number from 1 to 16, not 17."),
        ({"seed": "tuesday"}, "seed", "seed must be"),
        ({"width": "33"}, "width", "width must be a multiple of 8"),
        ({"width": "36"}, "width", "width must be a multiple of 8"),
        ({"baseModel": "nothing-like-it"}, "baseModel", "nothing-like-it"),
    ],
)
def test_a_fault_is_said_at_its_field_and_the_rest_is_kept(
    it: Serving, training: str, more: dict[str, str], name: str, words: str
) -> None:
    answer = signed_in(it).post("/generate", data=form(training, steps="9") | more)
    assert answer.status_code in (404, 422)
    fault = re.search(rf'id="{name}-fault">([^<]*)<', answer.text)
    assert fault, answer.text
    assert words in fault.group(1)
    assert re.search(r'name="steps"[^>]* value="9"', answer.text)
    assert it.http.get("/v1/inferences").json()["items"] == []


def test_too_small_a_balance_is_said_before_and_at_the_button(tmp_path: Path) -> None:
    with serving(tmp_path, price_picture="30") as it:
        training = a_trained_one(it)
        person = signed_in(it)
        page = person.get(f"/generate?training={training}").text
        account = it.http.get("/v1/organization").json()
        there = in_dollars(account["balance"] - account["held"])
        assert f"4 pictures cost $120.00, and {there} are there." in page
        assert 'href="/billing#add-credit"' in page
        answer = person.post("/generate", data=form(training))
        assert answer.status_code == 402
        assert "The balance is too small" in answer.text
        assert "Nothing was started and nothing was charged." in answer.text
        assert ">lvff creature at night</textarea>" in answer.text
        part = person.get("/generate/asked", params=form(training, count="1")).text
        assert "Draw 1 picture for $30.00" in part


def test_what_stands_around_the_fields_follows_them(it: Serving, training: str) -> None:
    person = signed_in(it)
    part = person.get("/generate/asked", params=form(training, steps="9", count="3")).text
    assert "Draw 3 pictures for $0.06" in part
    assert "&#34;steps&#34;: 9" in part
    assert f"training=&#39;{training}&#39;" in part
    alone = person.get("/generate/asked", params=form("base:creatures")).text
    assert 'data-usual="a creature in the snow"' in alone
    assert "lvff" not in re.sub(r"(?s).*id=\"chips\"", "", alone).partition("</div>")[0]


def test_an_expired_model_is_said_at_the_field(it: Serving, training: str) -> None:
    it.clock.advance(40 * 86_400)
    person = signed_in(it)
    assert "(expired)" in person.get(f"/generate?training={training}").text
    answer = person.post("/generate", data=form(training))
    assert answer.status_code == 410
    assert re.search(r'id="model-fault">The trained model expired on', answer.text)


def test_a_picture_has_its_settings_and_can_be_drawn_again(it: Serving, training: str) -> None:
    person = signed_in(it)
    person.post("/generate", data=form(training, count="2", seed="5", steps="9"))
    drawn(it)
    page = person.get("/generate").text
    assert "<dt>Seed</dt>" in page
    (again, _) = re.findall(r'href="(/generate\?again=[^"]*)"', page)
    filled = person.get(again.replace("&amp;", "&")).text
    assert re.search(r'name="steps"[^>]* value="9"', filled)
    assert re.search(r'name="seed"[^>]* value="6"', filled), "the newest is the second"
    assert re.search(r'name="count"[^>]* value="1"', filled)
    assert f'value="{training}" selected' in filled


def test_one_request_has_a_page_and_can_be_cancelled_and_deleted(it: Serving) -> None:
    id, person = asked(it, count=2), signed_in(it)
    page = person.get(f"/generate/{id}").text
    assert f'hx-get="/generate/{id}/status"' in page
    assert person.post(f"/generate/{id}/cancel").status_code == 303
    page = person.get(f"/generate/{id}").text
    assert "0 of 2 pictures drawn. Nothing was charged." in page
    assert "hx-trigger" not in page
    gone = person.post(f"/generate/{id}/delete")
    assert gone.headers["location"] == "/generate"
    assert person.get(f"/generate/{id}").status_code == 404


def test_a_failure_says_whose_it_is_what_was_charged_and_what_helps(it: Serving) -> None:
    id, person = asked(it), signed_in(it)
    job = uploaded.claimed(it, JobKind.GENERATE)
    hint = "Nothing was charged. Look into the log."
    error = JobError(code="internalError", message="The worker broke.", fault=Fault.OURS, hint=hint)
    uploaded.ended(it, job, JobStatus.FAILED, error=error)
    page = person.get(f"/generate/{id}").text
    assert "The worker broke." in page
    assert "<p>Look into the log.</p>" in page
    assert "This is our fault, not yours. Nothing was charged: it was not your fault." in page
    assert "Try again" in page


def test_html_in_a_prompt_stays_text(it: Serving) -> None:
    id, person = asked(it, prompt='<b onclick="x">"quoted"</b>'), signed_in(it)
    drawn(it)
    for address in ("/generate", f"/generate/{id}", f"/generate?again={id}"):
        page = person.get(address).text
        assert "<b onclick" not in page
        assert "&lt;b onclick" in page


def test_a_viewer_looks_and_asks_for_nothing(it: Serving, training: str) -> None:
    id = asked(it)
    drawn(it)
    viewer = signed_in(it, Role.VIEWER)
    for address in ("/generate", f"/generate/{id}"):
        page = viewer.get(address).text
        assert "/thumbnail" in page or "/files/" in page
        assert "Delete" not in page
        assert "Draw " not in page
    assert viewer.post("/generate", data=form(training)).status_code == 403
    assert viewer.post(f"/generate/{id}/delete").status_code == 403


def test_other_organizations_are_not_seen(it: Serving) -> None:
    id = asked(it)
    drawn(it)
    with it.service.database.reading() as transaction:
        picture = transaction.of(it.organization_id).generated_pictures.page(limit=1).items[0]
    addresses = (f"/generate/{id}", f"/generate/pictures/{picture.id}/thumbnail")
    own = signed_in(it)
    assert [own.get(one).status_code for one in addresses] == [200, 200]
    second = an_organization(it.service.database, it.clock)
    theirs = signed_in(it, owner=Caller(organization_id=second, role=Role.OWNER))
    assert [theirs.get(one).status_code for one in addresses] == [404, 404]


def test_pictures_of_one_training_are_shown_alone(it: Serving, training: str) -> None:
    person = signed_in(it)
    asked(it, prompt="a creature in the forest")
    drawn(it)
    person.post("/generate", data=form(training, count="1"))
    drawn(it)
    every, mine = (person.get(f"/generate{which}").text for which in ("", f"?training={training}"))
    assert (every.count("/thumbnail"), mine.count("/thumbnail")) == (2, 1)
    assert "a creature in the forest" not in mine.partition("gallery-heading")[2]


def test_a_large_picture_is_made_small_once_and_a_small_one_stays(it: Serving) -> None:
    person, service = signed_in(it), it.service
    asked(it)
    drawn(it, side=1024)
    (address,) = re.findall(r'src="(/generate/pictures/[^"]*)"', person.get("/generate").text)
    answer = person.get(address)
    assert answer.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(answer.content)).size == (320, 160)
    assert person.get(address, headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    (kept,) = [key for key in service.files.keys("organizations") if "thumbnail" in key]
    assert person.get(address).content == service.files.read(kept)

    asked(it)
    drawn(it)
    address, _ = re.findall(r'src="(/generate/pictures/[^"]*)"', person.get("/generate").text)
    answer = person.get(address)
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (64, 64)


def test_what_is_deleted_takes_its_small_picture_along(it: Serving) -> None:
    person, id = signed_in(it), asked(it)
    drawn(it, side=640)
    (address,) = re.findall(r'src="(/generate/pictures/[^"]*)"', person.get("/generate").text)
    person.get(address)
    assert person.post(f"/generate/{id}/delete").status_code == 303
    assert person.get(address).status_code == 404
    assert [key for key in it.service.files.keys("organizations") if id.hex in key] == []

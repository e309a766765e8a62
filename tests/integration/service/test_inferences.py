"""Pictures from the request to the links, as a client and a worker see them."""

from dataclasses import replace
from uuid import uuid4

import pytest
from tests.serving import serving
from tests.uploaded import SETTINGS, a_dataset, claimed, drawn, ended, trained

from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.service.operations import picture_memory
from modelgenerator.service.operations.inferences import InferenceRequest, create_inference
from modelgenerator.service.operations.pictures import add_picture
from modelgenerator.service.operations.planning import TrainingRequest
from modelgenerator.service.operations.trainings import create_training
from modelgenerator.service.records.job_specs import GenerateSpec
from modelgenerator.service.records.jobs import Fault, JobError, JobKind, JobStatus
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.servers import Places, Server
from modelgenerator.settings import ImageSettings
from modelgenerator.training.plan import DeviceFacts

BALANCE = 100_000_000


@pytest.fixture
def it(tmp_path):
    with serving(tmp_path) as it:
        yield it


@pytest.fixture
def training_id(it):
    id = start_training(it)
    trained(it, claimed(it), used_ms=0)
    return id


def start_training(it):
    request = TrainingRequest(dataset_id=a_dataset(it), settings=SETTINGS)
    return create_training(it.service, it.owner, request)


def draw(it, expect=202, headers=None, **body):
    answer = it.http.post("/v1/inferences", json=body, headers=headers)
    assert answer.status_code == expect, answer.text
    return answer.json()


def read(it, inference):
    return it.http.get(f"/v1/inferences/{inference['id']}").json()


def store(it, job, *positions):
    for position in positions:
        picture = drawn(it, job, position)
        with it.service.database.transaction() as transaction:
            add_picture(transaction.of(it.organization_id), job, picture, it.clock())


def replace_prefix(job):
    """The job as a second attempt has it, which writes elsewhere."""
    return replace(job, spec={**job.spec, "storagePrefix": f"{job.spec['storagePrefix']}/again"})


def money(it):
    shown = it.http.get("/v1/organization").json()
    return shown["balance"], shown["held"]


def test_every_picture_has_its_own_seed_and_every_question_answered(it):
    made = draw(
        it,
        images=[
            {"prompt": "one", "count": 2, "seed": 7},
            {"prompt": "two", "width": 64, "steps": 3, "format": "jpeg", "negativePrompt": "rain"},
        ],
        baseModel="creatures",
    )
    assert [image["seed"] for image in made["images"][:2]] == [7, 8]
    two = made["images"][2]
    assert (two["width"], two["height"], two["steps"], two["format"]) == (64, 32, 3, "jpeg")
    assert made["estimate"] == 60_000
    assert money(it) == (BALANCE, 60_000)
    spec = GenerateSpec.from_json(claimed(it, JobKind.GENERATE).spec)
    assert [picture.position for picture in spec.pictures] == [0, 1, 2]
    assert [picture.format for picture in spec.pictures] == ["png", "png", "jpeg"]
    wishes = [ImageSettings.from_written(picture.settings) for picture in spec.pictures]
    assert [wish.seed for wish in wishes] == [image["seed"] for image in made["images"]]
    assert all(wish.count == 1 for wish in wishes)


@pytest.mark.parametrize(
    ("sizes", "needs"),
    [
        ((24 * 10**9, 80 * 10**9), (10**6, 10**9)),  # as the embedded base model needs
        ((10**5, 10**6), (10**6, 10**6)),  # an estimate: the largest there is may do
    ],
)
def test_pictures_go_to_gpus_that_have_the_memory(it, sizes, needs):
    devices = [DeviceFacts(kind="cuda", has_bf16=True, free_bytes=size) for size in sizes]
    service = replace(it.service, devices=lambda: tuple(devices))
    request = InferenceRequest(images=[{"prompt": "one"}], base_model=BUILTIN)
    create_inference(service, it.owner, request)
    with it.service.database.reading() as transaction:
        (job,) = transaction.of(it.organization_id).jobs.unfinished(limit=1)
    least, most = needs
    assert job.gpus == 1
    assert least <= job.gpu_memory <= most


def test_the_largest_gpu_of_any_server_counts(it):
    small = DeviceFacts(kind="cuda", has_bf16=True, free_bytes=10**5)
    service = replace(it.service, devices=lambda: (small,))
    now = it.clock()
    elsewhere = Server(
        id="b",
        host="b",
        version="1",
        executor="local",
        machines=(),
        places=(
            Places(kinds=("generate",), count=1, gpus=1, gpu_memory=10**10),
            Places(kinds=("zip",), count=1),
        ),
        started_at=now,
        seen_at=now,
    )
    with it.service.database.transaction() as transaction:
        transaction.servers.saw(elsewhere)
    request = InferenceRequest(images=[{"prompt": "one"}], base_model=BUILTIN)
    create_inference(service, it.owner, request)
    with it.service.database.reading() as transaction:
        (job,) = transaction.of(it.organization_id).jobs.unfinished(limit=1)
    assert 10**6 < job.gpu_memory < 10**9


def test_files_that_cannot_be_read_are_the_jobs_own_fault(it, monkeypatch):
    def unreadable(*_, **__):
        raise OSError

    monkeypatch.setattr(picture_memory, "drawing_bytes", unreadable)
    device = DeviceFacts(kind="cuda", has_bf16=True, free_bytes=10**10)
    service = replace(it.service, devices=lambda: (device,))
    create_inference(
        service, it.owner, InferenceRequest(images=[{"prompt": "one"}], base_model=BUILTIN)
    )
    with it.service.database.reading() as transaction:
        (job,) = transaction.of(it.organization_id).jobs.unfinished(limit=1)
    assert (job.gpus, job.gpu_memory) == (1, 0)


def test_where_processors_draw_no_gpu_is_asked_for(it):
    draw(it, images=[{"prompt": "one"}], baseModel=BUILTIN)
    with it.service.database.reading() as transaction:
        (job,) = transaction.of(it.organization_id).jobs.unfinished(limit=1)
    assert (job.gpus, job.gpu_memory) == (0, 0)


def test_a_training_draws_with_its_lora_on_its_own_base_model(it, training_id):
    made = draw(it, images=[{"prompt": "lvff", "loraScale": 0.5}], trainingId=str(training_id))
    (image,) = made["images"]
    assert (image["baseModel"], image["trainingId"]) == ("creatures", str(training_id))
    (picture,) = GenerateSpec.from_json(claimed(it, JobKind.GENERATE).spec).pictures
    assert picture.lora is not None
    assert picture.lora.training_id == training_id
    assert it.service.files.read(picture.lora.storage_key) == b"kohya's"


def test_one_request_may_draw_with_several_models(it, training_id):
    made = draw(
        it,
        images=[{"prompt": "a"}, {"prompt": "b", "trainingId": str(training_id)}],
        baseModel="creatures",
    )
    assert [image["trainingId"] for image in made["images"]] == [None, str(training_id)]


def test_pictures_appear_as_they_are_drawn_and_their_links_open_them(it):
    made = draw(it, images=[{"prompt": "a", "count": 3}], baseModel="creatures")
    job = claimed(it, JobKind.GENERATE)
    store(it, job, 1, 0)
    shown = read(it, made)
    assert (shown["status"], shown["costSoFar"], shown["finalCost"]) == ("running", 40_000, None)
    assert [picture["position"] for picture in shown["pictures"]] == [0, 1]
    png = it.with_key(None).get(shown["pictures"][0]["url"])
    assert png.content.startswith(b"\x89PNG")
    store(it, job, 2)
    again = drawn(it, replace_prefix(job), 0)
    with it.service.database.transaction() as transaction:
        add_picture(transaction.of(it.organization_id), job, again, it.clock())
    ended(it, job)
    assert len(read(it, made)["pictures"]) == 3
    assert money(it) == (BALANCE - 60_000, 0)


@pytest.mark.parametrize(
    ("status", "fault", "cost"),
    [
        (JobStatus.CANCELLED, None, 40_000),
        (JobStatus.FAILED, Fault.THEIRS, 40_000),
        (JobStatus.FAILED, Fault.OURS, 0),
    ],
)
def test_what_was_drawn_is_paid_unless_the_fault_was_ours(it, status, fault, cost):
    made = draw(it, images=[{"prompt": "a", "count": 4}], baseModel="creatures")
    job = claimed(it, JobKind.GENERATE)
    store(it, job, 0, 1)
    error = None if fault is None else JobError(code="outOfMemory", message="Full.", fault=fault)
    ended(it, job, status, error=error)
    assert money(it) == (BALANCE - cost, 0)
    assert read(it, made)["finalCost"] == cost


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ({"prompt": "a", "width": 7}, "width must be a multiple of 8"),
        ({"prompt": "a", "steps": 61}, "steps must be"),
        ({"prompt": "a", "stpes": 6}, "did you mean steps?"),
        ({"prompt": "a", "count": 17}, "count must be"),
        ({"prompt": "a", "format": "gif"}, "format must be one of png, jpeg, webp"),
        ({"prompt": "a" * 10_001}, "at most 10,000"),
        ({"prompt": "a\0b"}, "null character"),
        ({}, "prompt is required"),
        ({"prompt": "a", "baseModel": None, "trainingId": None}, "give baseModel or trainingId"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_its_place(it, image, said):
    usual = {} if "baseModel" in image else {"baseModel": "creatures"}
    images = [{"prompt": "fine", "baseModel": "creatures"}, image]
    problem = draw(it, 422, images=images, **usual)
    assert problem["code"] == "invalidSettings"
    assert "images[1]" in problem["detail"]
    assert said in problem["detail"]
    assert money(it) == (BALANCE, 0)


def test_nothing_and_too_much_are_refused(it):
    assert draw(it, 400, images=[], baseModel="creatures")["field"] == "images"
    many = [{"prompt": "a", "count": 16}] * 17
    assert draw(it, 413, images=many, baseModel="creatures")["code"] == "tooLarge"


def test_a_training_that_is_not_there_or_not_done_draws_nothing(it):
    images = [{"prompt": "lvff"}]
    assert draw(it, 404, images=images, trainingId=str(uuid4()))["code"] == "notFound"
    assert draw(it, 400, images=[{"prompt": "a", "trainingId": "x"}])["field"] == "trainingId"
    id = start_training(it)
    unfinished = draw(it, 409, images=images, trainingId=str(id))
    assert "still queued" in unfinished["detail"]
    error = JobError(code="trainingDiverged", message="", fault=Fault.THEIRS)
    ended(it, claimed(it), JobStatus.FAILED, error=error)
    assert "has failed" in draw(it, 409, images=images, trainingId=str(id))["detail"]


def test_a_base_model_of_another_family_is_refused(it, training_id):
    with it.service.database.transaction() as transaction:
        models = transaction.of(it.organization_id).trained_models
        (model,) = models.all()
        models.replace(replace(model, base_model="org/other", family="flux"))
    problem = draw(
        it, 422, images=[{"prompt": "a"}], trainingId=str(training_id), baseModel="creatures"
    )
    assert problem["code"] == "incompatibleBaseModel"
    assert "flux" in problem["detail"]


def test_the_same_request_draws_once(it):
    key = {"Idempotency-Key": "k"}
    body = {"images": [{"prompt": "a"}], "baseModel": "creatures"}
    first, second = (draw(it, headers=key, **body) for _ in range(2))
    assert first["images"] == second["images"]
    assert money(it) == (BALANCE, 20_000)


def test_a_balance_that_does_not_cover_all_pictures_draws_none(tmp_path):
    with serving(tmp_path, starting_balance=39_999) as it:
        problem = draw(it, 402, images=[{"prompt": "a", "count": 2}], baseModel="creatures")
    assert (problem["needed"], problem["present"]) == (40_000, 39_999)


def test_a_pack_is_drawn_after_the_images(it):
    body = {"name": "Portraits", "images": [{"prompt": "lvff in the snow", "count": 2}]}
    pack = it.http.post("/v1/inference-packs", json=body).json()
    made = draw(it, images=[{"prompt": "first"}], inferencePackId=pack["id"], baseModel="creatures")
    prompts = [image["prompt"] for image in made["images"]]
    assert prompts == ["first", "lvff in the snow", "lvff in the snow"]
    assert len(draw(it, inferencePackId=pack["id"], baseModel="creatures")["images"]) == 2
    assert draw(it, 404, inferencePackId=str(uuid4()), baseModel="creatures")["code"] == "notFound"


def test_packs_are_made_changed_listed_and_forgotten(it):
    packs = "/v1/inference-packs"
    wrong = {"name": "P", "images": [{"prompt": "a", "stesp": 3}]}
    assert "did you mean steps?" in it.http.post(packs, json=wrong).json()["detail"]
    made = it.http.post(packs, json={"name": "P", "images": [{"prompt": "a", "steps": 3}]}).json()
    assert made["images"] == [{"prompt": "a", "steps": 3}]
    changed = it.http.patch(f"{packs}/{made['id']}", json={"name": "Q"}).json()
    assert (changed["name"], changed["images"]) == ("Q", made["images"])
    assert [one["id"] for one in it.http.get(packs).json()["items"]] == [made["id"]]
    assert it.as_role(Role.VIEWER).delete(f"{packs}/{made['id']}").status_code == 403
    assert it.http.delete(f"{packs}/{made['id']}").status_code == 204
    assert it.http.get(f"{packs}/{made['id']}").status_code == 404


def test_a_cancelled_inference_keeps_and_pays_what_is_drawn(it):
    made = draw(it, images=[{"prompt": "a", "count": 2}], baseModel="creatures")
    address = f"/v1/inferences/{made['id']}"
    job = claimed(it, JobKind.GENERATE)
    store(it, job, 0)
    assert it.http.post(f"{address}/cancel").json()["isCancelling"] is True
    assert it.http.delete(address).json()["code"] == "stillInUse"
    ended(it, job, JobStatus.CANCELLED)
    assert len(read(it, made)["pictures"]) == 1
    assert money(it) == (BALANCE - 20_000, 0)
    assert it.http.post(f"{address}/cancel").json()["code"] == "alreadyFinished"


def test_deleted_pictures_are_gone_and_what_was_paid_is_still_there(it):
    made = draw(it, images=[{"prompt": "a"}], baseModel="creatures")
    job = claimed(it, JobKind.GENERATE)
    store(it, job, 0)
    ended(it, job)
    url = read(it, made)["pictures"][0]["url"]
    receipt = it.http.delete(f"/v1/inferences/{made['id']}").json()
    assert receipt["counts"] == {"generatedPictures": 1, "files": 1}
    assert receipt["completedAt"] is not None
    assert it.http.get(f"/v1/inferences/{made['id']}").status_code == 404
    assert it.http.get(url).status_code == 404
    assert money(it) == (BALANCE - 20_000, 0)


def test_a_model_that_draws_is_not_deleted(it, training_id):
    draw(it, images=[{"prompt": "lvff"}], trainingId=str(training_id))
    answer = it.http.delete(f"/v1/trainings/{training_id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "stillInUse")
    ended(it, claimed(it, JobKind.GENERATE))
    assert it.http.delete(f"/v1/trainings/{training_id}").status_code == 200


def test_inferences_are_listed_and_tell_what_happens(it):
    made = draw(it, images=[{"prompt": "a"}], baseModel="creatures")
    ended(it, claimed(it, JobKind.GENERATE))
    assert [one["id"] for one in it.http.get("/v1/inferences").json()["items"]] == [made["id"]]
    told = it.http.get(f"/v1/inferences/{made['id']}/events").text
    assert [line for line in told.splitlines() if line.startswith("event")] == [
        "event: queued",
        "event: started",
        "event: finished",
    ]
    rest = it.http.get(f"/v1/inferences/{made['id']}/events", headers={"Last-Event-ID": "2"}).text
    assert "event: started" not in rest

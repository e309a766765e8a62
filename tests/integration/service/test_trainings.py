"""Trainings from the request to the end, as a client and a worker see them."""

import json
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from tests.serving import Serving, serving
from tests.uploaded import SETTINGS, a_dataset, add_picture, claimed, ended, trained

from modelgenerator.errors import NotEnoughMemory
from modelgenerator.service.billing.ledger import Ledger
from modelgenerator.service.operations import planning, trainings
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.planning import TrainingRequest
from modelgenerator.service.records.datasets import Origin
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.job_specs import TrainSpec
from modelgenerator.service.records.jobs import Fault, JobError, JobStatus
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import Template, TemplateVersion
from modelgenerator.service.store.job_changes import Told
from modelgenerator.training.plan import DeviceFacts


@pytest.fixture
def it(tmp_path):
    with serving(tmp_path) as it:
        yield it


@pytest.fixture
def dataset_id(it):
    return a_dataset(it)


def train(it: Serving, dataset_id: UUID, expect: int = 202, headers=None, query="", **more):
    body = {"datasetId": str(dataset_id), "settings": SETTINGS, **more}
    answer = it.http.post(f"/v1/trainings{query}", json=body, headers=headers)
    assert answer.status_code == expect, answer.text
    return answer.json()


def read(it: Serving, training):
    return it.http.get(f"/v1/trainings/{training['id']}").json()


def rows(it: Serving):
    """How many records of each kind there are."""
    with it.service.database.reading() as transaction:
        store = transaction.of(it.organization_id)
        kinds = (store.trainings, store.jobs, store.snapshots, store.webhook_endpoints)
        counts = [kind.count() for kind in kinds]
        counts.append(store.accounts.holds.count())
    return counts


def a_template(it: Serving, **settings) -> UUID:
    now, owner = it.clock(), it.organization_id
    template = Template(id=new_id(now), organization_id=owner, name="Faces", created_at=now)
    version = TemplateVersion(
        id=new_id(now),
        organization_id=owner,
        template_id=template.id,
        number=1,
        settings=settings,
        created_at=now,
    )
    with it.service.database.transaction() as transaction:
        store = transaction.of(owner)
        store.templates.add(template)
        store.template_versions.add(version)
    return template.id


def hold(it: Serving, key: str, amount: int) -> None:
    with it.service.database.transaction() as transaction:
        accounts = transaction.of(it.organization_id).accounts
        Ledger(accounts, it.clock()).hold(key, amount)


def delete_template(it: Serving, id: UUID) -> None:
    with it.service.database.transaction() as transaction:
        templates = transaction.of(it.organization_id).templates
        gone = templates.get(id)
        templates.replace(
            Template(
                id=gone.id,
                organization_id=gone.organization_id,
                name=gone.name,
                created_at=gone.created_at,
                deleted_at=it.clock(),
            )
        )


def test_a_dry_run_says_everything_and_writes_nothing(it, dataset_id):
    before = rows(it)
    told = train(it, dataset_id, 200, query="?dryRun=true")
    assert (told["pictures"], told["steps"]) == (5, 10)
    assert told["estimate"]["certainty"] == "guess"
    assert told["estimate"]["fewestSeconds"] <= told["estimate"]["mostSeconds"]
    assert told["cost"] == told["estimate"]["cost"] > 0
    assert told["plan"]["totalSteps"] == 10
    assert any("was drawn" in notice["message"] for notice in told["notices"])
    assert rows(it) == before == [0, 0, 0, 0, 0]


def test_of_several_gpus_the_smallest_that_it_fits_is_planned_for(it, dataset_id):
    small, large = (
        DeviceFacts(kind="cuda", has_bf16=True, free_bytes=size) for size in (10**6, 80 * 10**9)
    )
    request = TrainingRequest(dataset_id=dataset_id, settings=SETTINGS)
    both = replace(it.service, devices=lambda: (small, large))
    planned = planning.plan_training(both, it.owner, request)
    assert 10**6 < planned.plan.memory_bytes < 80 * 10**9
    with pytest.raises(NotEnoughMemory):
        planning.plan_training(replace(both, devices=lambda: (small, small)), it.owner, request)


def test_a_step_that_fits_no_gpu_is_divided_among_several(it, dataset_id):
    settings = {**SETTINGS, "batchSize": 4}
    request = TrainingRequest(dataset_id=dataset_id, settings=settings)

    def planned(free_bytes: int, count: int):
        device = DeviceFacts(kind="cuda", has_bf16=True, free_bytes=free_bytes, count=count)
        service = replace(it.service, devices=lambda: (device,))
        return planning.plan_training(service, it.owner, request).plan

    too_small, enough = 10**6, 80 * 10**9
    while enough - too_small > 10**5:
        try:
            size = (too_small + enough) // 2
            planned(size, 1)
            enough = size
        except NotEnoughMemory:
            too_small = size
    assert planned(enough, 4).processes == 1
    assert planned(too_small, 4).processes == 2
    with pytest.raises(NotEnoughMemory):
        planned(10**6, 4)


def test_a_training_waits_with_its_plan_and_its_money_held(it, dataset_id):
    made = train(it, dataset_id)
    assert (made["status"], made["name"], made["datasetId"]) == (
        "queued",
        "Fuchsi",
        str(dataset_id),
    )
    assert made["settings"]["seed"] == made["plan"]["seed"]
    money = it.http.get("/v1/organization").json()
    assert money["held"] == made["estimate"]["cost"]
    spec = TrainSpec.from_json(claimed(it).spec)
    assert spec.settings == made["settings"]
    assert [picture.label for picture in spec.pictures] == [f"{n}.png" for n in range(5)]
    assert (spec.captioner, spec.class_name, spec.subject_kind) == ("template", "fox", "animal")


def test_templates_are_overridden_one_by_one_and_may_be_deleted_afterwards(it, dataset_id):
    template_id = a_template(it, baseModel="creatures", epochs=7, networkDim=8)
    body = {"trainingSettingsId": str(template_id), "settings": {"epochs": 3}}
    made = train(it, dataset_id, **body)
    assert made["settings"]["epochs"] == 3
    assert made["settings"]["networkDim"] == 8
    delete_template(it, template_id)
    assert read(it, made)["settings"] == made["settings"]
    assert train(it, dataset_id, 404, **body)["code"] == "notFound"


def test_every_fault_of_the_settings_is_told_at_once(it, dataset_id):
    wrong = {"baseModel": "creatures", "lerningRate": 1, "epochs": 0, "networkDim": "64"}
    problem = train(it, dataset_id, 422, settings=wrong)
    assert problem["code"] == "invalidSettings"
    assert "did you mean learningRate?" in problem["detail"]
    assert "epochs must be" in problem["detail"]
    assert "networkDim must be" in problem["detail"]


@pytest.mark.parametrize("value", ["1.5", '"50"', "true", "1e999", "10001", "0"])
def test_epochs_are_a_whole_number_in_range(it, dataset_id, value):
    settings = f'{{"baseModel": "creatures", "epochs": {value}}}'
    body = f'{{"datasetId": "{dataset_id}", "settings": {settings}}}'
    answer = it.http.post(
        "/v1/trainings", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert "epochs" in answer.json()["detail"]


def test_somebody_must_say_the_base_model(it, dataset_id):
    assert "baseModel is required" in train(it, dataset_id, 422, settings={})["detail"]


@pytest.mark.parametrize("path", ["/etc/passwd", "~", "../..", "./here"])
def test_a_stranger_names_no_path_of_this_machine(it, dataset_id, path):
    problem = train(it, dataset_id, 422, settings={"baseModel": path})
    assert problem["code"] == "baseModelNotFound"
    assert "There is no base model" in problem["detail"]


def test_too_few_pictures_must_be_meant(it):
    few = a_dataset(it, pictures=3)
    problem = train(it, few, 422)
    assert problem["code"] == "tooFewPictures"
    assert "acknowledgeWarnings" in problem["hint"]
    assert train(it, few, acknowledgeWarnings=True)["status"] == "queued"


def test_a_dataset_without_pictures_teaches_nothing(it):
    assert train(it, a_dataset(it, pictures=0), 422)["code"] == "unusableDataset"


def test_what_is_not_there_is_not_found(it, dataset_id):
    assert train(it, uuid4(), 404)["code"] == "notFound"
    assert train(it, dataset_id, 404, trainingSettingsId=str(uuid4()))["code"] == "notFound"
    nowhere = f"/v1/trainings/{uuid4()}"
    for address in ("", "/events", "/logs", "/samples", "/attempts", "/model"):
        assert it.http.get(f"{nowhere}{address}").status_code == 404, address
    assert it.http.post(f"{nowhere}/cancel").status_code == 404
    assert it.http.delete(nowhere).status_code == 404


def test_a_viewer_looks_and_starts_nothing(it, dataset_id):
    made = train(it, dataset_id)
    viewer = it.as_role(Role.VIEWER)
    assert viewer.get(f"/v1/trainings/{made['id']}").status_code == 200
    body = {"datasetId": str(dataset_id), "settings": SETTINGS}
    for query in ("", "?dryRun=true"):
        assert viewer.post(f"/v1/trainings{query}", json=body).status_code == 403
    assert viewer.post(f"/v1/trainings/{made['id']}/cancel").status_code == 403


def test_the_same_request_starts_one_training(it, dataset_id):
    key = {"Idempotency-Key": "k"}
    first, second = (train(it, dataset_id, headers=key) for _ in range(2))
    assert first["id"] == second["id"]
    assert rows(it)[:2] == [1, 1]
    other = {"datasetId": str(dataset_id), "settings": {**SETTINGS, "epochs": 3}}
    assert it.http.post("/v1/trainings", json=other, headers=key).status_code == 422


def test_a_request_that_is_repeated_is_answered_though_it_could_not_be_made_any_more(
    it, dataset_id
):
    template_id = a_template(it, baseModel="creatures")
    body = {"trainingSettingsId": str(template_id), "settings": {"epochs": 1}}
    first = train(it, dataset_id, headers={"Idempotency-Key": "k"}, **body)
    delete_template(it, template_id)
    again = train(it, dataset_id, headers={"Idempotency-Key": "k"}, **body)
    assert again["id"] == first["id"]


def test_the_same_pictures_are_one_snapshot(it, dataset_id):
    train(it, dataset_id)
    train(it, dataset_id)
    assert rows(it)[2] == 1
    with it.service.database.reading() as transaction:
        dataset = transaction.of(it.organization_id).datasets.get(dataset_id)
    add_picture(it, dataset, 17)
    train(it, dataset_id)
    assert rows(it)[2] == 2


def test_a_dataset_that_changes_meanwhile_is_not_trained_half_old(it, dataset_id, monkeypatch):
    real = planning.plan_training

    def slow(service, caller, request):
        planned = real(service, caller, request)
        with service.database.reading() as transaction:
            dataset = transaction.of(it.organization_id).datasets.get(dataset_id)
        add_picture(it, dataset, 23)
        return planned

    monkeypatch.setattr(trainings, "plan_training", slow)
    assert train(it, dataset_id, 409)["code"] == "conflict"
    assert rows(it) == [0, 0, 0, 0, 0]


def test_lists_are_filtered_by_status_and_dataset(it, dataset_id):
    waiting = train(it, dataset_id)
    other_dataset = a_dataset(it)
    other = train(it, other_dataset)
    it.http.post(f"/v1/trainings/{other['id']}/cancel")

    def listed(query):
        return [one["id"] for one in it.http.get(f"/v1/trainings{query}").json()["items"]]

    assert listed("") == [other["id"], waiting["id"]]
    assert listed("?status=queued") == [waiting["id"]]
    assert listed("?status=cancelled") == [other["id"]]
    assert listed(f"?datasetId={dataset_id}") == [waiting["id"]]
    assert listed("?limit=1") == [other["id"]]


def test_a_training_that_succeeded_leaves_a_model_in_both_layouts(it, dataset_id):
    made = train(it, dataset_id)
    trained(it, claimed(it))
    now = read(it, made)
    assert now["status"] == "succeeded"
    assert now["model"]["layouts"] == ["kohya", "diffusers"]
    address = f"/v1/trainings/{made['id']}/model"
    assert it.http.get(address).content == b"kohya's"
    assert it.http.get(f"{address}?layout=diffusers").content == b"diffusers'"
    assert it.http.get(f"{address}?layout=comfy").status_code == 422


def test_a_model_lives_thirty_days_and_seven_if_a_flow_trained_it(it, dataset_id):
    expiries = []
    for origin in (Origin.DASHBOARD, Origin.FLOW):
        caller = Caller(organization_id=it.organization_id, role=Role.MEMBER, origin=origin)
        request = TrainingRequest(dataset_id=dataset_id, settings=SETTINGS)
        id = trainings.create_training(it.service, caller, request)
        finished = it.clock.now
        trained(it, claimed(it))
        with it.service.database.reading() as transaction:
            model = transaction.of(it.organization_id).trained_models.first(training_id=id)
        expiries.append(round((model.expires_at - finished) / timedelta(days=1), 3))
    assert expiries == [30, 7]


def test_an_operator_may_forbid_downloads(tmp_path):
    with serving(tmp_path, allow_download=False) as it:
        made = train(it, a_dataset(it))
        trained(it, claimed(it))
        answer = it.http.get(f"/v1/trainings/{made['id']}/model")
    assert answer.status_code == 403
    assert "does not let trained models be downloaded" in answer.json()["detail"]


def test_what_has_not_succeeded_has_no_model(it, dataset_id):
    made = train(it, dataset_id)
    answer = it.http.get(f"/v1/trainings/{made['id']}/model")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "still queued" in answer.json()["detail"]


def test_name_and_expiry_can_be_changed_until_it_passes(it, dataset_id):
    made = train(it, dataset_id)
    address = f"/v1/trainings/{made['id']}"
    assert it.http.patch(address, json={"name": "Ada"}).json()["name"] == "Ada"
    in_march = {"expiresAt": "2027-03-01T00:00:00Z"}
    assert it.http.patch(address, json=in_march).status_code == 409
    trained(it, claimed(it))
    changed = it.http.patch(address, json=in_march)
    assert changed.json()["model"]["expiresAt"] == "2027-03-01T00:00:00Z"
    for wrong in ("2020-01-01T00:00:00Z", "2060-01-01T00:00:00Z", "2027-03-01T00:00:00"):
        answer = it.http.patch(address, json={"expiresAt": wrong})
        assert (answer.status_code, answer.json()["field"]) == (400, "expiresAt")
    it.clock.advance(365 * 86_400)
    answer = it.http.patch(address, json={"expiresAt": "2028-03-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["code"]) == (410, "modelExpired")


def test_a_priority_is_asked_for_and_changed_until_it_ends(it, dataset_id):
    training = train(it, dataset_id, priority="low")
    assert (training["priority"], train(it, dataset_id)["priority"]) == ("low", "normal")
    address = f"/v1/trainings/{training['id']}"
    assert it.http.patch(address, json={"priority": "high"}).json()["priority"] == "high"
    job = claimed(it)
    assert job.target_id == UUID(training["id"])
    assert it.http.patch(address, json={"priority": "urgent"}).status_code == 422
    ended(it, job, JobStatus.CANCELLED)
    assert it.http.patch(address, json={"priority": "low"}).status_code == 409


def test_an_operator_says_how_high_a_priority_may_be(tmp_path):
    with serving(tmp_path, highest_priority="normal") as it:
        fault = train(it, a_dataset(it), 400, priority="high")
        said = "priority is low or normal here, not high."
        assert (fault["field"], fault["detail"]) == ("priority", said)


def test_a_training_that_waits_is_cancelled_at_once(it, dataset_id):
    made = train(it, dataset_id)
    answer = it.http.post(f"/v1/trainings/{made['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert answer.json()["finalCost"] == 0
    again = it.http.post(f"/v1/trainings/{made['id']}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "alreadyFinished")


def test_a_training_that_runs_is_asked_to_end(it, dataset_id):
    made = train(it, dataset_id)
    job = claimed(it)
    for _ in range(2):
        answer = it.http.post(f"/v1/trainings/{made['id']}/cancel").json()
        assert (answer["status"], answer["isCancelling"]) == ("running", True)
    ended(it, job, JobStatus.CANCELLED, used_ms=30_000)
    assert read(it, made)["status"] == "cancelled"


def test_it_goes_on_from_its_checkpoint_and_only_from_there(it, dataset_id):
    made = train(it, dataset_id)
    address = f"/v1/trainings/{made['id']}/resume"
    assert it.http.post(address).status_code == 409
    job = claimed(it)
    with it.service.database.transaction() as transaction:
        transaction.jobs.record(job.lease, [], it.clock(), progress={"step": 5, "totalSteps": 10})
        transaction.jobs.save_checkpoint(
            job.lease, "organizations/x/checkpoint", {"step": 5}, it.clock(), used_ms=20_000
        )
    ended(it, job, JobStatus.CANCELLED, used_ms=20_000)
    resumed = it.http.post(address)
    assert (resumed.status_code, resumed.json()["status"]) == (202, "queued")
    again = claimed(it)
    assert again.id != job.id
    assert again.checkpoint_key == "organizations/x/checkpoint"
    assert again.used_ms == 0
    assert again.estimate <= job.estimate
    assert again.spec == job.spec
    trained(it, again, used_ms=10_000)
    done = read(it, made)
    assert done["finalCost"] == 30_000
    assert [one["number"] for one in it.http.get(address.replace("resume", "attempts")).json()] == [
        1,
        1,
    ]
    assert it.http.post(address).json()["code"] == "alreadyFinished"


def test_what_ended_before_a_checkpoint_cannot_go_on(it, dataset_id):
    made = train(it, dataset_id)
    it.http.post(f"/v1/trainings/{made['id']}/cancel")
    problem = it.http.post(f"/v1/trainings/{made['id']}/resume").json()
    assert "before its first checkpoint" in problem["detail"]


def test_a_failure_says_whose_it_was_and_who_pays(it, dataset_id):
    for fault, said in ((Fault.OURS, "not your fault"), (Fault.THEIRS, "was charged")):
        made = train(it, dataset_id)
        error = JobError(
            code="trainingDiverged", message="The loss.", fault=fault, hint="Lower it."
        )
        ended(it, claimed(it), JobStatus.FAILED, used_ms=60_000, error=error)
        told = read(it, made)["error"]
        assert (told["code"], told["fault"], told["hint"]) == (
            "trainingDiverged",
            fault,
            "Lower it.",
        )
        assert said in told["charged"]


def test_the_log_is_read_in_lines_searched_and_continued(it, dataset_id):
    made = train(it, dataset_id)
    job = claimed(it)
    with it.service.database.transaction() as transaction:
        told = [Told("epoch", {"epoch": n, "meanLoss": 0.5}) for n in range(1, 4)]
        transaction.jobs.record(job.lease, [*told, Told("odd", {"a": 1, "b": [2]})], it.clock())
    address = f"/v1/trainings/{made['id']}/logs"
    log = it.http.get(address).json()
    assert [line["text"] for line in log["lines"]] == [
        "Waits for its turn.",
        "Attempt 1 begins.",
        "Epoch 1 is done, mean loss 0.5.",
        "Epoch 2 is done, mean loss 0.5.",
        "Epoch 3 is done, mean loss 0.5.",
        "odd: a 1, b 2",
    ]
    found = it.http.get(f"{address}?search=EPOCH 2").json()
    assert [line["number"] for line in found["lines"]] == [4]
    rest = it.http.get(f"{address}?after=4&limit=1").json()
    assert ([line["number"] for line in rest["lines"]], rest["lastNumber"]) == ([5], 5)


def test_samples_are_shown_with_links_that_open_them(it, dataset_id):
    made = train(it, dataset_id)
    job = claimed(it)
    key = f"{job.spec['storagePrefix']}/sample-1.png"
    it.service.files.put(key, b"a sample")
    with it.service.database.transaction() as transaction:
        told = Told("sample", {"epoch": 1, "prompt": "lvff", "storageKey": key})
        transaction.jobs.record(job.lease, [told], it.clock())
    (sample,) = it.http.get(f"/v1/trainings/{made['id']}/samples").json()
    assert (sample["epoch"], sample["prompt"]) == (1, "lvff")
    assert it.with_key(None).get(sample["url"]).content == b"a sample"


def test_events_show_neither_the_worker_nor_places_in_the_storage(it, dataset_id):
    made = train(it, dataset_id)
    job = claimed(it)
    key = f"{job.spec['storagePrefix']}/sample-1.png"
    it.service.files.put(key, b"a sample")
    with it.service.database.transaction() as transaction:
        place = {"storageKey": key}
        told = [
            Told("sample", {"epoch": 1, "prompt": "lvff", **place}),
            Told("loraSaved", {"epoch": 1, **place}),
            Told("checkpointUnusable", {"reason": "it is damaged", **place}),
            Told("odd", {"a": 1, **place}),
        ]
        transaction.jobs.record(job.lease, told, it.clock())
    ended(
        it,
        job,
        JobStatus.FAILED,
        error=JobError(code="crashed", message="It crashed.", fault=Fault.OURS),
    )
    address = f"/v1/trainings/{made['id']}"
    events, log = it.http.get(f"{address}/events").text, it.http.get(f"{address}/logs").text
    for told in (events, log):
        assert "storageKey" not in told
        assert '"owner"' not in told
        assert "worker." not in told
    data = next(line for line in events.splitlines() if "lvff" in line)
    sample = json.loads(data.removeprefix("data: "))
    assert it.with_key(None).get(sample["url"]).content == b"a sample"


def test_a_reader_that_knows_the_last_event_is_not_kept_waiting(it, dataset_id):
    made = train(it, dataset_id)
    it.http.post(f"/v1/trainings/{made['id']}/cancel")
    address = f"/v1/trainings/{made['id']}/events"
    whole = it.http.get(address).text
    last = [line.removeprefix("id: ") for line in whole.splitlines() if line.startswith("id")][-1]
    for known in (last, "999999"):
        assert it.http.get(address, headers={"Last-Event-ID": known}).text.strip() == ""


def test_how_it_ended_is_said_in_words(it, dataset_id):
    made = train(it, dataset_id)
    address = f"/v1/trainings/{made['id']}"
    it.http.post(f"{address}/cancel")
    again = it.http.post(f"{address}/cancel").json()
    assert again["detail"] == "This job has ended already: it was cancelled."
    assert "was cancelled: there is no trained model" in it.http.get(f"{address}/model").text


def test_a_deleted_training_leaves_a_receipt_and_its_money(it, dataset_id):
    made = train(it, dataset_id)
    job = claimed(it)
    trained(it, job)
    receipt = it.http.delete(f"/v1/trainings/{made['id']}").json()
    assert (receipt["kind"], receipt["targetId"]) == ("training", made["id"])
    assert receipt["completedAt"] is not None
    assert list(it.service.files.keys(str(job.spec["storagePrefix"]))) == []
    assert it.http.get(f"/v1/trainings/{made['id']}").status_code == 404
    assert it.http.get("/v1/trainings").json()["items"] == []
    assert it.http.get("/v1/organization").json()["balance"] == 100_000_000 - 60_000


def test_what_runs_is_deleted_only_if_it_may_be_cancelled(it, dataset_id):
    made = train(it, dataset_id)
    job = claimed(it)
    address = f"/v1/trainings/{made['id']}"
    assert it.http.delete(address).json()["code"] == "stillInUse"
    assert it.http.delete(f"{address}?cancel=true").status_code == 200
    assert it.http.get(address).status_code == 404
    it.service.files.put(f"{job.spec['storagePrefix']}/late.safetensors", b"late")
    ended(it, job, JobStatus.CANCELLED, used_ms=1_000)
    with it.service.database.reading() as transaction:
        assert len(transaction.unfinished_deletions()) == 1
    assert it.http.get("/v1/organization").json()["held"] == 0


def test_a_worker_that_finishes_a_deleted_training_leaves_no_model(it, dataset_id):
    made = train(it, dataset_id)
    job = claimed(it)
    it.http.delete(f"/v1/trainings/{made['id']}?cancel=true")
    trained(it, job)
    with it.service.database.reading() as transaction:
        assert transaction.of(it.organization_id).trained_models.count() == 0


def test_a_training_teaches_how_long_the_next_takes(it, dataset_id):
    train(it, dataset_id)
    trained(it, claimed(it), used_ms=60_000, preparing_ms=10_000)
    told = train(it, dataset_id, 200, query="?dryRun=true")["estimate"]
    assert (told["certainty"], told["seconds"]) == ("measured", 60)
    assert told["cost"] == 60_000
    larger = {**SETTINGS, "resolution": 64}
    scaled = train(it, dataset_id, 200, query="?dryRun=true", settings=larger)["estimate"]
    assert (scaled["certainty"], scaled["seconds"]) == ("scaled", 240)
    assert scaled["mostSeconds"] > told["mostSeconds"]


def test_the_balance_must_cover_the_estimate(it, dataset_id):
    hold(it, "other work", 100_000_000 - 1)
    problem = train(it, dataset_id, 402)
    assert problem["code"] == "insufficientFunds"
    assert (problem["present"], problem["needed"]) == (1, 2_000)
    assert rows(it)[:2] == [0, 0]


def test_a_webhook_of_one_training_is_told_of_that_one(tmp_path):
    with serving(tmp_path, webhook_private_networks=True) as it:
        dataset_id = a_dataset(it)
        key = {"Idempotency-Key": "k"}
        made = train(it, dataset_id, headers=key, webhookUrl="http://127.0.0.1:9/told")
        again = train(it, dataset_id, headers=key, webhookUrl="http://127.0.0.1:9/told")
        train(it, dataset_id)
        assert made["webhookSecret"].startswith("whsec_")
        assert again["webhookSecret"] == made["webhookSecret"]
        assert read(it, made)["webhookSecret"] is None
        assert it.http.get("/v1/webhooks").json()["items"] == []
        for _ in range(2):
            trained(it, claimed(it))
        with it.service.database.reading() as transaction:
            (delivery,) = transaction.of(it.organization_id).webhook_deliveries.all()
    assert delivery.type == "training.succeeded"
    assert delivery.payload["data"] == {"id": made["id"], "status": "succeeded"}


def test_a_webhook_into_the_private_network_is_refused_before_anything_is_made(it, dataset_id):
    problem = train(it, dataset_id, 422, webhookUrl="http://169.254.169.254/latest")
    assert (problem["code"], problem["field"]) == ("addressRefused", "webhookUrl")
    assert rows(it) == [0, 0, 0, 0, 0]

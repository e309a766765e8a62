"""What is left of what a person had deleted: a receipt, and nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.remembered import a_flow_run, a_job, an_organization
from tests.sent_photos import grey, images, png, send
from tests.serving import Serving, serving

from modelgenerator.service.billing.ledger import Ledger
from modelgenerator.service.errors import Conflict, Forbidden, NotFound, StillInUse
from modelgenerator.service.operations import deletions
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.datasets import as_snapshot, read_dataset
from modelgenerator.service.operations.outcomes import record_end
from modelgenerator.service.operations.paying import payment_key
from modelgenerator.service.records.datasets import DatasetSnapshot, Origin
from modelgenerator.service.records.flows import (
    RunEventName,
    RunStatus,
    StepResult,
)
from modelgenerator.service.records.generations import GeneratedPicture, Inference
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.jobs import Fault, Job, JobError, JobKind, JobStatus
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import TrainedModel, Training
from modelgenerator.service.records.webhooks import WebhookEndpoint
from modelgenerator.service.store.job_changes import Told
from modelgenerator.service.store.job_queue import Offer
from modelgenerator.service.store.keys import organization_key

SECRET = "Zerlinde"
"""In every word that a person said."""
WEIGHTS = b"WEIGHTS-OF-HER-FACE" * 50
DRAWN = b"PICTURE-DRAWN-OF-HER" * 50


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Serving]:
    with serving(tmp_path) as served:
        yield served


@pytest.fixture
def subject(served: Serving) -> dict[str, Any]:
    """With two photos, a caption and a mask."""
    made = served.http.post("/v1/subjects", json={"name": SECRET, "className": "woman"}).json()
    files = [(f"{SECRET}.png", png(50)), (f"{SECRET}.txt", f"{SECRET} smiles".encode())]
    send(served, made["datasetId"], *files, (f"{SECRET}.mask.png", grey(50)), ("b.png", png(51)))
    return made


def look_at(served: Serving, dataset: str) -> None:
    """Make everything that is made of photos on this machine."""
    for image in images(served, dataset):
        assert served.http.get(image["thumbnailUrl"]).status_code == 200
        assert served.http.get(image["previewUrl"], params={"mask": True}).status_code == 200
    assert served.http.get(f"/v1/datasets/{dataset}/report").status_code == 200


class Life:
    """What others make of a subject's pictures: a training, its model, pictures, an archive."""

    def __init__(self, served: Serving, dataset_id: UUID) -> None:
        self.served, self.dataset_id = served, dataset_id
        self.organization_id = served.organization_id
        self.training_id = new_id(served.clock())
        self.flow_run_id = self._flow_run()
        self.training_job = self._train()

    def _key(self, *parts: str) -> str:
        return organization_key(self.organization_id, *parts)

    def _queued(self, kind: JobKind, target_id: UUID, spec: dict[str, object]) -> Job:
        job = a_job(
            self.organization_id, self.served.clock, kind=kind, target_id=target_id, spec=spec
        )
        with self.served.service.database.transaction() as transaction:
            transaction.of(self.organization_id).jobs.add(job)
        return job

    def _flow_run(self) -> UUID:
        now = self.served.clock()
        return a_flow_run(
            self.served.service.database,
            self.organization_id,
            self.served.clock,
            input={"name": SECRET, "photos": str(self.dataset_id)},
            dataset_ids=(self.dataset_id,),
            status=RunStatus.SUCCEEDED,
            finished_at=now,
        ).id

    def _train(self) -> Job:
        now = self.served.clock()
        seen = read_dataset(self.served.service, self.served.owner, self.dataset_id)
        pictures = tuple(as_snapshot(picture) for picture in seen.pictures)
        snapshot = DatasetSnapshot(
            id=new_id(now),
            organization_id=self.organization_id,
            dataset_id=self.dataset_id,
            fingerprint="f",
            pictures=pictures,
            created_at=now,
        )
        spec = {
            "datasetId": str(self.dataset_id),
            "storagePrefix": self._key("trainings", self.training_id.hex),
            "pictures": [{"label": picture.label} for picture in pictures],
            "settings": {"samplePrompts": [f"{SECRET} on the moon"]},
        }
        job = self._queued(JobKind.TRAIN, self.training_id, spec)
        training = Training(
            id=self.training_id,
            organization_id=self.organization_id,
            name=f"{SECRET} in oil",
            origin=Origin.API,
            snapshot_id=snapshot.id,
            template_version_id=None,
            settings={"captionPrefix": SECRET},
            plan={},
            estimate={},
            notices=({"message": f"{SECRET}.png is small."},),
            job_id=job.id,
            flow_run_id=self.flow_run_id,
            created_at=now,
        )
        with self.served.service.database.transaction() as transaction:
            store = transaction.of(self.organization_id)
            store.snapshots.add(snapshot)
            store.trainings.add(training)
            store.step_results.add(self._step("train", 0, job.id))
        return job

    def _step(self, name: str, position: int, job_id: UUID) -> StepResult:
        now = self.served.clock()
        return StepResult(
            id=new_id(now),
            organization_id=self.organization_id,
            run_id=self.flow_run_id,
            step_id=name,
            position=position,
            attempt=1,
            type="ModelGenerator",
            status=RunStatus.SUCCEEDED,
            parameters={"prompt": SECRET},
            result={"prompt": SECRET},
            error=None,
            job_id=job_id,
            created_at=now,
            finished_at=now,
        )

    def claim(self) -> Job:
        """The next job, running."""
        now = self.served.clock()
        with self.served.service.database.transaction() as transaction:
            job = transaction.jobs.claim(
                Offer(owner="w", kinds=[*JobKind]), now, timedelta(hours=1)
            )
            assert job is not None
            told = [Told("noticed", {"message": f"{SECRET}.png is small."})]
            transaction.jobs.record(job.lease, told, now, progress={"step": 1})
        return job

    def finish(self, job: Job, error: JobError | None = None) -> None:
        status = JobStatus.FAILED if error else JobStatus.SUCCEEDED
        with self.served.service.database.transaction() as transaction:
            transaction.jobs.finish(job.lease, status, self.served.clock(), error=error)

    def live(self) -> None:
        """All of it, to the end."""
        self.finish(self.claim())
        model = self._model()
        self._drawing(model)
        zipped = self._key("runs", self.flow_run_id.hex)
        spec = {"storagePrefix": zipped, "entries": [{"storageKey": f"{self.drawn_at}/0.png"}]}
        job = self._queued(JobKind.ZIP, new_id(self.served.clock()), spec)
        self.served.service.files.put(f"{zipped}/all.zip", DRAWN)
        self.finish(self.claim())
        with self.served.service.database.transaction() as transaction:
            transaction.of(self.organization_id).step_results.add(self._step("zip", 1, job.id))

    def _model(self) -> TrainedModel:
        now = self.served.clock()
        prefix = self._key("trainings", self.training_id.hex)
        files = self.served.service.files
        stored = files.put(f"{prefix}/attempts/1/lora.safetensors", WEIGHTS)
        files.put(f"{prefix}/attempts/1/samples/0.png", DRAWN)
        files.put(f"{prefix}/attempts/1/checkpoint", WEIGHTS)
        model = TrainedModel(
            id=new_id(now),
            organization_id=self.organization_id,
            training_id=self.training_id,
            base_model="builtin",
            family="sd",
            layout="kohya",
            other_layout=None,
            storage_key=stored.key,
            sha256=stored.sha256,
            byte_count=stored.byte_count,
            created_at=now,
            expires_at=now + timedelta(days=30),
        )
        with self.served.service.database.transaction() as transaction:
            transaction.of(self.organization_id).trained_models.add(model)
        return model

    def _drawing(self, model: TrainedModel) -> None:
        now = self.served.clock()
        id = new_id(now)
        self.drawn_at = self._key("inferences", id.hex)
        spec = {
            "storagePrefix": self.drawn_at,
            "pictures": [{"lora": {"trainingId": str(self.training_id)}, "prompt": SECRET}],
        }
        job = self._queued(JobKind.GENERATE, id, spec)
        stored = self.served.service.files.put(f"{self.drawn_at}/0.png", DRAWN)
        picture = GeneratedPicture(
            id=new_id(now),
            organization_id=self.organization_id,
            inference_id=id,
            position=0,
            storage_key=stored.key,
            sha256=stored.sha256,
            byte_count=stored.byte_count,
            width=8,
            height=8,
            seed=1,
            parameters={"prompt": SECRET},
            created_at=now,
        )
        inference = Inference(
            id=id,
            organization_id=self.organization_id,
            base_model=None,
            trained_model_id=model.id,
            images=({"prompt": SECRET},),
            job_id=job.id,
            flow_run_id=None,
            created_at=now,
        )
        with self.served.service.database.transaction() as transaction:
            store = transaction.of(self.organization_id)
            store.inferences.add(inference)
            store.generated_pictures.add(picture)
        self.finish(self.claim())


def found(folder: Path, *words: bytes) -> list[Path]:
    """Files that have any of `words` in them."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(word in path.read_bytes() for word in words)]


def test_nothing_of_a_subject_is_left_in_storage_database_or_rooms(
    served: Serving, subject: dict[str, Any], tmp_path: Path
) -> None:
    dataset_id = UUID(subject["datasetId"])
    life = Life(served, dataset_id)
    life.live()
    look_at(served, subject["datasetId"])
    photos = [path.read_bytes() for path in (tmp_path / "files").rglob("*.webp")]
    words = (SECRET.encode(), WEIGHTS, DRAWN, *photos)
    assert len(photos) == 2
    assert found(tmp_path, *words)

    answer = served.http.delete(f"/v1/subjects/{subject['id']}")

    assert answer.status_code == 200
    receipt = answer.json()
    assert receipt["completedAt"] is not None
    assert receipt["counts"] == {
        "subjects": 1,
        "pictures": 2,
        "masks": 1,
        "snapshots": 1,
        "trainings": 1,
        "models": 1,
        "inferences": 1,
        "generatedPictures": 1,
        "files": 8,
    }
    assert len(receipt["hashes"]) == 4
    assert found(tmp_path, *words) == []
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []
    assert list((tmp_path / "derived").rglob("*")) == []
    assert served.http.get(f"/v1/subjects/{subject['id']}").status_code == 404
    assert served.http.get(f"/v1/datasets/{dataset_id}").status_code == 404
    assert served.http.get(f"/v1/deletions/{receipt['id']}").json() == receipt


def test_the_job_stays_and_says_when_it_ran_and_nothing_that_a_person_said(
    served: Serving, subject: dict[str, Any]
) -> None:
    life = Life(served, UUID(subject["datasetId"]))
    error = JobError(code="stalled", message=f"{SECRET}.png", fault=Fault.OURS)
    life.finish(life.claim(), error)
    served.http.delete(f"/v1/subjects/{subject['id']}")
    with served.service.database.reading() as transaction:
        jobs = transaction.of(served.organization_id).jobs
        job, events = jobs.get(life.training_job.id), jobs.events_after(life.training_job.id, 0)
    assert job.status is JobStatus.FAILED
    assert job.spec == {}
    assert job.error == JobError(code="stalled", message="Deleted.", fault=Fault.OURS)
    assert [event.data for event in events if event.is_final] == [{"status": "failed"}]
    assert SECRET not in repr((job, events))


def test_what_was_paid_stays_and_messages_say_no_more_than_that_something_ended(
    served: Serving, subject: dict[str, Any]
) -> None:
    life = Life(served, UUID(subject["datasetId"]))
    job = life.claim()
    endpoint = WebhookEndpoint(
        id=new_id(served.clock()),
        organization_id=served.organization_id,
        url="https://example.com/",
        secrets=("s",),
        event_types=(),
        job_id=None,
        created_at=served.clock(),
    )
    with served.service.database.transaction() as transaction:
        store = transaction.of(served.organization_id)
        store.webhook_endpoints.add(endpoint)
        Ledger(store.accounts, served.clock()).hold(payment_key(job), 60_000, job_id=job.id)
    error = JobError(code="stalled", message=f"{SECRET}.png", fault=Fault.THEIRS)
    with served.service.database.transaction() as transaction:
        now = served.clock()
        ended = transaction.jobs.finish(
            job.lease, JobStatus.FAILED, now, error=error, used_ms=60_000
        )
        record_end(served.service, transaction, ended, None)
        transaction.of(served.organization_id).run_events.tell(
            life.flow_run_id,
            RunEventName.FINISHED,
            {"status": "failed", "error": {"message": SECRET}},
            now,
        )
    with served.service.database.reading() as transaction:
        before = transaction.of(served.organization_id).accounts.read()
    assert SECRET in _ledger_and_messages(served)
    served.http.delete(f"/v1/subjects/{subject['id']}")
    with served.service.database.reading() as transaction:
        assert transaction.of(served.organization_id).accounts.read() == before
    told = _ledger_and_messages(served)
    assert SECRET not in told
    assert "training.failed" in told
    with served.service.database.reading() as transaction:
        store = transaction.of(served.organization_id)
        run = store.flow_runs.get(life.flow_run_id)
        steps = store.step_results.in_order(run.id)
        events = store.run_events.from_number(run.id, 1, limit=10)
    assert [event.data for event in events] == [{"status": "failed"}]
    assert SECRET not in repr((run, steps))


def _ledger_and_messages(served: Serving) -> str:
    with served.service.database.reading() as transaction:
        store = transaction.of(served.organization_id)
        return repr((store.accounts.entries.all(), store.webhook_deliveries.all()))


def test_pictures_of_others_stay(served: Serving, subject: dict[str, Any]) -> None:
    other = served.http.post("/v1/subjects", json={"name": "Bob"}).json()
    send(served, other["datasetId"], ("a.png", png(50)))
    served.http.delete(f"/v1/subjects/{subject['id']}")
    [image] = images(served, other["datasetId"])
    assert served.http.get(image["thumbnailUrl"]).status_code == 200


def test_while_it_trains_it_is_not_deleted(served: Serving, subject: dict[str, Any]) -> None:
    life = Life(served, UUID(subject["datasetId"]))
    life.claim()
    answer = served.http.delete(f"/v1/subjects/{subject['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "stillInUse")
    assert "cancel=true" in answer.json()["hint"]
    assert len(images(served, subject["datasetId"])) == 2
    with served.service.database.reading() as transaction:
        assert transaction.unfinished_deletions() == []


def test_with_cancel_it_is_deleted_when_the_training_has_ended(
    served: Serving, subject: dict[str, Any], tmp_path: Path
) -> None:
    life = Life(served, UUID(subject["datasetId"]))
    job = life.claim()
    address = f"/v1/subjects/{subject['id']}"
    receipt = served.http.delete(address, params={"cancel": True}).json()
    assert receipt["completedAt"] is None
    assert served.http.delete(address, params={"cancel": True}).json()["id"] == receipt["id"]
    deletions.finish_deletions(served.service)
    assert served.http.get(address).status_code == 200
    with served.service.database.transaction() as transaction:
        now = served.clock()
        assert transaction.jobs.heartbeat(job.lease, now, timedelta(hours=1))
        transaction.jobs.finish(job.lease, JobStatus.CANCELLED, now)
    assert deletions.finish_deletions(served.service) == 1
    assert served.http.get(address).status_code == 404
    done = served.http.get(f"/v1/deletions/{receipt['id']}").json()
    assert done["completedAt"] is not None
    assert done["counts"]["trainings"] == 1
    assert found(tmp_path, SECRET.encode()) == []


def test_with_cancel_a_training_that_waits_ends_at_once(
    served: Serving, subject: dict[str, Any]
) -> None:
    life = Life(served, UUID(subject["datasetId"]))
    answer = served.http.delete(f"/v1/subjects/{subject['id']}", params={"cancel": True})
    assert answer.json()["completedAt"] is not None
    with served.service.database.reading() as transaction:
        job = transaction.of(served.organization_id).jobs.get(life.training_job.id)
    assert job.status is JobStatus.CANCELLED


def test_a_storage_that_does_not_answer_is_emptied_later(
    served: Serving, subject: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(served.service.files), "delete", lambda *_: None)
    receipt = served.http.delete(f"/v1/subjects/{subject['id']}").json()
    assert receipt["completedAt"] is None
    assert served.http.get(f"/v1/subjects/{subject['id']}").status_code == 404
    monkeypatch.undo()
    assert deletions.finish_deletions(served.service) == 1
    assert deletions.finish_deletions(served.service) == 0
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []


def test_what_another_machine_made_of_it_goes_there(
    served: Serving, subject: dict[str, Any]
) -> None:
    served.http.delete(f"/v1/subjects/{subject['id']}")
    room = served.service.dataset_room(served.organization_id, UUID(subject["datasetId"]))
    (room / "pictures").mkdir(parents=True)
    deletions.finish_deletions(served.service)
    assert not room.exists()


def test_the_dataset_of_a_form_is_deleted_by_itself_and_that_of_a_subject_is_not(
    served: Serving, subject: dict[str, Any]
) -> None:
    dataset = served.http.post("/v1/datasets").json()["id"]
    send(served, dataset, ("a.png", png(50)))
    receipt = served.http.delete(f"/v1/datasets/{dataset}").json()
    assert (receipt["kind"], receipt["counts"]["pictures"]) == ("dataset", 1)
    assert served.http.get(f"/v1/datasets/{dataset}").status_code == 404
    with pytest.raises(Conflict):
        deletions.delete_dataset(served.service, served.owner, UUID(subject["datasetId"]))


def test_only_an_owner_deletes_and_only_his_own(served: Serving, subject: dict[str, Any]) -> None:
    id = UUID(subject["id"])
    with pytest.raises(Forbidden):
        deletions.delete_subject(served.service, replace(served.owner, role=Role.ADMIN), id)
    others = an_organization(served.service.database, served.clock)
    with pytest.raises(NotFound):
        deletions.delete_subject(
            served.service, Caller(organization_id=others, role=Role.OWNER), id
        )


def test_a_picture_that_a_training_was_given_stays_for_it_and_goes_with_the_subject(
    served: Serving, subject: dict[str, Any], tmp_path: Path
) -> None:
    Life(served, UUID(subject["datasetId"]))
    first, second = images(served, subject["datasetId"])
    kept = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    address = f"/v1/datasets/{subject['datasetId']}/images"
    assert served.http.delete(f"{address}/{first['id']}").status_code == 204
    assert served.http.get(f"{address}/{first['id']}").status_code == 404
    assert [image["id"] for image in images(served, subject["datasetId"])] == [second["id"]]
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == kept
    served.http.delete(f"/v1/subjects/{subject['id']}", params={"cancel": True})
    assert found(tmp_path, SECRET.encode()) == []


def test_a_picture_that_only_a_training_needed_goes_with_it(
    served: Serving, subject: dict[str, Any], tmp_path: Path
) -> None:
    life = Life(served, UUID(subject["datasetId"]))
    first, _ = images(served, subject["datasetId"])
    served.http.delete(f"/v1/datasets/{subject['datasetId']}/images/{first['id']}")
    assert len([path for path in (tmp_path / "files").rglob("*") if path.is_file()]) == 3
    answer = served.http.delete(f"/v1/trainings/{life.training_id}", params={"cancel": True})
    assert answer.status_code == 200
    assert len([path for path in (tmp_path / "files").rglob("*") if path.is_file()]) == 1


def test_a_picture_that_nothing_needs_is_gone_at_once(
    served: Serving, subject: dict[str, Any], tmp_path: Path
) -> None:
    look_at(served, subject["datasetId"])
    first, _ = images(served, subject["datasetId"])
    address = f"/v1/datasets/{subject['datasetId']}/images/{first['id']}"
    assert served.http.delete(address).status_code == 204
    served.http.patch(f"/v1/subjects/{subject['id']}", json={"name": "Ada"})
    served.service.database.forget_deleted()
    assert found(tmp_path, SECRET.encode()) == []
    assert len([path for path in (tmp_path / "files").rglob("*") if path.is_file()]) == 1
    assert not list((tmp_path / "derived").rglob(f"*{UUID(first['id']).hex}*"))


def test_what_still_runs_is_told_with_the_operation_too(
    served: Serving, subject: dict[str, Any]
) -> None:
    Life(served, UUID(subject["datasetId"]))
    with pytest.raises(StillInUse):
        deletions.delete_subject(served.service, served.owner, UUID(subject["id"]))

"""Every kind of record comes back as it was, and to its own organization only."""

from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import NoneType
from typing import get_args, get_type_hints
from uuid import UUID

import pytest
from tests.remembered import a_job, an_organization, queued

from modelgenerator.service.config import PriceList
from modelgenerator.service.errors import AlreadyExists, InvalidValue, NotFound, StillInUse
from modelgenerator.service.records import datasets, flows, generations, organizations, trainings
from modelgenerator.service.records.datasets import DatasetPicture, SnapshotPicture
from modelgenerator.service.records.deletions import DeletionReceipt
from modelgenerator.service.records.flows import RunStatus
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.jobs import Fault, JobError
from modelgenerator.service.records.webhooks import WebhookDelivery, WebhookEndpoint
from modelgenerator.service.store.scoped import Records

ODD = 'naïve "quotes" \\ 🦊 $.store.secret'
VALUES = {
    str: ODD,
    int: 2**62,
    bool: True,
    trainings.JsonObject: {"prompt": ODD, "steps": 25, "scale": 0.5, "none": None, "list": [1]},
    tuple[trainings.JsonObject, ...]: ({"seed": 2**53}, {}),
    tuple[str, ...]: (ODD, ""),
    tuple[UUID, ...]: (UUID(int=6),),
    PriceList: PriceList(picture=7),
    JobError: JobError(code="stalled", message=ODD, fault=Fault.OURS),
    tuple[SnapshotPicture, ...]: (
        SnapshotPicture(
            picture_id=UUID(int=5),
            label=ODD,
            sha256="ab",
            caption=None,
            storage_key="organizations/x/y",
            mask_key=None,
        ),
    ),
}


def filled(record, clock, **known):
    """A record with something in every field."""
    types = get_type_hints(record)
    return record(
        **{it.name: known.get(it.name, a(types[it.name], clock)) for it in fields(record)}
    )


def a(kind, clock):
    kinds = (
        [it for it in get_args(kind) if it is not NoneType] if NoneType in get_args(kind) else []
    )
    kind = kinds[0] if kinds else kind
    if kind is UUID:
        return new_id(clock())
    if kind is datetime:
        return clock()
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return next(iter(kind))
    return VALUES[kind]


@pytest.fixture
def everything(database, organization_id, clock):
    """One record of each kind that an organization has, by the name of where it is kept."""
    job = queued(database, organization_id, clock)
    made = {}

    def make(where, record, **known):
        made[where] = filled(record, clock, organization_id=organization_id, **known)
        return made[where]

    user = filled(organizations.User, clock, email="a@b.c")
    with database.transaction() as transaction:
        transaction.identities.add_user(user)
    make("members", organizations.Member, user_id=user.id)
    make("api_keys", organizations.ApiKey)
    make("sessions", organizations.Session, user_id=user.id)
    dataset = make("datasets", datasets.Dataset)
    make("subjects", datasets.Subject, dataset_id=dataset.id)
    make("pictures", DatasetPicture, dataset_id=dataset.id)
    snapshot = make("snapshots", datasets.DatasetSnapshot, dataset_id=dataset.id)
    template = make("templates", trainings.Template)
    version = make("template_versions", trainings.TemplateVersion, template_id=template.id)
    flow = make("flows", flows.Flow, slug="portraits")
    flow_version = make("flow_versions", flows.FlowVersion, flow_id=flow.id)
    run = make("flow_runs", flows.FlowRun, flow_id=flow.id, version_id=flow_version.id)
    make("step_results", flows.StepResult, run_id=run.id, job_id=job.id)
    training = make(
        "trainings",
        trainings.Training,
        snapshot_id=snapshot.id,
        template_version_id=version.id,
        job_id=job.id,
        flow_run_id=run.id,
    )
    model = make("trained_models", trainings.TrainedModel, training_id=training.id)
    inference = make(
        "inferences",
        generations.Inference,
        trained_model_id=model.id,
        job_id=job.id,
        flow_run_id=run.id,
    )
    make("generated_pictures", generations.GeneratedPicture, inference_id=inference.id)
    make("inference_packs", generations.InferencePack)
    endpoint = make("webhook_endpoints", WebhookEndpoint, job_id=job.id)
    make("webhook_deliveries", WebhookDelivery, endpoint_id=endpoint.id)
    make("deletion_receipts", DeletionReceipt)
    with database.transaction() as transaction:
        mine = transaction.of(organization_id)
        for where, record in made.items():
            getattr(mine, where).add(record)
    return made


def test_every_record_comes_back_as_it_was(database, organization_id, everything):
    with database.reading() as transaction:
        mine = transaction.of(organization_id)
        for where, record in everything.items():
            assert getattr(mine, where).get(record.id) == record


def test_nothing_is_anothers(database, organization_id, everything, clock):
    """Neither found, nor listed, nor counted, nor changed, nor deleted."""
    other_id = an_organization(database, clock)
    for where, record in everything.items():
        with database.transaction() as transaction:
            theirs = getattr(transaction.of(other_id), where)
            assert theirs.find(record.id) is None
            assert (theirs.all(), theirs.count(), theirs.page().items) == ([], 0, ())
            with pytest.raises(NotFound, match=str(record.id)):
                theirs.get(record.id)
            with pytest.raises(NotFound):
                theirs.delete(record.id)
            if isinstance(theirs, Records):
                with pytest.raises(NotFound):
                    theirs.get_locked(record.id)
                with pytest.raises(NotFound):
                    theirs.replace(replace(record, organization_id=other_id))
                with pytest.raises(AssertionError):
                    theirs.replace(record)
            with pytest.raises(AssertionError):
                theirs.add(record)
    with database.reading() as transaction:
        for where, record in everything.items():
            assert getattr(transaction.of(organization_id), where).get(record.id) == record


def test_a_job_is_nobody_elses(database, organization_id, clock):
    job = queued(database, organization_id, clock)
    other_id = an_organization(database, clock)
    with database.transaction() as transaction:
        theirs = transaction.of(other_id).jobs
        assert theirs.events_after(job.id, 0) == []
        assert theirs.attempts(job.id) == []
        with pytest.raises(NotFound):
            theirs.cancel(job.id, clock())


def test_a_changed_record_replaces_the_old_one(database, organization_id, everything):
    subject = replace(everything["subjects"], name="another")
    with database.transaction() as transaction:
        transaction.of(organization_id).subjects.replace(subject)
    with database.reading() as transaction:
        assert transaction.of(organization_id).subjects.get(subject.id).name == "another"


def test_what_raises_leaves_nothing_behind(database, organization_id, clock):
    job = a_job(organization_id, clock)
    with suppress(KeyError), database.transaction() as transaction:
        transaction.of(organization_id).jobs.add(job)
        raise KeyError
    with database.reading() as transaction:
        assert transaction.of(organization_id).jobs.find(job.id) is None


def test_who_only_reads_cannot_write_and_the_next_can(database, organization_id, clock):
    with pytest.raises(Exception, match=r"read-?only"), database.reading() as transaction:
        transaction.of(organization_id).jobs.add(a_job(organization_id, clock))
    queued(database, organization_id, clock)


def test_pages_show_everything_once_the_newest_first(database, organization_id, clock):
    jobs = [queued(database, organization_id, clock) for _ in range(7)]
    seen, cursor = [], None
    for _ in range(3):
        with database.reading() as transaction:
            page = transaction.of(organization_id).jobs.page(cursor, limit=3)
        seen += page.items
        cursor = page.next_cursor
        queued(database, organization_id, clock)  # comes in between, and disturbs nothing
    assert cursor is None
    assert [job.id for job in seen] == [job.id for job in reversed(jobs)]


@pytest.mark.parametrize("cursor", ["", "x", "ä", "AAAA", "' OR 1=1 --", "A" * 400])
def test_a_cursor_that_no_page_gave_is_refused(database, organization_id, cursor):
    with database.reading() as transaction, pytest.raises(InvalidValue, match="cursor"):
        transaction.of(organization_id).jobs.page(cursor)


@pytest.mark.parametrize("limit", [0, -1, 201])
def test_a_page_is_not_longer_than_is_good(database, organization_id, limit):
    with database.reading() as transaction, pytest.raises(InvalidValue, match="limit"):
        transaction.of(organization_id).jobs.page(limit=limit)


def test_a_list_may_be_of_some(database, organization_id, everything):
    with database.reading() as transaction:
        runs = transaction.of(organization_id).flow_runs
        assert runs.page(status=RunStatus.QUEUED).items == (everything["flow_runs"],)
        assert runs.page(status=RunStatus.FAILED).items == ()
        assert runs.count(finished_at=None) == 0


def test_the_same_picture_is_kept_once(database, organization_id, everything, clock):
    again = replace(everything["pictures"], id=new_id(clock()), position=9)
    with pytest.raises(AlreadyExists), database.transaction() as transaction:
        transaction.of(organization_id).pictures.add(again)


def test_pictures_have_an_order_of_their_own(database, organization_id, everything, clock):
    other = {"sha256": "other", "upload_sha256": "other", "label": "other"}
    first = replace(everything["pictures"], id=new_id(clock()), position=3, **other)
    with database.transaction() as transaction:
        pictures = transaction.of(organization_id).pictures
        pictures.add(first)
        assert pictures.in_order(first.dataset_id) == [first, everything["pictures"]]
        assert pictures.next_position(first.dataset_id) == everything["pictures"].position + 1
        assert pictures.next_position(new_id(clock())) == 0


def test_what_is_needed_is_not_deleted(database, organization_id, everything):
    with pytest.raises(StillInUse), database.transaction() as transaction:
        transaction.of(organization_id).datasets.delete(everything["datasets"].id)


def test_what_belongs_to_something_goes_with_it(database, organization_id, everything):
    with database.transaction() as transaction:
        mine = transaction.of(organization_id)
        mine.inferences.delete(everything["inferences"].id)
        mine.trainings.delete(everything["trainings"].id)
        mine.subjects.delete(everything["subjects"].id)
        mine.datasets.delete(everything["datasets"].id)
    with database.reading() as transaction:
        mine = transaction.of(organization_id)
        for where in ("generated_pictures", "trained_models", "pictures", "snapshots"):
            assert getattr(mine, where).count() == 0


def test_the_newest_version_is_the_one_with_the_highest_number(
    database, organization_id, everything, clock
):
    older = replace(everything["template_versions"], id=new_id(clock()), number=3)
    first = replace(everything["flow_versions"], id=new_id(clock()), number=1)
    with database.transaction() as transaction:
        mine = transaction.of(organization_id)
        mine.template_versions.add(older)
        mine.flow_versions.add(first)
        newest = mine.template_versions.newest(older.template_id)
        assert newest == everything["template_versions"]
        assert mine.flow_versions.newest(first.flow_id) == everything["flow_versions"]


def test_anybody_sees_a_public_flow_and_no_other(database, organization_id, everything, clock):
    flow = replace(everything["flows"], is_public=True, deleted_at=None)
    for seen, changed in [
        (True, flow),
        (False, replace(flow, is_public=False)),
        (False, replace(flow, deleted_at=clock())),
    ]:
        with database.transaction() as transaction:
            transaction.of(organization_id).flows.replace(changed)
            if seen:
                assert transaction.public_flow("portraits") == flow
            else:
                with pytest.raises(NotFound, match="portraits"):
                    transaction.public_flow("portraits")


def test_models_are_found_when_they_expire(database, organization_id, everything, clock):
    model = replace(everything["trained_models"], deleted_at=None, expires_at=clock())
    with database.transaction() as transaction:
        mine = transaction.of(organization_id)
        mine.trained_models.replace(model)
        before = model.expires_at - timedelta(microseconds=1)
        assert transaction.expired_models(before) == []
        assert transaction.expired_models(model.expires_at) == [model]
        mine.trained_models.replace(replace(model, deleted_at=clock()))
        assert transaction.expired_models(clock()) == []


def test_a_deletion_is_unfinished_until_its_files_are_gone(
    database, organization_id, everything, clock
):
    receipt = replace(everything["deletion_receipts"], completed_at=None)
    with database.transaction() as transaction:
        receipts = transaction.of(organization_id).deletion_receipts
        receipts.replace(receipt)
        assert transaction.unfinished_deletions() == [receipt]
        receipts.replace(replace(receipt, completed_at=clock()))
        assert transaction.unfinished_deletions() == []

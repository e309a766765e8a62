import pickle
from uuid import UUID

import pytest

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs import messages
from modelgenerator.service.jobs.messages import (
    Assignment,
    CheckpointStored,
    Failed,
    Phase,
    PhaseBegun,
    PictureStored,
    Progressed,
    Stopped,
    Succeeded,
    Told,
    without_secrets,
)
from modelgenerator.service.records.job_specs import DrawnPicture
from modelgenerator.service.records.jobs import Fault, JobError, JobKind

DRAWN = DrawnPicture(
    position=0,
    storage_key="k",
    sha256="0",
    byte_count=1,
    width=8,
    height=8,
    seed=1,
    parameters={"steps": 4},
)
EACH = [
    PhaseBegun(Phase.TRAINING),
    Progressed({"step": 1}, used_ms=3),
    Told("steps", {"losses": [0.5, None]}),
    CheckpointStored(storage_key="k", sha256="0", byte_count=1, step=2, used_ms=3),
    PictureStored(DRAWN),
    Succeeded({"steps": 2}),
    Failed(JobError(code="c", message="m", fault=Fault.OURS, hint=None), may_pass=True),
    Stopped(4),
]


@pytest.mark.parametrize("message", EACH, ids=lambda message: type(message).__name__)
def test_a_message_is_the_same_in_another_process(message):
    assert pickle.loads(pickle.dumps(message)) == message


def test_every_kind_of_message_is_tried():
    assert {type(message) for message in EACH} == set(messages.Message.__args__)


def test_attempts_have_names_of_their_own_that_sort():
    def name(job: int, attempt: int) -> str:
        return Assignment(job_id=UUID(int=job), attempt=attempt, kind=JobKind.ZIP, spec={}).name

    names = [name(1, 2), name(1, 10), name(2, 1)]
    assert sorted(names) == names


def test_what_is_secret_stays_with_the_server():
    config = ServiceConfig(secret_key="s" * 40, database_url="postgresql://user:word@host/name")
    told = pickle.dumps(without_secrets(config))
    assert b"s" * 40 not in told
    assert b"word" not in told

from dataclasses import replace
from uuid import UUID

from tests.remembered import SetClock, a_job

from modelgenerator.service.operations.paying import charged_sentence, hint_without_charge
from modelgenerator.service.records.jobs import Fault, JobError, JobKind, JobStatus


def test_what_was_charged_is_said_with_what_it_was_for():
    job = a_job(UUID(int=1), SetClock())
    said = {kind: charged_sentence(replace(job, kind=kind), 20_000) for kind in JobKind}
    assert said[JobKind.TRAIN] == "$0.02 was charged for the time that was used."
    assert said[JobKind.GENERATE] == "$0.02 was charged for the pictures that were drawn."
    assert len(set(said.values())) == len(JobKind)


def test_what_is_our_fault_or_cost_nothing_was_not_charged():
    job = a_job(UUID(int=1), SetClock())
    error = JobError(code="internalError", message="It broke.", fault=Fault.OURS)
    failed = replace(job, status=JobStatus.FAILED, error=error)
    assert charged_sentence(failed, 0) == "Nothing was charged: it was not your fault."
    assert charged_sentence(job, 0) == "Nothing was charged."


def test_a_hint_does_not_say_again_that_nothing_was_charged():
    assert hint_without_charge("Nothing was charged. Try again.") == "Try again."
    assert hint_without_charge("Nothing was charged.") is None
    assert hint_without_charge("Try again.") == "Try again."
    assert hint_without_charge(None) is None

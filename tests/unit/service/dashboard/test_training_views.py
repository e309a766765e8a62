from dataclasses import replace
from uuid import UUID

from tests.remembered import SetClock, a_job

from modelgenerator.service.dashboard.job_phases import phase_in_words
from modelgenerator.service.dashboard.training_views import phases_of
from modelgenerator.service.records.jobs import JobStatus


def test_a_training_that_waits_for_a_machine_says_so_and_is_at_the_beginning_of_its_way():
    queued = a_job(UUID(int=1), SetClock())
    job = replace(queued, status=JobStatus.RUNNING, phase="waitingForMachine")
    assert phase_in_words(job) == "waiting for a machine"
    first, *others = phases_of(job, {})
    assert (first.name, [phase.state for phase in others]) == ("Queued", ["ahead"] * len(others))

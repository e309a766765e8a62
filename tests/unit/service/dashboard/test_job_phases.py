from dataclasses import replace
from uuid import UUID

from tests.remembered import SetClock, a_job

from modelgenerator.service.dashboard.job_phases import PHASES, phase_in_words
from modelgenerator.service.jobs.messages import Phase


def test_every_phase_that_a_worker_tells_has_words():
    assert set(PHASES) == {phase.value for phase in Phase}


def test_a_job_that_has_told_nothing_yet_is_starting():
    job = a_job(UUID(int=1), SetClock())
    assert phase_in_words(job) == "starting"
    assert phase_in_words(replace(job, phase="loadingBaseModel")) == "loading base model"

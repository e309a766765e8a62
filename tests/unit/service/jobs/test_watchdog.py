from modelgenerator.service.jobs.messages import Phase, PhaseBegun, Progressed, Told
from modelgenerator.service.jobs.watchdog import UNKNOWN, Watchdog


class Timer:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def training(seconds_each: float, steps: int = 10) -> tuple[Watchdog, Timer]:
    timer = Timer()
    watchdog = Watchdog(timer)
    watchdog.heard(PhaseBegun(Phase.TRAINING))
    for step in range(1, steps + 1):
        timer.seconds += seconds_each
        watchdog.heard(Progressed({"step": step}))
    return watchdog, timer


def test_fast_steps_have_two_minutes_and_slow_ones_twenty_times_their_time():
    assert training(0.1)[0].patience == 120
    assert training(30)[0].patience == 600


def test_a_step_that_does_not_end_is_noticed():
    watchdog, timer = training(0.1)
    timer.seconds += 120
    assert watchdog.stood_still is None
    timer.seconds += 1
    assert watchdog.stood_still > 120


def test_the_same_step_again_is_no_news():
    watchdog, timer = training(0.1)
    timer.seconds += 100
    watchdog.heard(Progressed({"step": 10}))
    timer.seconds += 30
    assert watchdog.stood_still


def test_other_phases_and_a_first_step_may_take_long():
    timer = Timer()
    watchdog = Watchdog(timer)
    assert watchdog.patience == UNKNOWN
    watchdog.heard(PhaseBegun(Phase.TRAINING))
    watchdog.heard(Progressed({"step": 1}))
    assert watchdog.patience == UNKNOWN
    watchdog, timer = training(0.1)
    watchdog.heard(PhaseBegun(Phase.SAMPLING))
    assert watchdog.patience == UNKNOWN


def test_a_message_of_another_kind_is_a_sign_of_life():
    watchdog, timer = training(0.1)
    timer.seconds += 119
    watchdog.heard(Told("sample", {}))
    timer.seconds += 2
    assert watchdog.stood_still is None


def test_a_job_may_wait_for_a_machine_as_long_as_it_takes():
    timer = Timer()
    watchdog = Watchdog(timer)
    watchdog.heard(PhaseBegun(Phase.WAITING_FOR_MACHINE))
    timer.seconds += 1_000_000
    assert watchdog.stood_still is None
    watchdog.heard(PhaseBegun(Phase.PREPARING_DATASET))
    timer.seconds += UNKNOWN + 1
    assert watchdog.stood_still

import math

from modelgenerator.service.jobs.messages import Phase, PhaseBegun, Progressed, Told
from modelgenerator.service.jobs.pace import Pace
from modelgenerator.training.events import StepFinished


class Timer:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def step(number: int, **changes: float) -> StepFinished:
    usual = {"loss": 0.5, "learning_rate": 1e-4, "d": 1.0, "gradient_norm": 2.0}
    return StepFinished(step=number, epoch=1, **{**usual, **changes})


def said(pace: Pace, timer: Timer, steps: range, seconds_each: float) -> list[object]:
    messages: list[object] = []
    for number in steps:
        timer.seconds += seconds_each
        messages += pace.step(step(number), used_ms=number)
    return messages


def test_many_steps_are_few_messages_and_none_is_left_out():
    timer = Timer()
    pace = Pace(200, timer)
    pace.start(1)
    messages = said(pace, timer, range(1, 201), 0.01)  # two seconds
    messages += pace.rest()
    progress = [one for one in messages if isinstance(one, Progressed)]
    history = [one for one in messages if isinstance(one, Told)]
    assert len(progress) <= 5
    assert len(history) <= 3
    assert [n for one in history for n in one.data["steps"]] == list(range(1, 201))
    assert progress[-1].progress["step"] == 200


def test_speed_and_what_is_left_are_told():
    timer = Timer()
    pace = Pace(100, timer)
    pace.start(1)
    last = [one for one in said(pace, timer, range(1, 51), 0.25) if isinstance(one, Progressed)][-1]
    assert last.progress["stepsPerSecond"] == 4
    assert last.progress["secondsRemaining"] == round((100 - last.progress["step"]) / 4)
    assert last.used_ms == last.progress["step"]


def test_the_time_of_samples_is_no_steps():
    timer = Timer()
    pace = Pace(100, timer)
    pace.start(1)
    said(pace, timer, range(1, 11), 0.5)
    pace.pause(Phase.TRAINING)
    timer.seconds += 60
    messages = said(pace, timer, range(11, 21), 0.5)
    assert messages[0] == PhaseBegun(Phase.TRAINING)
    last = [one for one in messages if isinstance(one, Progressed)][-1]
    assert last.progress["stepsPerSecond"] == 2


def test_what_is_not_finite_is_null():
    pace = Pace(1, Timer())
    pace.start(1)
    messages = [*pace.step(step(1, gradient_norm=math.inf), used_ms=0), *pace.rest()]
    (history,) = [one for one in messages if isinstance(one, Told)]
    assert history.data["gradientNorms"] == [None]

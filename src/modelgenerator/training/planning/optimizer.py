"""With which rate and which arguments the optimizer works.

In: the optimizer and its settings as written.  Out: a learning rate that suits it, the scheduler,
and just the arguments that it accepts.  What else was written is told by `planning.unused`.
"""

from dataclasses import dataclass

from modelgenerator.notices import Notice
from modelgenerator.settings import SchedulerName, TrainingSettings
from modelgenerator.training.optimizer_traits import ALWAYS_PASSED, OPTIMIZER_TRAITS

Arguments = tuple[tuple[str, float | bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """What is decided of it."""

    name: str
    learning_rate: float
    scheduler: str
    arguments: Arguments


def choose_optimizer(settings: TrainingSettings, notices: list[Notice]) -> Optimizer:
    """Never refuses: a rate that is unusual is kept and told."""
    return Optimizer(
        name=settings.optimizer.value,
        learning_rate=_learning_rate(settings, notices),
        scheduler=_scheduler(settings, notices),
        arguments=_arguments(settings),
    )


def _learning_rate(settings: TrainingSettings, notices: list[Notice]) -> float:
    traits, rate = OPTIMIZER_TRAITS[settings.optimizer], settings.learning_rate
    if not settings.is_given("learning_rate"):
        if traits.preset_reason:
            notices.append(Notice("info", "learningRate", traits.preset_reason))
        return traits.preset_rate
    usual = f"for {settings.optimizer}; {traits.advised_rate:g} is usual."
    if rate > traits.high_rate:
        notices.append(Notice("warning", "learningRate", f"{rate:g} is very high {usual}"))
    if rate < traits.low_rate:
        message = f"{rate:g} scales the step size that is found, and is very low {usual}"
        notices.append(Notice("warning", "learningRate", message))
    return rate


def _has_own_rate(settings: TrainingSettings) -> bool:
    traits = OPTIMIZER_TRAITS[settings.optimizer]
    return bool(traits.own_rate_switches) and not settings.is_given("learning_rate")


def _scheduler(settings: TrainingSettings, notices: list[Notice]) -> str:
    if not _has_own_rate(settings):
        return settings.scheduler.value
    if settings.is_given("scheduler") and settings.scheduler is not SchedulerName.CONSTANT:
        message = f"Ignored: {settings.optimizer} without learningRate brings its own rate."
        notices.append(Notice("warning", "scheduler", message))
    return SchedulerName.CONSTANT.value


def _arguments(settings: TrainingSettings) -> Arguments:
    """Only what the person set, except the switches whose presets in the libraries differ."""
    traits = OPTIMIZER_TRAITS[settings.optimizer]
    given: dict[str, float | bool] = {
        argument: getattr(settings, setting)
        for setting, argument in traits.arguments.items()
        if setting in ALWAYS_PASSED or settings.is_given(setting)
    }
    own_rate = dict.fromkeys(traits.own_rate_switches, _has_own_rate(settings))
    return tuple(sorted((given | own_rate).items()))

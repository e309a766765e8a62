"""What a run of a flow costs, as far as it is known before it runs.

In: a flow and the prices.  Out: the part that every run costs, and for each step what it costs
more, by the minute, the picture, the megabyte or the token.  Nothing is charged here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from modelgenerator.flows.definition import Flow, Step, StepType, member
from modelgenerator.flows.fields import UNKNOWN, written
from modelgenerator.flows.language import ListOf, Map, Node, parse
from modelgenerator.service.billing.prices import flow_run_charge
from modelgenerator.service.config import PriceList


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPrice:
    """What one step costs, in microdollars."""

    step_id: str
    type: str
    fixed: int = 0
    """Whatever it does."""
    unit: str | None = None
    """What is counted beside that: minute, picture, megabyte, token."""
    unit_price: int = 0
    count: int | None = None
    """How many of them, where the definition says it."""

    @property
    def known(self) -> int:
        """What it costs at the least."""
        return self.fixed + self.unit_price * (self.count or 0)


@dataclass(frozen=True, slots=True)
class RunEstimate:
    """What a run costs, in microdollars."""

    run: int
    """The price of the run itself."""
    steps: tuple[StepPrice, ...]

    @property
    def known(self) -> int:
        """What every run costs at the least."""
        return self.run + sum(step.known for step in self.steps)


def estimate_run(flow: Flow, prices: PriceList, *, is_public: bool) -> RunEstimate:
    """What a run of `flow` costs."""
    run = flow_run_charge(prices, is_public=is_public)
    return RunEstimate(run, tuple(_step_price(step, prices) for step in flow.steps))


def _step_price(step: Step, prices: PriceList) -> StepPrice:
    name, kind = step.id, step.type.value
    match step.type:
        case StepType.MODEL_GENERATOR:
            return StepPrice(
                step_id=name, type=kind, unit="minute", unit_price=prices.training_minute
            )
        case StepType.IMAGE_GENERATOR:
            return StepPrice(
                step_id=name,
                type=kind,
                unit="picture",
                unit_price=prices.picture,
                count=_pictures(parse(step.template, "").node),
            )
        case StepType.OBJECT_TRANSFORMER:
            return StepPrice(step_id=name, type=kind, fixed=prices.object_transformer)
        case StepType.ZIPPER:
            return StepPrice(
                step_id=name,
                type=kind,
                fixed=prices.zipper,
                unit="megabyte",
                unit_price=prices.zipper_megabyte,
            )
        case StepType.OBJECT_GENERATOR:
            return StepPrice(
                step_id=name,
                type=kind,
                unit="token",
                unit_price=prices.object_generator_token,
            )


def _pictures(parameters: Node) -> int | None:
    """How many pictures a step draws; none where a @Map or a pack says it."""
    images = member(parameters, "images")
    if not isinstance(images, ListOf) or member(parameters, "inferencePackId") is not None:
        return None
    counts = [None if isinstance(item, Map) else _count(item) for item in images.items]
    return _sum(counts)


def _count(image: Node) -> int | None:
    count = member(image, "count")
    value = 1 if count is None else written(count)
    return value if value is not UNKNOWN and isinstance(value, int) else None


def _sum(counts: Iterable[int | None]) -> int | None:
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total

"""How long a training will take and what it will cost, and how sure that is.

In: a plan, what is known of the base model, and the rates that were measured.  Out: an estimate
that says where it comes from; and, when a training has ended, the rate that it teaches.  Nothing is
run to find out.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self, cast

from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.service.billing.prices import training_charge
from modelgenerator.service.config import PriceList
from modelgenerator.service.records.rates import MeasuredRate
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.training.plan import TrainingPlan

NEWEST_COUNTS = 0.3
"""Share of the newest training in a rate."""
MICROSECONDS = 1_000_000


class Certainty(StrEnum):
    """Where an estimate comes from."""

    MEASURED = "measured"  # trainings of the same shape on this kind of machine
    SCALED = "scaled"  # trainings of another shape, by pixels and batch size
    GUESS = "guess"  # trainings on other GPUs, or arithmetic alone


_OFF_BY: dict[Certainty, float] = {
    Certainty.MEASURED: 1.2,
    Certainty.SCALED: 2.0,
    Certainty.GUESS: 4.0,
}
"""How many times as long, or as short, it may become."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkShape:
    """What a step's time depends on."""

    machine: str
    base_model: str
    manner: str
    pixels: int
    batch_size: int

    @classmethod
    def of(cls, plan: TrainingPlan, base: BaseModelFiles, machine: str) -> Self:
        """The shape of a plan's steps."""
        parts = [plan.compute_dtype, *plan.parts, *plan.network_targets]
        parts += ["checkpointing"] * plan.gradient_checkpointing
        parts += ["preservation"] * bool(plan.prior_preservation)
        parts += [f"{plan.gradient_accumulation} batches"] * (plan.gradient_accumulation > 1)
        parts += [f"{plan.processes} processes"] * (plan.processes > 1)
        return cls(
            machine=machine,
            base_model=base.reference if base.is_builtin else f"{plan.family} {plan.edition}",
            manner=" ".join(parts),
            pixels=plan.resolution**2,
            batch_size=plan.batch_size,
        )

    def as_json(self) -> JsonObject:
        """For the training's record."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: JsonObject) -> Self:
        """What `as_json` gave."""
        return cls(
            machine=str(kept["machine"]),
            base_model=str(kept["base_model"]),
            manner=str(kept["manner"]),
            pixels=cast(int, kept["pixels"]),
            batch_size=cast(int, kept["batch_size"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a person is told before a training starts."""

    seconds: int
    fewest_seconds: int
    most_seconds: int
    certainty: Certainty
    because: str
    cost: int
    """Microdollars; of `seconds`."""

    def share(self, part: float, prices: PriceList) -> Self:
        """Of a part of the training that is still to be done."""
        seconds, fewest, most = (
            max(1, math.ceil(part * all_of_it))
            for all_of_it in (self.seconds, self.fewest_seconds, self.most_seconds)
        )
        cost = training_charge(prices, timedelta(seconds=seconds))
        return replace(self, seconds=seconds, fewest_seconds=fewest, most_seconds=most, cost=cost)

    def as_json(self) -> JsonObject:
        """Names in camelCase."""
        return {
            "seconds": self.seconds,
            "fewestSeconds": self.fewest_seconds,
            "mostSeconds": self.most_seconds,
            "minutes": _minutes(self.seconds),
            "certainty": self.certainty.value,
            "because": self.because,
            "cost": self.cost,
        }

    @classmethod
    def from_json(cls, kept: JsonObject) -> Self:
        """What `as_json` gave."""
        return cls(
            seconds=cast(int, kept["seconds"]),
            fewest_seconds=cast(int, kept["fewestSeconds"]),
            most_seconds=cast(int, kept["mostSeconds"]),
            certainty=Certainty(cast(str, kept["certainty"])),
            because=str(kept["because"]),
            cost=cast(int, kept["cost"]),
        )


def estimate(
    plan: TrainingPlan,
    base: BaseModelFiles,
    shape: WorkShape,
    rates: Sequence[MeasuredRate],
    prices: PriceList,
) -> Estimate:
    """`rates` are those of the shape's base model, the newest first."""
    pictures = len(plan.pictures) + len(plan.validation_pictures)
    step, picture, certainty, because = _rate(shape, rates, base)
    seconds = step * plan.total_steps + picture * pictures
    off = _OFF_BY[certainty]
    rounded = max(1, math.ceil(seconds))
    return Estimate(
        seconds=rounded,
        fewest_seconds=max(1, math.floor(seconds / off)),
        most_seconds=max(1, math.ceil(seconds * off)),
        certainty=certainty,
        because=because,
        cost=training_charge(prices, timedelta(seconds=rounded)),
    )


def learnt(
    shape: WorkShape,
    earlier: MeasuredRate | None,
    *,
    used_ms: int,
    preparing_ms: int,
    steps: int,
    pictures: int,
    now: datetime,
) -> MeasuredRate:
    """The rate of a shape after one more training; a newer one counts more than older ones."""
    preparing_ms = min(preparing_ms, used_ms)
    fresh = MeasuredRate(
        **asdict(shape),
        step_us=(used_ms - preparing_ms) * 1_000 // max(1, steps),
        picture_us=preparing_ms * 1_000 // max(1, pictures),
        trainings=1,
        measured_at=now,
    )
    if earlier is None:
        return fresh
    return replace(
        fresh,
        step_us=_between(earlier.step_us, fresh.step_us),
        picture_us=_between(earlier.picture_us, fresh.picture_us),
        trainings=earlier.trainings + 1,
    )


def rate_of(shape: WorkShape, rates: Sequence[MeasuredRate]) -> MeasuredRate | None:
    """The one that was measured on trainings just like this."""
    same = (rate for rate in rates if _shape_of(rate) == shape)
    return next(same, None)


def _rate(
    shape: WorkShape, rates: Sequence[MeasuredRate], base: BaseModelFiles
) -> tuple[float, float, Certainty, str]:
    """Seconds of a step and of a picture, how sure they are, and why."""
    if (same := rate_of(shape, rates)) is not None:
        times = "once" if same.trainings == 1 else f"{same.trainings} times"
        because = f"Trainings of just this shape were measured {times} on this kind of machine."
        return _seconds(same.step_us), _seconds(same.picture_us), Certainty.MEASURED, because
    if here := [rate for rate in rates if rate.machine == shape.machine]:
        near = _nearest(shape, here)
        side = math.isqrt(near.pixels)
        because = (
            f"Scaled from trainings at {side} x {side} pixels with batchSize {near.batch_size} on "
            "this kind of machine."
        )
        return *_scaled(shape, near), Certainty.SCALED, because
    if others := [rate for rate in rates if "cpu" not in (rate.machine, shape.machine)]:
        near = _nearest(shape, others)
        because = f"Scaled from trainings on {_other_gpus(near)}, so this is a guess."
        return *_scaled(shape, near), Certainty.GUESS, because
    because = "No such training has ended on this kind of machine yet, so this is a guess."
    return *_guess(shape, base), Certainty.GUESS, because


def _other_gpus(rate: MeasuredRate) -> str:
    known = f"other GPUs ({rate.machine})"
    return "GPUs of which nobody said the kind" if rate.machine == "cuda" else known


def _nearest(shape: WorkShape, rates: Sequence[MeasuredRate]) -> MeasuredRate:
    return min(rates, key=lambda rate: _distance(shape, rate))


def _scaled(shape: WorkShape, rate: MeasuredRate) -> tuple[float, float]:
    """Seconds of a step and of a picture, by pixels and batch size."""
    picture = shape.pixels / rate.pixels
    step = picture * shape.batch_size / rate.batch_size
    return _seconds(rate.step_us) * step, _seconds(rate.picture_us) * picture


def _distance(shape: WorkShape, rate: MeasuredRate) -> tuple[bool, float]:
    size = rate.pixels * rate.batch_size / (shape.pixels * shape.batch_size)
    return rate.manner != shape.manner, abs(math.log(size))


_OPERATIONS = {
    FamilyName.STABLE_DIFFUSION_1: 4e12 / 512**2,
    FamilyName.STABLE_DIFFUSION_2: 4e12 / 512**2,
    FamilyName.STABLE_DIFFUSION_XL: 36e12 / 1024**2,
    FamilyName.STABLE_DIFFUSION_3: 60e12 / 1024**2,
    FamilyName.FLUX: 300e12 / 1024**2,
}
"""Of one step, by pixel: the way there, and twice as much for the way back."""
_A_SECOND = {"cpu": 5e10, "cuda": 5e13}
"""Operations that a machine usually does, of those that it could."""
_EMBEDDED_STEP = {"cpu": 0.15, "cuda": 0.03}
"""Seconds; Source: docs/performance.md, a step on a CPU."""
_EMBEDDED_PIXELS = 32**2


def _guess(shape: WorkShape, base: BaseModelFiles) -> tuple[float, float]:
    kind = shape.machine if shape.machine in _A_SECOND else "cuda"
    if base.is_builtin:
        work = shape.pixels * shape.batch_size / (4 * _EMBEDDED_PIXELS)
        return _EMBEDDED_STEP[kind] * max(0.5, work), 0.2
    step = _OPERATIONS[base.family] * shape.pixels * shape.batch_size / _A_SECOND[kind]
    return step, 1.0 + step


def _shape_of(rate: MeasuredRate) -> WorkShape:
    return WorkShape(
        machine=rate.machine,
        base_model=rate.base_model,
        manner=rate.manner,
        pixels=rate.pixels,
        batch_size=rate.batch_size,
    )


def _between(earlier: int, newest: int) -> int:
    return round(earlier + NEWEST_COUNTS * (newest - earlier))


def _seconds(microseconds: int) -> float:
    return microseconds / MICROSECONDS


def _minutes(seconds: int) -> float:
    """With one digit after the point, and never none."""
    return max(0.1, round(seconds / 60, 1))

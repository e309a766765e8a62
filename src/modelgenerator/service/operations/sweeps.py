"""Several trainings that differ in one setting, started together or not at all.

In: who asks, a request, and the values of one setting.  Out: what all of them would take; and the
trainings, with one seed, so that nothing but that setting differs between them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from modelgenerator.service.errors import InsufficientFunds, InvalidValue
from modelgenerator.service.operations.callers import Caller, answered_before
from modelgenerator.service.operations.names import LONGEST_NAME, checked_name
from modelgenerator.service.operations.planning import (
    PlannedTraining,
    TrainingRequest,
    plan_training,
)
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.trainings import add_training
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.store.transaction import OrganizationStore

MOST_VALUES = 8
"""As many as are looked at side by side."""
SEED = "seed"


@dataclass(frozen=True, kw_only=True)
class SweepRequest:
    """The same training once for each value."""

    training: TrainingRequest
    """What all have in common; its name is how all their names begin."""
    setting: str
    """In camelCase."""
    values: Sequence[object]


@dataclass(frozen=True, kw_only=True)
class PlannedSweep:
    """What each would be, in the order of the values."""

    requests: tuple[TrainingRequest, ...]
    trainings: tuple[PlannedTraining, ...]

    @property
    def cost(self) -> int:
        """Microdollars of all."""
        return sum(planned.estimate.cost for planned in self.trainings)

    @property
    def seconds(self) -> int:
        """Of all, one after the other."""
        return sum(planned.estimate.seconds for planned in self.trainings)


def plan_sweep(service: Service, caller: Caller, sweep: SweepRequest) -> PlannedSweep:
    """What would be trained; nothing is written.

    Raises:
        InvalidValue: fewer than two values, too many, or one twice.
        Everything that `plan_training` raises.
    """
    caller.require(Role.MEMBER)
    _check(sweep)
    first = _request(sweep, sweep.values[0], {})
    planned = [plan_training(service, caller, first)]
    # what was drawn for the first holds for all, unless the seed is what is tried
    same = {} if sweep.setting == SEED else {SEED: planned[0].plan.seed}
    requests = [_request(sweep, value, same) for value in sweep.values]
    planned += [plan_training(service, caller, request) for request in requests[1:]]
    return PlannedSweep(requests=tuple(requests), trainings=tuple(planned))


def create_sweep(service: Service, caller: Caller, sweep: SweepRequest) -> list[UUID]:
    """Start one training for each value; their ids, in the order of the values.

    Raises:
        InsufficientFunds: the balance does not cover all of them.
        Everything that `create_training` and `plan_sweep` raise; nothing was started then.
    """
    caller.require(Role.MEMBER)
    _check(sweep)
    callers = [caller.numbered(number) for number in range(len(sweep.values))]
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        earlier = [answered_before(store, each) for each in callers]
    started = [id for id in earlier if id is not None]
    if len(started) == len(callers):
        return started
    planned = plan_sweep(service, caller, sweep)
    now = service.clock()
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        _refuse_what_cannot_be_paid(service, store, planned.cost)
        each = zip(callers, planned.requests, planned.trainings, strict=True)
        ids = [add_training(service, store, *one, now) for one in each]
    service.news.work_came()
    return ids


def _check(sweep: SweepRequest) -> None:
    count = len(sweep.values)
    if not 2 <= count <= MOST_VALUES:
        raise InvalidValue(
            f"Give 2 to {MOST_VALUES} values of {sweep.setting}, not {count}.", field="values"
        )
    values = list(sweep.values)
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        message = f"{sweep.setting} {_short(twice[0])} is given twice."
        raise InvalidValue(message, field="values")


def _request(sweep: SweepRequest, value: object, same: Mapping[str, object]) -> TrainingRequest:
    common = sweep.training
    ending = f" · {sweep.setting}={_short(value)}"
    begin = (common.name or "Training")[: LONGEST_NAME - len(ending)]
    settings = {**same, **common.settings, sweep.setting: value}
    return replace(common, name=checked_name(begin + ending), settings=settings)


def _short(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _refuse_what_cannot_be_paid(service: Service, store: OrganizationStore, cost: int) -> None:
    """Before the first is paid, so that what is said to be needed is for all of them."""
    if not service.config.billing:
        return
    available = store.accounts.read(locked=True).available
    if cost > available:
        raise InsufficientFunds(needed=cost, present=available)

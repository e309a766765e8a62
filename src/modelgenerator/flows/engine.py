"""Which step of a run comes next, and with what.

Comes in: a flow, and what its run has so far.  Goes out: the next step with its parameters
resolved and checked, the end, or why it cannot go on.  It keeps nothing and starts nothing: who
runs a step adds its result and asks again.  After a failure the results so far are still there, and
asking again is how a run resumes.  What a step costs is not known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from modelgenerator.errors import UnresolvedTemplate
from modelgenerator.flows.definition import TEMPLATE_OF, Flow, Step
from modelgenerator.flows.faults import Fault, at
from modelgenerator.flows.language import literal
from modelgenerator.flows.parameters import StepParameters, typed
from modelgenerator.flows.resolve import Context, resolve
from modelgenerator.flows.steps import parameter_faults


@dataclass(frozen=True, slots=True)
class RunState:
    """What a run has so far."""

    input: object
    """As `inputs` accepted it."""
    results: Mapping[str, object]
    """By the id of the step that left it."""


@dataclass(frozen=True, slots=True)
class StepToRun:
    """A step whose turn it is."""

    step: Step
    number: int
    """From 1."""
    parameters: StepParameters
    values: Mapping[str, object]
    """The same as JSON, or what an ObjectTransformer leaves."""


@dataclass(frozen=True, slots=True)
class Done:
    """Every step has left its result."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A step whose turn it is cannot be run with what there is."""

    step: Step
    number: int
    faults: tuple[Fault, ...]
    """Pointers lead into the step: `/parameters/images/0/width`."""


def next_step(flow: Flow, state: RunState) -> StepToRun | Done | Failed:
    """The first step of `flow` that has left no result, ready to run."""
    earlier: dict[str, object] = {}
    for number, step in enumerate(flow.steps, start=1):
        if step.id not in state.results:
            return _prepared(step, number, Context(state.input, earlier, flow.store))
        earlier[step.id] = state.results[step.id]
    return Done()


def _prepared(step: Step, number: int, context: Context) -> StepToRun | Failed:
    pointer = at("", TEMPLATE_OF[step.type])
    try:
        values = resolve(step.template, context, step=step.id, pointer=pointer)
    except UnresolvedTemplate as error:
        return Failed(step, number, (Fault(error.pointer, error.code, error.reason),))
    faults = tuple(parameter_faults(step.type, literal(values, pointer)))
    if faults:
        return Failed(step, number, faults)
    known = cast(Mapping[str, object], values)
    return StepToRun(step, number, typed(step.type, values), known)

"""Holds what a run is given against the form of its flow.

Comes in: the input as a person or a program sent it, and how many pictures each uploaded dataset
has.  Goes out: the same with the form's defaults, and every fault at once.  Where pictures are kept
is not known here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from modelgenerator.errors import InvalidFlowInput
from modelgenerator.flows.definition import Flow
from modelgenerator.flows.faults import Fault, in_words
from modelgenerator.flows.limits import MAX_RESULT, passed_limits
from modelgenerator.flows.shapes import referred
from modelgenerator.flows.validation import Held


@dataclass(frozen=True, slots=True)
class CheckedInput:
    """What a run would see as `$.input`."""

    values: object
    """With defaults; to be used only when there is no fault."""
    faults: tuple[Fault, ...]


def check_input(flow: Flow, given: object, pictures: Mapping[str, int]) -> CheckedInput:
    """`given` with the defaults of the flow's form, and all that is wrong with it.

    `pictures` says how many pictures each dataset has, by its id.
    """
    faults = tuple(passed_limits(given, most=MAX_RESULT))
    if faults:
        return CheckedInput(given, faults)
    values = _with_defaults(given, flow.input, flow.input)
    held = Held(flow.input, pictures=pictures)
    return CheckedInput(values, tuple(_in_order(held.misfits(values))))


def accepted_input(flow: Flow, given: object, pictures: Mapping[str, int]) -> object:
    """`given` with the defaults of the flow's form.

    Raises:
        InvalidFlowInput: with every fault that `check_input` finds.
    """
    checked = check_input(flow, given, pictures)
    if checked.faults:
        faults = [fault.as_json() for fault in checked.faults]
        raise InvalidFlowInput(f"The flow cannot run with this: {in_words(checked.faults)}", faults)
    return checked.values


def _with_defaults(value: object, schema: object, root: Mapping[str, object]) -> object:
    """A copy of `value` with every property that is absent and has a default."""
    if not isinstance(schema, dict):
        return value
    known = cast(dict[str, object], schema)
    target = referred(known, root)
    if target is not None:
        value = _with_defaults(value, target, root)
    if isinstance(value, dict):
        return _object_with_defaults(cast(dict[str, object], value), known, root)
    if isinstance(value, list):
        items = known.get("items")
        return [_with_defaults(each, items, root) for each in cast(list[object], value)]
    return value


def _object_with_defaults(
    value: dict[str, object], schema: dict[str, object], root: Mapping[str, object]
) -> dict[str, object]:
    filled = dict(value)
    properties = schema.get("properties")
    for name, inner in cast(dict[str, object], properties or {}).items():
        if name in filled:
            filled[name] = _with_defaults(filled[name], inner, root)
        elif isinstance(inner, dict) and "default" in inner:
            filled[name] = cast(dict[str, object], inner)["default"]
    return filled


def _in_order(faults: Iterator[Fault]) -> list[Fault]:
    """One fault a place and message; several branches of a schema may say the same."""
    return list(dict.fromkeys(faults))

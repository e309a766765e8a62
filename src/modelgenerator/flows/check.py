"""Everything that is wrong with a flow, told when it is saved and not when it runs.

Comes in: the values of a definition, and what the server that will run it can do.  Goes out: all
faults and remarks at once, and the `Flow` when there is no fault.  It reads nothing but what it is
given: no database, no clock, no network.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import cast

from modelgenerator.errors import InvalidFlow
from modelgenerator.flows.definition import (
    SALE_FIELDS,
    TEMPLATE_OF,
    Flow,
    StepType,
    field_faults,
    flow_of,
    input_schema,
    member,
)
from modelgenerator.flows.faults import Fault, at, in_words, meant, shown
from modelgenerator.flows.language import ListOf, Literal, Node, ObjectOf, literal, parse
from modelgenerator.flows.limits import MAX_DEFINITION, passed_limits
from modelgenerator.flows.results import result_shape
from modelgenerator.flows.schemas import faults_in_schema, remarks_in_schema
from modelgenerator.flows.steps import parameter_faults, parameter_remarks
from modelgenerator.flows.ui import ui_faults
from modelgenerator.flows.wiring import (
    Surroundings,
    dataset_remarks,
    name_faults,
    wiring,
)
from modelgenerator.setting_faults import closest

MAX_STEPS = 1_000
MAX_FAULTS = 500
"""That one definition is told: nobody mends more at once, and each costs a search for a name."""
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_RESERVED = frozenset(
    {"constructor", "prototype", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable"}
    | {"toLocaleString", "toString", "valueOf"}
)
"""Names that every object of JavaScript has: in a browser a result of that name is not seen."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the server that runs flows can do beyond what all can."""

    has_language_model: bool | None = None
    """Whether an endpoint for ObjectGenerator is configured; None when nobody knows."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is to be said about a definition."""

    faults: tuple[Fault, ...]
    remarks: tuple[Fault, ...]
    """What is allowed and yet looks like a mistake, or has no effect here."""
    flow: Flow | None
    """The flow, when there is no fault."""


def check(values: object, capabilities: Capabilities | None = None) -> Checked:
    """All that can be said about the definition in `values` before it runs."""
    faults = list(islice(passed_limits(values, most=MAX_DEFINITION), MAX_FAULTS))
    if faults:
        return Checked(tuple(faults), (), None)
    found = _Findings(capabilities or Capabilities())
    found.look_at(values)
    flow = None if found.faults else flow_of(values)
    return Checked(tuple(found.faults), tuple(found.remarks), flow)


def checked_flow(values: object, capabilities: Capabilities | None = None) -> Flow:
    """The flow in `values`.

    Raises:
        InvalidFlow: with every fault that `check` finds.
    """
    checked = check(values, capabilities)
    if checked.flow is None:
        faults = [fault.as_json() for fault in checked.faults]
        raise InvalidFlow(f"The flow cannot be used: {in_words(checked.faults)}", faults)
    return checked.flow


@dataclass(frozen=True, slots=True)
class _WrittenStep:
    """A step in which little is certain."""

    node: Node
    id: str | None
    kind: StepType | None
    template: object


class _Findings:
    """Faults and remarks, collected while going once through a definition."""

    def __init__(self, capabilities: Capabilities) -> None:
        self._capabilities = capabilities
        self.faults: list[Fault] = []
        self.remarks: list[Fault] = []

    def _fault(self, found: Iterable[Fault]) -> None:
        self.faults += islice(found, max(0, MAX_FAULTS - len(self.faults)))

    def _remark(self, found: Iterable[Fault]) -> None:
        self.remarks += islice(found, max(0, MAX_FAULTS - len(self.remarks)))

    def look_at(self, values: object) -> None:
        node = literal(values)
        self._fault(field_faults(node))
        if not isinstance(node, ObjectOf):
            return
        written = cast(dict[str, object], values)
        self._remark(_sale_remarks(written))
        if isinstance(written.get("input"), dict):
            self._fault(faults_in_schema(written["input"], "/input"))
            self._remark(remarks_in_schema(written["input"], "/input"))
        steps = _written_steps(node, written)
        self._fault(_id_faults(steps))
        results = self._look_at_steps(steps, written)
        if ui := node.members.get("ui"):
            self._fault(ui_faults(ui, results))

    def _look_at_steps(
        self, steps: list[_WrittenStep], written: Mapping[str, object]
    ) -> dict[str, Mapping[str, object]]:
        """Check each step in what it can know; give back what they all leave behind."""
        store = written.get("store")
        known = cast(dict[str, object], store) if isinstance(store, dict) else {}
        ids = [step.id for step in steps]
        results: dict[str, Mapping[str, object]] = {}
        for number, step in enumerate(steps):
            later = frozenset(name for name in ids[number:] if name and name not in results)
            around = Surroundings(input_schema(written), results, later, known)
            shape = self._look_at_step(step, around)
            if step.id is not None:
                results = {**results, step.id: shape}
        return results

    def _look_at_step(self, step: _WrittenStep, around: Surroundings) -> Mapping[str, object]:
        self._fault(_frame_faults(step))
        if step.kind is None:
            return {}
        self._look_at_language_model(step)
        parsed = parse(step.template, at(step.node.pointer, TEMPLATE_OF[step.kind]))
        self._fault(parsed.faults)
        self._fault(parameter_faults(step.kind, parsed.node))
        self._look_at_wiring(parsed.node, around)
        self._fault(_source_faults(step.kind, parsed.node, around))
        self._remark(parsed.remarks)
        self._remark(parameter_remarks(step.kind, parsed.node))
        if step.kind is StepType.MODEL_GENERATOR:
            self._remark(dataset_remarks(member(parsed.node, "datasetId"), around))
        return result_shape(step.kind, parsed.node)

    def _look_at_wiring(self, node: Node, around: Surroundings) -> None:
        for fault, is_remark in wiring(node, around):
            if max(len(self.faults), len(self.remarks)) >= MAX_FAULTS:
                return
            (self.remarks if is_remark else self.faults).append(fault)

    def _look_at_language_model(self, step: _WrittenStep) -> None:
        if step.kind is not StepType.OBJECT_GENERATOR or self._capabilities.has_language_model:
            return
        message = "ObjectGenerator needs a language model, and this server has none configured"
        hint = "the operator must name an OpenAI-compatible endpoint"
        where = at(step.node.pointer, "type")
        if self._capabilities.has_language_model is None:
            message = "ObjectGenerator works only on a server that has a language model configured"
            self.remarks.append(Fault(where, "needsLanguageModel", message, hint))
        else:
            self.faults.append(Fault(where, "noLanguageModel", message, hint))


def _sale_remarks(written: Mapping[str, object]) -> Iterator[Fault]:
    for name in SALE_FIELDS:
        if name in written:
            message = f"{name} is kept, but runs are not sold here: it has no effect"
            yield Fault(at("", name), "notSupported", message)


def _written_steps(node: ObjectOf, written: Mapping[str, object]) -> list[_WrittenStep]:
    listed = node.members.get("steps")
    if not isinstance(listed, ListOf):
        return []
    values = cast(list[object], written["steps"])[:MAX_STEPS]
    return [_written_step(each, value) for each, value in zip(listed.items, values, strict=False)]


def _written_step(node: Node, value: object) -> _WrittenStep:
    step = cast(dict[str, object], value) if isinstance(value, dict) else {}
    name, kind = step.get("id"), step.get("type")
    known = _BY_NAME.get(kind) if isinstance(kind, str) else None
    template = step.get(TEMPLATE_OF[known], {}) if known else {}
    return _WrittenStep(node, name if isinstance(name, str) else None, known, template)


def _id_faults(steps: list[_WrittenStep]) -> Iterator[Fault]:
    seen: set[str] = set()
    if len(steps) == MAX_STEPS:
        yield Fault("/steps", "tooLarge", f"a flow has fewer than {MAX_STEPS:,} steps")
    for step in steps:
        where = at(step.node.pointer, "id")
        if step.id is None:
            continue
        if not _ID.fullmatch(step.id) or step.id in _RESERVED:
            message = f"{shown(step.id)} cannot be the id of a step"
            hint = "begin with a letter, go on with letters, digits, _ and -, 64 at most"
            if step.id in _RESERVED:
                hint = "in JavaScript every object has this name already: choose another"
            yield Fault(where, "invalidStepId", message, hint)
        if step.id in seen:
            message = f"another step has the id {shown(step.id)} already"
            yield Fault(where, "duplicateStepId", message, "every id may be given once")
        seen.add(step.id)


def _frame_faults(step: _WrittenStep) -> Iterator[Fault]:
    """What is wrong with `id`, `type`, and which member holds the template."""
    if not isinstance(step.node, ObjectOf):
        return
    members, pointer = step.node.members, step.node.pointer
    if step.id is None:
        yield Fault(at(pointer, "id"), "missingValue", "a step needs an id, which is a text")
    if "type" not in members:
        yield Fault(at(pointer, "type"), "missingValue", f"a step needs a type: {_KINDS}")
    elif step.kind is None:
        yield _unknown_type(members["type"])
    template = TEMPLATE_OF[step.kind] if step.kind else None
    if template and template not in members:
        message = f"a step of type {step.kind} needs {template}"
        yield Fault(at(pointer, template), "missingValue", message)
    for name in members.keys() - {"id", "type", template or "parameters"}:
        yield _unknown_member(name, pointer, template or "parameters", step.kind)


def _unknown_type(node: Node) -> Fault:
    value = node.value if isinstance(node, Literal) else None
    near = closest(value, _BY_NAME) if isinstance(value, str) else None
    message = f"there is no step of type {shown(value)}" if value else "the type must be a text"
    return Fault(node.pointer, "unknownStepType", message, meant(near) or f"there are: {_KINDS}")


def _unknown_member(name: str, pointer: str, template: str, kind: StepType | None) -> Fault:
    where, message = at(pointer, name), f"a step has no {name}"
    if name in TEMPLATE_OF.values() and kind:
        return Fault(where, "unknownField", f"{kind} takes no {name}", f"write {template}")
    return Fault(where, "unknownField", message, meant(closest(name, ("id", "type", template))))


def _source_faults(kind: StepType, node: Node, around: Surroundings) -> Iterator[Fault]:
    """Parameters that name other steps."""
    sources = member(node, "sources") if kind is StepType.ZIPPER else None
    for source in sources.items if isinstance(sources, ListOf) else ():
        yield from name_faults(source, around)
    context = member(node, "contextId") if kind is StepType.OBJECT_GENERATOR else None
    if context is not None:
        yield from name_faults(context, around)


_BY_NAME = {kind.value: kind for kind in StepType}
_KINDS = ", ".join(_BY_NAME)

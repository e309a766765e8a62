"""Whether every path of a flow leads somewhere, told before anything runs.

Comes in: the nodes of one step, and what can be known of a run at that point: the schema of its
input, the schemas of the earlier steps' results, the store.  Goes out: faults for paths that can
never find anything; remarks for those that may not.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

from modelgenerator.flows.faults import Fault, at, meant
from modelgenerator.flows.language import (
    Format,
    Literal,
    Map,
    Node,
    Reference,
    children,
    template_faults,
)
from modelgenerator.flows.references import Many, Part, Path
from modelgenerator.flows.shapes import Landing, Schema, follow, types_of
from modelgenerator.setting_faults import closest

_NOWHERE = object()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the paths of a step can look into."""

    input: Mapping[str, object]
    """Schema of a run's input."""
    results: Mapping[str, Mapping[str, object]]
    """Schema of each earlier step's result."""
    later: frozenset[str]
    """The step itself and those after it."""
    store: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Item:
    """What is known of the current item of a @Map."""

    schema: Schema
    root: Mapping[str, object]


_ANY_ITEM = _Item(True, {})


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a path leads: what is known there, or why it leads nowhere."""

    landing: Landing
    root: Mapping[str, object]
    fault: Fault | None = None


def wiring(node: Node, around: Surroundings) -> Iterator[tuple[Fault, bool]]:
    """Everything below `node` that leads nowhere; and whether only in some runs, which is a remark.

    Faults are searched for one after another: whoever has enough of them stops asking.
    """
    yield from _walk(node, around, _ANY_ITEM)


def name_faults(node: Node, around: Surroundings) -> Iterator[Fault]:
    """What is wrong with `node` as the id of an earlier step."""
    if isinstance(node, Literal) and isinstance(node.value, str):
        fault = _step_fault(node.value, node.pointer, around)
        if fault is not None:
            yield fault


def dataset_remarks(node: Node | None, around: Surroundings) -> Iterator[Fault]:
    """Whether a reference to a dataset leads to an input that is none."""
    if not isinstance(node, Reference) or node.path.parts[:1] != ("input",):
        return
    found = _look(node.path, node.path.parts, node.pointer, around, _ANY_ITEM)
    known = [each for each in found.landing.schemas if isinstance(each, Mapping)]
    if known and not any(each.get("dataset") is True or "$ref" in each for each in known):
        message = f"{node.path} is an input without dataset: true, so that nothing is uploaded"
        yield Fault(node.pointer, "noDataset", message, 'add "dataset": true to that property')


def _walk(node: Node, around: Surroundings, item: _Item) -> Iterator[tuple[Fault, bool]]:
    below = item
    if isinstance(node, Reference):
        yield from _told(node.path, node.pointer, around, item)
    if isinstance(node, Map):
        yield from _told(node.source, at(node.pointer, 0), around, item)
        found = _look(node.source, node.source.parts, node.pointer, around, item)
        yield from _list_faults(node, found)
        below = _item_of(node.source, found)
    if isinstance(node, Format):
        yield from _template_faults(node, around)
    for inner in children(node):
        yield from _walk(inner, around, below)


def _told(
    path: Path, pointer: str, around: Surroundings, item: _Item
) -> Iterator[tuple[Fault, bool]]:
    found = _look(path, path.parts, pointer, around, item)
    if found.fault is not None:
        yield found.fault, False
    elif found.landing.optional is not None and path.is_single and not path.is_item:
        message = f"a run without {found.landing.optional} fails here: it may be left out"
        hint = "make it required, or give it a default"
        yield Fault(pointer, "mayBeMissing", message, hint), True
    for parts in path.in_filters:
        inner = _look(path, parts, pointer, around, item)
        if inner.fault is not None:
            yield inner.fault, False


def _look(
    path: Path, parts: tuple[Part, ...], pointer: str, around: Surroundings, item: _Item
) -> _Found:
    if path.is_item:
        return _in_schema(path, parts, item.schema, item.root, pointer, "unknownMember")
    match parts:
        case ("input", *rest):
            return _in_schema(path, rest, around.input, around.input, pointer, "unknownInput")
        case ("results", str() as step, *rest):
            fault = _step_fault(step, pointer, around)
            if fault is not None:
                return _Found(Landing(()), {}, fault)
            shape = around.results[step]
            return _in_schema(path, rest, shape, shape, pointer, "unknownResult")
        case ("store", *rest):
            return _in_store(path, rest, around.store, pointer)
        case _:
            return _Found(Landing((True,)), {})


def _in_schema(
    path: Path,
    parts: Iterable[Part],
    schema: Schema,
    root: Mapping[str, object],
    pointer: str,
    code: str,
) -> _Found:
    landing = follow(schema, parts, root)
    if landing.schemas:
        return _Found(landing, root)
    missing = landing.missing
    what = f"item {missing}" if isinstance(missing, int) else missing
    words = "nothing below it" if isinstance(missing, Many) else f"no {what} there"
    message = f"{path} leads to nothing: there is {words}"
    return _Found(landing, root, Fault(pointer, code, message, landing.hint))


def _in_store(
    path: Path, parts: Iterable[Part], store: Mapping[str, object], pointer: str
) -> _Found:
    here: object = store
    for part in parts:
        if isinstance(part, Many):
            return _Found(Landing((True,)), {})
        inner = _inside(here, part)
        if inner is _NOWHERE:
            known = cast(dict[str, object], here) if isinstance(here, dict) else {}
            hint = meant(closest(part, known)) if isinstance(part, str) else ""
            message = f"{path} leads to nothing: the store has no {part} there"
            return _Found(Landing(()), {}, Fault(pointer, "unknownStoreKey", message, hint))
        here = inner
    return _Found(Landing((_schema_of(here),)), {})


def _inside(here: object, part: str | int) -> object:
    if isinstance(here, dict) and isinstance(part, str):
        return cast(dict[str, object], here).get(part, _NOWHERE)
    if isinstance(here, list) and isinstance(part, int):
        items = cast(list[object], here)
        return items[part] if -len(items) <= part < len(items) else _NOWHERE
    return _NOWHERE


def _schema_of(value: object) -> Schema:
    """What is worth knowing of a value that is there: whether it can be mapped."""
    if isinstance(value, list):
        return {"type": "array"}
    if isinstance(value, dict):
        return {"type": "object", "additionalProperties": True}
    return {"type": "string"}


def _step_fault(step: str, pointer: str, around: Surroundings) -> Fault | None:
    if step in around.results:
        return None
    if step in around.later:
        message = f"the result of {step} is not there yet when this step runs"
        return Fault(pointer, "laterStep", message, "a step uses results of steps before it")
    if step.startswith("$"):
        hint = "write the id of the step alone, without $.results."
        return Fault(pointer, "unknownStep", f"{step} is not the id of a step", hint)
    near = meant(closest(step, around.results))
    return Fault(pointer, "unknownStep", f"there is no step {step}", near)


def _list_faults(node: Map, found: _Found) -> Iterator[tuple[Fault, bool]]:
    types = types_of(found.landing, found.root)
    if node.source.is_single and types and "array" not in types:
        message = f"@Map needs a list, and {node.source} is none"
        yield Fault(at(node.pointer, 0), "notAList", message), False


def _item_of(source: Path, found: _Found) -> _Item:
    landing = found.landing
    if not landing.schemas:
        return _ANY_ITEM
    several: Schema = {"anyOf": list(landing.schemas)}
    if source.is_single:
        items = follow(several, (Many.BESIDE,), found.root).schemas
        several = {"anyOf": list(items)} if items else True
    return _Item(several, found.root)


def _template_faults(node: Format, around: Surroundings) -> Iterator[tuple[Fault, bool]]:
    """A @Format whose template stands in the store, which is known."""
    if not isinstance(node.template, Reference):
        return
    here: object = around.store
    for part in node.template.path.parts[1:]:
        here = _NOWHERE if isinstance(part, Many) else _inside(here, part)
    if here is not _NOWHERE:
        for fault in template_faults(here, len(node.parameters), node.pointer):
            yield replace(fault, message=f"{node.template.path}: {fault.message}"), False

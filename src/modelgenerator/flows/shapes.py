"""What a path meets in a value of which only the schema is known.

Comes in: the parts of a path, and a JSON Schema in which `schemas` found no fault.  Goes out: the
schemas of what lies there, or the part that leads nowhere.  Results of steps are described by
schemas too, so that one walk serves a run's input and them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import unquote

from modelgenerator.flows.faults import meant
from modelgenerator.flows.references import Many, Part
from modelgenerator.setting_faults import closest

Schema = Mapping[str, object] | bool
IN_PLACE = ("allOf", "anyOf", "oneOf", "then", "else")
"""Keywords whose schemas describe the same value as the schema they stand in."""
MAX_ALTERNATIVES = 64
"""Schemas that a path is followed through at once; beyond them, everything is thought possible."""


@dataclass(frozen=True, slots=True)
class Landing:
    """What a path meets at its end."""

    schemas: tuple[Schema, ...]
    """What is known of the value: it fits one of these.  Empty where there can be no value."""
    missing: Part | None = None
    """The part of the path that leads nowhere."""
    hint: str = ""
    optional: str | None = None
    """The first name on the way that a value may lack, although it may have it."""


def follow(schema: Schema, parts: Iterable[Part], root: Mapping[str, object]) -> Landing:
    """Where `parts` of a path lead in a value that `schema`, a part of `root`, describes."""
    now: list[Schema] = [schema]
    optional: str | None = None
    for part in parts:
        around = [inner for each in now for inner in _alternatives(each, root)]
        if len(around) > MAX_ALTERNATIVES:
            return Landing((True,), optional=optional)
        now = [inner for each in around for inner in _one_step(each, part)]
        if not now:
            return Landing((), part, _near(part, around), optional)
        if isinstance(part, str) and optional is None and _may_lack(part, around):
            optional = part
    return Landing(tuple(now[: MAX_ALTERNATIVES + 1]), optional=optional)


def types_of(landing: Landing, root: Mapping[str, object]) -> set[str]:
    """The types that the value may have; empty where nothing is known of them."""
    types: set[str] = set()
    for schema in (inner for each in landing.schemas for inner in _alternatives(each, root)):
        named = _types(schema)
        if not named and not isinstance(schema, bool) and any(k in schema for k in IN_PLACE):
            continue  # its alternatives stand beside it
        if not named:
            return set()
        types |= named
    return types


def _alternatives(schema: Schema, root: Mapping[str, object]) -> Iterator[Schema]:
    """`schema` and all that describe the same value with it."""
    waiting, seen = [schema], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen and not isinstance(each, bool):
            continue
        seen.add(id(each))
        if not isinstance(each, Mapping):  # true, or no schema at all: nothing is known
            if each is not False:
                yield True
            continue
        target = referred(each, root)
        if target is None or len(each) > 1:
            yield each
        if target is not None:
            waiting.append(target)
        for keyword in IN_PLACE:
            inner = each.get(keyword)
            below = cast(list[object], inner) if isinstance(inner, list) else [inner]
            waiting += [cast(Schema, other) for other in below if isinstance(other, dict | bool)]


def referred(schema: Mapping[str, object], root: Mapping[str, object]) -> Schema | None:
    """The schema that `$ref` names; None without one."""
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return None
    here: object = root
    for step in target_of(reference).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(here, dict):
            here = here.get(name)
        elif isinstance(here, list) and name.isdecimal():
            here = dict(enumerate(cast(list[object], here))).get(int(name))
        else:
            return True
    return cast(Schema, here) if isinstance(here, dict | bool) else True


def _one_step(schema: Schema, part: Part) -> Iterator[Schema]:
    if isinstance(schema, bool) or part is Many.BELOW:
        yield True
        return
    if isinstance(part, str):
        yield from _member(schema, part)
    elif isinstance(part, int):
        yield from _item(schema, part)
    else:
        yield from _members(schema)
        yield from _items(schema)


def _member(schema: Mapping[str, object], name: str) -> Iterator[Schema]:
    if not _may_be("object", schema):
        return
    properties = _properties(schema)
    if name in properties:
        yield properties[name]
    else:
        yield from _others(schema)


def _members(schema: Mapping[str, object]) -> Iterator[Schema]:
    if _may_be("object", schema):
        yield from _properties(schema).values()
        yield from _others(schema)


def _others(schema: Mapping[str, object]) -> Iterator[Schema]:
    """What a member may be that is not declared by name.

    JSON Schema allows any; but whoever declares names has named those that they mean.
    """
    others = schema.get("additionalProperties")
    if isinstance(others, dict) or others is True:
        yield cast(Schema, others)
    elif others is None and "properties" not in schema and not _describes_elsewhere(schema):
        yield True


def _item(schema: Mapping[str, object], index: int) -> Iterator[Schema]:
    first = _first_items(schema)
    if _may_be("array", schema) and 0 <= index < len(first):
        yield first[index]
    elif _may_be("array", schema):
        yield from _rest_of_items(schema)
        if index < 0:
            yield from first


def _items(schema: Mapping[str, object]) -> Iterator[Schema]:
    if _may_be("array", schema):
        yield from _first_items(schema)
        yield from _rest_of_items(schema)


def _first_items(schema: Mapping[str, object]) -> list[Schema]:
    first = schema.get("prefixItems")
    return cast(list[Schema], first) if isinstance(first, list) else []


def _rest_of_items(schema: Mapping[str, object]) -> Iterator[Schema]:
    rest = schema.get("items")
    if isinstance(rest, dict):
        yield cast(Schema, rest)
    elif rest is True or (rest is None and not _describes_elsewhere(schema)):
        yield True


def _describes_elsewhere(schema: Mapping[str, object]) -> bool:
    return "$ref" in schema or any(keyword in schema for keyword in IN_PLACE)


def _properties(schema: Mapping[str, object]) -> Mapping[str, Schema]:
    properties = schema.get("properties")
    return cast(Mapping[str, Schema], properties) if isinstance(properties, dict) else {}


def _may_be(name: str, schema: Mapping[str, object]) -> bool:
    types = _types(schema)
    return not types or name in types


def _types(schema: Schema) -> set[str]:
    named = True if isinstance(schema, bool) else schema.get("type", True)
    if named is True:
        return set()
    return (
        {str(each) for each in cast(list[object], named)}
        if isinstance(named, list)
        else {str(named)}
    )


def _may_lack(name: str, around: Iterable[Schema]) -> bool:
    """Whether a value may have no member of this name, and none is put in for it."""
    for schema in around:
        if isinstance(schema, bool):
            continue
        required = schema.get("required")
        if isinstance(required, list) and name in cast(list[object], required):
            return False
        declared = _properties(schema).get(name)
        if isinstance(declared, Mapping) and "default" in declared:
            return False
    return any(not isinstance(schema, bool) and name in _properties(schema) for schema in around)


def _near(part: Part | None, around: Iterable[Schema]) -> str:
    if not isinstance(part, str):
        return ""
    known = {
        name for schema in around if not isinstance(schema, bool) for name in _properties(schema)
    }
    near = meant(closest(part, known))
    return near or (f"there are: {', '.join(sorted(known)[:10])}" if known else "")


def target_of(reference: str) -> str:
    """The JSON pointer in `#/$defs/name`."""
    return unquote(reference.removeprefix("#"))

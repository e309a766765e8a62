"""What is wrong with the JSON Schema of a flow's input.

Comes in: a schema as it was written (draft 2020-12), perhaps by a stranger.  Goes out: its faults.
What is allowed is what can be held against a value in bounded time, with nothing fetched.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, cast

from jsonschema import Draft202012Validator

from modelgenerator.flows.faults import Fault, at, meant, shown
from modelgenerator.flows.patterns import InvalidPattern, compile_pattern
from modelgenerator.flows.shapes import IN_PLACE, target_of
from modelgenerator.flows.validation import MAX_FAULTS, Held
from modelgenerator.setting_faults import closest

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_VALUES = 20_000
"""Values that a schema may hold altogether."""

_MAPS = ("properties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLES = (
    *("items", "additionalProperties", "contains", "not", "if", "then", "else"),
    *("propertyNames", "unevaluatedItems", "unevaluatedProperties", "contentSchema"),
)
_SAME_VALUE = (*IN_PLACE, "not", "if", "dependentSchemas")
_OURS = ("dataset", "min", "max", "placeholder")
"""What the form of a flow knows beyond JSON Schema."""
_KNOWN = frozenset(
    {*_MAPS, *_LISTS, *_SINGLES, *_OURS, *Draft202012Validator.VALIDATORS}
    | {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}
    | {"$schema", "$id", "$comment", "contentEncoding", "contentMediaType"}
    | {"minContains", "maxContains"}
)
_REFUSED = {
    "patternProperties": "declare properties by name, or additionalProperties",
    "$dynamicRef": "write $ref",
    "$dynamicAnchor": "write $defs",
    "$anchor": "write $ref as #/$defs/name",
}


def faults_in_schema(schema: object, pointer: str) -> Iterator[Fault]:
    """Everything that keeps `schema`, which stands at `pointer`, from describing an object."""
    if not isinstance(schema, dict):
        yield Fault(pointer, "wrongType", f"must be a JSON Schema, not {shown(schema)}")
        return
    root = cast(dict[str, object], schema)
    if root.get("type") != "object":
        yield Fault(
            at(pointer, "type"), "wrongType", 'the root of a schema must have type "object"'
        )
    if _size(root) > MAX_VALUES:
        yield Fault(pointer, "tooLarge", f"a schema holds at most {MAX_VALUES:,} values")
        return
    invalid = list(_invalid(root, pointer))
    yield from invalid
    found = dict(_subschemas(root, ""))
    for where, each in found.items():
        yield from _faults_of_one(each, at(pointer) + where, root=root, found=found)
    if not invalid:
        yield from _endless(root, pointer, found)


def remarks_in_schema(schema: object, pointer: str) -> Iterator[Fault]:
    """Keywords without effect, which JSON Schema passes over in silence."""
    if not isinstance(schema, dict) or _size(cast(object, schema)) > MAX_VALUES:
        return
    for where, keyword in islice(_unused(cast(dict[str, object], schema)), MAX_FAULTS):
        hint = meant(closest(keyword, _KNOWN))
        if keyword in _OURS:
            hint = f"it counts pictures of a dataset; did you mean {keyword}imum?"
        if hint:
            message = f"{keyword} has no effect here"
            yield Fault(at(pointer + where, keyword), "unusedKeyword", message, hint)


def _unused(root: dict[str, object]) -> Iterator[tuple[str, str]]:
    for where, each in _subschemas(root, ""):
        for keyword in each:
            is_count = keyword in ("min", "max") and each.get("dataset") is not True
            if is_count or keyword not in _KNOWN:
                yield where, keyword


def _invalid(root: dict[str, object], pointer: str) -> Iterator[Fault]:
    meta_schema = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    for error in islice(meta_schema.iter_errors(cast(Any, root)), MAX_FAULTS):
        where = at(pointer, *error.absolute_path)
        reason = error.message if len(error.message) <= 200 else f"does not fit {error.validator}"
        yield Fault(where, "invalidSchema", f"this is not JSON Schema: {reason}")


def _faults_of_one(
    schema: Mapping[str, object],
    pointer: str,
    *,
    root: Mapping[str, object],
    found: Mapping[str, Mapping[str, object]],
) -> Iterator[Fault]:
    for keyword, instead in _REFUSED.items():
        if keyword in schema:
            message = f"{keyword} is not supported in the schema of a flow"
            yield Fault(at(pointer, keyword), "unsupportedKeyword", message, instead)
    if schema.get("$schema", DIALECT) not in (DIALECT, f"{DIALECT}#"):
        message = f"schemas are read as JSON Schema 2020-12, not {shown(schema['$schema'])}"
        yield Fault(at(pointer, "$schema"), "unsupportedDialect", message, "leave $schema out")
    if "$id" in schema and schema is not root:
        message = "only the root of a schema may have an $id"
        yield Fault(at(pointer, "$id"), "unsupportedKeyword", message)
    yield from _reference_faults(schema, pointer, found)
    yield from _pattern_faults(schema, pointer)
    yield from _dataset_faults(schema, pointer)


def _reference_faults(
    schema: Mapping[str, object], pointer: str, found: Mapping[str, object]
) -> Iterator[Fault]:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return
    where = at(pointer, "$ref")
    if not reference.startswith("#"):
        message = f"{shown(reference)} leads out of the flow: nothing is fetched"
        yield Fault(where, "remoteReference", message, "copy it under $defs, write #/$defs/name")
    elif target_of(reference) not in found:
        message = f"{shown(reference)} leads to no schema in here"
        yield Fault(where, "unknownReference", message)


def _pattern_faults(schema: Mapping[str, object], pointer: str) -> Iterator[Fault]:
    pattern = schema.get("pattern")
    if not isinstance(pattern, str):
        return
    try:
        compile_pattern(pattern)
    except InvalidPattern as error:
        message = f"the pattern {shown(pattern)} cannot be used: {error}"
        hint = "patterns are RE2's: no look-around, no back-references, repeats up to 1000"
        yield Fault(at(pointer, "pattern"), "invalidPattern", message, hint)


def _dataset_faults(schema: Mapping[str, object], pointer: str) -> Iterator[Fault]:
    wanted = schema.get("dataset", False)
    if not isinstance(wanted, bool):
        message = f"dataset must be true or false, not {shown(wanted)}"
        yield Fault(at(pointer, "dataset"), "wrongType", message)
    if wanted is not True:
        return
    if schema.get("type") != "string":
        message = 'a property with dataset: true must have type "string": its value is an id'
        yield Fault(at(pointer, "type"), "datasetType", message)
    counts = [schema[name] for name in ("min", "max") if name in schema]
    for name in ("min", "max"):
        if name in schema and not _is_count(schema[name]):
            message = f"{name} must be a whole number of pictures from 1 on"
            yield Fault(at(pointer, name), "pictureCount", message)
    if (
        len(counts) == 2
        and all(map(_is_count, counts))
        and cast(int, counts[0]) > cast(int, counts[1])
    ):
        message = f"min is {counts[0]} and max {counts[1]}: no number of pictures fits"
        yield Fault(at(pointer, "min"), "pictureCount", message)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _endless(
    root: dict[str, object], pointer: str, found: Mapping[str, Mapping[str, object]]
) -> Iterator[Fault]:
    """Schemas that lead back to themselves without going into the value, and wrong defaults."""
    sound = _without_way_back(found)
    for where in found.keys() - sound:
        message = "this schema leads back to itself and describes nothing"
        yield Fault(pointer + where, "endlessReference", message)
    if len(sound) < len(found):
        return
    held = Held(root)
    for where, schema in found.items():
        if "default" in schema:
            for fault in held.misfits(schema["default"], below=schema):
                message = f"the default does not fit its own schema: {fault.message}"
                yield Fault(at(pointer + where, "default"), "invalidDefault", message)


def _without_way_back(found: Mapping[str, Mapping[str, object]]) -> set[str]:
    """Those of `found` from which every way through the same value comes to an end."""
    ahead = {where: set(_same_value(where, schema, found)) for where, schema in found.items()}
    behind: dict[str, list[str]] = {where: [] for where in found}
    for where, others in ahead.items():
        for other in others:
            behind[other].append(where)
    ended = {where for where, others in ahead.items() if not others}
    waiting = list(ended)
    while waiting:
        for where in behind[waiting.pop()]:
            ahead[where] -= ended
            if not ahead[where] and where not in ended:
                ended.add(where)
                waiting.append(where)
    return ended


def _same_value(
    where: str, schema: Mapping[str, object], found: Mapping[str, object]
) -> Iterator[str]:
    for below, _ in _right_below(schema, where):
        if below.removeprefix(where).split("/")[1] in _SAME_VALUE:
            yield below
    reference = schema.get("$ref")
    if isinstance(reference, str) and target_of(reference) in found:
        yield target_of(reference)


def _subschemas(
    schema: Mapping[str, object], pointer: str
) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Every schema that is an object, with its pointer; itself first."""
    waiting = [(pointer, schema)]
    while waiting:
        where, each = waiting.pop()
        yield where, each
        waiting += reversed(list(_right_below(each, where)))


def _right_below(
    schema: Mapping[str, object], pointer: str
) -> Iterator[tuple[str, Mapping[str, object]]]:
    for keyword in _MAPS:
        inner = schema.get(keyword)
        if isinstance(inner, dict):
            for name, each in cast(dict[str, object], inner).items():
                yield from _if_object(each, at(pointer, keyword, name))
    for keyword in _LISTS:
        inner = schema.get(keyword)
        if isinstance(inner, list):
            for index, each in enumerate(cast(list[object], inner)):
                yield from _if_object(each, at(pointer, keyword, index))
    for keyword in _SINGLES:
        yield from _if_object(schema.get(keyword), at(pointer, keyword))


def _if_object(value: object, pointer: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    if isinstance(value, dict):
        yield pointer, cast(Mapping[str, object], value)


def _size(value: object) -> int:
    count, waiting = 0, [value]
    while waiting and count <= MAX_VALUES:
        each = waiting.pop()
        count += 1
        if isinstance(each, dict):
            waiting += cast(dict[str, object], each).values()
        if isinstance(each, list):
            waiting += cast(list[object], each)
    return count

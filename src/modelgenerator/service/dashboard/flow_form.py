"""The form of a flow: controls made from a JSON Schema.

In: a schema in which no fault was found, what was given before, and what was wrong with it.  Out:
controls in the order of the schema, each named by the JSON pointer of its value.  What is too free
for controls is written as JSON.  `flow_form_sent` reads what a browser sends.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import cast

from modelgenerator.flows.faults import at
from modelgenerator.flows.shapes import referred

_DEEPEST = 4
"""Groups within groups; below them values are written as JSON."""
_LONG_TEXT = 200
"""Characters from which a text is given several lines."""
_INPUT_TYPES = {"email": "email", "date": "date", "uri": "url"}
"""By `format` of a text."""
Schema = Mapping[str, object]


class ControlKind(StrEnum):
    """How a value is asked for."""

    LINE = "line"
    TEXT = "text"
    NUMBER = "number"
    SWITCH = "switch"
    CHOICE = "choice"
    SEVERAL = "several"
    LINES = "lines"
    PICTURES = "pictures"
    GROUP = "group"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    value: str
    """The value as JSON."""
    words: str
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One question of a form."""

    name: str
    """JSON pointer of the value in the input."""
    kind: ControlKind
    label: str
    description: str = ""
    placeholder: str = ""
    hint: str = ""
    """What the value may be, in words."""
    is_required: bool = False
    is_whole: bool = False
    """Whether only whole numbers are meant."""
    is_of_numbers: bool = False
    """Whether every line is a number."""
    input_type: str = "text"
    least: float | None = None
    most: float | None = None
    """Of a number, of pictures."""
    value: object = None
    """What was given before, or the default."""
    choices: tuple[Choice, ...] = ()
    controls: tuple["Control", ...] = ()
    """Of a group."""
    fault: str | None = None

    @property
    def id(self) -> str:
        """For labels, unlike any other id of a page."""
        return "input" + re.sub(r"[^A-Za-z0-9]", lambda sign: f"-{ord(sign[0]):x}-", self.name)

    @property
    def text(self) -> str:
        """The value as it is typed."""
        if self.value is None:
            return ""
        if self.kind is ControlKind.LINES and isinstance(self.value, list):
            return "\n".join(_typed(each) for each in cast(list[object], self.value))
        return _typed(self.value)


@dataclass(frozen=True, slots=True)
class Form:
    """All questions, and what is wrong with none of them in particular."""

    controls: tuple[Control, ...]
    faults: tuple[str, ...] = ()

    @property
    def is_faulty(self) -> bool:
        """Whether something is wrong."""
        return bool(self.faults) or any(each.fault for each in all_controls(self.controls))


def form_of(schema: Schema) -> Form:
    """The form with its defaults."""
    return Form(tuple(_controls(schema, schema, "", _DEFAULTS, 0)))


def form_with(schema: Schema, values: object, faults: Iterable[Mapping[str, object]] = ()) -> Form:
    """The form as it was filled in, and what is wrong with it: pointer, code and message each."""
    controls = tuple(_controls(schema, schema, "", values, 0))
    names = {each.name for each in all_controls(controls)}
    told: dict[str, str] = {}
    others: list[str] = []
    for fault in faults:
        pointer = str(fault.get("pointer", ""))
        name = _nearest(pointer, names)
        if name is None:
            others.append(_sentence(str(fault.get("message", ""))))
        else:
            told.setdefault(name, _told(fault, pointer.removeprefix(name)))
    return Form(tuple(_faulty(each, told) for each in controls), tuple(others))


def all_controls(controls: Iterable[Control]) -> Iterator[Control]:
    """Those of groups too."""
    for each in controls:
        yield each
        yield from all_controls(each.controls)


_DEFAULTS = object()
"""Given in the place of values: take what the schema says."""


def _controls(
    schema: Schema, root: Schema, pointer: str, values: object, depth: int
) -> Iterator[Control]:
    properties = cast(Schema, schema.get("properties", {}))
    required = cast(list[object], schema.get("required", []))
    for name, each in properties.items():
        inner = _resolved(each, root)
        value = _given(values, name, inner)
        control = _control(inner, root, at(pointer, name), value, depth)
        label = str(inner.get("title") or _as_words(name))
        yield replace(control, label=label, is_required=name in required)


def _given(values: object, name: str, schema: Schema) -> object:
    if values is _DEFAULTS:
        return schema.get("default", _DEFAULTS if "properties" in schema else None)
    return cast(Mapping[str, object], values).get(name) if isinstance(values, dict) else None


def _resolved(schema: object, root: Schema) -> Schema:
    """The schema with what its `$ref` leads to; what stands beside that wins."""
    found = cast(Schema, schema) if isinstance(schema, dict) else {}
    for _ in range(_DEEPEST):
        target = referred(found, root)
        if not isinstance(target, Mapping):
            break
        found = {**target, **{name: each for name, each in found.items() if name != "$ref"}}
    return found


def _control(schema: Schema, root: Schema, pointer: str, value: object, depth: int) -> Control:
    control = Control(
        name=pointer,
        kind=_kind(schema, root, depth),
        label="",
        description=str(schema.get("description", "")),
        placeholder=str(schema.get("placeholder", "")),
        value=None if value is _DEFAULTS else value,
    )
    return _MADE.get(control.kind, _as_it_is)(control, schema, root, value, depth)


def _kind(schema: Schema, root: Schema, depth: int) -> ControlKind:
    if schema.get("dataset") is True:
        return ControlKind.PICTURES
    if _options(schema):
        return ControlKind.CHOICE
    kind = _type(schema)
    if kind == "array":
        return _kind_of_list(_resolved(schema.get("items"), root))
    if kind == "object" and schema.get("properties") and depth < _DEEPEST:
        return ControlKind.GROUP
    if kind == "string" and _number(schema, "maxLength", 0) > _LONG_TEXT:
        return ControlKind.TEXT
    return _KINDS.get(kind, ControlKind.JSON)


def _kind_of_list(items: Schema) -> ControlKind:
    if _options(items):
        return ControlKind.SEVERAL
    is_plain = _type(items) in ("string", "integer", "number") and not items.get("dataset")
    return ControlKind.LINES if is_plain else ControlKind.JSON


_KINDS = {
    "string": ControlKind.LINE,
    "integer": ControlKind.NUMBER,
    "number": ControlKind.NUMBER,
    "boolean": ControlKind.SWITCH,
}


def _type(schema: Schema) -> str:
    named = schema.get("type")
    if isinstance(named, list):
        return next((str(each) for each in cast(list[object], named) if each != "null"), "")
    return str(named or "")


def _options(schema: Schema) -> list[tuple[object, str]]:
    """The values of which one may be chosen, each with its words."""
    enum = schema.get("enum")
    if isinstance(enum, list):
        return [(value, _typed(value)) for value in cast(list[object], enum)]
    branches = cast(list[object], schema.get("oneOf", []))
    constants = [cast(Schema, each) for each in branches if isinstance(each, dict)]
    if not constants or len(constants) < len(branches) or any("const" not in e for e in constants):
        return []
    return [(each["const"], str(each.get("title", _typed(each["const"])))) for each in constants]


def _as_it_is(control: Control, *_: object) -> Control:
    return control


def _line(control: Control, schema: Schema, *_: object) -> Control:
    kind = _INPUT_TYPES.get(str(schema.get("format")), "text")
    return replace(control, input_type=kind, hint=_length_hint(schema))


def _number_control(control: Control, schema: Schema, *_: object) -> Control:
    least, most = (_bound(schema, name) for name in ("minimum", "maximum"))
    is_whole = _type(schema) == "integer"
    return replace(control, least=least, most=most, is_whole=is_whole, hint=_range(least, most))


def _choice(control: Control, schema: Schema, *_: object) -> Control:
    return replace(control, choices=_choices(schema, [control.value]))


def _several(control: Control, schema: Schema, root: Schema, *_: object) -> Control:
    chosen = cast(list[object], control.value) if isinstance(control.value, list) else []
    choices = _choices(_resolved(schema.get("items"), root), chosen)
    return replace(control, choices=choices, hint=_count_hint(schema, "Choose"))


def _lines(control: Control, schema: Schema, root: Schema, *_: object) -> Control:
    count = _count_hint(schema, ",")
    hint = f"One on each line{count}" if count else "One on each line."
    items = _type(_resolved(schema.get("items"), root))
    return replace(control, hint=hint, is_of_numbers=items != "string")


def _pictures(control: Control, schema: Schema, *_: object) -> Control:
    least, most = (_bound(schema, name) for name in ("min", "max"))
    hint = f"{_range(least or 1, most).removesuffix('.')} photos."
    return replace(control, least=least or 1, most=most, hint=hint)


def _group(control: Control, schema: Schema, root: Schema, value: object, depth: int) -> Control:
    controls = tuple(_controls(schema, root, control.name, value, depth + 1))
    return replace(control, value=None, controls=controls)


_MADE = {
    ControlKind.LINE: _line,
    ControlKind.TEXT: _line,
    ControlKind.NUMBER: _number_control,
    ControlKind.CHOICE: _choice,
    ControlKind.SEVERAL: _several,
    ControlKind.LINES: _lines,
    ControlKind.PICTURES: _pictures,
    ControlKind.GROUP: _group,
}


def _choices(schema: Schema, chosen: list[object]) -> tuple[Choice, ...]:
    written = [_json(each) for each in chosen if each is not None]
    return tuple(
        Choice(_json(value), words, _json(value) in written) for value, words in _options(schema)
    )


def _bound(schema: Schema, name: str) -> float | None:
    value = schema.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _number(schema: Schema, name: str, otherwise: float) -> float:
    value = _bound(schema, name)
    return otherwise if value is None else value


def _range(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f"From {least:,} to {most:,}." if least != most else f"Exactly {least:,}."
    if least is not None:
        return f"At least {least:,}."
    return f"At most {most:,}." if most is not None else ""


def _length_hint(schema: Schema) -> str:
    most = _bound(schema, "maxLength")
    return f"At most {most:,} characters." if most is not None else ""


def _count_hint(schema: Schema, before: str) -> str:
    told = _range(_bound(schema, "minItems"), _bound(schema, "maxItems"))
    return f"{before} {told[0].lower()}{told[1:]}" if told else ""


def _as_words(name: str) -> str:
    """`Hair colour` for `hairColour` and `hair_colour`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ").strip()
    return apart[:1].upper() + apart[1:].lower() if apart else name


def _typed(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _nearest(pointer: str, names: set[str]) -> str | None:
    while pointer and pointer not in names:
        pointer = pointer.rpartition("/")[0]
    return pointer or None


def _told(fault: Mapping[str, object], below: str) -> str:
    if fault.get("code") == "missingValue" and not below:
        return "This is needed."
    message = _sentence(str(fault.get("message", "")))
    number = below.removeprefix("/")
    return f"Number {int(number) + 1}: {message}" if number.isdecimal() else message


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:].removesuffix(".") + "."


def _faulty(control: Control, told: Mapping[str, str]) -> Control:
    below = tuple(_faulty(each, told) for each in control.controls)
    return replace(control, fault=told.get(control.name), controls=below)

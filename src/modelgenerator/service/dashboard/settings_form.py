"""A form for settings, made from the class that has them, and what a person writes into it.

In: the class `TrainingSettings`, and texts by the names of controls.  Out: controls that know their
label, sentence, range and default; and settings as JSON says them, with only what was written: a
control that is left empty sets nothing.  What HTML looks like, and what training costs, is not
known here.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import cast

import pyjson5

from modelgenerator.errors import InvalidSettings
from modelgenerator.setting_faults import allowed
from modelgenerator.settings import TrainingSettings
from modelgenerator.settings_files import place_of

BASE_MODEL = "baseModel"
"""Has a chooser of its own."""
COMMON = (
    "captionPrefix",
    "epochs",
    "repeats",
    "resolution",
    "batchSize",
    "learningRate",
    "normalizeDataset",
    "maskedLoss",
    "flipAug",
)
"""What somebody changes first, in the order in which he thinks of it."""
_LABELS = {"captionPrefix": "Trigger word", "flipAug": "Mirrored pictures"}
"""Where the name alone says nothing to whoever sees it first."""
_WHOLE = re.compile(r"[+-]?\d{1,30}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_Schema = Mapping[str, object]


class SettingKind(StrEnum):
    """How a setting is written."""

    WHOLE = "whole"
    NUMBER = "number"
    SWITCH = "switch"  # yes, no, or nothing said
    CHOICE = "choice"  # one of several
    CHOICES = "choices"  # some of several
    TEXT = "text"
    LINES = "lines"  # texts, one a line


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingControl:
    """One setting in a form."""

    name: str
    """In camelCase, as everywhere that people meet it."""
    kind: SettingKind
    group: str
    sentence: str
    """What it is for."""
    allowed: str
    """Its range in words."""
    default: object
    """None: not set."""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    @property
    def label(self) -> str:
        """`Learning rate` for `learningRate`."""
        if self.name in _LABELS:
            return _LABELS[self.name]
        plain = re.sub(r"(?<=[a-z])([A-Z])", lambda found: f" {found[1].lower()}", self.name)
        return plain[0].upper() + plain[1:]

    def read(self, texts: Sequence[str]) -> object:
        """What was written, as JSON says it; none: nothing was.

        A text that cannot be meant is handed on as it is: the settings say best what is wrong.
        """
        match self.kind:
            case SettingKind.CHOICES:
                return [text for text in texts if text] or None
            case SettingKind.LINES:
                return [line.strip() for line in _lines(texts) if line.strip()] or None
            case _:
                text = texts[0] if texts else ""
                return self._single(text) if text.strip() else None

    def written(self, value: object) -> list[str]:
        """The texts that `read` makes `value` of; none where nothing is set."""
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            return [as_text(value)]
        texts = [as_text(item) for item in cast(Sequence[object], value)]
        if self.kind is SettingKind.LINES:
            return ["\n".join(" ".join(text.split()) for text in texts)]
        return texts

    def _single(self, text: str) -> object:
        if self.kind in (SettingKind.WHOLE, SettingKind.NUMBER):
            return _number_in(text.strip())
        if self.kind is SettingKind.SWITCH:
            return {"true": True, "false": False}.get(text, text)
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A control as it stands in a form: what was written into it, and what is used if nothing."""

    control: SettingControl
    texts: tuple[str, ...]
    otherwise: str
    """What holds while it is left empty, the preset's or the default; empty: decided later."""
    is_preset: bool
    """Whether that is the preset's."""
    fault: str | None

    @property
    def text(self) -> str:
        """The one text of a control that has one."""
        return self.texts[0] if self.texts else ""


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that belong together."""

    name: str
    fields: tuple[Field, ...]

    @property
    def written(self) -> int:
        """How many of them say something."""
        return sum(bool(field.texts) for field in self.fields)

    @property
    def is_faulty(self) -> bool:
        """Whether one of them cannot be used."""
        return any(field.fault for field in self.fields)


@dataclass(frozen=True, slots=True)
class SettingsForm:
    """All fields, each once."""

    base_model: Field
    common: tuple[Field, ...]
    groups: tuple[Group, ...]


@cache
def controls() -> Mapping[str, SettingControl]:
    """One for every setting, by name, in the order of the class."""
    schema = TrainingSettings.model_json_schema(by_alias=True)
    properties = cast(Mapping[str, _Schema], schema["properties"])
    return {name: _control(name, prop, schema) for name, prop in properties.items()}


def read_form(texts: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """The settings that a sent form says; what is no setting is left to others."""
    said = {name: it.read(texts.get(name, ())) for name, it in controls().items()}
    return {name: value for name, value in said.items() if value is not None}


def read_json(text: str) -> dict[str, object]:
    """Settings written as JSON or JSON5; what is null is left out.

    A Flow step, or its `parameters`, is taken for the settings in it.

    Raises:
        InvalidSettings: it is not JSON5, or no object.
    """
    if not text.strip():
        return {}
    try:
        value: object = pyjson5.decode(text)
    except pyjson5.Json5DecoderException as error:
        raise InvalidSettings(f"Not JSON: {place_of(str(error.args[0]), text)}.") from None
    for name in ("parameters", "settings"):
        if isinstance(value, dict) and isinstance(value.get(name), dict):
            value = value[name]
    if not isinstance(value, dict):
        raise InvalidSettings('Write an object, for example {"epochs": 40}.')
    return {
        str(name): it for name, it in cast(dict[object, object], value).items() if it is not None
    }


def settings_form(
    changes: Mapping[str, object],
    preset: Mapping[str, object],
    faults: Mapping[str, str],
) -> SettingsForm:
    """The form in which `changes` stand, over a `preset` that shows through where they do not."""
    fields = {
        name: _field(control, changes.get(name), preset.get(name), faults.get(name))
        for name, control in controls().items()
    }
    common = tuple(fields[name] for name in COMMON)
    rest = [field for name, field in fields.items() if name not in (*COMMON, BASE_MODEL)]
    names = dict.fromkeys(field.control.group for field in rest)
    groups = (
        Group(name, tuple(field for field in rest if field.control.group == name)) for name in names
    )
    return SettingsForm(fields[BASE_MODEL], common, tuple(groups))


def as_text(value: object) -> str:
    """A value as people write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def in_words(value: object) -> str:
    """A value as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "not given"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        named = cast(Mapping[str, object], value)
        return ", ".join(f"{name} {in_words(it)}" for name, it in named.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(in_words(item) for item in cast(Sequence[object], value)) or "none"
    return as_text(value) or "none"


def _field(control: SettingControl, value: object, preset: object, fault: str | None) -> Field:
    below = control.default if preset is None else preset
    return Field(
        control=control,
        texts=tuple(control.written(value)),
        otherwise="" if below in (None, "", [], ()) else in_words(below),
        is_preset=preset is not None,
        fault=fault,
    )


def _control(name: str, prop: _Schema, schema: _Schema) -> SettingControl:
    alternatives = cast(Sequence[_Schema], prop.get("anyOf", [prop]))
    bounds = next(one for one in alternatives if one.get("type") != "null")
    items = cast(_Schema, bounds.get("items", bounds))
    choices = _choices(items, schema)
    default = prop.get("default")
    return SettingControl(
        name=name,
        kind=_kind(bounds, bool(choices)),
        group=str(prop["group"]),
        sentence=str(prop["description"]),
        allowed=allowed(name, schema),
        default=default if default != [] else None,
        choices=choices,
        minimum=_bound(bounds, "minimum", "exclusiveMinimum"),
        maximum=_bound(bounds, "maximum", "exclusiveMaximum"),
    )


def _kind(bounds: _Schema, has_choices: bool) -> SettingKind:
    kind = bounds.get("type")
    if kind == "array":
        return SettingKind.CHOICES if has_choices else SettingKind.LINES
    if has_choices:
        return SettingKind.CHOICE
    plain = {
        "integer": SettingKind.WHOLE,
        "number": SettingKind.NUMBER,
        "boolean": SettingKind.SWITCH,
    }
    return plain.get(str(kind), SettingKind.TEXT)


def _choices(items: _Schema, schema: _Schema) -> tuple[str, ...]:
    reference = items.get("$ref")
    if reference is None:
        return ()
    definitions = cast(Mapping[str, _Schema], schema["$defs"])
    return tuple(cast(list[str], definitions[str(reference).rpartition("/")[2]]["enum"]))


def _bound(bounds: _Schema, *names: str) -> float | None:
    found = (bounds[name] for name in names if name in bounds)
    return cast("float | None", next(found, None))


def _number_in(text: str) -> object:
    """The number that `text` is; `text` itself where it is none."""
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


def _lines(texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in text.splitlines()]

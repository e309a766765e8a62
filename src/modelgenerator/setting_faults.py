"""Says what is wrong with a setting, in the words of the person who wrote it.

Comes in: the faults that pydantic found, and the class they were found in.  Goes out: one line
for each fault, with the setting, the value, what is allowed and, where it helps, what was
probably meant; and `allowed`, the range of a setting in words, which the reference page shows
too.  It knows no single setting's meaning beyond the spellings that other trainers use.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Literal, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

# What people who come from other trainers write; compared without case and punctuation.
# Source: option names of kohya-ss/sd-scripts, train_network.py and library/train_util.py.
_OTHER_NAMES = {
    "alpha": "alphaDim",
    "conv": "networkTargets",
    "dim": "networkDim",
    "flip": "flipAug",
    "learningratescheduler": "scheduler",
    "loraalpha": "alphaDim",
    "lorarank": "networkDim",
    "lr": "learningRate",
    "lrscheduler": "scheduler",
    "maxtrainepochs": "epochs",
    "maxtrainsteps": "maxSteps",
    "mixedprecision": "precision",
    "model": "baseModel",
    "networkalpha": "alphaDim",
    "networkrank": "networkDim",
    "optimizertype": "optimizer",
    "pretrainedmodelnameorpath": "baseModel",
    "rank": "networkDim",
    "size": "resolution",
    "trainbatchsize": "batchSize",
    "trigger": "captionPrefix",
    "triggerword": "captionPrefix",
}
_OTHER_VALUES = {
    "mse": "L2",
    "l1": "SmoothL1",
    "dadaptadampreprint": "DAdaptation",
    "adam": "AdamW",
    "float16": "fp16",
    "half": "fp16",
    "bfloat16": "bf16",
}
_FULL_PRECISION = ("fp32", "float32", "no")
_SWITCHES = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
_LEFT_OUT = {"learningRate": " for the one that suits the optimizer"}
"""What a setting without a value becomes, where that is not its published default."""
_BEYOND = {"batchSize": "with gradientAccumulation several batches make one step"}
"""Who wants more than is allowed can have it otherwise."""

_COMPARED = 500
"""Names that a mistyped one is compared with: beyond them, a stranger could make it take long."""

_Schema = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SettingFault:
    """What is wrong with one setting."""

    name: str
    code: Literal["unknownSetting", "missingSetting", "invalidSetting"]
    message: str
    hint: str
    """What was probably meant, or what to do; empty where nobody can know."""

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


def describe_faults(errors: Iterable[ErrorDetails], settings: type[BaseModel]) -> list[str]:
    """One line for every setting in `errors`, which were found while checking `settings`."""
    return [str(fault) for fault in _faults(errors, settings)]


def faults_in(values: Mapping[str, object], settings: type[BaseModel]) -> list[SettingFault]:
    """What keeps `values`, by camelCase name, from being `settings`: at most one fault a name."""
    try:
        settings.model_validate(dict(values), by_alias=True, by_name=False)
    except ValidationError as error:
        return _faults(error.errors(), settings)
    return []


def closest(written: str, known: Iterable[str]) -> str | None:
    """The name that was probably meant by `written`, or none that is near."""
    by_letters = {_letters(name): name for name in islice(known, _COMPARED)}
    plain = _letters(written)
    close = [plain] if plain in by_letters else get_close_matches(plain, by_letters, n=1)
    return by_letters[close[0]] if close else None


def _faults(errors: Iterable[ErrorDetails], settings: type[BaseModel]) -> list[SettingFault]:
    schema = settings.model_json_schema(by_alias=True)
    faults: dict[str, SettingFault] = {}  # one a setting, however many alternatives were tried
    for error in errors:
        name = str(error["loc"][0]) if error["loc"] else ""
        faults.setdefault(name, _describe(name, error, schema))
    return list(faults.values())


def allowed(name: str, schema: _Schema) -> str:
    """What the setting `name` may be, as "a whole number from 1 to 6".

    `schema` is the JSON Schema of the settings class.
    """
    return _in_words(_property(name, schema), schema)


def _describe(name: str, error: ErrorDetails, schema: _Schema) -> SettingFault:
    if error["type"] == "extra_forbidden":
        message = f"{name}: there is no such setting"
        return SettingFault(name, "unknownSetting", message, _meant_name(name, schema))
    if error["type"] == "missing":
        message = f"{name} is required: {_property(name, schema)['description']}"
        return SettingFault(name, "missingSetting", message, "")
    value: object = error["input"]
    message = f"{name} must be {allowed(name, schema)}, not {_as_written(value)}"
    return SettingFault(name, "invalidSetting", message, _intent(name, value, schema))


def _meant_name(written: str, schema: _Schema) -> str:
    known = {_letters(name): name for name in cast(_Schema, schema["properties"])}
    plain = _letters(written)
    others = {other: name for other, name in _OTHER_NAMES.items() if _letters(name) in known}
    candidates = {**others, **known}
    close = [plain] if plain in candidates else get_close_matches(plain, candidates, n=1)
    return f"did you mean {candidates[close[0]]}?" if close else ""


def _intent(name: str, value: object, schema: _Schema) -> str:
    """What the person probably wanted, or how to say that they want nothing special."""
    prop = _property(name, schema)
    choices = _choices(prop, schema)
    if name == "precision" and value in _FULL_PRECISION:
        return "leave it out: a CPU computes in fp32 by itself"
    if isinstance(value, str) and choices:
        return _meant_choice(value, choices)
    if _not_null(prop).get("type") == "boolean":
        return _meant_switch(value)
    if isinstance(value, str) and _not_null(prop).get("type") == "array":
        return f"put it in brackets: [{_as_written(value)}]"
    if isinstance(value, str) and _is_number(value) and "number" in allowed(name, schema):
        return "write it without quotes"
    if not isinstance(value, str) and "string" in str(prop.get("type", prop.get("anyOf"))):
        return "put it in quotes"
    if "default" in prop and not value:
        default = prop["default"]
        instead = "" if default is None else f" for {_as_written(default)}"
        left_out = _LEFT_OUT.get(name, instead) or " if you do not want to set it"
        return f"leave it out{left_out}"
    return _BEYOND.get(name, "") if _is_beyond(value, prop) else ""


def _is_beyond(value: object, prop: _Schema) -> bool:
    most = _not_null(prop).get("maximum")
    return isinstance(value, int) and isinstance(most, int | float) and value > most


def _meant_switch(value: object) -> str:
    """JSON knows `true` and `false` alone; a person knows more words."""
    if value in ("true", "false"):
        return "write it without quotes"
    meant = _SWITCHES.get(str(value).lower())
    return f"did you mean {meant}?" if meant else ""


def _meant_choice(written: str, choices: list[str]) -> str:
    plain = {_letters(choice): choice for choice in choices}
    others = {other: choice for other, choice in _OTHER_VALUES.items() if choice in choices}
    candidates, word = {**others, **plain}, _letters(written)
    begun = [choice for letters, choice in plain.items() if word and letters.startswith(word)]
    close = get_close_matches(word, candidates, n=1, cutoff=0.75)
    meant = [candidates[word]] if word in candidates else begun
    meant = meant or [candidates[letters] for letters in close]
    return f"did you mean {' or '.join(meant)}?" if 0 < len(meant) < 4 else ""


def _in_words(prop: _Schema, schema: _Schema) -> str:
    choices = _choices(prop, schema)
    if choices:
        return "one of " + ", ".join(choices)
    bounded = _not_null(prop)
    match bounded.get("type"):
        case "boolean":
            return "true or false"
        case "integer":
            multiple = bounded.get("multipleOf")
            kind = f"a multiple of {multiple}" if multiple else "a whole number"
            return kind + _bounds(bounded)
        case "number":
            return "a number" + _bounds(bounded)
        case "array":
            kinds = _choices(cast(_Schema, bounded["items"]), schema) or ["texts"]
            return f"a list of {', '.join(kinds)}"
        case _:
            return "text that is not empty" if bounded.get("minLength") else "text"


def _bounds(prop: _Schema) -> str:
    low, high = prop.get("minimum"), prop.get("maximum")
    above, below = prop.get("exclusiveMinimum"), prop.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {_plain(low)} to {_plain(high)}"
    if low is not None and below is not None:
        return f" from {_plain(low)} to below {_plain(below)}"
    if low is not None:
        return f" from {_plain(low)} on"
    return f" above {_plain(above)}" if above is not None else ""


def _choices(prop: _Schema, schema: _Schema) -> list[str]:
    """The values of an enumeration; empty for every other setting."""
    reference = _not_null(prop).get("$ref")
    if reference is None:
        return []
    definitions = cast(Mapping[str, _Schema], schema["$defs"])
    return cast(list[str], definitions[str(reference).rsplit("/", 1)[-1]]["enum"])


def _not_null(prop: _Schema) -> _Schema:
    alternatives = cast(list[_Schema], prop.get("anyOf", [prop]))
    return next(alternative for alternative in alternatives if alternative.get("type") != "null")


def _property(name: str, schema: _Schema) -> _Schema:
    return cast(Mapping[str, _Schema], schema["properties"])[name]


def _as_written(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _plain(number: object) -> str:
    if number == 2**63 - 1:
        return "2^63 - 1"
    return f"{number:g}" if isinstance(number, float) else str(number)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

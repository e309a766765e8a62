"""Reads settings from where a person wrote them: a JSON5 file, or `name=value`.

Comes in: a path or a text.  Goes out: names and values as they were written.  Whether such names
exist and such values are allowed is not known here: that is `settings`.
"""

import math
import re
from pathlib import Path
from typing import cast

import pyjson5

from modelgenerator.errors import InvalidSettings


def read_settings_file(path: Path) -> dict[str, object]:
    """The settings written in a JSON5 file, not yet checked; names are camelCase.

    The file holds an object of settings, or a whole Flow step of type ModelGenerator.

    Raises:
        InvalidSettings: no such file, not JSON5, not an object, NaN or Infinity in it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, ValueError) else error.strerror
        raise InvalidSettings(f"Cannot read the settings file {path}: {reason}.") from None
    values = _object_in(_decoded(text, path), f"The settings file {path}")
    return _step_settings(values, path) if "parameters" in values else values


def parse_assignment(text: str) -> tuple[str, object]:
    """`epochs=40` as `("epochs", 40)`: the right side is JSON5, or else plain text.

    Raises:
        InvalidSettings: there is no `=`, or nothing before it.
    """
    name, equals, written = (part.strip() for part in text.partition("="))
    if not equals or not name:
        raise InvalidSettings(f"{text!r} is not a setting: write name=value, for example epochs=40")
    try:
        return name, pyjson5.decode(written)
    except pyjson5.Json5DecoderException:
        return name, written


def place_of(message: str, text: str) -> str:
    """Line and column of the fault that pyjson5 reports as `... near 12, ...`."""
    near = re.search(r"near (\d+)", message)
    before = text[: max(0, int(near[1]) - 1)] if near else ""
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    plain = re.sub(r"b'(\w+)'", r"\1", message)
    plain = re.sub(r" (starting )?near \d+", "", plain)
    plain = re.sub(r"U\+([0-9a-f]{4,6})", lambda code: repr(chr(int(code[1], 16))), plain)
    return f"line {line}, column {column}: {plain}"


def _decoded(text: str, path: Path) -> object:
    try:
        value: object = pyjson5.decode(text)
    except pyjson5.Json5DecoderException as error:
        raise InvalidSettings(
            f"{path} is not JSON5, {place_of(str(error.args[0]), text)}. "
            "Look there for a missing comma, quote or bracket."
        ) from None
    _refuse_infinite(value, path)
    return value


def _refuse_infinite(value: object, path: Path, name: str = "") -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidSettings(f"{path}: {name or 'the value'} must be a finite number, not {value}")
    if isinstance(value, dict):
        for key, inner in cast(dict[str, object], value).items():
            _refuse_infinite(inner, path, key)
    if isinstance(value, list):
        for inner in cast(list[object], value):
            _refuse_infinite(inner, path, name)


def _object_in(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise InvalidSettings(f"{where} must hold an object, for example {{ epochs: 40 }}.")
    return cast(dict[str, object], value)


def _step_settings(step: dict[str, object], path: Path) -> dict[str, object]:
    """The settings inside a Flow step `{id, type: 'ModelGenerator', parameters: {settings}}`."""
    if step.get("type") != "ModelGenerator":
        raise InvalidSettings(
            f"{path} is a Flow step of type {step.get('type')!r}; only a ModelGenerator step "
            "holds training settings."
        )
    parameters = _object_in(step["parameters"], f"parameters in {path}")
    return _object_in(parameters.get("settings"), f"parameters.settings in {path}")

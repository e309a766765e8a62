"""What a browser sends of a flow's form, as the input that it stands for.

In: the form's JSON Schema, and names with texts.  Out: JSON.  What cannot be read as what is asked
for stays the text that it is: whoever accepts the input says what is wrong with it.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from modelgenerator.service.dashboard.flow_form import Control, ControlKind, Schema, form_with

Sent = Sequence[tuple[str, str]]
"""Names and values of a form's controls."""


def read_form(schema: Schema, sent: Sent) -> dict[str, object]:
    """The input that a filled-in form stands for; what cannot be read stays the text it is."""
    texts: dict[str, list[str]] = {}
    for name, value in sent:
        texts.setdefault(name, []).append(value)
    return _read_group(form_with(schema, {}).controls, texts)


def _read_group(
    controls: Iterable[Control], texts: Mapping[str, Sequence[str]]
) -> dict[str, object]:
    values: dict[str, object] = {}
    for each in controls:
        value = _read(each, texts)
        if value is not None:
            values[each.name.rpartition("/")[2].replace("~1", "/").replace("~0", "~")] = value
    return values


def _read(control: Control, texts: Mapping[str, Sequence[str]]) -> object:
    """What a control stands for; None: it was left empty."""
    sent = texts.get(control.name, ())
    match control.kind:
        case ControlKind.GROUP:
            below = _read_group(control.controls, texts)
            is_filled = any(value is not False for value in below.values())
            return below if control.is_required or is_filled else None
        case ControlKind.SWITCH:
            return bool(sent)
        case ControlKind.SEVERAL:
            chosen = [_from_json(each) for each in sent if each]
            return chosen if chosen or control.is_required else None
        case ControlKind.LINES:
            lines = [each.strip() for each in "\n".join(sent).splitlines() if each.strip()]
            values = [_item(control, each) for each in lines]
            return values if values or control.is_required else None
        case _:
            text = next((each for each in sent if each.strip()), "")
            return _value(control, text) if text else None


def _value(control: Control, text: str) -> object:
    if control.kind is ControlKind.NUMBER:
        return _read_number(text.strip())
    if control.kind in (ControlKind.JSON, ControlKind.CHOICE):
        return _from_json(text)
    return text.replace("\r\n", "\n")


def _item(control: Control, text: str) -> object:
    return _read_number(text) if control.is_of_numbers else text


def _read_number(text: str) -> object:
    if re.fullmatch(r"[+-]?[0-9]{1,30}", text):
        return int(text)
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text


def _from_json(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no number")

"""What each kind of step leaves behind, as JSON Schema.

Comes in: the kind of a step and its template.  Goes out: a schema, which says of a path into the
step's result whether it can ever lead to anything.
"""

from collections.abc import Mapping
from typing import cast

from modelgenerator.flows.definition import StepType, member
from modelgenerator.flows.fields import UNKNOWN, written
from modelgenerator.flows.language import ListOf, Literal, Node, ObjectOf


def result_shape(kind: StepType, node: Node) -> Mapping[str, object]:
    """JSON Schema of what a step of this kind, with this template, leaves behind."""
    match kind:
        case StepType.MODEL_GENERATOR:
            return _MODEL_RESULT
        case StepType.IMAGE_GENERATOR:
            return _IMAGES_RESULT
        case StepType.ZIPPER:
            return _ZIP_RESULT
        case StepType.OBJECT_TRANSFORMER:
            return _shape(node)
        case StepType.OBJECT_GENERATOR:
            return _generated_shape(node)


def _shape(node: Node) -> Mapping[str, object]:
    """Schema of what `node` resolves to; `{}` where nobody knows."""
    match node:
        case ObjectOf():
            shape = _exactly(**{name: _shape(each) for name, each in node.members.items()})
            return {**shape, "additionalProperties": node.extend is not None}
        case ListOf():
            return {"type": "array"}
        case Literal(value=str()):
            return {"type": "string"}
        case _:
            return {}


def _generated_shape(node: Node) -> Mapping[str, object]:
    """One object as its schema says, or a list of them when several are asked for."""
    schema, amount = member(node, "schema"), member(node, "amount")
    count = 1 if amount is None else written(amount)
    if count == 1:
        known = UNKNOWN if schema is None else written(schema)
        return cast(Mapping[str, object], known) if isinstance(known, dict) else {}
    return {} if count is UNKNOWN else _exactly(list={"type": "array"})


def _exactly(**properties: object) -> Mapping[str, object]:
    """Schema of an object that has these members, all of them, and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_TEXT, _WHOLE, _NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
_MODEL_RESULT = _exactly(id=_TEXT)
_PICTURE = _exactly(
    url=_TEXT,
    seed=_WHOLE,
    prompt=_TEXT,
    negativePrompt=_TEXT,
    steps=_WHOLE,
    width=_WHOLE,
    height=_WHOLE,
    guidanceScale=_NUMBER,
    scheduler={"type": ["string", "null"]},
    loraScale=_NUMBER,
    format=_TEXT,
    baseModel=_TEXT,
    trainingId={"type": ["string", "null"]},
)
_IMAGES_RESULT = _exactly(images={"type": "array", "items": _PICTURE})
_ZIP_RESULT = _exactly(url=_TEXT)

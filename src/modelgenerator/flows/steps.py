"""The five kinds of steps, and what is wrong with the parameters of one.

Comes in: the template of a step as nodes, or its resolved values as such.  Goes out: faults.  What
a path or an operator will bring passes, and is looked at again when it is there.
"""

import uuid
from collections.abc import Iterator, Mapping
from typing import cast

from pydantic import BaseModel

from modelgenerator.flows import fields
from modelgenerator.flows.definition import StepType, member
from modelgenerator.flows.faults import Fault, at
from modelgenerator.flows.fields import UNKNOWN, faults_in_fields, written
from modelgenerator.flows.language import ListOf, Literal, Map, Node, ObjectOf
from modelgenerator.flows.parameters import FlowImage
from modelgenerator.flows.schemas import faults_in_schema
from modelgenerator.setting_faults import faults_in
from modelgenerator.settings import TrainingSettings

MAX_AMOUNT = 100
"""Objects that one ObjectGenerator step may make."""

_OTHER_NAMES = {
    "count": "amount",
    "sourceIds": "sources",
    "modelId": "trainingId",
    "trainingSettings": "settings",
    "templateId": "trainingSettingsId",
}


def parameter_names(kind: StepType) -> tuple[str, ...]:
    """The parameters that a step of this kind may have."""
    return tuple(_PARAMETERS.get(kind, ()))


def parameter_faults(kind: StepType, node: Node) -> Iterator[Fault]:
    """What is wrong with a step's template, as far as it is known."""
    if kind is StepType.OBJECT_TRANSFORMER:
        yield from fields.an_object(node)
        return
    yield from faults_in_fields(node, _PARAMETERS[kind], "parameter", others=_OTHER_NAMES)
    if isinstance(node, ObjectOf):
        if kind is StepType.MODEL_GENERATOR:
            yield from _base_model_faults(node)
        if kind is StepType.IMAGE_GENERATOR:
            yield from _model_faults(node)


def parameter_remarks(kind: StepType, node: Node) -> Iterator[Fault]:
    """What is allowed and yet looks like a mistake."""
    template = member(node, "trainingSettingsId")
    if kind is not StepType.MODEL_GENERATOR or not isinstance(template, Literal):
        return
    if not _is_uuid(template.value):
        message = "this is no UUID: it names a template only if one has this very id"
        yield Fault(template.pointer, "unlikelyTemplate", message)


def _training_settings(node: Node) -> Iterator[Fault]:
    yield from fields.an_object(node)
    if isinstance(node, ObjectOf):
        yield from _setting_faults(node, TrainingSettings, optional=("baseModel",))


def _image(node: Node) -> Iterator[Fault]:
    yield from fields.an_object(node)
    if not isinstance(node, ObjectOf):
        return
    yield from _setting_faults(node, FlowImage)


def _setting_faults(
    node: ObjectOf,
    settings: type[BaseModel],
    *,
    optional: tuple[str, ...] = (),
) -> Iterator[Fault]:
    """What `settings` says to the members of `node` that are known."""
    known = {field.alias for field in settings.model_fields.values()}
    if len(node.members) > 2 * len(known):
        message = "there are more members than there are settings"
        yield Fault(node.pointer, "tooLarge", message, "take out what is no setting")
        return
    values = {name: written(each) for name, each in node.members.items()}
    later = {name for name, value in values.items() if value is UNKNOWN and name in known}
    given = {name: value for name, value in values.items() if name not in later}
    for fault in faults_in(given, settings):
        is_missing = fault.code == "missingSetting"
        if is_missing and (fault.name in (*later, *optional) or node.extend is not None):
            continue
        yield Fault(at(node.pointer, fault.name), fault.code, fault.message, fault.hint)


def _base_model_faults(node: ObjectOf) -> Iterator[Fault]:
    if node.extend is not None or "trainingSettingsId" in node.members:
        return
    settings = node.members.get("settings")
    if settings is None:
        message = "settings.baseModel or a trainingSettingsId is needed: what to train on top of"
        yield Fault(node.pointer, "missingValue", message)
    elif _lacks(settings, "baseModel"):
        message = "baseModel is required: no template is named that could have one"
        yield Fault(at(settings.pointer, "baseModel"), "missingSetting", message)


def _model_faults(node: ObjectOf) -> Iterator[Fault]:
    """Pictures of which nothing says what to draw them with."""
    images, pack = node.members.get("images"), node.members.get("inferencePackId")
    if isinstance(images, ListOf) and not images.items and pack is None:
        message = "nothing is to be drawn: there is no image, and no inferencePackId"
        yield Fault(images.pointer, "invalidValue", message)
    if not (_lacks(node, "trainingId") and _lacks(node, "baseModel")):
        return
    if not isinstance(images, ListOf):
        return
    for item in images.items:
        image = item.template if isinstance(item, Map) else item
        if _lacks(image, "trainingId") and _lacks(image, "baseModel"):
            message = "nothing says what to draw with"
            hint = "name a trainingId or a baseModel, here or for all images"
            yield Fault(image.pointer, "missingValue", message, hint)


def _lacks(node: Node, name: str) -> bool:
    """Whether it is known that `node` is an object without this member."""
    return isinstance(node, ObjectOf) and node.extend is None and name not in node.members


def _schema(node: Node) -> Iterator[Fault]:
    yield from fields.an_object(node)
    schema = written(node)
    if isinstance(schema, dict):
        yield from faults_in_schema(cast(object, schema), node.pointer)


def _is_uuid(value: object) -> bool:
    try:
        uuid.UUID(str(value))
    except ValueError:
        return False
    return True


_NAME = fields.text(most=200)
_FILENAME = fields.matching(
    r"[^/\\\x00-\x1f:*?\"<>|.][^/\\\x00-\x1f:*?\"<>|]*", "a file name without a folder", most=200
)
_PARAMETERS: Mapping[StepType, Mapping[str, fields.Field]] = {
    StepType.MODEL_GENERATOR: {
        "datasetId": fields.Field(_NAME, required=True),
        "trainingSettingsId": fields.Field(_NAME),
        "settings": fields.Field(_training_settings),
    },
    StepType.IMAGE_GENERATOR: {
        "images": fields.Field(fields.list_of(_image), required=True),
        "baseModel": fields.Field(fields.text(most=1_000)),
        "trainingId": fields.Field(_NAME),
        "inferencePackId": fields.Field(_NAME),
    },
    StepType.ZIPPER: {
        "sources": fields.Field(fields.list_of(_NAME, least=1), required=True),
        "filename": fields.Field(_FILENAME),
    },
    StepType.OBJECT_GENERATOR: {
        "description": fields.Field(fields.text(), required=True),
        "schema": fields.Field(_schema, required=True),
        "input": fields.Field(fields.anything),
        "amount": fields.Field(fields.number(1, MAX_AMOUNT, whole=True)),
        "creativity": fields.Field(fields.number(0, 20)),
        "contextId": fields.Field(_NAME),
    },
}

"""A flow's definition as JSON Schema, for editors: names, types, ranges and sentences.

Goes out: a schema that completes and warns while somebody types.  It is wider than `check`, which
decides: what a path leads to, only `check` follows.
"""

from collections.abc import Mapping

from pydantic import BaseModel

from modelgenerator.flows.definition import TEMPLATE_OF, StepType
from modelgenerator.flows.parameters import FlowImage
from modelgenerator.flows.steps import MAX_AMOUNT
from modelgenerator.flows.ui import NEEDED
from modelgenerator.settings import TrainingSettings

Schema = dict[str, object]
_LANGUAGE: Schema = {
    "type": "string",
    "pattern": "^[$@]",
    "description": "Flow Language: a path as $.input.name, or an operator as @Format(...)",
}
_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_COLOUR: Schema = {"type": "string", "pattern": "^#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6,8})$"}


def flow_schema() -> Schema:
    """JSON Schema (2020-12) of a definition."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Flow",
        **_object(
            {
                "title": {**_TEXT, "maxLength": 200},
                "description": {**_TEXT, "maxLength": 10_000},
                "public": {"type": "boolean", "description": "Anybody with the link may run it."},
                "slug": {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"},
                "input": {
                    "type": "object",
                    "description": 'The form, as JSON Schema with `"type": "object"`.',
                },
                "steps": {"type": "array", "minItems": 1, "items": _step()},
                "store": {"type": "object", "description": "Static data: $.store.name."},
                "ui": _ui(),
                "runPrice": {"type": "number", "minimum": 4, "maximum": 200},
                "runPriceCurrency": {"type": "string", "pattern": "^[A-Z]{3}$"},
                "payoutMethod": {"enum": ["Wallet", "Connect"]},
            },
            required=["title", "description", "steps"],
        ),
        "$defs": {
            name: definition
            for owner in (TrainingSettings, FlowImage)
            for name, definition in owner.model_json_schema(by_alias=True).get("$defs", {}).items()
        },
    }


def _step() -> Schema:
    """Any step; its names stand outside the kinds too, where editors look for what to complete."""
    kinds = {"enum": [kind.value for kind in StepType], "description": "What the step does."}
    name = {"type": "string", "description": "Its result is found at $.results.<id>."}
    members: Schema = {"id": name, "type": kinds}
    return {"type": "object", "properties": members, "oneOf": _steps()}


def _steps() -> list[Schema]:
    return [
        _object(
            {
                "id": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,63}$"},
                "type": {"const": kind.value},
                TEMPLATE_OF[kind]: _TEMPLATES[kind],
            },
            required=["id", "type", TEMPLATE_OF[kind]],
        )
        for kind in StepType
    ]


def _settings(owner: type[BaseModel], *, optional: frozenset[str] = frozenset()) -> Schema:
    """The settings of `owner`, each of which may also be Flow Language."""
    whole = owner.model_json_schema(by_alias=True)
    properties: Mapping[str, Schema] = whole["properties"]
    required = [name for name in whole.get("required", []) if name not in optional]
    members: Schema = {name: _or_language(value) for name, value in properties.items()}
    return _object({"@Extend": _TEXT, **members}, required=[] if optional else required)


def _or_language(value: Schema) -> Schema:
    said = {name: value[name] for name in ("title", "description", "default") if name in value}
    rest = {name: part for name, part in value.items() if name not in said}
    return {**said, "anyOf": [rest, _LANGUAGE]}


def _object(members: Schema, *, required: list[str] | None = None) -> Schema:
    found: Schema = {"type": "object", "properties": members, "additionalProperties": False}
    return {**found, "required": required} if required else found


def _ui() -> Schema:
    widget = _object(
        {"type": {"enum": list(NEEDED)}, "sources": {**_TEXTS, "minItems": 1}},
        required=["type", "sources"],
    )
    return _object(
        {
            "submitLabel": {**_TEXT, "maxLength": 100},
            "instructions": _TEXTS,
            "deliverables": _TEXTS,
            "textColor": _COLOUR,
            "backgroundShadowColor": _COLOUR,
            "bodyBackgroundColor": _COLOUR,
            "leftBackgroundAssetId": _TEXT,
            "rightBackgroundAssetId": _TEXT,
            "previewAssetIds": _TEXTS,
            "results": _object({"widgets": {"type": "array", "items": widget}}),
        }
    )


_ONE_IMAGE = _settings(FlowImage)
_MAP_PAIR: Schema = {
    "type": "array",
    "description": "One for each item of a list: ['@Map($.input.scenes, i)', {prompt: '$$'}].",
    "items": {"anyOf": [_ONE_IMAGE, _LANGUAGE]},
}
_IMAGE = {"anyOf": [_ONE_IMAGE, _MAP_PAIR]}
_TEMPLATES: Mapping[StepType, Schema] = {
    StepType.MODEL_GENERATOR: _object(
        {
            "datasetId": _TEXT,
            "trainingSettingsId": {**_TEXT, "description": "A template's id."},
            "settings": _settings(TrainingSettings, optional=frozenset({"baseModel"})),
        },
        required=["datasetId"],
    ),
    StepType.IMAGE_GENERATOR: _object(
        {
            "images": {"anyOf": [{"type": "array", "items": _IMAGE}, _LANGUAGE]},
            "baseModel": _TEXT,
            "trainingId": _TEXT,
            "inferencePackId": _TEXT,
        },
        required=["images"],
    ),
    StepType.OBJECT_TRANSFORMER: {"type": "object"},
    StepType.ZIPPER: _object(
        {"sources": {**_TEXTS, "minItems": 1}, "filename": _TEXT}, required=["sources"]
    ),
    StepType.OBJECT_GENERATOR: _object(
        {
            "description": _TEXT,
            "schema": {"anyOf": [{"type": "object"}, _LANGUAGE]},
            "input": {},
            "amount": {
                "anyOf": [{"type": "integer", "minimum": 1, "maximum": MAX_AMOUNT}, _LANGUAGE]
            },
            "creativity": {"anyOf": [{"type": "number", "minimum": 0, "maximum": 20}, _LANGUAGE]},
            "contextId": _TEXT,
        },
        required=["description", "schema"],
    ),
}

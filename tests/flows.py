"""Small flows for tests: one that can run, and that one with changes."""

import copy
from typing import Any

TRAINER: dict[str, Any] = {
    "id": "trainer",
    "type": "ModelGenerator",
    "parameters": {
        "datasetId": "$.input.photos",
        "settings": {"baseModel": "org/base", "epochs": 50},
    },
}
DRAWER: dict[str, Any] = {
    "id": "drawer",
    "type": "ImageGenerator",
    "parameters": {
        "trainingId": "$.results.trainer.id",
        "images": [["@Map($.input.scenes, i)", {"prompt": "@Format('lvff, {}', $$)", "seed": 7}]],
    },
}
PACKER: dict[str, Any] = {
    "id": "packer",
    "type": "Zipper",
    "parameters": {"sources": ["drawer", "trainer"]},
}
INPUT: dict[str, Any] = {
    "type": "object",
    "required": ["photos", "scenes"],
    "properties": {
        "photos": {"type": "string", "dataset": True, "min": 4, "max": 20},
        "scenes": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "name": {"type": "string", "default": "lvff"},
        "note": {"type": "string"},
        "person": {
            "type": "object",
            "required": ["age"],
            "properties": {"age": {"type": "integer"}, "hair": {"$ref": "#/$defs/colour"}},
        },
        "free": {"type": "object"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "people": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": {"type": "string"}}},
        },
        "either": {"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]},
    },
    "$defs": {"colour": {"type": "object", "properties": {"shade": {"type": "string"}}}},
}


def flow(*steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A definition that can run, but for what is given; without steps, train, draw and pack."""
    return copy.deepcopy(
        {
            "title": "Portraits",
            "description": "Photos in, pictures out.",
            "input": INPUT,
            "store": {"prompt": "{} in {}", "styles": ["oil", "ink"], "sizes": {"wide": 768}},
            "steps": list(steps) or [TRAINER, DRAWER, PACKER],
            **fields,
        }
    )


def transform(result: Any, name: str = "made") -> dict[str, Any]:
    """A step whose result is `result`."""
    return {"id": name, "type": "ObjectTransformer", "result": result}


def step(kind: str, name: str = "step", **parameters: Any) -> dict[str, Any]:
    """A step of one kind."""
    return {"id": name, "type": kind, "parameters": parameters}

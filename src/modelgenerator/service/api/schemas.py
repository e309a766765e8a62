"""The JSON Schemas of what people write, for editors and forms."""

from typing import Any

from fastapi import APIRouter

from modelgenerator.flows.json_schema import flow_schema
from modelgenerator.settings import ImageSettings, TrainingSettings

router = APIRouter(prefix="/v1/schemas", tags=["schemas"])


@router.get("/settings.json")
def settings_schema() -> dict[str, Any]:
    """What a training can be told: every name with its range, default and sentence."""
    return TrainingSettings.model_json_schema(by_alias=True)


@router.get("/flow.json")
def definition_schema() -> dict[str, Any]:
    """What a flow's definition may say."""
    return flow_schema()


@router.get("/image.json")
def image_schema() -> dict[str, Any]:
    """What a picture can be told."""
    return ImageSettings.model_json_schema(by_alias=True)

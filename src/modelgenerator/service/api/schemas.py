"""The JSON Schemas of what people write, for editors and forms."""

from typing import Any

from fastapi import APIRouter

from modelgenerator.settings import ImageSettings, TrainingSettings

router = APIRouter(prefix="/v1/schemas", tags=["schemas"])


@router.get("/settings.json")
def settings_schema() -> dict[str, Any]:
    """What a training can be told: every name with its range, default and sentence."""
    return TrainingSettings.model_json_schema(by_alias=True)


@router.get("/image.json")
def image_schema() -> dict[str, Any]:
    """What a picture can be told."""
    return ImageSettings.model_json_schema(by_alias=True)

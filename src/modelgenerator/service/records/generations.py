"""Pictures that were asked for and drawn."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from modelgenerator.service.records.trainings import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """One request for pictures; how far it is, its job says."""

    id: UUID
    organization_id: UUID
    base_model: str | None
    trained_model_id: UUID | None
    images: tuple[JsonObject, ...]
    """What each picture is to be: prompt, size, seed."""
    job_id: UUID
    flow_run_id: UUID | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedPicture:
    id: UUID
    organization_id: UUID
    inference_id: UUID
    position: int
    storage_key: str
    sha256: str
    byte_count: int
    width: int
    height: int
    seed: int
    parameters: JsonObject
    """Everything else that it was drawn with."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InferencePack:
    """Prompts kept under a name, to try every trained model with."""

    id: UUID
    organization_id: UUID
    name: str
    images: tuple[JsonObject, ...]
    created_at: datetime
    updated_at: datetime

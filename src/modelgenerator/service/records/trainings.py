"""Trainings, the templates they are made from, and the models that come out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from modelgenerator.service.records.datasets import Origin

JsonObject = Mapping[str, object]
"""What JSON can say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Settings under a name; what they are is in its versions."""

    id: UUID
    organization_id: UUID
    name: str
    created_at: datetime
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateVersion:
    """Never changes: a new version is added."""

    id: UUID
    organization_id: UUID
    template_id: UUID
    number: int
    """From 1."""
    settings: JsonObject
    """As they were written, camelCase."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What was asked and what it resolved to; how far it is, its job says."""

    id: UUID
    organization_id: UUID
    name: str
    origin: Origin
    snapshot_id: UUID
    template_version_id: UUID | None
    settings: JsonObject
    """The template's and those given beside it, merged."""
    plan: JsonObject
    """The settings resolved against the dataset and the base model."""
    notices: tuple[JsonObject, ...]
    estimate: JsonObject
    """How long it would take and what it would cost, as it was said before."""
    job_id: UUID
    """The newest job: to resume adds another."""
    flow_run_id: UUID | None
    created_at: datetime
    deleted_at: datetime | None = None
    """When everything that it had made was deleted; only what was paid is still to be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """The LoRA of a training that finished."""

    id: UUID
    organization_id: UUID
    training_id: UUID
    base_model: str
    family: str
    layout: str
    """`kohya` or `diffusers`: how the file names its layers."""
    storage_key: str
    sha256: str
    byte_count: int
    other_layout: JsonObject | None
    """The same LoRA in the other layout: a `StoredLora`, where the job made one."""
    created_at: datetime
    """When the training finished: the expiry counts from here."""
    expires_at: datetime
    deleted_at: datetime | None = None
    """When its weights were deleted; the record stays."""

    def is_expired(self, now: datetime) -> bool:
        """Whether it may not be used any more."""
        return now >= self.expires_at or self.deleted_at is not None

"""Subjects and the pictures of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from modelgenerator.datasets.subject import SubjectKind


class Origin(StrEnum):
    """By which way something came in; a model from a flow expires sooner."""

    DASHBOARD = "dashboard"
    API = "api"
    FLOW = "flow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """An ordered set of pictures, which may still change."""

    id: UUID
    organization_id: UUID
    origin: Origin
    created_at: datetime
    expires_at: datetime | None = None
    """When it is deleted if no run has taken it: pictures that were uploaded for a flow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom or what the pictures show."""

    id: UUID
    organization_id: UUID
    name: str
    kind: SubjectKind
    class_name: str
    """What it is in general: woman, sneaker."""
    dataset_id: UUID
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetPicture:
    id: UUID
    organization_id: UUID
    dataset_id: UUID
    position: int
    label: str
    """The file's name as it was given, numbered where another has it: shown, never a path.

    Without its ending it is one of a kind in the dataset, in small and in capital letters.
    """
    upload_sha256: str
    """Of the file as it came, by which it is known when it comes again."""
    sha256: str
    """Of the stored bytes; a dataset keeps the same picture once."""
    byte_count: int
    width: int
    height: int
    caption: str | None
    storage_key: str
    mask_key: str | None
    """Where the mask is, if one was given."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPicture:
    """One picture as a training sees it."""

    picture_id: UUID
    label: str
    sha256: str
    caption: str | None
    storage_key: str
    mask_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSnapshot:
    """A dataset as it was when a training was accepted; never changes."""

    id: UUID
    organization_id: UUID
    dataset_id: UUID
    fingerprint: str
    """SHA-256 over the pictures, captions and masks, in order."""
    pictures: tuple[SnapshotPicture, ...]
    created_at: datetime

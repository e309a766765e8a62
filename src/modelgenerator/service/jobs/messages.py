"""What the body of a job says while it runs, and what it is told: data, which can be pickled.

    (PhaseBegun | Progressed | Told | CheckpointStored | PictureStored) ...
    -> Succeeded | Failed | Stopped

A body says its end once and nothing after it.  How each message gets into the ledger is the
dispatcher's; a body knows no database.  Beside these a body that draws says what its process has
loaded, as `Holds`, which the executor keeps for itself.
"""

import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from modelgenerator.notices import Notice
from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.records.holds import Holds
from modelgenerator.service.records.job_specs import DrawnPicture
from modelgenerator.service.records.jobs import WAITING_FOR_MACHINE, JobError, JobKind
from modelgenerator.service.records.trainings import JsonObject


class Phase(StrEnum):
    """What a job is doing; people see it."""

    WAITING_FOR_MACHINE = WAITING_FOR_MACHINE
    STARTING = "starting"
    LOADING_BASE_MODEL = "loadingBaseModel"
    PREPARING_DATASET = "preparingDataset"
    ENCODING = "encoding"
    TRAINING = "training"
    SAMPLING = "sampling"
    DRAWING = "drawing"
    WRITING = "writing"
    SAVING = "saving"


@dataclass(frozen=True, slots=True)
class PhaseBegun:
    """Another part of the work."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class Progressed:
    """So far it is; replaces what was said before."""

    progress: JsonObject
    used_ms: int = 0
    """Paid work in all attempts together; the server's own clock bounds it."""


@dataclass(frozen=True, slots=True)
class Told:
    """Something that stays in the list of the job's events."""

    name: str
    data: JsonObject


def noticed(notice: Notice) -> Told:
    """A choice that was made for the person, or something that was found out."""
    data = {"level": notice.level, "setting": notice.setting, "message": notice.message}
    return Told("notice", data)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointStored:
    """An attempt that is lost from now on goes on from here."""

    storage_key: str
    sha256: str
    byte_count: int
    step: int
    used_ms: int


@dataclass(frozen=True, slots=True)
class PictureStored:
    """One of the pictures that were asked for."""

    picture: DrawnPicture


@dataclass(frozen=True, slots=True)
class Succeeded:
    """All of it is done; `result` is JSON of the kind's own result in `job_specs`."""

    result: JsonObject
    used_ms: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """It cannot be done."""

    error: JobError
    may_pass: bool = False
    """Whether the same may go well a little later."""
    used_ms: int = 0
    trace: str | None = None
    """For the server's log, where it is our mistake."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """As it was asked to; what is kept was said before, as `CheckpointStored`."""

    used_ms: int = 0


End = Succeeded | Failed | Stopped
Message = PhaseBegun | Progressed | Told | CheckpointStored | PictureStored | End
Said = Message | Holds
"""By a body, to whoever runs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One attempt at a job, as a body is given it."""

    job_id: UUID
    attempt: int
    kind: JobKind
    spec: JsonObject
    checkpoint_key: str | None = None
    used_ms: int = 0
    """Paid work that is kept from earlier attempts."""
    gpus: int = 0
    base_model: str | None = None
    """That it loads first, as the ledger calls it."""
    lora_sha256: str | None = None
    drawn: frozenset[int] = frozenset()
    """Positions of pictures that earlier attempts have drawn."""

    @property
    def name(self) -> str:
        """One segment of a storage key, which no other attempt has; sorts as attempts do."""
        return f"{self.job_id.hex}-{self.attempt:04}"


@dataclass(frozen=True, slots=True)
class Stop:
    """Word to whoever runs bodies: end the attempt of this name soon."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What whoever runs bodies tells each of his processes."""

    config: ServiceConfig
    """Without what is secret and what the process does not need: see `without_secrets`."""
    running: Path
    """Folder on this machine for what bodies write while they run."""
    checkpoint_seconds: float
    forgets: bool = False
    """Whether nothing that was made of a job's pictures may stay after it, as on a machine that is
    not the server's own."""
    gpu_kind: str | None = None
    """As whoever placed the work calls this machine's GPU; none: as it calls itself."""

    def folder_of(self, assignment: Assignment) -> Path:
        """Of one attempt."""
        return self.running / assignment.name

    def tidy(self, assignment: Assignment) -> None:
        """Remove what an attempt left, before its end is told."""
        shutil.rmtree(self.folder_of(assignment), ignore_errors=True)
        if self.forgets:
            shutil.rmtree(self.config.data_dir, ignore_errors=True)


def without_secrets(config: ServiceConfig) -> ServiceConfig:
    """A config for processes that run bodies: no database, and nothing to sign with."""
    return config.model_copy(update={"secret_key": None, "database_url": "none"})


def without_object_generator(config: ServiceConfig) -> ServiceConfig:
    """A config for processes that ask no language model."""
    return config.model_copy(update={"object_generator_key": None})

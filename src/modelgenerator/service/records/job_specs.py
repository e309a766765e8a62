"""What the body of a job must know, and what it leaves behind, one pair for each kind of job.

Written by operations into `Job.spec`, read where the job runs, which may be another machine: all of
it is JSON, files are named by their storage keys, and no secret is in it.
"""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from modelgenerator.datasets.subject import SubjectKind
from modelgenerator.service.records.datasets import SnapshotPicture
from modelgenerator.service.records.trainings import JsonObject


class Written(BaseModel):
    """Frozen, camelCase in JSON, and nothing unknown is let through."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )

    def as_json(self) -> JsonObject:
        """What is kept in the ledger."""
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def from_json(cls, kept: JsonObject) -> Self:
        """What `as_json` gave."""
        return cls.model_validate(kept)


def _without(kept: JsonObject, name: str) -> JsonObject:
    return {key: value for key, value in kept.items() if key != name}


CaptionerName = Literal["template", "endpoint", "none"]


class TrainSpec(Written):
    """A training."""

    training_id: UUID
    organization_id: UUID
    dataset_id: UUID
    settings: JsonObject
    """As written, template and overrides merged, with the seed: everything is resolved from it."""
    base_model: str
    base_revision: str | None
    """The commit that was looked at, where the base model has one."""
    pictures: tuple[SnapshotPicture, ...]
    subject_kind: SubjectKind | None
    class_name: str
    captioner: CaptionerName
    storage_prefix: str
    """The training's own; an attempt writes below `<prefix>/attempts/<number>/`."""
    memory_bytes: int | None = None
    """That it was planned to take, where a cluster must know; of the machine's own memory where it
    needs no GPU."""

    def as_json(self) -> JsonObject:
        """Without what a server of 0.1.0 does not know, where that is not needed."""
        kept = super().as_json()
        return kept if self.memory_bytes is not None else _without(kept, "memoryBytes")


class StoredLora(Written):
    """One file of a trained LoRA."""

    layout: Literal["kohya", "diffusers"]
    storage_key: str
    sha256: str
    byte_count: int


class TrainResult(Written):
    """A trained LoRA, stored."""

    storage_key: str
    sha256: str
    byte_count: int
    layout: Literal["kohya", "diffusers"] = "kohya"
    """Of the file at `storage_key`: the one that the programs for its base model read."""
    other_layout: StoredLora | None = None
    """The same LoRA in the other one."""
    base_model: str
    base_revision: str | None
    family: str
    steps: int
    """Optimizer steps of this job, without those that a checkpoint brought along."""
    machine: str = "cpu"
    """Its kind: `cpu`, or the name of its GPU."""
    preparing_ms: int = 0
    """Of the job's used time, what went by before the first step."""


class LoraToLoad(Written):
    """A trained model's weights."""

    training_id: UUID
    storage_key: str
    sha256: str


class PictureToDraw(Written):
    """One picture; what is absent, the base model's own defaults answer."""

    position: int
    base_model: str
    base_revision: str | None
    lora: LoraToLoad | None
    settings: JsonObject
    """`ImageSettings` as written, with the seed and a count of 1."""
    format: Literal["png", "jpeg", "webp"] = "png"


def base_model_key(reference: str, revision: str | None) -> str:
    """One text for a base model as it was looked at: two jobs with the same one load the same."""
    return reference if revision is None else f"{reference}@{revision}"


class GenerateSpec(Written):
    """Pictures."""

    inference_id: UUID
    organization_id: UUID
    pictures: Annotated[tuple[PictureToDraw, ...], Field(min_length=1)]
    storage_prefix: str


class DrawnPicture(Written):
    """One of them, stored."""

    position: int
    storage_key: str
    sha256: str
    byte_count: int
    width: int
    height: int
    seed: int
    parameters: JsonObject
    """prompt, negativePrompt, steps, guidanceScale, scheduler, loraScale, format, baseModel,
    trainingId."""


class ZipEntry(Written):
    """One file of an archive: a stored file, or text.

    A stored picture whose name ends in .jpg and that is none becomes one.
    """

    name: str
    storage_key: str | None = None
    sha256: str | None = None
    text: str | None = None


class ZipSpec(Written):
    """An archive of what earlier steps of a run left."""

    run_id: UUID
    step_id: str
    organization_id: UUID
    filename: str
    entries: tuple[ZipEntry, ...]
    storage_prefix: str


class ZipResult(Written):
    """An archive, stored."""

    storage_key: str
    sha256: str
    byte_count: int


class GenerateObjectsSpec(Written):
    """Objects that a language model writes."""

    run_id: UUID
    step_id: str
    organization_id: UUID
    description: str
    object_schema: JsonObject
    input: object
    amount: int
    creativity: float | None
    context: object
    """The result of the step that `contextId` names, or none."""


class GenerateObjectsResult(Written):
    """What it wrote: one object, or `{list: [...]}`."""

    result: object
    tokens: int

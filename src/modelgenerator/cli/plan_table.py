"""A plan in a table: what will be done, who decided it, and why.

Comes in: the settings as written and the plan that they resolved to.  Goes out: one line for each
part of the plan and for each setting that was written in vain, on a terminal or in a pipe.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.settings import TrainingSettings
from modelgenerator.training.plan import PlannedPicture, TrainingPlan
from modelgenerator.training.planning.unused import (
    unused_beside_others,
    unused_by_family,
    unused_by_optimizer,
)

SETTINGS_OF_PARTS = {
    "flip": "flip_aug",
    "network_alpha": "alpha_dim",
    "loss": "loss_type",
    "compute_dtype": "precision",
}
"""Part of a plan -> its setting, where the two have different names."""
REASONS = {
    "base_revision": "The commit on the hub, or a fingerprint of the local files.",
    "family": "Read from the base model's files.",
    "edition": "Which of its family the base model is, where that makes a difference.",
    "prediction_type": "What the base model predicts, read from its files.",
    "pictures": "All photos that can be used, less those that validationSplit keeps out.",
    "validation_pictures": "What validationSplit keeps out of the training.",
    "dataset_fingerprint": "Changes with any photo, caption or mask.",
    "steps_per_epoch": "Batches of one bucket each, over gradientAccumulation.",
    "total_steps": "epochs times steps per epoch, or maxSteps if that is less.",
    "denoiser": "The part of this family that predicts: it is always trained.",
    "text_encoders": "Trained too: those of this family; none with trainUnetOnly; never T5.",
    "optimizer_arguments": "What this optimizer accepts of the settings; its own presets else.",
    "sample_size": "The resolution, in the steps that the base model draws in.",
    "sample_steps": "The base model's own.",
    "sample_guidance_scale": "The base model's own.",
    "gradient_checkpointing": "Only where the memory would not be enough without.",
    "memory_bytes": "The estimated peak of each process, from sizes, its pictures of a batch, "
    "rank, optimizer and number format.",
    "processes": "As --processes says: each learns from its part of every step; the LoRA is the "
    "same.",
}
"""Why the parts that no setting sets are as they are."""


class Source(StrEnum):
    """Who decided a line of the plan."""

    WRITTEN = "written"
    DEFAULT = "default"
    DECIDED = "decided"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Line:
    """One part of the plan in words."""

    name: str
    value: str
    source: Source
    why: str


def show(settings: TrainingSettings, plan: TrainingPlan) -> None:
    """The table on stdout, and below it what concerns no single line."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    table.add_column("name", no_wrap=True, style="cyan")
    table.add_column("value", overflow="fold", ratio=2)
    table.add_column("from", no_wrap=True)
    table.add_column("why", ratio=3)
    for line in lines(settings, plan):
        table.add_row(line.name, escape(line.value), line.source, escape(line.why))
    console = Console(highlight=False)
    console.print(table)
    for notice in plan.notices:
        if notice.setting is None:
            console.print(escape(f"{notice.level}: {notice.message}"))


def lines(settings: TrainingSettings, plan: TrainingPlan) -> Iterator[Line]:
    """All of the plan but its notices, which are the reasons."""
    shown = set[str]()
    for part in (field.name for field in dataclasses.fields(plan)):
        attribute = SETTINGS_OF_PARTS.get(part, part)
        if part in REASONS:
            yield _decided(part, plan)
        elif part != "notices":
            shown.add(attribute)
            yield _set(attribute, getattr(plan, part), settings, plan)
    for attribute in type(settings).model_fields:
        if settings.is_given(attribute) and attribute not in shown:
            yield _in_another_part(attribute, settings, plan)


def _decided(part: str, plan: TrainingPlan) -> Line:
    words = part.replace("_", " ")
    return Line(words, _in_words(getattr(plan, part)), Source.DECIDED, REASONS[part])


def _set(attribute: str, value: object, settings: TrainingSettings, plan: TrainingPlan) -> Line:
    wished = getattr(settings, attribute)
    is_as_wished = value == wished or (not value and not wished)
    given = Source.WRITTEN if settings.is_given(attribute) else Source.DEFAULT
    source = given if is_as_wished else Source.DECIDED
    name, why = settings.written_name(attribute), _why(attribute, settings, plan)
    return Line(name, _in_words(value), Source.IGNORED if _is_ignored(why) else source, why)


def _in_another_part(attribute: str, settings: TrainingSettings, plan: TrainingPlan) -> Line:
    """A setting that is told of, though the plan has no part of its name."""
    name, why = settings.written_name(attribute), _why(attribute, settings, plan)
    source = Source.IGNORED if _is_ignored(why) else Source.WRITTEN
    return Line(name, _in_words(getattr(settings, attribute)), source, why)


def _is_ignored(why: str) -> bool:
    return why.startswith("Ignored:")


def _why(attribute: str, settings: TrainingSettings, plan: TrainingPlan) -> str:
    """What was said of the setting, or why it means nothing here, or else what it does."""
    name = settings.written_name(attribute)
    said = [notice.message for notice in plan.notices if notice.setting == name]
    if said:
        return " ".join(said)
    reason = _unused(settings, plan).get(attribute)
    description = type(settings).model_fields[attribute].description or ""
    return f"Not used: {reason}" if reason else description


def _unused(settings: TrainingSettings, plan: TrainingPlan) -> Mapping[str, str]:
    """Attribute -> reason, whether it was written or not."""
    return {
        **unused_beside_others(settings),
        **unused_by_family(FamilyName(plan.family)),
        **unused_by_optimizer(settings.optimizer),
    }


def _in_words(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case PlannedPicture():
            return f"{value.name} at {value.bucket[0]} x {value.bucket[1]}"
        case (str(name), setting):
            return f"{name} {_in_words(setting)}"
        case tuple():
            return ", ".join(_in_words(each) for each in value) or "none"  # pyright: ignore[reportUnknownVariableType]
        case _:
            return str(value) or "none"

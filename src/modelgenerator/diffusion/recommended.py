"""What a base model says about how it is best trained and best drawn with.

In: a looked-at base model.  Out: the settings in the file `recommended.json` beside its weights, or
what its family usually takes.  Training settings are used when a person asks for them and never
mixed in.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.traits import STEPS_OF_EDITIONS, TRAITS
from modelgenerator.errors import BaseModelUnsupported, InvalidSettings
from modelgenerator.notices import Notice
from modelgenerator.settings import ImageSettings

FILE = "recommended.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDefaults:
    """How pictures are drawn when nothing else is asked for."""

    steps: int
    guidance_scale: float


USUAL_PROMPTS = ("{}", "{} on the beach", "{} in the snow", "{} in a forest at night")


def training_settings(base: BaseModelFiles) -> dict[str, object]:
    """The template `recommended`; names are camelCase.

    Raises:
        InvalidSettings: the base model ships none.
    """
    written = training_settings_if_any(base)
    if written is None:
        raise InvalidSettings(
            f"{base.reference} has no recommended settings: leave --template out, or name your "
            "own settings file with --settings."
        )
    return written


def training_settings_if_any(base: BaseModelFiles) -> dict[str, object] | None:
    """The same; none where the base model ships none."""
    written = _read(base).get("training")
    return dict(written) if isinstance(written, dict) else None


def image_defaults(base: BaseModelFiles) -> ImageDefaults:
    """Steps and guidance scale for this base model."""
    images, traits = _read(base).get("images", {}), TRAITS[base.family]
    steps = STEPS_OF_EDITIONS.get((base.family, base.edition), traits.steps)
    return ImageDefaults(
        steps=int(images.get("steps", steps)),
        guidance_scale=float(images.get("guidanceScale", traits.guidance_scale)),
    )


def steps_notices(base: BaseModelFiles) -> Iterator[Notice]:
    """How many steps pictures take that are asked for without a number, where it is not usual."""
    steps = image_defaults(base).steps
    if steps != ImageSettings.model_fields["steps"].default:
        yield Notice(
            "info", "steps", f"{steps} suit {base.reference}, and are used if none are given."
        )


def training_steps(base: BaseModelFiles, pictures: int) -> int:
    """How many optimizer steps usually teach one subject from so many pictures."""
    steps = _read(base).get("trainingSteps")
    return int(steps or TRAITS[base.family].usual_length.steps(pictures))


def sheet_prompts(base: BaseModelFiles, trigger: str) -> list[str]:
    """Prompts that show what a LoRA learnt, with `trigger` put in."""
    return [prompt.format(trigger) for prompt in _read(base).get("prompts", USUAL_PROMPTS)]


def _read(base: BaseModelFiles) -> Mapping[str, Any]:
    if base.folder is None or not (base.folder / FILE).exists():
        return {}
    file = base.folder / FILE
    try:
        written = json.loads(file.read_text())
        return dict(written)
    except (ValueError, TypeError, OSError) as problem:
        raise BaseModelUnsupported(
            f"{file} cannot be read as settings ({problem}). Repair it, or remove it to use what "
            "suits the family."
        ) from problem

"""What a training can begin with, so that nobody has to know a single setting.

In: the base model that was chosen, as far as it is known, and the organization's templates.  Out:
presets: settings with a name and a sentence, over which a person writes what he wants otherwise.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.recommended import training_settings_if_any
from modelgenerator.service.operations.templates import TemplateSeen

RECOMMENDED = "recommended"
QUICK = "quick"
PORTRAIT = "portrait"
PLAIN = "plain"
QUICK_STEPS = 60
PORTRAIT_SETTINGS: Mapping[str, object] = MappingProxyType(
    {
        "baseModel": "Realistic_Vision_V6.0_B1",
        "epochs": 80,
        "repeats": 1,
        "alphaDim": 64,
        "decouple": True,
        "batchSize": 1,
        "optimizer": "Prodigy",
        "precision": "fp16",
        "scheduler": "Cosine",
        "maskedLoss": True,
        "networkDim": 64,
        "resolution": 1024,
        "learningRate": 1,
        "bodyMaskShade": 200,
        "headMaskShade": 255,
        "biasCorrection": True,
        "normalizeDataset": True,
        "boundingMaskShade": 40,
        "backgroundMaskShade": 40,
    }
)
"""The published example for portraits; `docs/guide/portrait.json5` is the same."""
_USUAL: Mapping[str, object] = {
    "optimizer": "Prodigy",
    "learningRate": 1,
    "biasCorrection": True,
    "decouple": True,
}
"""For base models that recommend nothing: the defaults, and what Prodigy benefits from."""
BASE_MODELS: Mapping[str, str] = {
    BUILTIN: "Creatures, drawn; built in, works on any machine",
    "Realistic_Vision_V6.0_B1": "Photographs of people, Stable Diffusion 1.5",
    "sd15": "Stable Diffusion 1.5",
    "sd21": "Stable Diffusion 2.1",
    "sdxl": "Stable Diffusion XL",
    "sd35-medium": "Stable Diffusion 3.5 medium",
    "sd35-large": "Stable Diffusion 3.5 large",
    "flux-dev": "FLUX.1 dev",
    "flux-schnell": "FLUX.1 schnell",
}
"""What people usually choose from; any other name may be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Something to begin with."""

    key: str
    """What the form sends: one of the words above, or the id of a template."""
    title: str
    sentence: str
    settings: Mapping[str, object]
    template_id: UUID | None = None
    """Of the template that it is; such settings are sent by its id."""

    @property
    def base_model(self) -> str:
        """What is trained on while nobody says otherwise."""
        return str(self.settings.get("baseModel", BUILTIN))


def presets(
    base_model: str, base: BaseModelFiles | None, templates: Iterable[TemplateSeen]
) -> tuple[Preset, ...]:
    """`base_model` is what was written; `base` what is known of it, none if it cannot be found."""
    recommended = _recommended(base_model, base)
    quick = {**recommended.settings, "maxSteps": QUICK_STEPS}
    return (
        recommended,
        Preset(
            key=QUICK,
            title="Quick look",
            sentence=f"The same, ended after {QUICK_STEPS} steps: to see that everything works.",
            settings=quick,
        ),
        Preset(
            key=PORTRAIT,
            title="Portrait of a person",
            sentence="Finds the person in each photo, and lets the face count most. Needs a GPU.",
            settings=PORTRAIT_SETTINGS,
        ),
        Preset(
            key=PLAIN,
            title="Nothing preset",
            sentence="The published defaults, and what you write below.",
            settings={},
        ),
        *(_of_template(template) for template in templates),
    )


def chosen(presets: Sequence[Preset], key: str) -> Preset:
    """The one that was asked for; the first if there is none of that name."""
    return next((preset for preset in presets if preset.key == key), presets[0])


def _recommended(base_model: str, base: BaseModelFiles | None) -> Preset:
    name = base_model or BUILTIN
    own = training_settings_if_any(base) if base else None
    sentence = (
        "What its makers found to teach a subject well."
        if own
        else "It recommends nothing itself: these are the defaults, with Prodigy at its best."
    )
    return Preset(
        key=RECOMMENDED,
        title=f"Recommended for {name}",
        sentence=sentence,
        settings={"baseModel": name, **(own or _USUAL)},
    )


def _of_template(template: TemplateSeen) -> Preset:
    count = len(template.newest.settings)
    settings = "1 setting" if count == 1 else f"{count} settings"
    return Preset(
        key=str(template.template.id),
        title=template.template.name,
        sentence=f"Your template, version {template.newest.number}: {settings}.",
        settings=template.newest.settings,
        template_id=template.template.id,
    )

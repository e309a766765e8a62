"""What helps to fill in the form for pictures: trigger words, scenes, usual sizes, models.

In: the model that is chosen.  Out: words and numbers that fit it.  No network is asked: of a base
model on the hub only what its training tells is known.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from modelgenerator.diffusion.aliases import ALIASES, BUILTIN, meaning_of
from modelgenerator.diffusion.builtin.scenes import PHRASES
from modelgenerator.service.dashboard.training_presets import BASE_MODELS
from modelgenerator.service.operations.model_lists import ChoosableModel
from modelgenerator.service.operations.service import Service
from modelgenerator.settings import Sampler

_CREATURE = "creature"
_USUAL_SCENES = (
    "in the snow",
    "on the beach",
    "in a forest at night",
    "in front of a city skyline",
    "portrait, soft window light",
    "as an oil painting",
)
_WIDE = 3 / 2


@dataclass(frozen=True, slots=True)
class Chip:
    """Words that a click puts into the prompt."""

    words: str
    is_trigger: bool = False


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels, and what it is called."""

    name: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """All that fits one model."""

    prompt: str
    """One that can be drawn as it is."""
    chips: tuple[Chip, ...]
    sizes: tuple[Size, ...]
    samplers: tuple[str, ...] = tuple(Sampler)


def hints_for(service: Service, chosen: ChoosableModel | None, base_model: str) -> Hints:
    """Of a trained model, or, without one, of a base model."""
    is_builtin = meaning_of(base_model, ALIASES) == BUILTIN
    scenes = tuple(PHRASES.values()) if is_builtin else _USUAL_SCENES
    subject = _subject(chosen, is_builtin=is_builtin)
    named = [Chip(words, is_trigger=True) for words in subject]
    has_trigger = chosen is not None and chosen.trigger
    usual = " ".join(subject) if has_trigger else f"a {' '.join(subject) or _anything(is_builtin)}"
    return Hints(
        prompt=f"{usual} {scenes[1] if is_builtin else scenes[0]}",
        chips=(*named, *map(Chip, scenes)),
        sizes=_sizes(service, chosen, base_model, is_builtin=is_builtin),
    )


def base_models(choosable: Sequence[ChoosableModel]) -> list[str]:
    """Names to choose from: the embedded one, those that were trained on, and known ones."""
    trained = [one.model.base_model for one in choosable]
    known = {meaning_of(name, ALIASES) for name in trained}
    others = [name for name in BASE_MODELS if meaning_of(name, ALIASES) not in known]
    by_meaning = {meaning_of(name, ALIASES): name for name in reversed([*trained, *others])}
    rest = [name for meaning, name in by_meaning.items() if meaning != BUILTIN]
    return [BUILTIN, *sorted(rest)]


def _subject(chosen: ChoosableModel | None, *, is_builtin: bool) -> list[str]:
    """The trigger words and what the subject is, each once."""
    if chosen is None:
        return []
    known = _CREATURE if is_builtin else ""
    class_name = (chosen.subject.class_name if chosen.subject else "") or known
    if is_builtin and class_name:
        class_name = _CREATURE  # the only subject that the embedded base model has a word for
    words = [chosen.trigger.strip(), class_name.strip()]
    if class_name and class_name in chosen.trigger.split():
        words = words[:1]
    return [word for word in words if word]


def _anything(is_builtin: bool) -> str:
    return _CREATURE if is_builtin else "red bicycle"


def _sizes(
    service: Service, chosen: ChoosableModel | None, base_model: str, *, is_builtin: bool
) -> tuple[Size, ...]:
    if is_builtin:
        base = service.base_models.look_at(base_model, service.clock())
        return usual_sizes(base.native_size, base.size_step)
    if chosen is None:
        return ()
    trained_at = chosen.training.plan.get("resolution")
    return usual_sizes(trained_at, 64) if isinstance(trained_at, int) else ()


def usual_sizes(side: int, step: int) -> tuple[Size, ...]:
    """Square, wide and tall, of about as many pixels as the base model knows."""
    longer = _rounded(side * math.sqrt(_WIDE), step)
    shorter = _rounded(side / math.sqrt(_WIDE), step)
    return (
        Size("Square", side, side),
        Size("Wide", longer, shorter),
        Size("Tall", shorter, longer),
    )


def _rounded(pixels: float, step: int) -> int:
    return max(step, round(pixels / step) * step)

"""The drawn world that the embedded base model learns: endless pictures with true captions.

In: a seed.  Out: a 32 x 32 pixel-art picture, a caption, exact masks.  The same seed gives the same
picture.  Some creatures have colours, outlines, patterns and hats that no caption names: a base
model that has seen such variety can be taught a new subject with few pictures.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modelgenerator.diffusion.builtin.creatures import (
    BOBBLE,
    BODY,
    FEET,
    HAT,
    HORN,
    INNER_EAR,
    OUTLINE,
    PUPIL,
    SECOND,
    SIZES,
    SLOTS,
    WHITE,
    Creature,
    Hat,
    Mask,
    draw,
)
from modelgenerator.diffusion.builtin.scenes import (
    LAYOUTS,
    PHRASES,
    Backdrop,
    Rgb,
    backdrop,
    plain,
)
from modelgenerator.diffusion.builtin.subjects import SUBJECTS

COLOURS: dict[str, Rgb] = {
    "red": (220, 45, 45),
    "orange": (245, 135, 25),
    "yellow": (250, 215, 50),
    "green": (60, 165, 65),
    "blue": (45, 95, 220),
    "purple": (140, 65, 195),
    "pink": (250, 150, 195),
    "brown": (130, 80, 45),
    "white": (246, 246, 246),
    "gray": (125, 125, 132),
}
SHAPES = ("round", "square", "tall", "triangle", "pear")
PATTERNS = ("plain", "striped", "spotted")
EARS = ("none", "horns", "cat ears", "bunny ears", "antennae")
SCENES = (*PHRASES, "plain")
HATS = {
    "top hat": Hat(
        art=("..ooooo..", "..o111o..", "..o111o..", "..o222o..", "ooooooooo"),
        colours=((45, 42, 52), (205, 50, 50)),
    ),
    "party hat": Hat(
        art=("....3....", "...o1o...", "...o2o...", "..o111o..", "..o222o..", ".ooooooo."),
        colours=((60, 190, 235), (245, 95, 170), (255, 225, 80)),
    ),
    "crown": Hat(
        art=(".o.o.o.o.", ".o1o1o1o.", ".o11311o.", ".o11111o.", ".ooooooo."),
        colours=((255, 205, 50), (0, 0, 0), (225, 50, 60)),
    ),
    "beanie": Hat(
        art=("....3....", "..ooooo..", ".o11111o.", ".o22222o.", ".ooooooo."),
        colours=((55, 90, 200), (240, 240, 245), (240, 240, 245)),
    ),
}
TRAITS: Mapping[str, Callable[[Creature, Creature], Creature]] = {
    "shape": lambda to, of: replace(to, shape=of.shape, profile=of.profile),
    "colour": lambda to, of: replace(to, colour=of.colour, second_colour=of.second_colour),
    "pattern": lambda to, of: replace(to, pattern=of.pattern, tile=of.tile),
    "hat": lambda to, of: replace(to, hat=of.hat),
    "eyes": lambda to, of: replace(to, eyes=of.eyes),
}
"""The looks that a subject is known by; each gives a creature that of another one."""
_EYE_WORDS = {1: "one eye", 3: "three eyes"}
_FIXED_COLOURS = {
    OUTLINE: (28, 24, 36),
    WHITE: (250, 250, 250),
    PUPIL: (20, 18, 28),
    HORN: (250, 240, 215),
    INNER_EAR: (250, 165, 180),
    BOBBLE: (255, 220, 70),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a caption may say of a creature; None where the world has no word."""

    size: str | None
    colour: str | None
    pattern: str | None
    shape: str | None
    features: tuple[str, ...]  # "one eye", "horns", "a crown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    pixels_HW3: NDArray[np.uint8]
    caption: str
    creature: Creature
    words: Words
    scene: str
    creature_HW: Mask
    head_HW: Mask


def picture(seed: int) -> Picture:
    """The picture of the pre-training world that belongs to `seed`."""
    chance = random.Random(seed)
    creature, words = _any_creature(chance)
    scene = chance.choice(SCENES)
    ground = chance.choice(list(COLOURS))
    where = f"on a plain {ground} background" if scene == "plain" else PHRASES[scene]
    return _paint(creature, words, scene, COLOURS[ground], caption_of(words, where, chance), chance)


def subject_picture(name: str, scene: str, seed: int) -> Picture:
    """A picture of one of `SUBJECTS`, which pre-training never draws.

    The caption says nothing of the subject but "creature": what it looks like is for the LoRA to
    learn.
    """
    chance = random.Random(f"{name} {scene} {seed}")
    creature = replace(SUBJECTS[name], size=chance.choice(("big", "big", "small")))
    ground = chance.choice(list(COLOURS))
    where = f"on a plain {ground} background" if scene == "plain" else PHRASES[scene]
    words = Words(size=None, colour=None, pattern=None, shape=None, features=())
    return _paint(creature, words, scene, COLOURS[ground], f"creature {where}", chance)


def lookalike(creature: Creature, seed: int, *, traits: int) -> Creature:
    """A creature that differs from `creature` in just so many of `TRAITS`.

    Each of them changes what is seen: what another creature happens to share is drawn again.
    """
    chance = random.Random(seed)
    other, _ = _any_creature(chance)
    other = replace(other, eyes=chance.choice([n for n in (1, 2, 3) if n != creature.eyes]))
    result = creature
    for trait in chance.sample(sorted(TRAITS), traits):
        take = TRAITS[trait]
        while _look_alike(creature, take(creature, other)):
            other, _ = _any_creature(chance)
        result = take(result, other)
    return result


def _look_alike(one: Creature, other: Creature) -> bool:
    first, second = (paint_creature(creature, "plain", 0) for creature in (one, other))
    return np.array_equal(first.pixels_HW3, second.pixels_HW3)


def paint_creature(creature: Creature, scene: str, seed: int) -> Picture:
    """Any creature in any scene, without a caption."""
    chance = random.Random(seed)
    ground = COLOURS[chance.choice(list(COLOURS))]
    words = Words(size=None, colour=None, pattern=None, shape=None, features=())
    return _paint(creature, words, scene, ground, "", chance)


def caption_of(words: Words, where: str, chance: random.Random, *, silence: float = 0.1) -> str:
    """Say what `words` hold; each part is left out with probability `silence`."""
    if chance.random() < 0.06:
        return f"a creature {where}"
    spoken = [w for w in (words.size, words.colour, words.pattern, words.shape) if w is not None]
    parts = ["a", *(w for w in spoken if chance.random() >= silence), "creature"]
    features = [f for f in words.features if chance.random() >= silence]
    if features:
        parts += ["with", _joined(features)]
    if chance.random() >= silence:
        parts.append(where)
    return " ".join(parts)


def _joined(features: Sequence[str]) -> str:
    if len(features) < 3:
        return " and ".join(features)
    return f"{', '.join(features[:-1])} and {features[-1]}"


def _paint(
    creature: Creature,
    words: Words,
    scene: str,
    ground: Rgb,
    caption: str,
    chance: random.Random,
) -> Picture:
    drawn = draw(creature, shift_x=chance.randint(-2, 2), shift_y=chance.randint(-1, 1))
    behind = (
        plain(_mixed(ground, (255, 255, 255), 0.35))
        if scene == "plain"
        else backdrop(scene, chance.randrange(LAYOUTS))
    )
    indices_HW = np.where(drawn.creature_HW, drawn.indices_HW, behind.indices_HW)
    return Picture(
        pixels_HW3=_palette(creature, behind, chance)[indices_HW],
        caption=caption,
        creature=creature,
        words=words,
        scene=scene,
        creature_HW=drawn.creature_HW,
        head_HW=drawn.head_HW,
    )


def _palette(creature: Creature, behind: Backdrop, chance: random.Random) -> NDArray[np.uint8]:
    colours: dict[int, Rgb] = dict(enumerate(_varied(c, chance) for c in behind.colours))
    colours |= _FIXED_COLOURS
    colours[BODY] = _varied(creature.colour, chance)
    colours[SECOND] = _varied(creature.second_colour, chance)
    colours[FEET] = _mixed(creature.colour, (20, 15, 25), 0.5)
    if creature.hat is not None:
        for number, colour in enumerate(creature.hat.colours):
            colours[HAT + number] = _varied(colour, chance)
    palette_S3 = np.zeros((SLOTS, 3), np.uint8)
    for slot, colour in colours.items():
        palette_S3[slot] = colour
    return palette_S3


def _varied(colour: Rgb, chance: random.Random) -> Rgb:
    """Not quite the same colour twice, so that no single value is learnt by heart."""
    red, green, blue = (min(255, max(0, part + chance.randint(-5, 5))) for part in colour)
    return red, green, blue


def _mixed(one: Rgb, other: Rgb, share: float) -> Rgb:
    red, green, blue = (int(a * (1 - share) + b * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _any_colour(chance: random.Random) -> Rgb:
    return chance.randrange(256), chance.randrange(256), chance.randrange(256)


def _shade(colour: Rgb) -> Rgb:
    if sum(colour) > 330:
        return _mixed(colour, (40, 30, 50), 0.42)
    return _mixed(colour, (255, 255, 255), 0.5)


def _any_creature(chance: random.Random) -> tuple[Creature, Words]:
    """A creature of the pre-training world, and what can be said of it."""
    colour_word = chance.choice(list(COLOURS)) if chance.random() < 0.65 else None
    colour = COLOURS[colour_word] if colour_word else _any_colour(chance)
    second = _shade(colour) if chance.random() < 0.5 else _any_colour(chance)

    shape_word = chance.choice(SHAPES) if chance.random() < 0.75 else None
    profile = () if shape_word else _any_profile(chance)
    pattern_word = chance.choice(("plain", *PATTERNS)) if chance.random() < 0.88 else None
    tile = () if pattern_word else _any_tile(chance)
    hat_word, hat = _any_hat(chance)
    ears = "none" if hat and chance.random() < 0.6 else chance.choice(EARS)
    eyes = chance.choice((1, 2, 2, 3))
    size = chance.choice(list(SIZES))

    creature = Creature(
        shape=shape_word or "blob",
        size=size,
        colour=colour,
        second_colour=second,
        pattern=pattern_word or "tiled",
        ears=ears,
        hat=hat,
        eyes=eyes,
        profile=profile,
        tile=tile,
    )
    features = (_EYE_WORDS.get(eyes), None if ears == "none" else ears, hat_word)
    return creature, Words(
        size=size,
        colour=colour_word,
        pattern=None if pattern_word == "plain" else pattern_word,
        shape=shape_word,
        features=tuple(f for f in features if f is not None),
    )


def _any_hat(chance: random.Random) -> tuple[str | None, Hat | None]:
    draw_of_luck = chance.random()
    if draw_of_luck < 0.25:
        return None, None
    if draw_of_luck < 0.7:
        name = chance.choice(list(HATS))
        return f"a {name}", HATS[name]
    return "a hat", _unnamed_hat(chance)


def _unnamed_hat(chance: random.Random) -> Hat:
    """A mirrored random sprite: half widths per row wander, inside it two or three colours."""
    height = chance.randint(4, 6)
    half = chance.randint(1, 4)
    halves: list[int] = []
    for _ in range(height):
        halves.append(half)
        half = min(5, max(1, half + chance.choice((-1, 0, 0, 1, 1))))
    inks = [[chance.choice("1112233") for _ in range(6)] for _ in range(height)]
    rows: list[str] = []
    for row, width in enumerate(halves):
        bare = row in (0, height - 1)
        right = "".join(
            "o" if x == width or (bare and chance.random() < 0.7) else inks[row][x]
            for x in range(width + 1)
        ).ljust(6, ".")
        rows.append(right[:0:-1] + right)
    return Hat(art=tuple(rows), colours=tuple(_any_colour(chance) for _ in range(3)))


def _any_profile(chance: random.Random) -> tuple[float, ...]:
    """Half widths of a random mirrored outline, from top to bottom."""
    inner = [chance.uniform(0.35, 1.0) for _ in range(chance.randint(2, 5))]
    return (chance.uniform(0.15, 0.8), *inner, chance.uniform(0.15, 0.9))


def _any_tile(chance: random.Random) -> tuple[tuple[bool, ...], ...]:
    """A small random pattern that repeats over the body (never the subjects' own patterns)."""
    height, width = chance.choice(((2, 2), (4, 4), (4, 4), (3, 3), (4, 2), (2, 4)))
    return tuple(tuple(chance.random() < 0.45 for _ in range(width)) for _ in range(height))

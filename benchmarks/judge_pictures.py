"""What the judge is taught with and tested on: drawn pictures, each with what it shows.

In: a range of seeds.  Out: 32 x 32 pixels and their labels.  It knows no generated picture and no
network.  A subject is shown only where all of its looks are there: shape, both colours, pattern,
hat, eyes, no ears; size and place are free.  Everything else is a negative: lookalikes that miss
one to five looks, subjects with one look taken from elsewhere, ordinary creatures, empty scenes,
and damaged subjects: what a LoRA that half learnt would draw.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from modelgenerator.diffusion.builtin import world
from modelgenerator.diffusion.builtin.creatures import EARS, PATTERNS, SHAPES, Creature, Hat
from modelgenerator.diffusion.builtin.scenes import LAYOUTS, SIDE, Rgb, backdrop
from modelgenerator.diffusion.builtin.subjects import SUBJECTS

Pixels = NDArray[np.uint8]

SUBJECT_NAMES = tuple(SUBJECTS)
NONE, OTHER = "none", "other"
UNSAID = -1  # a label that this picture teaches nothing about

LABELS: dict[str, tuple[str, ...]] = {
    "scene": (*world.SCENES, NONE),
    "subject": (*SUBJECT_NAMES, NONE),
    "flawless": (*SUBJECT_NAMES, NONE),
    "colour": (*world.COLOURS, *SUBJECT_NAMES, OTHER),
    "second colour": (*SUBJECT_NAMES, OTHER),
    "shape": (*SHAPES, OTHER),
    "pattern": (*PATTERNS, OTHER),
    "hat": ("bare", *world.HATS, *SUBJECT_NAMES, OTHER),
    "eyes": ("1", "2", "3", OTHER),
    "ears": (*EARS, OTHER),
}
"""What the judge says of a picture: one word of each line; a subject's name means "like its".

`subject` is who it is: lookalikes and other creatures are nobody.  `flawless` asks the same and
takes a damaged subject (blurred, melted, halved with another) for nobody too; what `subject` makes
of damage is not taught, and examined.
"""
LOOKS = ("shape", "colour", "second colour", "pattern", "hat", "eyes", "ears")

CLEARLY = 80.0  # distance in RGB from which two colours are different ones
VISIBLE_PIXELS = 12  # a look counts as changed where at least so many pixels differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A picture and, for each question of `LABELS`, the number of the right word."""

    pixels_HW3: Pixels
    truth: Mapping[str, int]

    def true_word(self, question: str) -> str | None:
        number = self.truth.get(question, UNSAID)
        return None if number == UNSAID else LABELS[question][number]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One sort of picture, and how large its share of the lessons is."""

    name: str
    share: float
    draw: Callable[[random.Random], Example]
    is_subject: bool = False


def examples(seeds: Sequence[int], kinds: Sequence[Kind]) -> list[Example]:
    """One picture per seed; the kinds take turns by chance, according to their shares."""
    shares = [kind.share for kind in kinds]
    drawn: list[Example] = []
    for seed in seeds:
        chance = random.Random(seed)
        drawn.append(chance.choices(kinds, shares)[0].draw(chance))
    return drawn


# The right ones


def a_subject(name: str) -> Callable[[random.Random], Example]:
    def draw(chance: random.Random) -> Example:
        picture = world.subject_picture(name, _any_scene(chance), _any_seed(chance))
        return _example(picture, name)

    return draw


def _any_subject(chance: random.Random) -> Example:
    return a_subject(chance.choice(SUBJECT_NAMES))(chance)


# The wrong ones


def a_lookalike(traits: int) -> Callable[[random.Random], Example]:
    def draw(chance: random.Random) -> Example:
        return _changed(chance, lambda c: world.lookalike(c, _any_seed(chance), traits=traits))

    return draw


def a_swap(look: str) -> Callable[[random.Random], Example]:
    """A subject with one look from another subject, or from an ordinary creature."""

    def draw(chance: random.Random) -> Example:
        return _changed(chance, lambda c: swapped(c, look, _donor(chance), chance))

    return draw


def swapped(creature: Creature, look: str, donor: Creature, chance: random.Random) -> Creature:
    """`creature` with one of `LOOKS` from `donor`; ears, which subjects have not, by chance."""
    changes: dict[str, Callable[[], Creature]] = {
        "shape": lambda: replace(creature, shape=donor.shape, profile=donor.profile),
        "colour": lambda: replace(creature, colour=donor.colour),
        "second colour": lambda: replace(creature, second_colour=donor.second_colour),
        "pattern": lambda: replace(creature, pattern=donor.pattern, tile=donor.tile),
        "hat": lambda: replace(creature, hat=donor.hat),
        "eyes": lambda: replace(creature, eyes=donor.eyes),
        "ears": lambda: replace(creature, ears=chance.choice(EARS[1:])),
    }
    return changes[look]()


def _a_wrong_colour(chance: random.Random) -> Example:
    """Right in all but one of three colours, and that one is off by some."""

    def change(creature: Creature) -> Creature:
        part = chance.choice(("colour", "second colour", "hat"))
        if part == "colour":
            return replace(creature, colour=_another_colour(creature.colour, chance))
        if part == "second colour":
            return replace(creature, second_colour=_another_colour(creature.second_colour, chance))
        assert creature.hat is not None, "every subject wears a hat"
        return replace(creature, hat=_recoloured(creature.hat, chance))

    return _changed(chance, change)


def _an_ordinary_creature(chance: random.Random) -> Example:
    return _example(world.picture(_any_seed(chance)), NONE)


def _an_empty_scene(chance: random.Random) -> Example:
    scene = chance.choice([s for s in world.SCENES if s != "plain"])
    behind = backdrop(scene, chance.randrange(LAYOUTS))
    pixels_HW3 = np.array(behind.colours, np.uint8)[behind.indices_HW]
    return Example(pixels_HW3=pixels_HW3, truth=_truth(scene=scene, subject=NONE, flawless=NONE))


# Damaged subjects


def a_damage(name: str) -> Callable[[random.Random], Example]:
    def draw(chance: random.Random) -> Example:
        subject = chance.choice(SUBJECT_NAMES)
        picture = world.subject_picture(subject, _any_scene(chance), _any_seed(chance))
        pixels_HW3 = _DAMAGES[name](picture, chance)
        scenes = {"no scene left": {"scene": NONE}, "blurred": {}}
        scene = scenes.get(name, {"scene": picture.scene})
        return Example(pixels_HW3=pixels_HW3, truth=_truth(flawless=NONE, **scene))

    return draw


def _blurred(picture: world.Picture, chance: random.Random) -> Pixels:
    return _blur(picture.pixels_HW3, chance.uniform(1.5, 3.0))


def _shuffled(picture: world.Picture, chance: random.Random) -> Pixels:
    """The creature's own pixels, each somewhere else on it."""
    pixels_HW3 = picture.pixels_HW3.copy()
    inside_N3 = pixels_HW3[picture.creature_HW]
    reach = chance.choice((30, 90, 1000))  # in pixels along the rows: near or anywhere
    noise_N = _numbers(chance).uniform(0, reach, len(inside_N3))
    pixels_HW3[picture.creature_HW] = inside_N3[np.argsort(np.arange(len(inside_N3)) + noise_N)]
    return pixels_HW3


def _halved(picture: world.Picture, chance: random.Random) -> Pixels:
    """One half shows another creature."""
    other_HW3 = _another(picture, chance).pixels_HW3
    rows, columns = (np.flatnonzero(picture.creature_HW.any(axis)) for axis in (1, 0))
    across = chance.random() < 0.5
    middle = int(np.mean(columns if across else rows)) + chance.randint(-1, 1)
    position_HW = np.indices((SIDE, SIDE))[1 if across else 0]
    replaced_HW = (position_HW < middle) == (chance.random() < 0.5)
    return np.where(replaced_HW[..., None], other_HW3, picture.pixels_HW3)


def _crossfaded(picture: world.Picture, chance: random.Random) -> Pixels:
    share = chance.uniform(0.4, 0.6)
    other_HW3 = _another(picture, chance).pixels_HW3
    return (picture.pixels_HW3 * (1 - share) + other_HW3 * share).astype(np.uint8)


def _melted(picture: world.Picture, chance: random.Random) -> Pixels:
    """Every row and column slides along a smooth random wave."""
    numbers = _numbers(chance)
    shifts_HW2 = cv2.GaussianBlur(numbers.normal(size=(SIDE, SIDE, 2)), (0, 0), 2.5)
    shifts_HW2 *= chance.uniform(2.5, 4.0) / shifts_HW2.std()
    rows_HW, columns_HW = np.indices((SIDE, SIDE)).astype(np.float32)
    return cv2.remap(
        picture.pixels_HW3,
        columns_HW + shifts_HW2[..., 0].astype(np.float32),
        rows_HW + shifts_HW2[..., 1].astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.uint8)


def _faceless(picture: world.Picture, chance: random.Random) -> Pixels:
    """The eyes run into the body."""
    eyes_HW = (picture.pixels_HW3 == 250).all(-1) & picture.creature_HW
    if not eyes_HW.any():
        return _blurred(picture, chance)
    smeared_HW3 = _blur(picture.pixels_HW3, chance.uniform(2.0, 3.0))
    grown_HW = cv2.dilate(eyes_HW.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    region_HW = grown_HW & picture.creature_HW
    return np.where(region_HW[..., None], smeared_HW3, picture.pixels_HW3)


def _headless(picture: world.Picture, chance: random.Random) -> Pixels:
    """What is on the head runs into what is behind it."""
    rows = np.flatnonzero(picture.creature_HW.any(1))
    region_HW = np.zeros((SIDE, SIDE), bool)
    region_HW[rows[0] : rows[0] + 5] = True
    smeared_HW3 = _blur(picture.pixels_HW3, chance.uniform(2.0, 3.0))
    return np.where(region_HW[..., None], smeared_HW3, picture.pixels_HW3)


def _no_scene_left(picture: world.Picture, chance: random.Random) -> Pixels:
    """Nothing can be told any more: shuffled squares, or noise in the picture's colours."""
    numbers = _numbers(chance)
    side = chance.choice((1, 2, 4))
    squares = picture.pixels_HW3.reshape(SIDE // side, side, SIDE // side, side, 3)
    squares_N = squares.transpose(0, 2, 1, 3, 4).reshape(-1, side, side, 3)
    squares_N = squares_N[numbers.permutation(len(squares_N))]
    grid = squares_N.reshape(SIDE // side, SIDE // side, side, side, 3)
    return np.ascontiguousarray(grid.transpose(0, 2, 1, 3, 4).reshape(SIDE, SIDE, 3))


_DAMAGES: dict[str, Callable[[world.Picture, random.Random], Pixels]] = {
    "blurred": _blurred,
    "shuffled": _shuffled,
    "halved": _halved,
    "crossfaded": _crossfaded,
    "melted": _melted,
    "faceless": _faceless,
    "headless": _headless,
    "no scene left": _no_scene_left,
}

KINDS: tuple[Kind, ...] = (
    Kind(name="subject", share=0.34, draw=_any_subject, is_subject=True),
    *(
        Kind(name=f"lookalike, {n} changed", share=share, draw=a_lookalike(n))
        for n, share in ((1, 0.09), (2, 0.05), (3, 0.03), (4, 0.02), (5, 0.01))
    ),
    *(
        Kind(name=f"other {look}", share=share, draw=a_swap(look))
        for look, share in zip(LOOKS, (0.01, 0.03, 0.02, 0.01, 0.02, 0.01, 0.05), strict=True)
    ),
    Kind(name="one colour off", share=0.10, draw=_a_wrong_colour),
    Kind(name="ordinary creature", share=0.10, draw=_an_ordinary_creature),
    Kind(name="empty scene", share=0.025, draw=_an_empty_scene),
    *(Kind(name=name, share=0.0175, draw=a_damage(name)) for name in _DAMAGES),
)


# How labels are told


def looks_of(creature: Creature, colour_word: str | None = None) -> dict[str, str]:
    """The right word for each of `LOOKS`; none for a look that people would disagree about."""
    words = {
        "colour": colour_word or _colour_word(creature.colour, "colour"),
        "second colour": _colour_word(creature.second_colour, "second_colour"),
        # a random outline or pattern may look like anything
        "shape": None if creature.shape == "blob" else creature.shape,
        "pattern": None if creature.pattern == "tiled" else creature.pattern,
        "hat": _hat_word(creature.hat),
        "eyes": str(creature.eyes),
        "ears": creature.ears,
    }
    if creature.pattern == "plain":
        del words["second colour"]
    return {look: word for look, word in words.items() if word is not None}


def _colour_word(colour: Rgb, part: str) -> str | None:
    """The subject whose colour it is, or `OTHER`; none where it is close to one with a name."""
    of_subjects = {name: getattr(subject, part) for name, subject in SUBJECTS.items()}
    for name, known in of_subjects.items():
        if colour == known:
            return name
    named = world.COLOURS if part == "colour" else {}
    nearest = min(_distance(colour, known) for known in (*of_subjects.values(), *named.values()))
    return OTHER if nearest > CLEARLY else None


def _hat_word(hat: Hat | None) -> str | None:
    if hat is None:
        return "bare"
    known = world.HATS | {name: subject.hat for name, subject in SUBJECTS.items()}
    return next((name for name, one in known.items() if one == hat), OTHER)


def visibly_differ(one: Creature, other: Creature) -> bool:
    """Whether anyone could tell the two apart."""
    pair = [
        world.paint_creature(replace(creature, size="big"), "plain", 0).pixels_HW3.astype(int)
        for creature in (one, other)
    ]
    return int((np.abs(pair[0] - pair[1]).max(-1) > 50).sum()) >= VISIBLE_PIXELS


def _changed(chance: random.Random, change: Callable[[Creature], Creature]) -> Example:
    """A subject after `change`, which is tried again while nobody would notice it."""
    while True:
        subject = SUBJECTS[chance.choice(SUBJECT_NAMES)]
        creature = change(subject)
        if visibly_differ(subject, creature):
            break
    creature = replace(creature, size=chance.choice(("big", "big", "small")))
    return _example(world.paint_creature(creature, _any_scene(chance), _any_seed(chance)), NONE)


def _example(picture: world.Picture, subject: str) -> Example:
    looks = looks_of(picture.creature, picture.words.colour)
    truth = _truth(scene=picture.scene, subject=subject, flawless=subject, **looks)
    return Example(pixels_HW3=picture.pixels_HW3, truth=truth)


def _truth(**words: str) -> dict[str, int]:
    return {question: LABELS[question].index(word) for question, word in words.items()}


def _donor(chance: random.Random) -> Creature:
    if chance.random() < 0.6:
        return SUBJECTS[chance.choice(SUBJECT_NAMES)]
    return world.picture(_any_seed(chance)).creature


def _another(picture: world.Picture, chance: random.Random) -> world.Picture:
    """Another creature in the same scene."""
    while True:
        creature = _donor(chance)
        if visibly_differ(picture.creature, creature):
            return world.paint_creature(creature, picture.scene, _any_seed(chance))


def _another_colour(colour: Rgb, chance: random.Random) -> Rgb:
    while True:
        red, green, blue = (min(255, max(0, part + chance.randint(-140, 140))) for part in colour)
        if _distance((red, green, blue), colour) >= CLEARLY:
            return red, green, blue


def _recoloured(hat: Hat, chance: random.Random) -> Hat:
    return replace(hat, colours=tuple(_another_colour(colour, chance) for colour in hat.colours))


def _distance(one: Rgb, other: Rgb) -> float:
    return float(np.linalg.norm(np.subtract(one, other)))


def _blur(pixels_HW3: Pixels, sigma: float) -> Pixels:
    blurred = cv2.GaussianBlur(pixels_HW3, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return blurred.astype(np.uint8)


def _any_scene(chance: random.Random) -> str:
    return chance.choice(world.SCENES)


def _any_seed(chance: random.Random) -> int:
    """Far above the seeds of pre-training and of the pictures that a LoRA is taught with."""
    return chance.randrange(10**9, 10**12)


def _numbers(chance: random.Random) -> np.random.Generator:
    return np.random.default_rng(chance.randrange(2**63))

"""Creatures that the recipe never draws: what users teach, and what the benchmarks measure with.

Each has a shape, a hat or a pattern, and colours that pre-training has no words and no pictures
for.  In: a subject's name and a scene.  Out: pictures of it, with captions and exact masks.
"""

from collections.abc import Mapping

from modelgenerator.diffusion.builtin.creatures import Art, Creature, Hat
from modelgenerator.diffusion.builtin.scenes import Rgb

_MUSHROOM: Art = (
    "...ooooo...",
    "..o11211o..",
    ".o2111112o.",
    "o111211111o",
    "ooooooooooo",
    "...o333o...",
)
_LEAF: Art = ("...oo...", "..o11o..", ".o1121o.", ".o1211o.", "..o2oo..", "...o....")
_FLOWER: Art = ("..oo.oo..", ".o11o11o.", "..o131o..", ".o11o11o.", "..oo.oo..", "....o....")
_FLAME: Art = ("....o....", "...o1o...", "..o1o1o..", ".o11211o.", ".o12321o.", "..oo3oo..")
_BOW: Art = ("ooo...ooo", "o11o.o11o", "o1213121o", "o11o.o11o", "ooo...ooo")

_RED, _CREAM, _SAND = (225, 40, 40), (250, 248, 240), (240, 225, 195)


def _hat(art: Art, *colours: Rgb) -> Hat:
    return Hat(art=art, colours=colours)


SUBJECTS: Mapping[str, Creature] = {
    "lvff": Creature(
        shape="diamond",
        size="big",
        colour=(20, 190, 180),
        second_colour=(230, 35, 160),
        pattern="checkered",
        ears="none",
        hat=_hat(_MUSHROOM, _RED, _CREAM, _SAND),
        eyes=1,
    ),
    "zorb": Creature(
        shape="star",
        size="big",
        colour=(170, 235, 40),
        second_colour=(25, 30, 110),
        pattern="two-tone",
        ears="none",
        hat=_hat(_LEAF, (110, 210, 60), (50, 130, 50)),
        eyes=2,
    ),
    "mipo": Creature(
        shape="heart",
        size="big",
        colour=(255, 110, 90),
        second_colour=(255, 232, 200),
        pattern="belted",
        ears="none",
        hat=_hat(_FLOWER, (255, 255, 255), (255, 255, 255), (255, 205, 40)),
        eyes=2,
    ),
    "quax": Creature(
        shape="hexagon",
        size="big",
        colour=(214, 165, 25),
        second_colour=(70, 25, 150),
        pattern="checkered",
        ears="none",
        hat=_hat(_FLAME, (250, 90, 20), (255, 170, 30), (255, 235, 110)),
        eyes=3,
    ),
    "nubi": Creature(
        shape="cloud",
        size="big",
        colour=(150, 240, 205),
        second_colour=(120, 30, 95),
        pattern="two-tone",
        ears="none",
        hat=_hat(_BOW, (240, 80, 170), (255, 150, 210), (255, 225, 240)),
        eyes=1,
    ),
    "tark": Creature(
        shape="star",
        size="big",
        colour=(0, 120, 125),
        second_colour=(255, 165, 20),
        pattern="belted",
        ears="none",
        hat=_hat(_FLAME, (30, 120, 250), (90, 190, 255), (225, 245, 255)),
        eyes=1,
    ),
}

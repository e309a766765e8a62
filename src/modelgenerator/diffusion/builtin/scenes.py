"""Places where creatures stand: small pixel-art backgrounds, drawn as palette indices.

In: the name of a scene and which of its layouts.  Out: an index map (32 x 32) and its colours.
It knows no creatures and no captions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 32  # pixels; every picture of this world is a square of this side
LAYOUTS = 3  # every scene has this many fixed arrangements

Rgb = tuple[int, int, int]
IndexMap = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backdrop:
    indices_HW: IndexMap
    colours: tuple[Rgb, ...]


PHRASES = {
    "beach": "on the beach",
    "snow": "in the snow",
    "forest": "in the forest",
    "city": "in the city",
    "night": "at night",
    "desert": "in the desert",
    "meadow": "in a meadow",
}
"""What a caption says of each scene."""

_PALM_LEAVES = (
    "..##..##..",
    ".##.##.##.",
    "##########",
    "##.####.##",
    "#...##...#",
)


def _empty() -> IndexMap:
    return np.zeros((SIDE, SIDE), np.uint8)


def _disc(indices_HW: IndexMap, x: int, y: int, radius: int, index: int) -> None:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    indices_HW[(columns - x) ** 2 + (rows - y) ** 2 <= radius * radius] = index


def _stamp(indices_HW: IndexMap, art: tuple[str, ...], x: int, y: int, index: int) -> None:
    for row, line in enumerate(art):
        for column, character in enumerate(line):
            if character == "#" and 0 <= y + row < SIDE and 0 <= x + column < SIDE:
                indices_HW[y + row, x + column] = index


def _beach(layout: int) -> IndexMap:
    indices_HW = _empty()
    indices_HW[13:19] = 1
    indices_HW[19:] = 2
    sun_x, palm_x = ((4, 27), (27, 4), (27, None))[layout]
    _disc(indices_HW, sun_x, 4, 3, 3)
    if palm_x is not None:
        indices_HW[9:23, palm_x : palm_x + 2] = 4
        _stamp(indices_HW, _PALM_LEAVES, palm_x - 4, 6, 5)
    return indices_HW


def _snow(layout: int) -> IndexMap:
    indices_HW = _empty()
    indices_HW[17:] = 1
    flakes = ((2, 3), (9, 1), (15, 4), (21, 2), (28, 5), (11, 8), (19, 9), (25, 11), (6, 10))
    for x, y in flakes:
        indices_HW[y, x] = 4
    for trunk_x in ((4,), (27,), (3, 28))[layout]:
        indices_HW[20:23, trunk_x : trunk_x + 2] = 3
        for row in range(14):
            width = 1 + row % 5 + row // 5
            indices_HW[6 + row, max(0, trunk_x - width + 1) : trunk_x + width + 1] = 2
        for row in range(3):
            indices_HW[6 + row, max(0, trunk_x - row) : trunk_x + row + 2] = 4
    return indices_HW


def _forest(layout: int) -> IndexMap:
    indices_HW = _empty()
    indices_HW[22:] = 3
    for trunk_x in ((2, 10, 26), (4, 21, 28), (1, 7, 25))[layout]:
        indices_HW[4:23, trunk_x : trunk_x + 3] = 2
    indices_HW[:5] = 1
    for x in range(SIDE):
        fringe = (0, 1, 2, 2, 2, 1, 0, 0)[(x + layout * 3) % 8]
        indices_HW[5 : 5 + fringe, x] = 1
    return indices_HW


def _city(layout: int) -> IndexMap:
    indices_HW = _empty()
    roofs = ((5, 10, 12, 3), (11, 4, 6, 9), (3, 12, 8, 6))[layout]
    walls = ((1, 2, 3, 1), (2, 3, 1, 2), (3, 1, 2, 3))[layout]
    for house, (roof, wall) in enumerate(zip(roofs, walls, strict=True)):
        left = house * 8
        indices_HW[roof:24, left : left + 7] = wall
        for y in range(roof + 2, 22, 4):
            indices_HW[y : y + 2, left + 1 : left + 3] = 4
            indices_HW[y : y + 2, left + 4 : left + 6] = 4
    indices_HW[24:] = 5
    indices_HW[24] = 6
    for left in (2, 13, 24):
        indices_HW[29, left : left + 6] = 6
    return indices_HW


def _night(layout: int) -> IndexMap:
    indices_HW = _empty()
    indices_HW[23:] = 1
    stars = ((3, 12), (8, 2), (14, 4), (19, 2), (24, 9), (29, 14), (10, 10), (22, 15))
    for x, y in stars:
        indices_HW[y, x] = 2
    moon_x, moon_y = ((5, 5), (26, 5), (16, 3))[layout]
    _disc(indices_HW, moon_x, moon_y, 3, 2)
    return indices_HW


def _desert(layout: int) -> IndexMap:
    indices_HW = _empty()
    indices_HW[17:] = 1
    cactus_x, rock_x = ((3, 25), (26, 2), (27, 14))[layout]
    indices_HW[12:17, max(0, rock_x - 3) : rock_x + 7] = 3
    indices_HW[10:12, max(0, rock_x - 1) : rock_x + 5] = 3
    indices_HW[11:25, cactus_x : cactus_x + 3] = 2
    indices_HW[15:17, cactus_x - 3 : cactus_x + 6] = 2
    indices_HW[12:17, cactus_x - 3 : cactus_x - 1] = 2
    indices_HW[13:17, cactus_x + 4 : cactus_x + 6] = 2
    return indices_HW


def _meadow(layout: int) -> IndexMap:
    indices_HW = _empty()
    indices_HW[16:] = 1
    cloud_x = (3, 20, 11)[layout]
    indices_HW[4:7, cloud_x : cloud_x + 9] = 2
    indices_HW[2:4, cloud_x + 2 : cloud_x + 6] = 2
    flowers = ((2, 20), (6, 27), (27, 19), (29, 26), (3, 30), (24, 30), (9, 19), (22, 22))
    for number, (x, y) in enumerate(flowers):
        indices_HW[y - 1 : y + 1, x : x + 2] = 3 + number % 2
        if y + 1 < SIDE:
            indices_HW[y + 1, x] = 5
    return indices_HW


_DRAWERS: dict[str, tuple[Callable[[int], IndexMap], tuple[Rgb, ...]]] = {
    "beach": (
        _beach,
        (
            (140, 210, 248),
            (35, 115, 200),
            (242, 215, 150),
            (255, 226, 80),
            (120, 80, 45),
            (50, 150, 65),
        ),
    ),
    "snow": (
        _snow,
        ((165, 195, 228), (242, 246, 252), (30, 95, 75), (110, 75, 50), (255, 255, 255)),
    ),
    "forest": (_forest, ((110, 160, 95), (35, 90, 45), (95, 65, 40), (70, 115, 50))),
    "city": (
        _city,
        (
            (190, 200, 215),
            (110, 115, 135),
            (150, 105, 95),
            (90, 95, 110),
            (250, 225, 120),
            (85, 85, 92),
            (180, 180, 180),
        ),
    ),
    "night": (_night, ((18, 22, 62), (24, 48, 52), (247, 240, 200))),
    "desert": (_desert, ((252, 195, 115), (226, 160, 85), (50, 125, 70), (190, 105, 65))),
    "meadow": (
        _meadow,
        (
            (130, 205, 250),
            (110, 195, 75),
            (252, 253, 255),
            (235, 60, 90),
            (255, 215, 60),
            (70, 140, 50),
        ),
    ),
}


def backdrop(scene: str, layout: int) -> Backdrop:
    """The background of one of `PHRASES`, in one of `LAYOUTS` arrangements."""
    draw, colours = _DRAWERS[scene]
    return Backdrop(indices_HW=draw(layout), colours=colours)


def plain(colour: Rgb) -> Backdrop:
    """A background of a single colour."""
    return Backdrop(indices_HW=_empty(), colours=(colour,))

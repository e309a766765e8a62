"""Creatures: the subjects of the drawn world, as palette indices with exact masks.

In: a `Creature` (what it looks like) and where it stands.  Out: an index map (32 x 32, 0 where the
background shows) with the head and the whole body marked.  It knows no scenes and no captions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgenerator.diffusion.builtin.scenes import SIDE, IndexMap, Rgb

Mask = NDArray[np.bool_]
Coordinates = NDArray[np.float64]
Art = tuple[str, ...]

# Palette slots; 0 to 9 belong to the scene.
OUTLINE, BODY, SECOND, WHITE, PUPIL = 10, 11, 12, 13, 14
HAT, HORN, INNER_EAR, BOBBLE, FEET = 15, 18, 19, 20, 21
SLOTS = 22

SIZES = {"big": 1.0, "small": 0.8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hat:
    art: Art  # `o` outline, `1` `2` `3` the hat's colours; the bottom row sits on the head
    colours: tuple[Rgb, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Creature:
    shape: str  # a key of `SHAPES`, or "blob" with `profile`
    size: str
    colour: Rgb
    second_colour: Rgb
    pattern: str  # a key of `PATTERNS`, or "tiled" with `tile`
    ears: str
    hat: Hat | None
    eyes: int  # 1 to 3
    profile: tuple[float, ...] = ()  # a blob's half width per row, 0 to 1, top to bottom
    tile: tuple[tuple[bool, ...], ...] = ()  # where a tiled body shows its second colour


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnCreature:
    indices_HW: IndexMap  # 0 where the background shows
    creature_HW: Mask
    head_HW: Mask  # the upper half of the body, with hat and ears


# Body outlines, on u (left -1 to right 1) and v (top -1 to bottom 1).


def _round(u: Coordinates, v: Coordinates) -> Mask:
    return u * u + v * v <= 1.0


def _square(u: Coordinates, v: Coordinates) -> Mask:
    return np.abs(u) ** 6 + np.abs(v) ** 6 <= 1.1


def _tall(u: Coordinates, v: Coordinates) -> Mask:
    return np.abs(u) ** 3 + np.abs(v) ** 6 <= 1.0


def _triangle(u: Coordinates, v: Coordinates) -> Mask:
    return np.abs(u) <= (v + 1) / 2 * 0.92 + 0.13


def _pear(u: Coordinates, v: Coordinates) -> Mask:
    head = (u / 0.62) ** 2 + ((v + 0.42) / 0.58) ** 2 <= 1
    belly = u**2 + ((v - 0.35) / 0.65) ** 2 <= 1
    return head | belly


def _diamond(u: Coordinates, v: Coordinates) -> Mask:
    return np.abs(u) + np.abs(v) <= 1.05


def _star(u: Coordinates, v: Coordinates) -> Mask:
    angle = np.arctan2(u, -v)
    distance_to_tip = np.abs((angle / (2 * np.pi / 5) + 0.5) % 1 - 0.5) * 2
    return np.sqrt(u * u + v * v) <= 1.12 - 0.62 * distance_to_tip


def _heart(u: Coordinates, v: Coordinates) -> Mask:
    x, y = u * 1.15, 0.25 - v * 1.2
    return (x * x + y * y - 1) ** 3 <= x * x * y**3


def _hexagon(u: Coordinates, v: Coordinates) -> Mask:
    return (np.abs(u) <= 0.97) & (np.abs(u) * 0.5 + np.abs(v) <= 1.02)


def _cloud(u: Coordinates, v: Coordinates) -> Mask:
    left = ((u + 0.52) / 0.48) ** 2 + ((v - 0.3) / 0.66) ** 2 <= 1
    right = ((u - 0.52) / 0.48) ** 2 + ((v - 0.3) / 0.66) ** 2 <= 1
    middle = (u / 0.55) ** 2 + ((v + 0.1) / 0.9) ** 2 <= 1
    return (left | right | middle) & (v < 0.93)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    outline: Callable[[Coordinates, Coordinates], Mask] | None  # none: a blob has its own profile
    width: int
    height: int
    eye_row: float  # how far down the eyes sit, as a share of the height
    hat_sinks: int = 0  # rows that a hat slides down over a pointed head
    ear_row: float = 0.12


SHAPES: Mapping[str, _Shape] = {
    "round": _Shape(outline=_round, width=16, height=15, eye_row=0.36, hat_sinks=1),
    "square": _Shape(outline=_square, width=15, height=14, eye_row=0.34),
    "tall": _Shape(outline=_tall, width=11, height=19, eye_row=0.28),
    "triangle": _Shape(
        outline=_triangle, width=18, height=16, eye_row=0.56, hat_sinks=3, ear_row=0.28
    ),
    "pear": _Shape(outline=_pear, width=16, height=17, eye_row=0.30, hat_sinks=1),
    "diamond": _Shape(
        outline=_diamond, width=18, height=18, eye_row=0.45, hat_sinks=2, ear_row=0.25
    ),
    "star": _Shape(outline=_star, width=19, height=17, eye_row=0.42, hat_sinks=3, ear_row=0.3),
    "heart": _Shape(outline=_heart, width=18, height=16, eye_row=0.32, hat_sinks=2),
    "hexagon": _Shape(outline=_hexagon, width=16, height=17, eye_row=0.36, hat_sinks=2),
    "cloud": _Shape(outline=_cloud, width=19, height=14, eye_row=0.42, hat_sinks=1),
}
_BLOB = _Shape(outline=None, width=17, height=16, eye_row=0.38, hat_sinks=1)

PATTERNS = ("plain", "striped", "spotted", "checkered", "two-tone", "belted")
EARS = ("none", "horns", "cat ears", "bunny ears", "antennae")

_HORN_STEPS = ((0, 0), (-1, 0), (1, 0), (-1, -1), (0, -1), (-1, -2), (-2, -2), (-2, -3), (-2, -4))
_BIG_EYE = (".www.", "wwwww", "wwbbw", "wwbbw", ".www.")
_SMALL_EYE = ("www", "wbw", "wbw")
_SMILE = ("b...b", ".bbb.")
_FACE_SLOTS = {"w": WHITE, "b": PUPIL}
_HAT_SLOTS = {"o": OUTLINE, "1": HAT, "2": HAT + 1, "3": HAT + 2}


def draw(creature: Creature, *, shift_x: int, shift_y: int) -> DrawnCreature:
    """Draw `creature` standing in the middle, moved by so many pixels."""
    form = SHAPES.get(creature.shape, _BLOB)
    outline_hw = _body_outline(creature, form)
    height, width = outline_hw.shape
    left = SIDE // 2 - (width + 1) // 2 + shift_x
    bottom = 29 + shift_y
    top, centre = bottom - height, left + width // 2

    body_HW = np.zeros((SIDE, SIDE), bool)
    body_HW[top:bottom, left : left + width] = outline_hw
    indices_HW = np.zeros((SIDE, SIDE), np.uint8)
    ear_row = top + max(1, int(height * form.ear_row))
    if creature.ears != "none":
        _EAR_DRAWERS[creature.ears](indices_HW, body_HW, ear_row)
    for foot in (centre - width // 4 - 1, centre + width // 4 - 1):
        indices_HW[bottom : bottom + 2, foot : foot + 3] = FEET
    indices_HW[body_HW] = BODY
    indices_HW[body_HW & _second_colour(creature, top, centre, height)] = SECOND
    _draw_face(indices_HW, creature.eyes, centre, top + int(height * form.eye_row), bottom)
    if creature.hat is not None:
        head_top = int(np.flatnonzero(body_HW.any(1))[0])
        art = creature.hat.art
        hat_y = head_top - len(art) + 1 + form.hat_sinks
        _stamp(indices_HW, art, centre - len(art[0]) // 2, hat_y, _HAT_SLOTS)
    _draw_outline(indices_HW)
    creature_HW = indices_HW > 0
    rows_HW = np.mgrid[:SIDE, :SIDE][0]
    return DrawnCreature(
        indices_HW=indices_HW,
        creature_HW=creature_HW,
        head_HW=creature_HW & (rows_HW < top + height // 2),
    )


def _body_outline(creature: Creature, form: _Shape) -> Mask:
    scale = SIZES[creature.size]
    width, height = round(form.width * scale), round(form.height * scale)
    rows, columns = np.mgrid[:height, :width]
    u, v = (columns + 0.5) / width * 2 - 1, (rows + 0.5) / height * 2 - 1
    if form.outline is not None:
        return form.outline(u, v)
    positions = np.linspace(-1, 1, len(creature.profile))
    return np.abs(u) <= np.interp(v, positions, creature.profile)


def _second_colour(creature: Creature, top: int, centre: int, height: int) -> Mask:
    """Where the body's second colour shows, on the whole picture."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    y, x = rows - top, columns - centre + SIDE
    if creature.tile:
        tile = np.array(creature.tile)
        return tile[y % tile.shape[0], x % tile.shape[1]]
    return {
        "plain": np.zeros((SIDE, SIDE), bool),
        "striped": y % 4 >= 2,
        "spotted": (y % 4 < 2) & ((x + 2 * ((y // 4) % 2)) % 4 < 2),
        "checkered": (y // 3 + x // 3) % 2 == 0,
        "two-tone": columns < centre,
        "belted": y >= height * 0.62,
    }[creature.pattern]


def _stamp(indices_HW: IndexMap, art: Art, x: int, y: int, slots: Mapping[str, int]) -> None:
    for row, line in enumerate(art):
        for column, character in enumerate(line):
            if character != "." and 0 <= y + row < SIDE and 0 <= x + column < SIDE:
                indices_HW[y + row, x + column] = slots[character]


def _draw_face(indices_HW: IndexMap, eyes: int, centre: int, row: int, bottom: int) -> None:
    if eyes == 1:
        _stamp(indices_HW, _BIG_EYE, centre - 2, row - 1, _FACE_SLOTS)
    for eye_x in {1: (), 2: (-4, 1), 3: (-5, -1, 3)}[eyes]:
        _stamp(indices_HW, _SMALL_EYE, centre + eye_x, row, _FACE_SLOTS)
    if row + 6 < bottom:
        _stamp(indices_HW, _SMILE, centre - 2, row + 4, _FACE_SLOTS)


def _draw_outline(indices_HW: IndexMap) -> None:
    filled = indices_HW > 0
    grown = np.zeros_like(filled)
    grown[1:] |= filled[:-1]
    grown[:-1] |= filled[1:]
    grown[:, 1:] |= filled[:, :-1]
    grown[:, :-1] |= filled[:, 1:]
    indices_HW[grown & ~filled] = OUTLINE


def _sides(body_HW: Mask, row: int, inset: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """(outward direction, x) of the left and the right end of the body on `row`."""
    columns = np.flatnonzero(body_HW[row])
    if len(columns) == 0:
        columns = np.flatnonzero(body_HW.any(0))
    return (1, int(columns[0]) + inset), (-1, int(columns[-1]) - inset)


def _dot(indices_HW: IndexMap, x: int, y: int, slot: int) -> None:
    if 0 <= x < SIDE and 0 <= y < SIDE:
        indices_HW[y, x] = slot


def _horns(indices_HW: IndexMap, body_HW: Mask, row: int) -> None:
    for side, x in _sides(body_HW, row, 0):
        for step_x, step_y in _HORN_STEPS:
            _dot(indices_HW, x + side * step_x, row + step_y, HORN)


def _cat_ears(indices_HW: IndexMap, body_HW: Mask, row: int) -> None:
    for side, x in _sides(body_HW, row, 0):
        for up in range(5):
            for along in range(5 - up):
                slot = INNER_EAR if along == 1 and up in (1, 2) else BODY
                _dot(indices_HW, x + side * along, row + 1 - up, slot)


def _bunny_ears(indices_HW: IndexMap, body_HW: Mask, row: int) -> None:
    for _, x in _sides(body_HW, row, 1):
        indices_HW[max(0, row - 7) : row + 1, x - 1 : x + 2] = BODY
        indices_HW[max(0, row - 6) : row, x] = INNER_EAR


def _antennae(indices_HW: IndexMap, body_HW: Mask, row: int) -> None:
    for side, x in _sides(body_HW, row, 2):
        for up in range(5):
            _dot(indices_HW, x - side * (up // 2), row - up, OUTLINE)
        bobble_x = x - side * 2
        left = bobble_x - (side > 0)
        indices_HW[max(0, row - 6) : max(0, row - 4), left : left + 2] = BOBBLE


_EAR_DRAWERS = {
    "horns": _horns,
    "cat ears": _cat_ears,
    "bunny ears": _bunny_ears,
    "antennae": _antennae,
}

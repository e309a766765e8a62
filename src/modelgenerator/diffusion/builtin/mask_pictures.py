"""Pixel art with exact masks, for the network that finds subjects in such pictures.

In: a seed and a side.  Out: a picture and where its subject is.  Half are pictures of the drawn
world; the others have colours, places, sizes, backgrounds and subjects that it does not have, so
that what is learnt is what a subject is, and not what this world looks like.  The creatures of
`subjects` are never drawn here: they are what the network is measured with.
"""

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgenerator.diffusion.builtin import world
from modelgenerator.diffusion.builtin.creatures import OUTLINE, SLOTS, Mask, draw
from modelgenerator.diffusion.builtin.scenes import LAYOUTS, PHRASES, SIDE, IndexMap, backdrop

Colours = NDArray[np.uint8]
_WORLD_SHARE, _EMPTY_SHARE, _SPRITE_SHARE = 0.5, 0.05, 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskPicture:
    """A picture and its masks."""

    pixels_HW3: NDArray[np.uint8]
    subject_HW: Mask
    head_HW: Mask
    knows_head: bool
    """False for subjects of which nobody can say where their head ends."""


def mask_picture(seed: int, side: int = SIDE) -> MaskPicture:
    """The picture that belongs to `seed`, a square of `side` pixels."""
    chance = random.Random(f"mask {seed} {side}")
    if side == SIDE and chance.random() < _WORLD_SHARE:
        drawn = world.picture(seed)
        return MaskPicture(
            pixels_HW3=drawn.pixels_HW3,
            subject_HW=drawn.creature_HW,
            head_HW=drawn.head_HW,
            knows_head=True,
        )
    pixels_HW3 = _background(side, chance)
    empty_HW = np.zeros((side, side), bool)
    luck = chance.random()
    if luck < _EMPTY_SHARE:
        return MaskPicture(
            pixels_HW3=pixels_HW3, subject_HW=empty_HW, head_HW=empty_HW, knows_head=True
        )
    is_sprite = luck < _EMPTY_SHARE + _SPRITE_SHARE
    subject = _sprite(chance) if is_sprite else _creature(chance)
    return _placed(subject, pixels_HW3, chance, knows_head=not is_sprite)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """Cut out tightly."""

    pixels_hw3: NDArray[np.uint8]
    mask_hw: Mask
    head_hw: Mask


def _placed(
    subject: _Subject, pixels_HW3: NDArray[np.uint8], chance: random.Random, *, knows_head: bool
) -> MaskPicture:
    """Somewhere, perhaps mirrored, perhaps enlarged, perhaps with a quarter outside."""
    side = len(pixels_HW3)
    height, width = subject.mask_hw.shape
    most = max(1, int(side * 0.95) // max(height, width))
    times = chance.randint(1, most)
    flip = slice(None, None, chance.choice((1, -1)))
    parts = [
        part[:, flip].repeat(times, 0).repeat(times, 1)
        for part in (subject.pixels_hw3, subject.mask_hw, subject.head_hw)
    ]
    height, width = parts[1].shape
    top = _start(height, side, chance)
    left = _start(width, side, chance)
    rows, columns = slice(max(0, top), top + height), slice(max(0, left), left + width)
    inside = slice(max(0, -top), side - top), slice(max(0, -left), side - left)
    colours, mask, head = (part[inside] for part in parts)
    result_HW3 = pixels_HW3.copy()
    subject_HW, head_HW = np.zeros((side, side), bool), np.zeros((side, side), bool)
    result_HW3[rows, columns][mask] = colours[mask]
    subject_HW[rows, columns] = mask
    head_HW[rows, columns] = head
    return MaskPicture(
        pixels_HW3=result_HW3, subject_HW=subject_HW, head_HW=head_HW, knows_head=knows_head
    )


def _start(length: int, side: int, chance: random.Random) -> int:
    """Mostly inside, sometimes cut by a border."""
    cut = length // 4 if chance.random() < 0.2 else 0
    return chance.randint(min(-cut, side - length + cut), max(-cut, side - length + cut))


# --- subjects


def _creature(chance: random.Random) -> _Subject:
    """One of the drawn world, often in colours that it does not have."""
    seed = chance.randrange(2**31)
    creature = world.picture(seed).creature
    drawn = draw(creature, shift_x=0, shift_y=0)
    if chance.random() < 0.5:
        pixels_HW3 = world.paint_creature(creature, "plain", seed).pixels_HW3
    else:
        pixels_HW3 = _any_palette(chance)[drawn.indices_HW]
    return _cut_out(pixels_HW3, drawn.creature_HW, drawn.head_HW)


def _any_palette(chance: random.Random) -> Colours:
    colours_S3 = np.array([_any_colour(chance) for _ in range(SLOTS)], np.uint8)
    if chance.random() < 0.6:  # outlines are mostly dark
        colours_S3[OUTLINE] = [chance.randrange(50) for _ in range(3)]
    return colours_S3


def _sprite(chance: random.Random) -> _Subject:
    """A mirrored blob of a few colours, grown from its middle; mostly with an outline."""
    half, height = chance.randint(3, 9), chance.randint(7, 20)
    widths = _wandering(height, half, chance)
    inks = chance.randint(1, 4)
    grain = chance.choice((1, 2, 3))
    cells = [[chance.randrange(inks) for _ in range(half + 1)] for _ in range(height)]
    indices_hw = np.zeros((height + 2, 2 * half + 3), np.uint8)
    middle = half + 1
    for row, wide in enumerate(widths):
        for column in range(wide + 1):
            ink = 1 + cells[row // grain][column // grain]
            indices_hw[row + 1, middle + column] = indices_hw[row + 1, middle - column] = ink
    if chance.random() < 0.7:
        _outline(indices_hw, inks + 1)
    colours = np.array([_any_colour(chance) for _ in range(inks + 2)], np.uint8)
    if chance.random() < 0.6:
        colours[inks + 1] = [chance.randrange(50) for _ in range(3)]
    mask_hw = indices_hw > 0
    return _cut_out(colours[indices_hw], mask_hw, np.zeros_like(mask_hw))


def _wandering(count: int, most: int, chance: random.Random) -> list[int]:
    """Half widths from top to bottom."""
    width = chance.randint(0, most)
    widths: list[int] = []
    for _ in range(count):
        widths.append(width)
        width = min(most, max(0, width + chance.choice((-2, -1, 0, 0, 1, 1, 2))))
    return widths


def _outline(indices_hw: IndexMap, ink: int) -> None:
    filled = indices_hw > 0
    grown = np.zeros_like(filled)
    grown[1:] |= filled[:-1]
    grown[:-1] |= filled[1:]
    grown[:, 1:] |= filled[:, :-1]
    grown[:, :-1] |= filled[:, 1:]
    indices_hw[grown & ~filled] = ink


def _cut_out(pixels_HW3: NDArray[np.uint8], mask_HW: Mask, head_HW: Mask) -> _Subject:
    rows, columns = np.flatnonzero(mask_HW.any(1)), np.flatnonzero(mask_HW.any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return _Subject(pixels_hw3=pixels_HW3[box], mask_hw=mask_HW[box], head_hw=head_HW[box])


# --- backgrounds


def _background(side: int, chance: random.Random) -> NDArray[np.uint8]:
    if chance.random() < 0.5:
        return _scene(side, chance)
    indices_HW = _bands(side, chance)
    for _ in range(chance.choice((0, 0, 2, 4, 8))):
        _box(indices_HW, chance)
    if chance.random() < 0.3:
        _specks(indices_HW, chance)
    return np.array([_any_colour(chance) for _ in range(8)], np.uint8)[indices_HW]


def _scene(side: int, chance: random.Random) -> NDArray[np.uint8]:
    """One of the drawn world's, enlarged, moved round, often in other colours."""
    behind = backdrop(chance.choice(list(PHRASES)), chance.randrange(LAYOUTS))
    colours = np.array(behind.colours, np.uint8)
    if chance.random() < 0.6:
        colours = np.array([_any_colour(chance) for _ in behind.colours], np.uint8)
    times = -(-side // SIDE)
    indices_HW = behind.indices_HW.repeat(times, 0).repeat(times, 1)[:side, :side]
    return colours[np.roll(indices_HW, chance.randrange(side), axis=1)]


def _bands(side: int, chance: random.Random) -> IndexMap:
    """One to four bands, lying or standing, with straight or stepped borders."""
    indices_HW = np.zeros((side, side), np.uint8)
    for band in range(1, chance.randint(1, 4)):
        start, step = chance.randrange(side), chance.choice((0, 0, 1, 2))
        for column in range(side):
            jag = step * ((column // 3) % 2)
            indices_HW[start + jag :, column] = band
    return indices_HW if chance.random() < 0.7 else np.ascontiguousarray(indices_HW.T)


def _box(indices_HW: IndexMap, chance: random.Random) -> None:
    """A house, a trunk, a window: what stands in a background."""
    side = len(indices_HW)
    width, height = chance.randint(1, side // 3), chance.randint(1, side)
    left, top = chance.randint(-2, side - 1), chance.randint(-2, side - 1)
    indices_HW[max(0, top) : top + height, max(0, left) : left + width] = chance.randrange(4, 8)


def _specks(indices_HW: IndexMap, chance: random.Random) -> None:
    side = len(indices_HW)
    ink = chance.randrange(8)
    for _ in range(chance.randint(3, side)):
        indices_HW[chance.randrange(side), chance.randrange(side)] = ink


def _any_colour(chance: random.Random) -> tuple[int, int, int]:
    return chance.randrange(256), chance.randrange(256), chance.randrange(256)

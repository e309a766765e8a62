"""Whether the pictures of a set differ where they should: scale, pose, background, light.

In: what is known of each picture.  Out: one finding for each of the four, and what to add.  What
all pictures share is learnt as part of the subject: a LoRA taught in one kitchen draws the kitchen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from modelgenerator.datasets.inspection.facts import PictureFacts
from modelgenerator.datasets.inspection.report import Finding, Level
from modelgenerator.datasets.measures.tones import different_shares
from modelgenerator.datasets.subject import SubjectKind

FEWEST_COMPARED = 4
"""Below this "nearly all" means little."""
MOST_ALIKE = 0.75
"""Share of the pictures that may be alike in one respect before it is told."""
CLOSE_HEAD, SMALL_HEAD = 0.4, 0.18
"""Of the picture's height that the head takes: above, a close-up; below, a whole figure.  A head is
an eighth to a seventh of a standing person, a quarter to a third of one seen to the waist."""
SAME_OUTLINE = 0.12
"""Mean difference of two outlines, 0 to 1: turning the shoulders, or lifting an arm, is more."""
SAME_BACKGROUND = 0.3
"""Share of the colours that two backgrounds do not have in common; the same wall under the same
light differs in up to 0.2, two rooms in 0.4 and more."""
_OTHER_LIGHT = "2 in other light: outdoors by day, or by a lamp in the evening"
SAME_BRIGHTNESS, SAME_WARMTH, SAME_SIDE = 8.0, 6.0, 0.12
"""Differences up to which two pictures have the same light: of lightness (of 100), of yellow
against blue, and of where it comes from (-1 to 1)."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Respect:
    """One thing in which pictures should differ."""

    finding: Finding
    wish: str | None
    """What to add; none when all is well or nothing can be said."""


def variety(pictures: Sequence[PictureFacts], kind: SubjectKind | None) -> tuple[Respect, ...]:
    """Of pictures that are worth keeping, copies left out; nothing is said of fewer than four."""
    if len(pictures) < FEWEST_COMPARED:
        return ()
    if kind is SubjectKind.STYLE:
        return (_light(pictures),)
    judged = (_scale(pictures, kind), _pose(pictures, kind), _background(pictures))
    return (*(respect for respect in judged if respect), _light(pictures))


def _scale(pictures: Sequence[PictureFacts], kind: SubjectKind | None) -> Respect | None:
    """Of people by the height of the head, of all else by the size of the subject."""
    shown = [one for one in pictures if kind is SubjectKind.PERSON or one.has_face]
    heads = [share for one in shown if (share := one.head_share) is not None]
    if len(heads) < FEWEST_COMPARED:
        return _distance(pictures)
    close = sum(share > CLOSE_HEAD for share in heads)
    far = sum(share < SMALL_HEAD for share in heads)
    counts = {"close-ups": close, "to the waist": len(heads) - close - far, "whole figures": far}
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    most = max(counts, key=lambda name: counts[name])
    if counts[most] <= MOST_ALIKE * len(heads):
        return _well("scale", f"Near and far: {said}.")
    advice = {
        "close-ups": "to the waist and of the whole figure",
        "to the waist": "close-ups of the face, and of the whole figure",
        "whole figures": "closer, so that the face is large",
    }[most]
    message = f"Nearly all at one distance: {said}. Other distances will look less like it."
    count = 3 if kind is SubjectKind.PERSON else 2
    return _lacking("scale", message, f"{count} {advice}")


def _distance(pictures: Sequence[PictureFacts]) -> Respect | None:
    """None where squares were cut out: they make all subjects equally large."""
    shares = [one.subject.share**0.5 for one in pictures if one.subject and not one.crop]
    if len(shares) < FEWEST_COMPARED:
        return None
    smallest, largest = min(shares), max(shares)
    said = f"the subject takes {smallest:.0%} to {largest:.0%} of the picture's side"
    if largest > 1.3 * smallest:
        return _well("scale", f"Near and far: {said}.")
    message = f"All at one distance: {said}. Other distances will look less like it."
    return _lacking("scale", message, "2 from further away and 1 from close by")


def _pose(pictures: Sequence[PictureFacts], kind: SubjectKind | None) -> Respect | None:
    outlined = [one for one in pictures if one.subject is not None]
    if len(outlined) < FEWEST_COMPARED:
        return None
    alike = _most_alike(outlined, _same_outline)
    measured = "told by the outline only"
    if alike <= MOST_ALIKE * len(outlined):
        message = f"The outlines differ, so there are several poses or sides ({measured})."
        return _well("pose", message)
    wish = {
        SubjectKind.PERSON: "3 turned to the side, sitting, or with the arms elsewhere",
        SubjectKind.ANIMAL: "3 from the side, lying, or walking",
    }.get(kind or SubjectKind.OTHER, "3 from other sides")
    message = f"{alike} of {len(outlined)} have nearly the same outline ({measured})."
    return _lacking("pose", message, wish)


def _background(pictures: Sequence[PictureFacts]) -> Respect | None:
    seen = [
        colours
        for one in pictures
        if one.subject and (colours := one.appearance.background_colours) is not None
    ]
    if len(seen) < FEWEST_COMPARED:
        return None
    alike = _most_alike(seen, lambda one, other: different_shares(one, other) < SAME_BACKGROUND)
    if alike <= MOST_ALIKE * len(seen):
        return _well("background", "The backgrounds differ in colour.")
    message = (
        f"{alike} of {len(seen)} have a background of the same colours: it may be learnt as a part "
        "of the subject. maskedLoss with backgroundMaskShade and boundingMaskShade 0 keeps it out."
    )
    return _lacking("background", message, "3 in other places")


def _light(pictures: Sequence[PictureFacts]) -> Respect:
    alike = _most_alike(pictures, _same_light)
    if alike <= MOST_ALIKE * len(pictures):
        return _well("light", "The light differs in brightness, colour or direction.")
    message = f"{alike} of {len(pictures)} are in the same light: pictures in another will be off."
    return _lacking("light", message, _OTHER_LIGHT)


def _same_outline(one: PictureFacts, other: PictureFacts) -> bool:
    assert one.subject is not None
    assert other.subject is not None
    first, second = np.array(one.subject.outline), np.array(other.subject.outline)
    difference = float(np.abs(first - second).mean()) / 100
    shapes = [box.width / box.height for box in (one.subject.box, other.subject.box)]
    same_shape = max(shapes) < 1.25 * min(shapes)
    return same_shape and difference < SAME_OUTLINE


def _same_light(one: PictureFacts, other: PictureFacts) -> bool:
    first, second = one.appearance, other.appearance
    return (
        abs(first.subject_brightness - second.subject_brightness) < SAME_BRIGHTNESS
        and abs(first.warmth - second.warmth) < SAME_WARMTH
        and abs(first.light_from_right - second.light_from_right) < SAME_SIDE
    )


def _most_alike(items: Sequence[Item], alike: Callable[[Item, Item], bool]) -> int:
    """How many are like one of them, itself counted: the largest such number."""
    return max(sum(one is other or alike(one, other) for other in items) for one in items)


def _well(code: str, message: str) -> Respect:
    return Respect(Finding(Level.GOOD, f"{code}Varies", code.capitalize(), message), None)


def _lacking(code: str, message: str, wish: str) -> Respect:
    return Respect(Finding(Level.WARNING, f"{code}Alike", code.capitalize(), message), wish)

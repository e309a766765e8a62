"""Which pictures of a set show nearly the same.

In: what is known of each.  Out: groups.  The same shot again teaches nothing new and pulls the
training towards itself, whether it was copied, mirrored, resized, or cut otherwise.
"""

from collections.abc import Sequence
from itertools import combinations

from modelgenerator.datasets.inspection.facts import PictureFacts
from modelgenerator.datasets.inspection.screenshots import is_screenshot
from modelgenerator.datasets.measures.likeness import (
    Likeness,
    different_bits,
    different_colours,
)

NEAR_BITS = 8
"""Of 64.  The same shot after JPEG quality 40, enlarging, blur or a fifth less light differs in 0
to 6; different photographs in 18 and more, two pictures of a burst in about 4 to 14."""
NEAR_COLOURS = 14.0
"""Of 255, between thumbnails: the bits know no colours, and drawings before two plain papers agree
in them."""


def groups_alike(pictures: Sequence[PictureFacts]) -> tuple[tuple[PictureFacts, ...], ...]:
    """Groups of two and more; the best of each first.  Sorted as `pictures`."""
    group_of = {picture.name: {picture.name} for picture in pictures}
    for one, other in combinations(pictures, 2):
        if group_of[one.name] is not group_of[other.name] and is_alike(one, other):
            merged = group_of[one.name] | group_of[other.name]
            group_of |= dict.fromkeys(merged, merged)
    distinct = {id(group): group for group in group_of.values() if len(group) > 1}
    return tuple(
        tuple(sorted((one for one in pictures if one.name in group), key=_worth, reverse=True))
        for group in distinct.values()
    )


def is_alike(one: PictureFacts, other: PictureFacts) -> bool:
    """Whether both are the same shot, mirrored or not, all of it or the subject alone."""
    return _same(one.appearance.likeness, other.appearance.likeness) or _same(
        one.appearance.subject_likeness, other.appearance.subject_likeness
    )


def is_mirrored(one: PictureFacts, other: PictureFacts) -> bool:
    """Of two that are alike: whether one is the mirror image of the other."""
    first, second = one.appearance.likeness, other.appearance.likeness
    straight = different_bits(first.bits, second.bits)
    return different_bits(first.mirrored_bits, second.bits) < straight


def _same(one: Likeness, other: Likeness) -> bool:
    straight = different_bits(one.bits, other.bits) <= NEAR_BITS
    mirrored = different_bits(one.mirrored_bits, other.bits) <= NEAR_BITS
    return (straight and different_colours(one, other) <= NEAR_COLOURS) or (
        mirrored and different_colours(one, other, mirrored=True) <= NEAR_COLOURS
    )


def _worth(picture: PictureFacts) -> tuple[float, ...]:
    """Photo, detail, light and no bars, size, in this order: the one to keep has more of it.

    Rounded, so that of copies that hardly differ the first of the set is kept.
    """
    seen, part = picture.appearance, picture.trained_part
    detail = (picture.crispness or 0) / max(1.0, picture.enlargement)
    lost = seen.dark_share + seen.bright_share + sum(seen.bars)
    is_photo = not is_screenshot(seen, picture.width, picture.height)
    return is_photo, round(detail, 1), -round(lost, 1), round(part.width * part.height / 1e5)

"""The square that `normalizeDataset` cuts out of a photo.

In: the photo's size and where its subject is.  Out: a square box in pixels.  Nothing is cut here,
and the size in which the square is trained is not known.
"""

from modelgenerator.datasets.regions import Box, Size, SubjectRegions

MARGIN = 0.1
"""Of the subject's longer side, on each side of it."""


def square_around(regions: SubjectRegions | None, photo: Size) -> Box:
    """The smallest square around the subject and its margin; the centre of a photo without one.

    At a border it is moved rather than shrunk.  Where the photo's short side is smaller than the
    subject, the square is as large as the photo allows, and holds the head rather than the feet.
    """
    if regions is None:
        return _centred(min(photo), (photo[0] / 2, photo[1] / 2), photo)
    box = regions.box(photo)
    side = min(round(max(box.width, box.height) * (1 + 2 * MARGIN)), *photo)
    middle = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    square = _centred(side, middle, photo)
    head = regions.head_box(photo)
    return square if head is None else _holding(head, square, photo)


def cuts_subject(regions: SubjectRegions, square: Box, photo: Size) -> bool:
    """Whether a part of the subject is left outside."""
    box = regions.box(photo)
    return (
        box.left < square.left
        or box.top < square.top
        or box.right > square.right
        or box.bottom > square.bottom
    )


def _centred(side: int, middle: tuple[float, float], photo: Size) -> Box:
    left = min(max(0, round(middle[0] - side / 2)), photo[0] - side)
    top = min(max(0, round(middle[1] - side / 2)), photo[1] - side)
    return Box(left, top, left + side, top + side)


def _holding(head: Box, square: Box, photo: Size) -> Box:
    """`square`, moved as little as it takes until `head` is inside, if it is not larger."""
    side = square.width
    left = _moved(square.left, side, head.left, head.right, photo[0])
    top = _moved(square.top, side, head.top, head.bottom, photo[1])
    return Box(left, top, left + side, top + side)


def _moved(start: int, side: int, wanted: int, wanted_end: int, length: int) -> int:
    start = max(start, wanted_end - side)  # far enough to reach its end
    start = min(start, wanted)  # and its beginning, which counts more
    return min(max(0, start), length - side)

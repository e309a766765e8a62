"""The boxes that HEIC and AVIF files are made of, as films are.

In come the bytes of a file, out come places in it.  What is in a box is not known here.

Source: ISO/IEC 14496-12, 4.2.
"""

from collections.abc import Iterator

_MOST_BOXES = 5000
"""Side by side: a large panorama has hundreds of tiles, and their properties are shared."""


def boxes(data: bytes, kind: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the content of each box of that kind begins and ends, among those side by side."""
    for _ in range(_MOST_BOXES):
        if at + 8 > end:
            return
        length, begins = int.from_bytes(data[at : at + 4], "big"), at + 8
        if length == 1:
            length, begins = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        ends = min(end, at + length) if length else end
        if ends < begins:
            return
        if data[at + 4 : at + 8] == kind:
            yield begins, ends
        at = ends

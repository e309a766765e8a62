"""Many small pictures on one page, with words beside them.

In: rows of pictures.  Out: one picture.  Small pictures are enlarged by a whole number, without
smoothing, so that pixel art looks like pixel art; large ones are reduced.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

CELL = 128  # pixels; the side that pictures are brought to
GAP = 6
LABEL = 22  # height of a line of text
INK, PAPER, QUIET = (30, 30, 36), (255, 255, 255), (110, 110, 120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Pictures with one line of text above them."""

    label: str
    pictures: Sequence[Image.Image]


def contact_sheet(title: str, rows: Sequence[Row]) -> Image.Image:
    """A page as wide as its longest row, of pictures or of words."""
    columns = max(len(row.pictures) for row in rows)
    words = [_font(15).getlength(title), *(_font(12).getlength(row.label) for row in rows)]
    width = max(GAP + columns * (CELL + GAP), math.ceil(max(words)) + 2 * GAP)
    height = LABEL + GAP + sum(LABEL + CELL + GAP for _ in rows)
    page = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(page)
    pen.text((GAP, GAP), title, INK, font=_font(15))
    top = LABEL + GAP
    for row in rows:
        pen.text((GAP, top + 4), row.label, QUIET, font=_font(12))
        for column, picture in enumerate(row.pictures):
            cell = _fitted(picture)
            left = GAP + column * (CELL + GAP) + (CELL - cell.width) // 2
            page.paste(cell, (left, top + LABEL + (CELL - cell.height) // 2))
        top += LABEL + CELL + GAP
    return page


def _fitted(picture: Image.Image) -> Image.Image:
    longest = max(picture.size)
    if longest <= CELL:
        times = CELL // longest
        size = (picture.width * times, picture.height * times)
        return picture.resize(size, Image.Resampling.NEAREST)
    size = (picture.width * CELL // longest, picture.height * CELL // longest)
    return picture.resize((max(1, size[0]), max(1, size[1])), Image.Resampling.LANCZOS)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)

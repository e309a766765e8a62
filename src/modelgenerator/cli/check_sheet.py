"""The pictures of an inspection on one sheet: what is trained, and what was found.

In: a report, and what is trained of each photo.  Out: one picture.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

from modelgenerator.cli.check_words import VERDICTS, left_out_in_words, section_of
from modelgenerator.datasets.inspection.report import (
    Finding,
    InspectedPicture,
    InspectionReport,
    Level,
    Verdict,
)
from modelgenerator.datasets.masks import MaskShades
from modelgenerator.datasets.views import AROUND, HEAD, SUBJECT, Views

COLUMNS, CELL, GAP, LINE = 5, 232, 14, 19  # pixels, but for the first
MARGIN = 24
MOST_FLAGS = 3
PAPER, INK, QUIET, NIGHT = (250, 250, 248), (28, 29, 34), (93, 96, 107), (16, 18, 30)
INKS = {
    Level.GOOD: (20, 113, 61),
    Level.INFO: (42, 95, 168),
    Level.WARNING: (143, 88, 0),
    Level.PROBLEM: (179, 38, 30),
}
_OF_VERDICT = {
    Verdict.READY: Level.GOOD,
    Verdict.USABLE_WITH_WARNINGS: Level.WARNING,
    Verdict.NOT_USABLE: Level.PROBLEM,
}

Colour = tuple[int, int, int]


def sheet(
    title: str,
    report: InspectionReport,
    views: Mapping[str, Views],
    *,
    shades: MaskShades | None,
) -> Image.Image:
    """`views` by the picture's name; files that are left out stand at the end."""
    columns = max(3, min(COLUMNS, len(report.pictures)))
    rows = math.ceil(len(report.pictures) / columns)
    cell_height = CELL + LINE * (2 + MOST_FLAGS) + GAP
    top = MARGIN + 112
    lines = [*left_out_in_words(report)]
    width = 2 * MARGIN + columns * CELL + (columns - 1) * GAP
    height = top + rows * cell_height + LINE * len(lines) + MARGIN
    page = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(page)
    _head(pen, title, report, shades, width)
    for number, picture in enumerate(report.pictures):
        row, column = divmod(number, columns)
        corner = MARGIN + column * (CELL + GAP), top + row * cell_height
        _card(page, pen, corner, picture, views[picture.name].trained)
    for number, (level, name, reason) in enumerate(lines):
        place = MARGIN, top + rows * cell_height + number * LINE
        _text(pen, place, f"Left out: {name}: {reason}", INKS[level], 13, width - 2 * MARGIN)
    return page


def _head(
    pen: ImageDraw.ImageDraw,
    title: str,
    report: InspectionReport,
    shades: MaskShades | None,
    width: int,
) -> None:
    room, colour = width - 2 * MARGIN, INKS[_OF_VERDICT[report.verdict]]
    _text(pen, (MARGIN, MARGIN), title, QUIET, 14, room)
    _text(pen, (MARGIN, MARGIN + 20), VERDICTS[report.verdict], colour, 24, room)
    _text(pen, (MARGIN, MARGIN + 52), report.because, INK, 14, room)
    left = MARGIN
    for words, outline in _legend(report, shades):
        if outline:
            box = (left, MARGIN + 82, left + 20, MARGIN + 94)
            pen.rectangle(box, fill=NIGHT, outline=outline, width=3)
            pen.rectangle((box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1), outline=QUIET)
            left += 27
        _text(pen, (left, MARGIN + 79), words, QUIET, 13, room)
        left += round(_font(13).getlength(words)) + 20


def _legend(
    report: InspectionReport, shades: MaskShades | None
) -> Iterator[tuple[str, Colour | None]]:
    yield f"as trained at {report.resolution}", None
    yield ("head" if shades is None else f"head {shades.head}"), HEAD
    yield ("subject" if shades is None else f"body {shades.body}"), SUBJECT
    yield ("around it" if shades is None else f"around it {shades.bounding}"), AROUND
    if shades is not None:
        yield f"the rest {shades.background}; the darker, the less it counts", None


def _card(
    page: Image.Image,
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    picture: InspectedPicture,
    trained: Image.Image,
) -> None:
    left, top = corner
    pen.rectangle((left, top, left + CELL - 1, top + CELL - 1), fill=NIGHT)
    shown = trained.copy()
    shown.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    place = left + (CELL - shown.width) // 2, top + (CELL - shown.height) // 2
    page.paste(shown, place)
    pen.rectangle((left, top + CELL, left + CELL - 1, top + CELL + 3), fill=_ink(picture.level))
    line = top + CELL + 8
    _text(pen, (left, line), picture.name, INK, 13, CELL)
    for number, (words, level) in enumerate(_flags(picture.findings), start=1):
        _text(pen, (left, line + LINE * number), words, INKS[level], 12, CELL)


def _flags(findings: Sequence[Finding]) -> Iterator[tuple[str, Level]]:
    """What it is; what to do about it is on the page."""
    shown = findings if len(findings) <= MOST_FLAGS else findings[: MOST_FLAGS - 1]
    for finding in shown:
        yield finding.title, finding.level
    if left := len(findings) - len(shown):
        yield f"and {left} more", Level.INFO


def _ink(level: Level) -> Colour:
    return INKS[section_of(level)]


def _text(
    pen: ImageDraw.ImageDraw,
    place: tuple[int, int],
    words: str,
    colour: Colour,
    size: int,
    room: int,
) -> None:
    """One line; what does not fit into `room` pixels ends in dots."""
    font = _font(size)
    shown = words = "".join(letter if letter.isprintable() else " " for letter in words)
    while font.getlength(shown) > room and words:
        words = words[:-1]
        shown = words.rstrip() + "..."
    pen.text(place, shown, fill=colour, font=font)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)

"""The report of an inspection as one page that needs nothing else: no script, no request, no font.

In: a report, and two small pictures of each photo.  Out: HTML.  Names and captions come from
strangers; the template escapes everything.
"""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from modelgenerator.cli.check_words import (
    MARKS,
    SECTIONS,
    VERDICTS,
    facts_in_words,
    left_out_in_words,
    section_of,
)
from modelgenerator.datasets.inspection.report import Finding, InspectionReport, Level
from modelgenerator.datasets.masks import MaskShades
from modelgenerator.datasets.views import AROUND, HEAD, SUBJECT, Views

_QUALITY = 80  # of WebP: about 10 kilobytes for a picture of 300 pixels


@dataclass(frozen=True, slots=True)
class _Card:
    """One picture on the page."""

    name: str
    level: Level
    photo: str
    trained: str
    facts: str
    caption: str
    findings: Sequence[Finding]


def page(
    title: str,
    report: InspectionReport,
    views: Mapping[str, Views],
    *,
    shades: MaskShades | None,
    command: str,
) -> str:
    """`views` by the picture's name; `shades` are those of the masks, if there are any."""
    templates = Environment(
        loader=PackageLoader("modelgenerator.cli", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("check.html.jinja").render(
        title=title,
        report=report,
        verdict=VERDICTS[report.verdict],
        left_out=list(left_out_in_words(report)),
        sections=list(_sections(report, views)),
        shades=shades,
        command=command,
        marks=MARKS,
        colours={"head": _css(HEAD), "subject": _css(SUBJECT), "around": _css(AROUND)},
    )


def _sections(
    report: InspectionReport, views: Mapping[str, Views]
) -> Iterator[tuple[Level, str, list[_Card]]]:
    """The pictures that need a person first."""
    for level, words in SECTIONS.items():
        cards = [
            _Card(
                name=picture.name,
                level=picture.level,
                photo=_inline(views[picture.name].photo),
                trained=_inline(views[picture.name].trained),
                facts=facts_in_words(picture.facts),
                caption=picture.facts.caption,
                findings=picture.findings,
            )
            for picture in report.pictures
            if section_of(picture.level) is level
        ]
        if cards:
            yield level, words, cards


def _inline(image: Image.Image) -> str:
    webp = io.BytesIO()
    image.save(webp, format="WEBP", quality=_QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(webp.getvalue()).decode()}"


def _css(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)

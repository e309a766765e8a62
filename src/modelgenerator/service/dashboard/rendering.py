"""From a template and values to HTML, and how money, times and sizes are written in it.

In: the name of a template below `templates/` and what it shows.  Out: text.  Every value is
escaped: names and captions with HTML in them stay text.  Who looks at the page is not known here.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import uuid4

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from modelgenerator.service.dashboard.assets import asset_address
from modelgenerator.service.errors import in_dollars

_UNITS = ("B", "kB", "MB", "GB", "TB")
_SMALL = 128
"""Pixels up to which a picture is shown with its pixels large."""


def render(template: str, values: Mapping[str, object]) -> str:
    """The HTML of a page, or of a part of one."""
    return _environment.get_template(template).render(values)


def cents(microdollars: int) -> str:
    """`$112.46`: rounded down, so that nobody reads more than there is."""
    return f"${microdollars // 10_000 / 100:,.2f}"


def duration(seconds: float) -> str:
    """`24 min`, `1 h 5 min`, `8 s`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, left = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {left} min" if left else f"{hours} h"
    return f"{round(hours / 24)} days"


def size(byte_count: int) -> str:
    """`3.4 MB`."""
    value, unit = float(byte_count), _UNITS[0]
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def number(value: float) -> str:
    """With a comma between thousands, and at most six digits after the point."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def moment(when: datetime) -> Markup:
    """A time that the browser shows in the reader's own zone; without a script in UTC."""
    at = when.astimezone(UTC)
    shown = at.strftime("%d %b %Y, %H:%M UTC")
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), shown)


def ago(when: datetime, now: datetime) -> str:
    """`3 min ago`, `in 2 days`."""
    apart = now - when
    if abs(apart) < timedelta(seconds=5):
        return "now"
    if apart < timedelta(0):
        return f"in {duration(-apart.total_seconds())}"
    return f"{duration(apart.total_seconds())} ago"


def pretty(value: object) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def words(name: str) -> str:
    """`learning rate` for `learningRate`, as a person says it."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


def pixels(width: object, height: int | None = None) -> str:
    """The class of a picture so small that its pixels are shown large; else nothing."""
    is_small = isinstance(width, int) and max(width, height or 0) <= _SMALL
    return " pixels" if is_small else ""


def once() -> str:
    """A key for one form: sent twice, it does what it does once."""
    return uuid4().hex


_environment = Environment(
    loader=PackageLoader("modelgenerator.service.dashboard"),
    autoescape=True,
    auto_reload=False,  # a file of the package does not change while it runs
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(
    cents=cents,
    money=in_dollars,
    duration=duration,
    size=size,
    number=number,
    moment=moment,
    pixels=pixels,
    pretty=pretty,
    words=words,
)
cast(dict[str, object], _environment.globals).update(asset=asset_address, once=once, ago=ago)

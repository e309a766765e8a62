"""What a run's results look like: pictures, objects, things to download.

In: the widgets that a flow wishes, and what its steps have left.  Out: the same in an order and a
shape that a page shows.  Where no widget is wished, everything is shown in the way that fits it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import cast
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Picture:
    """One that was drawn."""

    url: str
    alt: str
    seed: object = None
    width: object = None
    """In pixels, where it is told."""


@dataclass(frozen=True, slots=True)
class Thing:
    """A result as it is, or a file of it."""

    source: str
    value: object
    filename: str = ""


@dataclass(frozen=True, slots=True)
class Widget:
    """What is shown together."""

    kind: str
    """Images, Objects or Download."""
    pictures: tuple[Picture, ...] = field(default_factory=tuple[Picture, ...])
    things: tuple[Thing, ...] = field(default_factory=tuple[Thing, ...])


def widgets_of(
    ui: Mapping[str, object],
    results: Mapping[str, object],
    filenames: Mapping[str, str] | None = None,
) -> list[Widget]:
    """What the flow shows of what is there by now; `filenames` by the steps that wish one."""
    made = (_widget(kind, sources, results, filenames) for kind, sources in wished(ui))
    return [each for each in made if each.pictures or each.things]


def everything(
    results: Mapping[str, object], filenames: Mapping[str, str] | None = None
) -> list[Widget]:
    """Every result in the way that fits it."""
    return [
        _widget(_kind_of(value), [source], results, filenames) for source, value in results.items()
    ]


def wished(ui: Mapping[str, object]) -> Iterator[tuple[str, list[str]]]:
    """Kind and sources of each widget."""
    shown = cast(Mapping[str, object], ui.get("results") or {})
    for each in cast(list[Mapping[str, object]], shown.get("widgets") or []):
        yield str(each["type"]), cast(list[str], each["sources"])


def _kind_of(value: object) -> str:
    known = cast(Mapping[str, object], value) if isinstance(value, Mapping) else {}
    if isinstance(known.get("images"), list):
        return "Images"
    return "Download" if set(known) == {"url"} else "Objects"


def _widget(
    kind: str,
    sources: list[str],
    results: Mapping[str, object],
    filenames: Mapping[str, str] | None,
) -> Widget:
    there = [(source, results[source]) for source in sources if source in results]
    if kind == "Images":
        pictures = [each for _, value in there for each in _images(value)]
        return Widget(kind, tuple(_picture(each, n) for n, each in enumerate(pictures, 1)))
    if kind == "Download":
        links = [(source, str(_member(value, "url") or "")) for source, value in there]
        named = filenames or {}
        things = (Thing(it, url, named.get(it) or _filename(url)) for it, url in links if url)
        return Widget(kind, things=tuple(things))
    return Widget(kind, things=tuple(Thing(source, value) for source, value in there))


def _images(value: object) -> list[Mapping[str, object]]:
    images = _member(value, "images")
    return cast(list[Mapping[str, object]], images) if isinstance(images, list) else []


def _picture(image: Mapping[str, object], number: int) -> Picture:
    alt = str(image.get("prompt") or f"Picture {number}")
    return Picture(str(image.get("url", "")), alt, image.get("seed"), image.get("width"))


def _member(value: object, name: str) -> object:
    return cast(Mapping[str, object], value).get(name) if isinstance(value, Mapping) else None


def _filename(url: str) -> str:
    return unquote(PurePosixPath(urlsplit(url).path).name) or "result"

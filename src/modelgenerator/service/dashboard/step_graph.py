"""A flow's steps and what each takes from where, as a drawing and as sentences.

In: a flow in which no fault was found.  Out: boxes one below another with arrows between them, in
units of an SVG, and for each step the names of what it uses.  How they look is not known here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from modelgenerator.flows.definition import Flow, Step, StepType, member
from modelgenerator.flows.language import (
    Format,
    ListOf,
    Literal,
    Map,
    Node,
    Reference,
    children,
    parse,
)
from modelgenerator.flows.references import Path

WIDTH, HEIGHT, APART, LEFT = 230, 46, 34, 10
"""Of a box, between two boxes, and to the left of them."""
FORM = "form"
_LONGEST = 26
"""Letters of a name that fit into a box."""
_BULGE = 26
"""How far an arrow past one box swings out; past more boxes, farther."""


@dataclass(frozen=True, slots=True)
class Box:
    """A step, or the form."""

    name: str
    shown: str
    """Its name as far as it fits."""
    kind: str
    y: int
    uses: tuple[str, ...]
    """Names of earlier boxes."""


@dataclass(frozen=True, slots=True)
class Graph:
    """What is to be drawn."""

    boxes: tuple[Box, ...]
    arrows: tuple[str, ...]
    """Each as a path of an SVG."""
    width: int
    height: int


def graph_of(flow: Flow) -> Graph:
    """The drawing of a flow."""
    boxes = [_box(name, kind, 0, ()) for name, kind in _form(flow)]
    for step in flow.steps:
        known = [box.name for box in boxes]
        uses = [name for name in dict.fromkeys(_uses(step)) if name in known]
        boxes.append(_box(step.id, step.type.value, len(boxes), tuple(uses)))
    rows = {box.name: row for row, box in enumerate(boxes)}
    pairs = [(rows[used], rows[box.name]) for box in boxes for used in box.uses]
    farthest = max((to - since for since, to in pairs), default=1)
    swing = _swing(farthest) if farthest > 1 else 0
    return Graph(
        boxes=tuple(boxes),
        arrows=tuple(_arrow(since, to) for since, to in pairs),
        width=LEFT + WIDTH + swing + LEFT,
        height=len(boxes) * (HEIGHT + APART) - APART + 4,
    )


def _form(flow: Flow) -> Iterator[tuple[str, str]]:
    properties = cast(Mapping[str, object], flow.input.get("properties", {}))
    if properties:
        yield FORM, ", ".join(properties)


def _box(name: str, kind: str, row: int, uses: tuple[str, ...]) -> Box:
    return Box(name, _cut(name), _cut(kind), row * (HEIGHT + APART) + 2, uses)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _uses(step: Step) -> Iterator[str]:
    node = parse(step.template).node
    for path in _paths(node):
        parts = path.parts
        if parts[:1] == ("input",):
            yield FORM
        if parts[:1] == ("results",) and len(parts) > 1 and isinstance(parts[1], str):
            yield parts[1]
    yield from _named(step, node)


def _named(step: Step, node: Node) -> Iterator[str]:
    """Steps that a parameter names without a path."""
    sources = member(node, "sources") if step.type is StepType.ZIPPER else None
    context = member(node, "contextId") if step.type is StepType.OBJECT_GENERATOR else None
    for each in (*(sources.items if isinstance(sources, ListOf) else ()), context):
        if isinstance(each, Literal):
            yield str(each.value)


def _paths(node: Node) -> Iterator[Path]:
    if isinstance(node, Reference):
        yield node.path
    if isinstance(node, Map):
        yield node.source
    if isinstance(node, Format) and isinstance(node.template, Reference):
        yield node.template.path
    for inner in children(node):
        yield from _paths(inner)


def _arrow(since: int, to: int) -> str:
    """Straight down to the next box, around the boxes in between to any other."""
    if to == since + 1:
        x, top = LEFT + WIDTH // 2, since * (HEIGHT + APART) + HEIGHT + 2
        return f"M{x} {top}V{top + APART - 5}"
    x = LEFT + WIDTH
    top, bottom = (row * (HEIGHT + APART) + HEIGHT // 2 + 2 for row in (since, to))
    out = x + _swing(to - since)
    return f"M{x} {top}C{out} {top} {out} {bottom} {x + 5} {bottom}"


def _swing(rows: int) -> int:
    return _BULGE + 14 * min(rows, 6)

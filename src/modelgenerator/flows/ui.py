"""How a flow shows itself: its words, its colours, and which results are shown how.

Comes in: the `ui` of a definition, and what each step leaves behind.  Goes out: faults.
"""

from collections.abc import Iterator, Mapping

from modelgenerator.flows import fields
from modelgenerator.flows.definition import member
from modelgenerator.flows.faults import Fault
from modelgenerator.flows.fields import Field, faults_in_fields
from modelgenerator.flows.language import ListOf, Literal, Node
from modelgenerator.flows.shapes import follow
from modelgenerator.flows.wiring import Surroundings, name_faults

NEEDED = {"Images": "images", "Download": "url", "Objects": None}
"""By type of widget, what a result must have to be shown by it."""

_LINES = Field(fields.list_of(fields.text(most=1_000)))
_ASSET = fields.text(most=200)


def ui_faults(node: Node, results: Mapping[str, Mapping[str, object]]) -> Iterator[Fault]:
    """What is wrong with `node`, the `ui` of a flow whose steps have these `results`."""
    yield from faults_in_fields(node, _FIELDS, "field")
    widgets = member(member(node, "results") or node, "widgets")
    for widget in widgets.items if isinstance(widgets, ListOf) else ():
        yield from _source_faults(widget, results)


def _source_faults(widget: Node, results: Mapping[str, Mapping[str, object]]) -> Iterator[Fault]:
    sources, kind = member(widget, "sources"), member(widget, "type")
    for source in sources.items if isinstance(sources, ListOf) else ():
        faults = list(name_faults(source, Surroundings({}, results, frozenset(), {})))
        yield from faults
        if not faults and isinstance(source, Literal) and isinstance(kind, Literal):
            yield from _fit(source, str(kind.value), results)


def _fit(
    source: Literal, kind: str, results: Mapping[str, Mapping[str, object]]
) -> Iterator[Fault]:
    needed, step = NEEDED.get(kind), str(source.value)
    if needed is None or step not in results:
        return
    if not follow(results[step], (needed,), results[step]).schemas:
        message = f"the result of {step} has no {needed} for a widget of type {kind}"
        yield Fault(source.pointer, "unfitSource", message, "show it with Objects")


def _widget(node: Node) -> Iterator[Fault]:
    yield from faults_in_fields(node, _WIDGET, "field")


def _results(node: Node) -> Iterator[Fault]:
    yield from faults_in_fields(node, _RESULTS, "field")


_WIDGET = {
    "type": Field(fields.one_of(*NEEDED), required=True),
    "sources": Field(fields.list_of(fields.text(most=200), least=1), required=True),
}
_RESULTS = {"widgets": Field(fields.list_of(_widget))}
_FIELDS = {
    "submitLabel": Field(fields.text(most=100)),
    "instructions": _LINES,
    "deliverables": _LINES,
    "textColor": Field(fields.colour),
    "backgroundShadowColor": Field(fields.colour),
    "bodyBackgroundColor": Field(fields.colour),
    "leftBackgroundAssetId": Field(_ASSET),
    "rightBackgroundAssetId": Field(_ASSET),
    "previewAssetIds": Field(fields.list_of(_ASSET)),
    "results": Field(_results),
}

"""A flow as it was written, and as it can be run.

Comes in: JSON5 text, or the values in it.  Goes out: a `Document`, which knows where everything
stands, or a frozen `Flow`.  Whether a flow can work is not known here: that is `check`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import pyjson5

from modelgenerator.errors import InvalidFlow
from modelgenerator.flows import fields
from modelgenerator.flows.faults import Fault
from modelgenerator.flows.fields import Field, faults_in_fields
from modelgenerator.flows.language import Node, ObjectOf
from modelgenerator.flows.limits import MAX_DEFINITION, MAX_DEPTH
from modelgenerator.flows.places import Places, find_places
from modelgenerator.settings_files import place_of

SALE_FIELDS = ("runPrice", "runPriceCurrency", "payoutMethod")
"""What the hosted product sells runs by: kept, and without effect here."""

_LOOK_THERE = "Look there for a missing comma, quote or bracket."
_ORDINARY = "small letters, digits and single hyphens"
_FIELDS = {
    "title": Field(fields.text(most=200), required=True),
    "description": Field(fields.text(most=10_000), required=True),
    "public": Field(fields.switch),
    "slug": Field(fields.matching(r"[a-z0-9]+(?:-[a-z0-9]+)*", _ORDINARY, most=100)),
    "input": Field(fields.an_object),
    "steps": Field(fields.list_of(fields.an_object, least=1), required=True),
    "store": Field(fields.an_object),
    "ui": Field(fields.an_object),
    "runPrice": Field(fields.number(4, 200)),
    "runPriceCurrency": Field(fields.matching(r"[A-Z]{3}", "three capital letters", most=3)),
    "payoutMethod": Field(fields.one_of("Wallet", "Connect")),
}


class StepType(StrEnum):
    """What a step does."""

    MODEL_GENERATOR = "ModelGenerator"
    IMAGE_GENERATOR = "ImageGenerator"
    OBJECT_TRANSFORMER = "ObjectTransformer"
    ZIPPER = "Zipper"
    OBJECT_GENERATOR = "ObjectGenerator"


TEMPLATE_OF = {
    kind: "result" if kind is StepType.OBJECT_TRANSFORMER else "parameters" for kind in StepType
}
"""The member of a step that the Flow Language is read in."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a flow."""

    id: str
    type: StepType
    template: object
    """Its `parameters`, or an ObjectTransformer's `result`, as written."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A pipeline in which no fault was found."""

    title: str
    description: str
    public: bool
    slug: str | None
    input: Mapping[str, object]
    """JSON Schema of what a run is given."""
    steps: tuple[Step, ...]
    store: Mapping[str, object]
    ui: Mapping[str, object]
    sale: Mapping[str, object]
    """runPrice, runPriceCurrency and payoutMethod as far as they were written."""


@dataclass(frozen=True, slots=True)
class Document:
    """The text of a definition, read."""

    values: object
    places: Places


def read_document(text: str) -> Document:
    """What a JSON5 (or JSON) text holds, with the place of everything in it.

    Raises:
        InvalidFlow: it is too large, nested too deeply, or not JSON5; then with line and column.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_DEFINITION:
        raise InvalidFlow(f"A flow has at most {MAX_DEFINITION:,} bytes, this one {size:,}.")
    try:
        values: object = pyjson5.decode(text, MAX_DEPTH)
    except pyjson5.Json5NestingTooDeep as error:
        where = place_of(str(error.args[0]), text).partition(": ")[0]
        message = f"A flow nests at most {MAX_DEPTH} deep: {where} is deeper."
        raise _unreadable(message, where) from None
    except (pyjson5.Json5DecoderException, ValueError) as error:
        where = place_of(str(error.args[0]), text)
        message = f"The flow is not JSON5, {where}. {_LOOK_THERE}"
        raise _unreadable(message, where) from None
    return Document(values, find_places(text))


def _unreadable(message: str, where: str) -> InvalidFlow:
    """`where` begins with `line 3, column 9`."""
    line, column = (int(number) for number in re.findall(r"\d+", where)[:2])
    fault = Fault("", "unreadable", message).as_json()
    return InvalidFlow(message, [{**fault, "line": line, "column": column}])


def duplicate_faults(document: Document) -> Iterator[Fault]:
    """Names that stand twice in one object, which no parser tells."""
    for pointer in document.places.twice:
        message = "this name stands twice in one object: only the last would count"
        yield Fault(pointer, "duplicateName", message, "take one of the two out")


def placed(fault: Fault, document: Document) -> dict[str, object]:
    """A fault for programs, with line and column in the text."""
    place = document.places.nearest(fault.pointer)
    where = {"line": place.line, "column": place.column} if place else {}
    return {**fault.as_json(), **where}


def in_order(faults: Iterable[Fault], document: Document) -> list[Fault]:
    """Faults as one meets them when reading the text."""

    def place(fault: Fault) -> tuple[int, int]:
        found = document.places.nearest(fault.pointer)
        return (found.line, found.column) if found else (0, 0)

    return sorted(faults, key=place)


def field_faults(node: Node) -> Iterator[Fault]:
    """What is wrong with the members of a whole definition, one by one."""
    yield from faults_in_fields(node, _FIELDS, "field")


def flow_of(values: object) -> Flow:
    """The flow in `values`, in which `check` found no fault."""
    written = cast(dict[str, object], values)
    steps = cast(list[dict[str, object]], written["steps"])
    slug = written.get("slug")
    return Flow(
        title=str(written["title"]),
        description=str(written["description"]),
        public=written.get("public") is True,
        slug=None if slug is None else str(slug),
        input=input_schema(written),
        steps=tuple(_step(step) for step in steps),
        store=cast(dict[str, object], written.get("store", {})),
        ui=cast(dict[str, object], written.get("ui", {})),
        sale={name: written[name] for name in SALE_FIELDS if name in written},
    )


def input_schema(written: Mapping[str, object]) -> dict[str, object]:
    """The schema of a run's input; a flow that has none takes nothing."""
    schema = written.get("input")
    known: dict[str, object] = {"type": "object"}
    if isinstance(schema, dict):
        known = cast(dict[str, object], schema)
    return known if "properties" in known else {**known, "properties": {}}


def member(node: Node, name: str) -> Node | None:
    """The member of an object, if it is one and has it."""
    return node.members.get(name) if isinstance(node, ObjectOf) else None


def _step(written: Mapping[str, object]) -> Step:
    kind = StepType(written["type"])
    return Step(str(written["id"]), kind, written.get(TEMPLATE_OF[kind], {}))

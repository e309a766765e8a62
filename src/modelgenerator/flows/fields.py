"""What the members of an object may be: a small vocabulary of checks.

Comes in: nodes of a template, or of a definition's plain part.  Goes out: faults.  What a path or
an operator will bring is not known before a run, so it passes here and is checked again, as a
value, when the step's turn has come.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from modelgenerator.flows.faults import Fault, at, meant, shown
from modelgenerator.flows.language import ListOf, Literal, Map, Node, ObjectOf
from modelgenerator.setting_faults import closest

Check = Callable[[Node], Iterator[Fault]]
UNKNOWN = object()
"""Stands for what is not known before a run."""

_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")


@dataclass(frozen=True, slots=True)
class Field:
    """A member that an object may have."""

    check: Check
    required: bool = False


def written(node: Node) -> object:
    """What `node` stands for, or `UNKNOWN` where a path or an operator is in it."""
    match node:
        case Literal():
            return node.value
        case ObjectOf(extend=None):
            members = {name: written(each) for name, each in node.members.items()}
            return UNKNOWN if _any_unknown(members.values()) else members
        case ListOf():
            items = [written(each) for each in node.items]
            return UNKNOWN if _any_unknown(items) else items
        case _:
            return UNKNOWN


def faults_in_fields(
    node: Node, fields: Mapping[str, Field], what: str, *, others: Mapping[str, str] | None = None
) -> Iterator[Fault]:
    """Members of `node` that are unknown, missing or wrong; `what` they are, as "parameter".

    `others` are names that people write who come from elsewhere, with what they mean here.
    """
    if not isinstance(node, ObjectOf):
        if written(node) is not UNKNOWN or isinstance(node, ListOf):
            yield _wrong(node, "an object")
        return
    for name, below in node.members.items():
        if name in fields:
            yield from fields[name].check(below)
            continue
        near = (others or {}).get(name) or closest(name, fields)
        code = f"unknown{what[0].upper()}{what[1:]}"
        yield Fault(at(node.pointer, name), code, f"there is no {what} {name}", meant(near))
    for name, field in fields.items():
        if field.required and name not in node.members and node.extend is None:
            yield Fault(at(node.pointer, name), "missingValue", f"{name} is required")


def anything(_: Node) -> Iterator[Fault]:
    """Every value fits."""
    yield from ()


def text(*, least: int = 1, most: int = 100_000) -> Check:
    """A text of so many characters."""

    def check(node: Node) -> Iterator[Fault]:
        value = _plain(node)
        if value is UNKNOWN:
            return
        if not isinstance(value, str):
            yield _wrong(node, "text")
        elif len(value) < least:
            yield Fault(node.pointer, "invalidValue", "must not be empty")
        elif len(value) > most:
            yield Fault(node.pointer, "invalidValue", f"has at most {most:,} characters")

    return check


def switch(node: Node) -> Iterator[Fault]:
    """True or false."""
    value = _plain(node)
    if value is not UNKNOWN and not isinstance(value, bool):
        yield _wrong(node, "true or false")


def number(low: float, high: float, *, whole: bool = False) -> Check:
    """A number from `low` to `high`."""

    def check(node: Node) -> Iterator[Fault]:
        value = _plain(node)
        if value is UNKNOWN:
            return
        kinds = int if whole else int | float
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            yield _wrong(node, f"a {'whole ' * whole}number from {low:,} to {high:,}")

    return check


def one_of(*choices: str) -> Check:
    """One of a few words."""

    def check(node: Node) -> Iterator[Fault]:
        value = _plain(node)
        if value is not UNKNOWN and value not in choices:
            near = closest(value, choices) if isinstance(value, str) else None
            message = f"must be one of {', '.join(choices)}, not {shown(value)}"
            yield Fault(node.pointer, "invalidValue", message, meant(near))

    return check


def colour(node: Node) -> Iterator[Fault]:
    """A colour as #rgb, #rgba, #rrggbb or #rrggbbaa."""
    value = _plain(node)
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        message = f"must be a colour, not {shown(value)}"
        yield Fault(node.pointer, "invalidColour", message, "write it as #1a2b3c")


def matching(pattern: str, message: str, *, most: int) -> Check:
    """A text of one shape, which `message` puts in words."""
    compiled = re.compile(pattern)

    def check(node: Node) -> Iterator[Fault]:
        value = _plain(node)
        if value is UNKNOWN:
            return
        if not isinstance(value, str) or len(value) > most or not compiled.fullmatch(value):
            yield Fault(node.pointer, "invalidValue", f"must be {message}, not {shown(value)}")

    return check


def list_of(inner: Check, *, least: int = 0) -> Check:
    """A list; what a @Map makes is checked by its template."""

    def check(node: Node) -> Iterator[Fault]:
        if not isinstance(node, ListOf):
            if written(node) is not UNKNOWN or isinstance(node, ObjectOf):
                yield _wrong(node, "a list")
            return
        if len(node.items) < least:
            yield Fault(node.pointer, "invalidValue", "must hold at least one item")
        for item in node.items:
            yield from inner(item.template if isinstance(item, Map) else item)

    return check


def an_object(node: Node) -> Iterator[Fault]:
    """An object with whatever members."""
    if isinstance(node, ListOf) or (
        written(node) is not UNKNOWN and not isinstance(node, ObjectOf)
    ):
        yield _wrong(node, "an object")


def _plain(node: Node) -> object:
    """The value of a node where a scalar is wanted: objects and lists are known not to be one."""
    if isinstance(node, ObjectOf | ListOf):
        return {} if isinstance(node, ObjectOf) else []
    return written(node)


def _wrong(node: Node, must: str) -> Fault:
    match node:
        case ObjectOf():
            found = "an object"
        case ListOf():
            found = "a list"
        case _:
            found = shown(written(node))
    return Fault(node.pointer, "wrongType", f"must be {must}, not {found}")


def _any_unknown(values: Iterable[object]) -> bool:
    return any(value is UNKNOWN for value in values)

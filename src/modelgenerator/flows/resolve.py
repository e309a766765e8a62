"""Puts values in the place of paths and operators.

Comes in: a template, and what a run has so far.  Goes out: plain JSON, a copy that shares nothing
with what came in.  Values are copied and never read: a text from a run's input that looks like a
path stays that text.  No clock, no file, no network; the same in gives the same out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from modelgenerator.errors import InvalidFlow, UnresolvedTemplate
from modelgenerator.flows.faults import in_words, shown
from modelgenerator.flows.language import (
    Format,
    Index,
    ListOf,
    Literal,
    Map,
    Node,
    ObjectOf,
    Reference,
    Replace,
    parse,
    template_faults,
)
from modelgenerator.flows.limits import MAX_DEPTH, MAX_MAPPED, MAX_RESULT, MAX_TEXT
from modelgenerator.flows.operators import pieces
from modelgenerator.flows.references import Path, TooManyMatches, find

_BRACKETS = 2


@dataclass(frozen=True, slots=True)
class Context:
    """What paths look into."""

    input: object
    results: Mapping[str, object]
    store: Mapping[str, object]

    def root(self) -> dict[str, object]:
        return {"input": self.input, "results": dict(self.results), "store": dict(self.store)}


def resolve(template: object, context: Context, *, step: str = "", pointer: str = "") -> object:
    """What `template`, which stands at `pointer` of the step, becomes with the values of `context`.

    Raises:
        InvalidFlow: the template itself is not written as it must be.
        UnresolvedTemplate: a path finds nothing, a value does not fit, or a limit is passed.
    """
    parsed = parse(template, pointer)
    if parsed.faults:
        raise InvalidFlow(f"The flow cannot be used: {in_words(parsed.faults)}")
    return _Resolution(context.root(), step).value(parsed.node, _Around(), 0)


@dataclass(frozen=True, slots=True)
class _Around:
    """The @Maps around a node."""

    item: object = None
    counts: Mapping[str, int] = field(default_factory=dict[str, int])

    def mapped(self, item: object, index: str | None, count: int) -> "_Around":
        counts = {**self.counts, index: count} if index else self.counts
        return _Around(item, counts)


@dataclass
class _Resolution:
    root: dict[str, object]
    step: str
    mapped: int = 0
    size: int = 0
    followed: dict[tuple[str, int], list[object]] = field(
        default_factory=dict[tuple[str, int], list[object]]
    )
    """What each path found, by the path and the value it started at: in a @Map it is asked again
    for every item."""

    def value(self, node: Node, around: _Around, depth: int) -> object:
        match node:
            case ObjectOf():
                return self._object(node, around, depth)
            case ListOf():
                return self._list(node, around, depth)
            case _:
                return self._copy(self._argument(node, around), node, depth)

    def _follow(self, path: Path, node: Node, around: _Around) -> object:
        """What the path finds itself, not a copy: one value, or a list of many."""
        start = around.item if path.is_item else self.root
        known = (path.text, id(start))
        try:
            found = self.followed[known] if known in self.followed else find(path, start)
        except TooManyMatches as error:
            raise self._fault(node, str(error)) from None
        self.followed[known] = found
        if not path.is_single:
            return found
        if not found:
            raise self._fault(node, f"{path} leads to nothing")
        return found[0]

    def _object(self, node: ObjectOf, around: _Around, depth: int) -> dict[str, object]:
        members: dict[str, object] = {}
        self._count(_BRACKETS, node)
        if node.extend is not None:
            extended = self.value(node.extend, around, depth)
            if not isinstance(extended, dict):
                message = f"@Extend needs an object, not {shown(extended)}"
                raise self._fault(node.extend, message)
            members |= cast(dict[str, object], extended)
        for name, below in node.members.items():
            self._weigh(name, node)
            members[name] = self.value(below, around, depth + 1)
        return members

    def _list(self, node: ListOf, around: _Around, depth: int) -> list[object]:
        items: list[object] = []
        self._count(_BRACKETS, node)
        for item in node.items:
            if isinstance(item, Map):
                items += self._map(item, around, depth + 1)
            else:
                items.append(self.value(item, around, depth + 1))
        return items

    def _map(self, node: Map, around: _Around, depth: int) -> list[object]:
        source = self._follow(node.source, node, around)
        if not isinstance(source, list):
            message = f"@Map needs a list, but {node.source} leads to {shown(source)}"
            raise self._fault(node, message)
        items = cast(list[object], source)
        self.mapped += len(items)
        if self.mapped > MAX_MAPPED:
            raise self._fault(node, f"@Map goes over more than {MAX_MAPPED:,} items")
        return [
            self.value(node.template, around.mapped(item, node.index, count), depth)
            for count, item in enumerate(items)
        ]

    def _format(self, node: Format, around: _Around) -> str:
        template = self._argument(node.template, around)
        for fault in template_faults(template, len(node.parameters), node.pointer):
            raise self._fault(node, fault.message)
        values = [_as_text(self._argument(each, around)) for each in node.parameters]
        parts = [each if isinstance(each, str) else values[each] for each in pieces(str(template))]
        if sum(map(len, parts)) > MAX_TEXT:
            raise self._too_long(node)
        return "".join(parts)

    def _replace(self, node: Replace, around: _Around) -> str:
        target, search, replacement = (
            self._text(each, node, around) for each in (node.target, node.search, node.replacement)
        )
        if not search:
            raise self._fault(node, "@Replace needs something to search for")
        growth = len(replacement) - len(search)
        if len(target) + target.count(search) * growth > MAX_TEXT:
            raise self._too_long(node)
        return target.replace(search, replacement)

    def _text(self, argument: Node, node: Replace, around: _Around) -> str:
        value = self._argument(argument, around)
        if not isinstance(value, str):
            raise self._fault(node, f"@Replace needs texts, not {shown(value)}")
        return value

    def _argument(self, node: Node, around: _Around) -> object:
        """The value itself, no copy: of an operator, only what comes out counts."""
        match node:
            case Literal():
                return node.value
            case Reference():
                return self._follow(node.path, node, around)
            case Index():
                return around.counts[node.name]
            case Format():
                return self._format(node, around)
            case Replace():
                return self._replace(node, around)
            case _:
                raise AssertionError(f"{node} cannot be resolved")

    def _copy(self, value: object, node: Node, depth: int) -> object:
        if depth > MAX_DEPTH:
            raise self._fault(node, f"the result is nested more than {MAX_DEPTH} deep")
        if isinstance(value, dict):
            copied: dict[str, object] = {}
            self._count(_BRACKETS, node)
            for name, inner in cast(dict[str, object], value).items():
                self._weigh(name, node)
                copied[name] = self._copy(inner, node, depth + 1)
            return copied
        if isinstance(value, list):
            self._count(_BRACKETS, node)
            return [self._copy(inner, node, depth + 1) for inner in cast(list[object], value)]
        self._weigh(value, node)
        return value

    def _weigh(self, value: object, node: Node) -> None:
        """Count a value with the comma behind it, or the name of a member with its colon."""
        if isinstance(value, str):
            length = len(value.encode("utf-8", "surrogatepass"))
            if length > MAX_TEXT:
                raise self._too_long(node)
            self._count(length + 3, node)
        else:
            self._count(len(repr(value)) + 1, node)

    def _count(self, size: int, node: Node) -> None:
        self.size += size
        if self.size > MAX_RESULT:
            raise self._fault(node, f"the result has more than {MAX_RESULT:,} bytes")

    def _too_long(self, node: Node) -> UnresolvedTemplate:
        return self._fault(node, f"a text has more than {MAX_TEXT:,} bytes")

    def _fault(self, node: Node, message: str) -> UnresolvedTemplate:
        return UnresolvedTemplate(message, step=self.step, pointer=node.pointer)


def _as_text(value: object) -> str:
    """How @Format puts a value in: a text as it is, everything else as compact JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

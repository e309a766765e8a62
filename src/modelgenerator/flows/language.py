"""The Flow Language: which parts of a step are paths and operators, and which stand for themselves.

Comes in: a template, the JSON that a step has in a flow's definition.  Goes out: the same as nodes,
with every fault in it.  Templates are read here and nowhere else; what a node later brings from a
run's input or from another step is a value, and no value is ever read as language.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from modelgenerator.flows.faults import Fault, at
from modelgenerator.flows.limits import MAX_DEPTH
from modelgenerator.flows.operators import (
    FORMS,
    LITERAL,
    Argument,
    Call,
    InvalidOperator,
    PathText,
    Quoted,
    Word,
    parse_call,
    pieces,
)
from modelgenerator.flows.references import InvalidPath, Path, compile_path
from modelgenerator.setting_faults import closest

_ESCAPED = re.compile(r"\\+[$@]")
_LOOKS_LIKE_LANGUAGE = re.compile(r"\$\$|\$\.(?:input|results|store)\b|@(?:Index|Format|Replace)\(")


@dataclass(frozen=True, slots=True)
class Node:
    """Anything in a template."""

    pointer: str


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """Stands for itself."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Reference(Node):
    """What a path leads to."""

    path: Path


@dataclass(frozen=True, slots=True)
class Index(Node):
    """How many items a @Map has had before this one."""

    name: str


@dataclass(frozen=True, slots=True)
class Format(Node):
    """A text with values put into it."""

    template: Literal | Reference
    parameters: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Replace(Node):
    """A text with another in place of every occurrence of a third."""

    target: Node
    search: Node
    replacement: Node


@dataclass(frozen=True, slots=True)
class ObjectOf(Node):
    """An object, whose own members win over what it extends."""

    members: Mapping[str, Node]
    extend: Node | None


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    """A list, in which every @Map has as many places as it has items."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Map(Node):
    """One value for each item of a list."""

    source: Path
    index: str | None
    template: Node


@dataclass(frozen=True, slots=True)
class Broken(Node):
    """Something with a fault: nobody can say what it would have been."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A template as nodes."""

    node: Node
    faults: tuple[Fault, ...]
    remarks: tuple[Fault, ...]
    """What is allowed and yet looks like a mistake."""


def parse(template: object, pointer: str = "") -> Parsed:
    """`template`, which stands at `pointer` of a definition, as nodes."""
    reader = _Reader()
    node = reader.read(template, pointer, _Scope())
    return Parsed(node, tuple(reader.faults), tuple(reader.remarks))


def literal(value: object, pointer: str = "") -> Node:
    """The node that stands for `value`, in which nothing is language."""
    if isinstance(value, dict):
        members = cast(dict[str, object], value).items()
        below = {name: literal(inner, at(pointer, name)) for name, inner in members}
        return ObjectOf(pointer, below, None)
    if isinstance(value, list):
        items = enumerate(cast(list[object], value))
        return ListOf(pointer, tuple(literal(inner, at(pointer, index)) for index, inner in items))
    assert value is None or isinstance(value, str | int | float), f"{type(value)} is not JSON"
    return Literal(pointer, value)


def escape(text: str) -> str:
    """What to write in a definition so that it stands for `text`, whatever that begins with."""
    return f"\\{text}" if text.startswith(("$", "@")) or _ESCAPED.match(text) else text


def children(node: Node) -> Iterator[Node]:
    """The nodes right below `node`."""
    match node:
        case ObjectOf():
            yield from node.members.values()
            if node.extend is not None:
                yield node.extend
        case ListOf():
            yield from node.items
        case Map():
            yield node.template
        case Format():
            yield node.template
            yield from node.parameters
        case Replace():
            yield from (node.target, node.search, node.replacement)
        case _:
            pass


@dataclass(frozen=True, slots=True)
class _Scope:
    """What is around a node."""

    depth: int = 0
    in_map: bool = False
    indices: frozenset[str] = frozenset()

    def deeper(self) -> "_Scope":
        return _Scope(self.depth + 1, self.in_map, self.indices)

    def mapped(self, index: str | None) -> "_Scope":
        named = self.indices | {index} if index else self.indices
        return _Scope(self.depth, True, named)


@dataclass
class _Reader:
    faults: list[Fault] = field(default_factory=list[Fault])
    remarks: list[Fault] = field(default_factory=list[Fault])

    def read(self, value: object, pointer: str, scope: _Scope) -> Node:
        if scope.depth > MAX_DEPTH:
            return self._broken(pointer, "tooDeep", f"nested more than {MAX_DEPTH} deep")
        if isinstance(value, dict):
            return self._object(cast(dict[str, object], value), pointer, scope.deeper())
        if isinstance(value, list):
            items = enumerate(cast(list[object], value))
            below = scope.deeper()
            return ListOf(
                pointer, tuple(self._item(each, at(pointer, i), below) for i, each in items)
            )
        if isinstance(value, str):
            return self._text(value, pointer, scope)
        return literal(value, pointer)

    def _object(self, written: dict[str, object], pointer: str, scope: _Scope) -> Node:
        members: dict[str, Node] = {}
        extend: Node | None = None
        for name, value in written.items():
            node = self.read(value, at(pointer, name), scope)
            if name == "@Extend":
                extend = self._extend(node)
            elif name.startswith("@"):
                near = closest(name[1:], FORMS)
                hint = f"did you mean @{near}?" if near else LITERAL
                self._broken(at(pointer, name), "unknownOperator", f"{name} is no operator", hint)
            else:
                members[name[1:] if _ESCAPED.match(name) else name] = node
        return ObjectOf(pointer, members, extend)

    def _extend(self, node: Node) -> Node:
        if isinstance(node, Reference | ObjectOf | Broken):
            return node
        hint = f"write {FORMS['Extend']}"
        return self._broken(node.pointer, "wrongType", "@Extend needs an object", hint)

    def _item(self, value: object, pointer: str, scope: _Scope) -> Node:
        """An item of a list: a pair that begins with @Map becomes as many as the map has."""
        if isinstance(value, list) and _is_map(cast(list[object], value)[:1]):
            return self._map(cast(list[object], value), pointer, scope)
        return self.read(value, pointer, scope)

    def _map(self, pair: list[object], pointer: str, scope: _Scope) -> Node:
        if len(pair) != 2:
            message = "@Map needs a template beside it, and nothing else"
            return self._broken(pointer, "invalidOperator", message, f"write {FORMS['Map']}")
        head = self._call(str(pair[0]), at(pointer, 0))
        source = self._source(head, at(pointer, 0), scope) if head else None
        index = _index_name(head) if head else None
        template = self.read(pair[1], at(pointer, 1), scope.mapped(index))
        return Broken(pointer) if source is None else Map(pointer, source, index, template)

    def _source(self, head: Call, pointer: str, scope: _Scope) -> Path | None:
        path, *named = head.arguments
        if not isinstance(path, PathText) or not all(isinstance(each, Word) for each in named):
            message = "@Map takes a path, and the name of an index"
            self._broken(pointer, "invalidOperator", message, f"write {FORMS['Map']}")
            return None
        reference = self._reference(path.text, pointer, scope)
        return reference.path if isinstance(reference, Reference) else None

    def _text(self, text: str, pointer: str, scope: _Scope) -> Node:
        if text.startswith("$"):
            return self._reference(text, pointer, scope)
        if text.startswith("@"):
            call = self._call(text, pointer)
            return self._operator(call, pointer, scope) if call else Broken(pointer)
        if _ESCAPED.match(text):
            return Literal(pointer, text[1:])
        if found := _LOOKS_LIKE_LANGUAGE.search(text):
            message = f"{found[0]} stays as it is written, because the text does not begin with it"
            hint = f"to put a value into a text write {FORMS['Format']}"
            self.remarks.append(Fault(pointer, "languageInText", message, hint))
        return Literal(pointer, text)

    def _call(self, text: str, pointer: str) -> Call | None:
        try:
            return parse_call(text)
        except InvalidOperator as error:
            is_known = re.match(r"@(?:Map|Index|Format|Replace|Extend)\b", text)
            code = "invalidOperator" if is_known else "unknownOperator"
            self._broken(pointer, code, str(error), error.hint)
            return None

    def _operator(self, call: Call, pointer: str, scope: _Scope) -> Node:
        match call.name, call.arguments:
            case "Index", (Word() as name,):
                return self._index(name.text, pointer, scope)
            case "Format", (template, *parameters):
                return self._format(template, parameters, pointer, scope)
            case "Replace", (target, search, replacement):
                return Replace(
                    pointer,
                    self._argument(target, pointer, scope),
                    self._argument(search, pointer, scope),
                    self._argument(replacement, pointer, scope),
                )
            case _:
                message = f"@{call.name} does not stand like this"
                return self._broken(
                    pointer, "invalidOperator", message, f"write {FORMS[call.name]}"
                )

    def _index(self, name: str, pointer: str, scope: _Scope) -> Node:
        if name in scope.indices:
            return Index(pointer, name)
        near = ", ".join(sorted(scope.indices))
        hint = f"around it are: {near}" if near else "name one: [['@Map(path, i)', template]]"
        message = f"@Index({name}) stands in no @Map whose index has that name"
        return self._broken(pointer, "unknownIndex", message, hint)

    def _format(self, first: Argument, others: list[Argument], pointer: str, scope: _Scope) -> Node:
        template = self._argument(first, pointer, scope)
        parameters = tuple(self._argument(each, pointer, scope) for each in others)
        match template:
            case Literal(value=str()):
                for fault in template_faults(template.value, len(parameters), pointer):
                    self.faults.append(fault)
            case Reference(path=Path(parts=("store", *_), is_single=True, is_item=False)):
                pass
            case Broken():
                return template
            case _:
                message = "the template of @Format must be a text in quotes or a path into $.store"
                return self._broken(pointer, "invalidOperator", message, f"write {FORMS['Format']}")
        return Format(pointer, template, parameters)

    def _argument(self, argument: Argument, pointer: str, scope: _Scope) -> Node:
        match argument:
            case Quoted():
                return Literal(pointer, argument.value)
            case PathText():
                return self._reference(argument.text, pointer, scope)
            case Call():
                return self._operator(argument, pointer, scope)
            case Word():
                message, hint = f"{argument.text} is not an argument", "put texts in quotes"
                return self._broken(pointer, "invalidOperator", message, hint)

    def _reference(self, text: str, pointer: str, scope: _Scope) -> Node:
        try:
            path = compile_path(text)
        except InvalidPath as error:
            return self._broken(pointer, "invalidPath", str(error), error.hint)
        if path.is_item and not scope.in_map:
            message = f"{text} stands in no @Map: there is no current item"
            return self._broken(pointer, "itemOutsideMap", message, f"write {FORMS['Map']}")
        return Reference(pointer, path)

    def _broken(self, pointer: str, code: str, message: str, hint: str = "") -> Broken:
        self.faults.append(Fault(pointer, code, message, hint))
        return Broken(pointer)


def template_faults(template: object, parameters: int, pointer: str) -> Iterator[Fault]:
    """What is wrong with the `template` of a @Format that has so many `parameters`."""
    if not isinstance(template, str):
        yield Fault(pointer, "wrongType", "the template of @Format must be a text")
        return
    try:
        wanted = max((piece for piece in pieces(template) if isinstance(piece, int)), default=-1)
    except InvalidOperator as error:
        yield Fault(pointer, "invalidOperator", str(error), error.hint)
        return
    if wanted + 1 != parameters:
        message = f"the template of @Format takes {wanted + 1} parameters, not {parameters}"
        yield Fault(pointer, "invalidOperator", message, "write {} or {0} where each one goes")


def _is_map(first: list[object]) -> bool:
    return bool(first) and isinstance(first[0], str) and first[0].startswith("@Map")


def _index_name(head: Call) -> str | None:
    last = head.arguments[-1]
    return last.text if isinstance(last, Word) else None

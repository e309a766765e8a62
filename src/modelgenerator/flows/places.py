"""Where in a JSON5 text each value stands.

Comes in: a text that a JSON5 parser has accepted.  Goes out: line, column and extent of every
value, by JSON pointer, and the names that one object has twice.  Parsers keep none of it: of two
members with one name they silently take the last.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyjson5

from modelgenerator.flows.faults import at

_TOKEN = re.compile(
    r"""(?: \s | \ufeff | //[^\n\r\u2028\u2029]* | /\*.*?\*/ )*
    (?P<token> "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | [{}\[\]:,] | [^\s{}\[\]:,"'/]+ )""",
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text: characters from `start` up to but not including `end`, from 0."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Place:
    """Of a word or sign in a text; line and column count from 1."""

    line: int
    column: int
    span: Span

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True)
class Places:
    """Where everything stands: members at their name, items of lists at their value."""

    of: dict[str, Place] = field(default_factory=dict[str, Place])
    values: dict[str, Span] = field(default_factory=dict[str, Span])
    """How far every value reaches, without the name before it."""
    plain: set[str] = field(default_factory=set[str])
    """Pointers of values that are neither objects nor lists."""
    twice: list[str] = field(default_factory=list[str])
    """Pointers of members whose name stood in the same object before."""

    def nearest(self, pointer: str) -> Place | None:
        """The place of `pointer`, or of the nearest thing around it that was written."""
        return self.of.get(self._written(pointer))

    def marked(self, pointer: str) -> Span | None:
        """What to underline for `pointer`: a plain value, else the name or bracket it begins with.

        Of something that was not written, the name or bracket of what is around it.
        """
        written = self._written(pointer)
        if written == pointer and written in self.plain:
            return self.values[written]
        place = self.of.get(written)
        return place.span if place else None

    def _written(self, pointer: str) -> str:
        while pointer not in self.of and pointer:
            pointer = pointer.rpartition("/")[0]
        return pointer


@dataclass
class _Open:
    """An object or a list that is not closed yet."""

    pointer: str
    is_list: bool
    count: int = 0
    name: str | None = None
    """Of the member whose value comes next."""
    is_again: bool = False
    """Whether it stands under a name that its object had before."""
    is_name_again: bool = False
    """Whether `name` was there before."""


def find_places(text: str) -> Places:
    """The place of everything in `text`, which a JSON5 parser has accepted."""
    found = Places()
    open_now: list[_Open] = []
    for token, place in _tokens(text):
        here = open_now[-1] if open_now else None
        if token in "]}":
            closed = open_now.pop()
            begun = found.values[closed.pointer]
            found.values[closed.pointer] = Span(begun.start, place.span.end)
        elif token == ",":
            assert here is not None
            here.count, here.name = here.count + 1, None
        elif here is not None and not here.is_list and here.name is None:
            here.name = _name(token)
            pointer = at(here.pointer, here.name)
            here.is_name_again = pointer in found.of
            if here.is_name_again and not here.is_again:
                found.twice.append(pointer)
            found.of[pointer] = place
        elif token != ":":
            pointer = _pointer(here)
            if here is None or here.is_list:
                found.of[pointer] = place
            found.values[pointer] = place.span
            found.plain.discard(pointer)
            if token not in "[{":
                found.plain.add(pointer)
            else:
                is_again = here is not None and (here.is_again or here.is_name_again)
                open_now.append(_Open(pointer, is_list=token == "[", is_again=is_again))
    return found


def _pointer(here: _Open | None) -> str:
    if here is None:
        return ""
    return at(here.pointer, here.count if here.is_list else str(here.name))


def _name(token: str) -> str:
    if token[0] in "\"'":
        return str(pyjson5.decode(token))
    if "\\" in token:
        return next(iter(pyjson5.decode(f"{{{token}:0}}")))
    return token


def _tokens(text: str) -> Iterator[tuple[str, Place]]:
    line, line_start, counted = 1, 0, 0
    for match in _TOKEN.finditer(text):
        start = match.start("token")
        breaks = text.count("\n", counted, start)
        if breaks:
            line, line_start = line + breaks, text.rindex("\n", counted, start) + 1
        counted = start
        span = Span(start, match.end("token"))
        yield match["token"], Place(line, start - line_start + 1, span)

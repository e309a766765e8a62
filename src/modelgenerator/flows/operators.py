"""Operators as they are written in one string: `@Format("{} at {}", $.input.name, @Index(i))`.

Comes in: a string that starts with `@`.  Goes out: its name and arguments as written; and what the
template of a @Format holds.  What an operator does, and whether a path leads anywhere, is not known
here.
"""

import json
import re
from dataclasses import dataclass

import pyjson5

from modelgenerator.setting_faults import closest

ARITIES = {"Map": (1, 2), "Index": (1, 1), "Format": (1, 100), "Replace": (3, 3)}
"""Least and most arguments of every operator that is written as a call."""
FORMS = {
    "Map": '[["@Map($.results.step.list, i)", template]]',
    "Index": '"@Index(i)"',
    "Format": "\"@Format('{} at {}', $.input.name, $.input.place)\"",
    "Replace": "\"@Replace($.input.text, 'old', 'new')\"",
    "Extend": '{"@Extend": "$$", more: 1}',
}
"""How each is written."""
MAX_NESTING = 16
LITERAL = r"for a text that begins with @ write \@, in a file \\@"

_NAME = re.compile(r"@([A-Za-z]*)\s*(\()?\s*")
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""", re.DOTALL)
_PLAIN = re.compile(r"[^\s,()\"']+")
_SPACE = re.compile(r"\s*")
_PIECE = re.compile(r"\{\{|\}\}|\{(\d{0,4})\}|[{}]")


class InvalidOperator(ValueError):
    """The string is no operator, or one that is not written as it must be."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Quoted:
    """A text or a number that stands for itself."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class PathText:
    """A path, not yet read."""

    text: str


@dataclass(frozen=True, slots=True)
class Word:
    """The name of an index."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operator and what stands between its parentheses."""

    name: str
    arguments: tuple["Argument", ...]


Argument = Quoted | PathText | Word | Call


def parse_call(text: str) -> Call:
    """The operator that the whole of `text` writes down.

    Raises:
        InvalidOperator: it is unknown, or not written as it must be.
    """
    call, end = _call(text, 0, MAX_NESTING)
    if text[end:].strip():
        raise InvalidOperator(f"behind @{call.name}(…) stands {text[end:].strip()[:40]!r}")
    return call


def pieces(template: str) -> tuple[str | int, ...]:
    """The texts and parameter numbers of a @Format template, in order.

    `{}` takes the next parameter, `{1}` the second one, `{{` and `}}` are braces.

    Raises:
        InvalidOperator: a brace stands alone.
    """
    found: list[str | int] = []
    end = following = 0
    for match in _PIECE.finditer(template):
        found.append(template[end : match.start()])
        end = match.end()
        if match[0] in ("{{", "}}"):
            found.append(match[0][0])
        elif match[1] is None:
            raise InvalidOperator(
                f"a {match[0]} stands alone in the template of @Format",
                "write {} or {0} for a parameter, {{ and }} for braces",
            )
        else:
            found.append(int(match[1] or following))
            following += not match[1]
    return tuple(piece for piece in (*found, template[end:]) if piece != "")


def _call(text: str, start: int, nesting: int) -> tuple[Call, int]:
    head = _NAME.match(text, start)
    assert head is not None  # whoever calls has seen the @
    name = head[1]
    if name not in ARITIES or not head[2]:
        raise _unknown(name, text[start : start + 40])
    if not nesting:
        raise InvalidOperator(f"operators nest at most {MAX_NESTING} deep")
    arguments: list[Argument] = []
    end = head.end()
    while text[end : end + 1] != ")":
        argument, end = _argument(text, end, nesting, name)
        arguments.append(argument)
        end = _after(text, end, name)
    least, most = ARITIES[name]
    if not least <= len(arguments) <= most:
        count = str(least) if least == most else f"{least} to {most}"
        message = f"@{name} takes {count} arguments, not {len(arguments)}"
        raise InvalidOperator(message, f"write it as {FORMS[name]}")
    return Call(name, tuple(arguments)), end + 1


def _after(text: str, end: int, name: str) -> int:
    """Where the next argument begins, or the closing parenthesis is."""
    end = _skip(text, end)
    mark = text[end : end + 1]
    if mark == ",":
        following = _skip(text, end + 1)
        if text[following : following + 1] != ")":
            return following
    elif mark == ")":
        return end
    raise InvalidOperator(
        f"@{name}: after an argument comes a comma and another, or the closing parenthesis",
        f"write it as {FORMS[name]}",
    )


def _argument(text: str, start: int, nesting: int, name: str) -> tuple[Argument, int]:
    match text[start : start + 1]:
        case "@":
            return _call(text, start, nesting - 1)
        case "$":
            end = _path_end(text, start)
            return PathText(text[start:end].rstrip()), end
        case '"' | "'":
            return _quoted(text, start, name)
        case _:
            return _plain(text, start, name)


def _path_end(text: str, start: int) -> int:
    """Where a path ends: at a comma or a parenthesis that is not between its own brackets."""
    depth, end = 0, start
    while end < len(text):
        mark = text[end]
        if mark in "\"'" and (quoted := _QUOTED.match(text, end)):
            end = quoted.end()
            continue
        if not depth and mark in ",)":
            return end
        depth += (mark in "[(") - (mark in "])")
        end += 1
    return end


def _quoted(text: str, start: int, name: str) -> tuple[Quoted, int]:
    match = _QUOTED.match(text, start)
    if match is None:
        raise InvalidOperator(f"@{name}: a quote is not closed")
    try:
        return Quoted(str(pyjson5.decode(match[0]))), match.end()
    except pyjson5.Json5DecoderException:
        message = f"@{name}: {match[0][:40]} is not a text as JSON5 has it"
        raise InvalidOperator(message) from None


def _plain(text: str, start: int, name: str) -> tuple[Argument, int]:
    match = _PLAIN.match(text, start)
    if match is None:
        raise InvalidOperator(f"@{name}: an argument is missing", f"write it as {FORMS[name]}")
    word = match[0]
    try:
        return Quoted(json.loads(word, parse_constant=_no_constant)), match.end()
    except (ValueError, RecursionError):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", word):
            hint = "put texts in quotes"
            raise InvalidOperator(f"@{name}: {word[:40]!r} is not an argument", hint) from None
        return Word(word), match.end()


def _no_constant(text: str) -> None:
    raise ValueError(text)


def _skip(text: str, start: int) -> int:
    space = _SPACE.match(text, start)
    return space.end() if space else start


def _unknown(name: str, written: str) -> InvalidOperator:
    if name in FORMS:
        return InvalidOperator(f"@{name} is not written like this", f"write {FORMS[name]}")
    near = closest(name, FORMS) if name else None
    hint = f"did you mean @{near}?" if near else LITERAL
    return InvalidOperator(f"{written!r}: there is no operator @{name}", hint)

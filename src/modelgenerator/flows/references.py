"""Paths: `$.input.userDatasetId`, and `$$` for the current item of a @Map.

Comes in: a string that starts with `$`, and the values that it looks into.  Goes out: what it
finds.  The language is RFC 9535, read by python-jsonpath; what we take away is every way of
reaching the same value twice, so that a path costs no more than one look at everything there is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import islice

from jsonpath import JSONPath, JSONPathEnvironment
from jsonpath.exceptions import JSONPathError
from jsonpath.filter import BaseExpression, RelativeFilterQuery, RootFilterQuery
from jsonpath.function_extensions import ExpressionType, FilterFunction
from jsonpath.segments import JSONPathRecursiveDescentSegment, JSONPathSegment
from jsonpath.selectors import Filter, IndexSelector, JSONPathSelector, NameSelector

from modelgenerator.flows.patterns import InvalidPattern, is_found
from modelgenerator.setting_faults import closest

ROOTS = ("input", "results", "store")
MAX_LENGTH = 1_000
"""Characters of a path."""
MAX_MATCHES = 10_000
"""Values that one path may find."""


class Many(Enum):
    """A part of a path that may select more than one value."""

    BESIDE = "members or items"
    BELOW = "everything below"


Part = str | int | Many


@dataclass(frozen=True, slots=True)
class Path:
    """A path that can be followed."""

    text: str
    is_item: bool
    """Whether it starts at the current item of a @Map instead of at the top."""
    is_single: bool
    """Whether it selects one value at most, which then keeps its type."""
    parts: tuple[Part, ...]
    in_filters: tuple[tuple[Part, ...], ...]
    """The paths from the top that its filters compare with."""
    query: JSONPath

    def __str__(self) -> str:
        return self.text


class InvalidPath(ValueError):
    """The text is no path, or one that would reach a value twice."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class TooManyMatches(ValueError):
    """A path finds more than `MAX_MATCHES` values."""


@lru_cache(maxsize=4096)
def compile_path(text: str) -> Path:
    """The path that `text` writes down.

    Raises:
        InvalidPath: it is none, or one of the few that are refused.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidPath(f"a path has at most {MAX_LENGTH:,} characters, not {len(text):,}")
    is_item = text.startswith("$$")
    try:
        query = _ENVIRONMENT.compile(text[1:] if is_item else text)
    except (JSONPathError, RecursionError) as error:
        reason = str(error).partition("\n")[0] or "it is nested too deeply"
        raise InvalidPath(f"{text} is not a JSON Path: {reason}", _LITERAL) from None
    assert isinstance(query, JSONPath)  # strict RFC 9535 knows no compound paths
    _refuse_twice(query)
    parts, in_filters = _parts(query), tuple(_root_queries(query))
    if is_item and in_filters:
        raise InvalidPath(f"{text}: a filter of the current item compares with the item alone")
    for each in in_filters if is_item else (parts, *in_filters):
        _require_root(text, each)
    return Path(text, is_item, query.singular_query(), parts, in_filters, query)


def find(path: Path, root: object) -> list[object]:
    """Every value that `path` selects in `root`, in document order.

    Raises:
        TooManyMatches: there are more than `MAX_MATCHES`.
    """
    if not path.parts:
        return [root]
    if not isinstance(root, dict | list):  # the library would parse a text as JSON
        return []
    try:
        matches = list(islice(path.query.finditer(root), MAX_MATCHES + 1))
    except JSONPathError:  # `..` met what is nested deeper than any value that we accept
        matches = []
    if len(matches) > MAX_MATCHES:
        raise TooManyMatches(f"{path} finds more than {MAX_MATCHES:,} values")
    return [match.obj for match in matches]


_LITERAL = r"a text that starts with $ is a path; for the character itself write \$, in a file \\$"


def _require_root(text: str, parts: tuple[Part, ...]) -> None:
    root = parts[0] if parts else None
    if root not in ROOTS:
        near = closest(root, ROOTS) if isinstance(root, str) else None
        hint = f"did you mean $.{near}?" if near else _LITERAL
        raise InvalidPath(f"{text} must begin with $.input, $.results or $.store", hint)


def _parts(query: JSONPath) -> tuple[Part, ...]:
    return tuple(_part(segment) for segment in query.segments)


def _root_queries(query: JSONPath) -> Iterator[tuple[Part, ...]]:
    for segment in query.segments:
        for expression in _expressions(segment.selectors):
            if isinstance(expression, RootFilterQuery):
                yield _parts(expression.path)
            if isinstance(expression, RelativeFilterQuery):
                yield from _root_queries(expression.path)


def _part(segment: JSONPathSegment) -> Part:
    if isinstance(segment, JSONPathRecursiveDescentSegment):
        return Many.BELOW
    match segment.selectors:
        case (NameSelector() as only,):
            return only.name
        case (IndexSelector() as only,):
            return only.index
        case _:
            return Many.BESIDE


def _refuse_twice(query: JSONPath, *, in_filter: bool = False) -> None:
    """Refuse what could reach one value on two ways: it can be made to take for ever."""
    descents = sum(isinstance(each, JSONPathRecursiveDescentSegment) for each in query.segments)
    if descents > (0 if in_filter else 1):
        raise InvalidPath("a path may use .. once, and not inside a filter")
    for segment in query.segments:
        _refuse_overlap(segment.selectors)
        for expression in _expressions(segment.selectors):
            if isinstance(expression, RelativeFilterQuery):
                _refuse_twice(expression.path, in_filter=True)
            if isinstance(expression, RootFilterQuery) and not expression.path.singular_query():
                raise InvalidPath("inside a filter, a path from $ must lead to one value")


def _refuse_overlap(selectors: tuple[JSONPathSelector, ...]) -> None:
    if len(selectors) == 1:
        return
    named = [each.name for each in selectors if isinstance(each, NameSelector)]
    counted = [each.index for each in selectors if isinstance(each, IndexSelector)]
    is_plain = len(named) + len(counted) == len(selectors) and min(counted, default=0) >= 0
    if not is_plain or len({*named, *counted}) < len(selectors):
        raise InvalidPath("between brackets with commas, write different names or indices from 0")


def _expressions(selectors: tuple[JSONPathSelector, ...]) -> Iterator[BaseExpression]:
    waiting = [each.expression for each in selectors if isinstance(each, Filter)]
    waiting = list[BaseExpression](waiting)
    while waiting:
        expression = waiting.pop()
        yield expression
        waiting += expression.children()


class _Linear(FilterFunction):
    """`match` and `search` of RFC 9535, on an engine that never backtracks."""

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole

    @property
    def arg_types(self) -> list[ExpressionType]:
        return [ExpressionType.VALUE, ExpressionType.VALUE]

    @property
    def return_type(self) -> ExpressionType:
        return ExpressionType.LOGICAL

    def __call__(self, value: object, pattern: object) -> bool:
        if not isinstance(value, str) or not isinstance(pattern, str):
            return False
        try:
            return is_found(pattern, value, whole=self._whole)
        except InvalidPattern:
            return False


def _environment() -> JSONPathEnvironment:
    environment = JSONPathEnvironment(strict=True)
    environment.function_extensions["match"] = _Linear(whole=True)
    environment.function_extensions["search"] = _Linear(whole=False)
    return environment


_ENVIRONMENT = _environment()

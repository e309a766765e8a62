"""Holds a value against a JSON Schema that a stranger wrote, in bounded time.

Comes in: a schema that `schemas` found no fault in, and a value.  Goes out: one `Fault` for each
thing that does not fit.  Nothing is fetched, patterns run on an engine that never backtracks, and
the work is counted: a schema that refers to itself can be made to take for ever otherwise.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, cast

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend
from referencing import Registry

from modelgenerator.flows.faults import Fault, at, shown
from modelgenerator.flows.patterns import is_found

MAX_WORK = 500_000
"""What one value may cost: each look at a keyword, each entry of that, a hundredth of the value."""
MAX_FAULTS = 200
"""That one value is told."""

_FORMATS = FormatChecker(("date", "email", "ipv4", "ipv6", "uuid"))
_Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]
_WORDS = {
    "minimum": "must be at least {limit}, not {value}",
    "maximum": "must be at most {limit}, not {value}",
    "exclusiveMinimum": "must be above {limit}, not {value}",
    "exclusiveMaximum": "must be below {limit}, not {value}",
    "multipleOf": "must be a multiple of {limit}, not {value}",
    "minLength": "must have at least {limit} characters",
    "maxLength": "must have at most {limit} characters",
    "minItems": "must have at least {limit} items",
    "maxItems": "must have at most {limit} items",
    "minProperties": "must have at least {limit} members",
    "maxProperties": "must have at most {limit} members",
    "pattern": "must match the pattern {limit}, not {value}",
    "format": "must be written as {limit}, not {value}",
    "const": "must be {limit}, not {value}",
    "uniqueItems": "must not have the same item twice",
}
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


class _TooMuchWork(Exception):
    """The schema asks for more than `MAX_WORK`."""


class Held:
    """A schema that values are held against, with one account of work for all of them.

    `pictures` says how many each dataset has; without it, datasets are not looked at.
    """

    def __init__(
        self, schema: Mapping[str, object], *, pictures: Mapping[str, int] | None = None
    ) -> None:
        self._left = MAX_WORK
        kind = cast(Any, extend(Draft202012Validator, self._keywords(pictures)))
        self._validator: Any = kind(schema, registry=Registry(), format_checker=_FORMATS)

    def misfits(
        self, value: object, *, below: Mapping[str, object] | None = None, pointer: str = ""
    ) -> Iterator[Fault]:
        """What in `value` the schema, or the part `below` of it, does not allow."""
        validator = self._validator if below is None else self._validator.evolve(schema=below)
        try:
            for error in islice(validator.iter_errors(value), MAX_FAULTS):
                yield _fault(error, pointer)
        except (_TooMuchWork, RecursionError):
            message = "the schema asks for too much work to be held against this"
            hint = "make the schema simpler, or the value smaller"
            yield Fault(pointer, "tooMuchWork", message, hint)

    def _keywords(self, pictures: Mapping[str, int] | None) -> dict[str, _Keyword]:
        keywords = cast(dict[str, _Keyword], dict(Draft202012Validator.VALIDATORS))
        keywords |= {"pattern": _pattern, "uniqueItems": self._unique_items}
        if pictures is not None:
            keywords["dataset"] = _dataset(pictures)
        return {name: self._counted(keyword) for name, keyword in keywords.items()}

    def _counted(self, keyword: _Keyword) -> _Keyword:
        def look(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
            self._spend(1 + _length(value) + _length(instance) // 100)
            return keyword(validator, value, instance, schema)

        return look

    def _spend(self, work: int) -> None:
        self._left -= work
        if self._left < 0:
            raise _TooMuchWork

    def _unique_items(
        self, _: Any, wanted: bool, instance: Any, __: Any
    ) -> Iterator[ValidationError]:
        """By their text as JSON: to compare every item with every other would take for ever."""
        if wanted and isinstance(instance, list):
            items = [_canonical(item) for item in cast(list[object], instance)]
            self._spend(sum(map(len, items)) // 100)
            if len(set(items)) < len(items):
                yield ValidationError("")


def in_type_words(name: object) -> str:
    """A type of JSON Schema, or a list of them, in the user's words."""
    names = cast(list[object], name) if isinstance(name, list) else [name]
    return " or ".join(_TYPES.get(str(each), str(each)) for each in names)


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not is_found(pattern, instance):
        yield ValidationError("")


def _length(value: object) -> int:
    return len(cast(str, value)) if isinstance(value, str | list | dict) else 0


def _canonical(value: object) -> str:
    def plain(inner: object) -> object:
        if isinstance(inner, float) and inner.is_integer():
            return int(inner)  # JSON Schema holds 1.0 and 1 for the same
        if isinstance(inner, dict):
            return {name: plain(each) for name, each in cast(dict[str, object], inner).items()}
        if isinstance(inner, list):
            return [plain(each) for each in cast(list[object], inner)]
        return inner

    return json.dumps(plain(value), sort_keys=True)


def _dataset(pictures: Mapping[str, int]) -> _Keyword:
    def check(_: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if wanted is not True or not isinstance(instance, str):
            return
        count, least = pictures.get(instance), schema.get("min", 1)
        if count is None:
            yield ValidationError("there is no such dataset: upload pictures first")
        elif count < least:
            yield ValidationError(f"needs at least {_pictures(least)}, not {count}")
        elif count > schema.get("max", count):
            yield ValidationError(f"takes at most {_pictures(schema['max'])}, not {count}")

    return check


def _pictures(count: int) -> str:
    return f"{count} picture" if count == 1 else f"{count} pictures"


def _fault(error: ValidationError, pointer: str) -> Fault:
    where = at(pointer, *error.absolute_path)
    if error.validator == "required":
        name = _missing(error)
        return Fault(at(where, name), "missingValue", f"{name} is required")
    keyword = str(error.validator)
    code = {"type": "wrongType", "dataset": "pictureCount"}.get(keyword, "invalidValue")
    return Fault(where, code, _message(keyword, error))


def _missing(error: ValidationError) -> str:
    """The one of the required names that this error is about."""
    return error.message.rpartition(" is a required property")[0][1:-1]


def _message(keyword: str, error: ValidationError) -> str:
    value, limit = shown(error.instance), cast(object, error.validator_value)
    if keyword in _WORDS:
        return _WORDS[keyword].format(value=value, limit=shown(limit))
    if keyword == "type":
        return f"must be {in_type_words(limit)}, not {value}"
    if keyword == "enum":
        choices = ", ".join(shown(each) for each in cast(list[object], limit)[:10])
        return f"must be one of {choices}, not {value}"
    if keyword == "dataset" or len(error.message) <= 200:
        return error.message
    return f"does not fit {keyword}"

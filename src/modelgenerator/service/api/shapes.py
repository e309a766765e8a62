"""How bodies and answers look: camelCase, nothing unknown, lists in pages.

In: JSON.  Out: values with names and types, or what is wrong with them, with what was probably
meant.
"""

from collections.abc import Callable
from typing import Annotated, Any, Generic, Self, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from modelgenerator.service.store.scoped import LONGEST_PAGE, Page
from modelgenerator.setting_faults import closest

Record = TypeVar("Record")
Item = TypeVar("Item")


class Shape(BaseModel):
    """What is answered."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
        serialize_by_alias=True,
    )


class Body(Shape):
    """What is asked; a name that does not exist is told with the one that does."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for name in map(str, given):
            if name not in known and name not in cls.model_fields:
                near = closest(name, known)
                meant = f" Do you mean {near}?" if near else f" There are {', '.join(known)}."
                raise PydanticCustomError(
                    "unknown_name", "there is no {name}.{meant}", {"name": name, "meant": meant}
                )
        return given


class PageOf(Shape, Generic[Item]):
    """A piece of a list, the newest first."""

    # pydantic would look for the docstrings of `PageOf[Item]` where that is written: in a signature
    model_config = ConfigDict(use_attribute_docstrings=False)

    items: tuple[Item, ...]
    next_cursor: str | None = Field(
        description="Give it as `cursor` for the next piece; null: this is the last."
    )

    @classmethod
    def of(cls, page: Page[Record], shape: Callable[[Record], Item]) -> Self:
        """`page` with each record in its shape."""
        return cls(items=tuple(map(shape, page.items)), next_cursor=page.next_cursor)


class Paging(Shape):
    """Which piece of a list is asked for."""

    cursor: str | None
    limit: int


def _paging(
    cursor: Annotated[str | None, Query(description="From the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = 50,
) -> Paging:
    return Paging(cursor=cursor, limit=limit)


PagingHere = Annotated[Paging, Depends(_paging)]

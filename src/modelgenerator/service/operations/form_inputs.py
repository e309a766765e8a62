"""What a run is given: held against the flow's form, with the pictures of its datasets counted.

In: a flow, what a person or a program sent, and the organization's records.  Out: the input as the
steps see it, and which datasets it takes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from modelgenerator.flows.definition import Flow
from modelgenerator.flows.inputs import accepted_input
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.transaction import OrganizationStore


@dataclass(frozen=True, slots=True)
class AcceptedInput:
    """What a run begins with."""

    values: JsonObject
    dataset_ids: tuple[UUID, ...]


def accept_input(
    flow: Flow,
    given: JsonObject,
    store: OrganizationStore,
    *,
    only: frozenset[UUID] | None = None,
) -> AcceptedInput:
    """`given` with the form's defaults; `only` are the datasets that may be taken, None: all.

    Raises:
        InvalidFlowInput: with every fault in it.
    """
    pictures = _PictureCounts(store, only)
    values = cast(JsonObject, accepted_input(flow, dict(given), pictures))
    return AcceptedInput(values, tuple(sorted(pictures.found)))


def texts_in(value: object) -> Iterator[str]:
    """Every text in a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in cast(Mapping[str, object], value).values():
            yield from texts_in(each)
    elif isinstance(value, list):
        for each in cast(list[object], value):
            yield from texts_in(each)


def with_texts(value: object, become: Mapping[str, str]) -> object:
    """A copy of a value of JSON in which every text that `become` knows is another."""
    if isinstance(value, str):
        return become.get(value, value)
    if isinstance(value, Mapping):
        members = cast(Mapping[str, object], value)
        return {name: with_texts(each, become) for name, each in members.items()}
    if isinstance(value, list):
        return [with_texts(each, become) for each in cast(list[object], value)]
    return value


def ids_in(value: object) -> frozenset[UUID]:
    """Every text in a value of JSON that is an id."""
    return frozenset(id for id in map(id_of, texts_in(value)) if id is not None)


def id_of(text: str) -> UUID | None:
    """The id that a text is, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None


class _PictureCounts(Mapping[str, int]):
    """How many pictures each dataset has; asked for those only that the form leads to."""

    def __init__(self, store: OrganizationStore, only: frozenset[UUID] | None) -> None:
        self._store, self._only = store, only
        self.found: set[UUID] = set()

    def __getitem__(self, name: str) -> int:
        id = id_of(name)
        if id is None or (self._only is not None and id not in self._only):
            raise KeyError(name)
        if self._store.datasets.find(id) is None:
            raise KeyError(name)
        self.found.add(id)
        return self._store.pictures.count(dataset_id=id)

    def __iter__(self) -> Iterator[str]:
        return iter(map(str, self.found))

    def __len__(self) -> int:
        return len(self.found)

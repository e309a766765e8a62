"""Where a run's files are, within its results: kept for ever, and links only when somebody reads.

In: a storage key.  Out: an address, `stored:<key>`, which stands in a step's result like any text,
so that a later step can pass it on.  It opens nothing.  When a result is read, addresses that this
very run's own files have become links; the same text from anywhere else, as a run's input, stays.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import cast

from modelgenerator.flows.definition import StepType
from modelgenerator.service.records.flows import StepResult
from modelgenerator.service.store.files import Files

LINK_LENGTH = timedelta(hours=1)
_SCHEME = "stored:"
_ADDRESS = re.compile(r"stored:[A-Za-z0-9_./-]{1,900}")


def address_of(storage_key: str) -> str:
    """What stands in a result in the place of a link."""
    return f"{_SCHEME}{storage_key}"


def addresses_in(steps: Iterable[StepResult]) -> frozenset[str]:
    """The addresses of the files that these steps made, and no others."""
    return frozenset(address for step in steps for address in _made_by(step))


def links_to(steps: Iterable[StepResult], files: Files) -> dict[str, str]:
    """A link for each address, which ends in a while."""
    return {
        address: files.link("GET", address.removeprefix(_SCHEME), expires_in=LINK_LENGTH)
        for address in addresses_in(steps)
    }


def with_addresses(value: object, become: Mapping[str, str]) -> object:
    """A copy of `value` in which every address that `become` knows is what it says."""
    if isinstance(value, str):
        return _ADDRESS.sub(lambda found: become.get(found[0], found[0]), value)
    if isinstance(value, Mapping):
        members = cast(Mapping[str, object], value)
        return {name: with_addresses(each, become) for name, each in members.items()}
    if isinstance(value, list):
        return [with_addresses(each, become) for each in cast(list[object], value)]
    return value


def _made_by(step: StepResult) -> list[str]:
    if step.result is None:
        return []
    if step.type == StepType.ZIPPER:
        return [str(step.result["url"])]
    if step.type == StepType.IMAGE_GENERATOR:
        images = cast(list[Mapping[str, object]], step.result["images"])
        return [str(image["url"]) for image in images]
    return []

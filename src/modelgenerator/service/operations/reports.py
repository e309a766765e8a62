"""What should be said of a dataset before it is trained.

In: a dataset, and how it would be trained.  Out: the report of an inspection as JSON, the same as
`modelgenerator check --json` writes, with the pictures' ids.  Kept by what it was made of.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.inspection.inspect import inspect
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.datasets import (
    REPORTS,
    DatasetSeen,
    dataset_seen,
    subject_words,
)
from modelgenerator.service.operations.looked_at import looked_at, segmenter_for
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.organizations import Role

RESOLUTION = 512
"""Pixels; what is checked for when nobody says it."""
_CODE_VERSION = 1
"""Raised whenever the same pictures would get another report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How the pictures would be trained."""

    resolution: int | None = None
    """Pixels; none: the base model's own, and `RESOLUTION` where none is named."""
    base_model: str | None = None
    normalize: bool = False


def report_on(
    service: Service, caller: Caller, dataset_id: UUID, wanted: Wanted
) -> Mapping[str, object]:
    """The report; pictures that were not seen before are looked at first, which takes a while.

    Raises:
        NotFound: there is no such dataset.
        UnusableDataset: there is no picture in it.
        UnusableMask: a mask does not fit its picture.
        BaseModelNotFound, BaseModelGated, BaseModelUnsupported, HubUnreachable: see `hub.look_at`.
    """
    seen = _dataset(service, caller, dataset_id)
    wanted = _with_resolution(service, wanted)
    made, _ = _cache(service, seen).get_bytes(
        _facts(seen, wanted), lambda: _made(service, seen, wanted)
    )
    return json.loads(made)


def warnings_known(service: Service, seen: DatasetSeen) -> dict[UUID, tuple[str, ...]]:
    """What the usual report says of each picture, in titles; nothing where none was made."""
    found = _cache(service, seen).find(_facts(seen, Wanted(resolution=RESOLUTION)))
    if found is None:
        return {}
    pictures: list[dict[str, Any]] = json.loads(found)["pictures"]
    return {
        UUID(one["pictureId"]): tuple(
            finding["title"]
            for finding in one["findings"]
            if finding["level"] in ("warning", "problem")
        )
        for one in pictures
    }


def _dataset(service: Service, caller: Caller, dataset_id: UUID) -> DatasetSeen:
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        return dataset_seen(transaction.of(caller.organization_id), dataset_id)


def _with_resolution(service: Service, wanted: Wanted) -> Wanted:
    if wanted.resolution is not None:
        return wanted
    if wanted.base_model is None:
        return replace(wanted, resolution=RESOLUTION)
    base = service.base_models.look_at(wanted.base_model, service.clock())
    return replace(wanted, resolution=base.native_size)


def _made(service: Service, seen: DatasetSeen, wanted: Wanted) -> bytes:
    room = service.dataset_room(seen.dataset.organization_id, seen.dataset.id)
    dataset = looked_at(
        service, room, seen.pictures, segmenter_for(seen.subject), normalize=wanted.normalize
    )
    kind = subject_words(seen.subject).kind
    assert wanted.resolution is not None, "was filled in"
    report = inspect(dataset, resolution=wanted.resolution, kind=kind).as_json()
    ids = {picture.label: str(picture.id) for picture in seen.pictures}
    pictures = report["pictures"]
    assert isinstance(pictures, list)
    for picture in pictures:
        picture["pictureId"] = ids[picture["name"]]
    return json.dumps(report).encode()


def _cache(service: Service, seen: DatasetSeen) -> ContentCache:
    room = service.dataset_room(seen.dataset.organization_id, seen.dataset.id)
    return ContentCache(room / REPORTS)


def _facts(seen: DatasetSeen, wanted: Wanted) -> Mapping[str, object]:
    return {
        "code": _CODE_VERSION,
        "pictures": [
            (str(it.id), it.label, it.sha256, it.caption, it.mask_key) for it in seen.pictures
        ],
        "kind": seen.subject.kind.value if seen.subject else None,
        "segmenter": segmenter_for(seen.subject).version,
        "resolution": wanted.resolution,
        "normalize": wanted.normalize,
    }

"""What a job's event says to those who read it.

In: an event as its worker told it.  Out: the same without the worker's name and without places in
the storage; a picture has a link instead, for an hour.
"""

from datetime import timedelta

from modelgenerator.service.records.jobs import JobEvent
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.files import Files

SAMPLE = "sample"
"""The event by which a job's body tells of a sample: `epoch`, `prompt` and `storageKey`."""
LINK_TIME = timedelta(hours=1)
_PICTURES = (SAMPLE, "picture")
_INSIDES = ("owner", "storageKey")


def without_insides(data: JsonObject) -> JsonObject:
    """`data` without what only the server is concerned with."""
    return {name: value for name, value in data.items() if name not in _INSIDES}


def readable(event: JobEvent, files: Files) -> JsonObject:
    """The data of `event` that may be shown."""
    shown = dict(without_insides(event.data))
    if event.name in _PICTURES:
        key = str(event.data["storageKey"])
        shown["url"] = files.link("GET", key, expires_in=LINK_TIME)
    return shown

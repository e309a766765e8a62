"""Everything that the service refuses or cannot do, each with the HTTP status that says so.

    ServiceError
    ├── InvalidValue             400  a value cannot be what it must be: a cursor, an id, a key
    ├── Unauthenticated          401  nobody known is asking
    ├── InsufficientFunds        402  the balance does not cover what was asked
    ├── FlowStopped              402  a public flow whose organization has no money left
    ├── Forbidden                403  known, and not allowed
    │   └── LinkRefused          403  a link was altered, has expired or is for another method
    ├── NotFound                 404  it is not there, or belongs to another organization
    ├── NoSuchBaseModel          404  no base model is called that
    ├── Conflict                 409  it does not fit what is already there
    │   ├── AlreadyExists             the name or the address is taken
    │   ├── AlreadyFinished           what has ended cannot be changed any more
    │   ├── StillInUse                something that runs needs it
    │   └── LeaseLost                 another attempt took this job over
    ├── ModelExpired             410  the trained model is gone
    ├── TooLarge                 413  more bytes, pictures or rows than are accepted
    ├── UnsupportedFile          415  not a kind of file that is accepted
    ├── IdempotencyMismatch      422  the same key came with another request
    ├── IncompatibleBaseModel    422  the trained model belongs to base models of another family
    ├── AddressRefused           422  an address that the service may not send anything to
    ├── TooFewPictures           422  usable pictures are so few that a person must want it
    ├── NothingUsable            422  none of the files that came can be used
    ├── RateLimited              429  too many requests at once
    ├── QueueFull                429  the organization has as much work waiting as it may
    ├── FileDamaged              500  what was read is not what was written
    ├── DatabaseTooNew           500  a later version of this program has changed the database
    ├── StoreBusy                503  the database does not answer in time
    ├── StorageUnreachable       503  the storage does not answer
    │   └── StorageRefused           or not to this service
    └── StorageFull              507  the disk is full
        └── QuotaReached         507  the organization's part of it is

`code` is the class's name in camelCase, `field` the value it is about, `hint` what to do next.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from modelgenerator.errors import ModelGeneratorError


class ServiceError(ModelGeneratorError):
    """Base of what the service answers with an HTTP status.

    Of those below, the docstring is the default message.
    """

    status: ClassVar[int] = 500

    def __init__(
        self, message: str | None = None, *, field: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message or type(self).__doc__)
        self.field = field
        self.hint = hint

    @property
    def retry_after(self) -> timedelta | None:
        """When to ask again, for errors that pass by themselves."""
        return None

    @property
    def facts(self) -> Mapping[str, object]:
        """What a program may want to know beside the sentence, by camelCase names."""
        return {}


class InvalidValue(ServiceError):
    """A value is not what it must be."""

    status = 400


class Unauthenticated(ServiceError):
    """Nobody known is asking: give an API key that is valid, or sign in."""

    status = 401


class InsufficientFunds(ServiceError):
    """Insufficient Funds."""

    status = 402

    def __init__(self, *, needed: int, present: int) -> None:
        """Both in microdollars; `present` is what no other work holds."""
        super().__init__(
            f"Insufficient Funds: {in_dollars(needed)} are needed and {in_dollars(present)} are "
            "there.",
            hint="Add credits to the organization, or ask for less.",
        )
        self.needed = needed
        self.present = present

    @property
    def facts(self) -> Mapping[str, object]:
        """Both amounts."""
        return {"needed": self.needed, "present": self.present}


class FlowStopped(ServiceError):
    """Insufficient Funds: this flow cannot run until its owner has added credits."""

    status = 402


class Forbidden(ServiceError):
    """Not allowed to whoever asks."""

    status = 403


class LinkRefused(Forbidden):
    """This link is not valid, or not any more: open the page that it came from again."""


class NotFound(ServiceError):
    """It does not exist."""

    status = 404

    def __init__(self, what: str, key: object) -> None:
        """`what` in words, as "training"; the same for what is another organization's."""
        super().__init__(f"There is no {what} {key}.")
        self.what = what
        self.key = key


class NoSuchBaseModel(ServiceError):
    """No base model is called that."""

    status = 404


class Conflict(ServiceError):
    """It does not fit what is already there."""

    status = 409


class AlreadyExists(Conflict):
    """There is one of that name already."""


class AlreadyFinished(Conflict):
    """It has ended and cannot be changed any more."""


class StillInUse(Conflict):
    """Something that runs still needs it."""


class LeaseLost(Conflict):
    """Another attempt has taken this job over: stop working on it."""


class ModelExpired(ServiceError):
    """The trained model has expired and its weights are deleted."""

    status = 410

    def __init__(self, expired_at: datetime) -> None:
        super().__init__(
            f"The trained model expired on {expired_at:%Y-%m-%d at %H:%M} UTC and its weights are "
            "deleted.",
            hint="Train again with the same settings; extend the next one before it expires.",
        )
        self.expired_at = expired_at

    @property
    def facts(self) -> Mapping[str, object]:
        """When."""
        return {"expiredAt": self.expired_at.isoformat()}


class TooLarge(ServiceError):
    """More than is accepted."""

    status = 413


class UnsupportedFile(ServiceError):
    """Not a kind of file that is accepted."""

    status = 415


class IdempotencyMismatch(ServiceError):
    """This Idempotency-Key came before with another request: use a new key for a new request."""

    status = 422


class IncompatibleBaseModel(ServiceError):
    """The trained model belongs to base models of another family."""

    status = 422


class AddressRefused(ServiceError):
    """Nothing is sent to this address."""

    status = 422


class TooFewPictures(ServiceError):
    """There are too few pictures that can be used."""

    status = 422


class NothingUsable(ServiceError):
    """None of the files can be used."""

    status = 422

    def __init__(self, message: str, files: Sequence[Mapping[str, object]]) -> None:
        """`files`: what became of each."""
        super().__init__(message)
        self._files = files

    @property
    def facts(self) -> Mapping[str, object]:
        """What became of each."""
        return {"files": list(self._files)}


class RateLimited(ServiceError):
    """Too many requests."""

    status = 429

    def __init__(self, after: timedelta) -> None:
        super().__init__(f"Too many requests: ask again in {after.total_seconds():.0f} seconds.")
        self._after = after

    @property
    def retry_after(self) -> timedelta:
        """When there is room again."""
        return self._after


class QueueFull(ServiceError):
    """As much work waits for this organization as may: nothing was added."""

    status = 429

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most:,} jobs and runs of this organization wait already, and no more may.",
            hint="Ask again when some have begun, or cancel what is not needed any more.",
        )

    @property
    def retry_after(self) -> timedelta:
        """Long enough for a picture to be drawn."""
        return timedelta(seconds=30)


class FileDamaged(ServiceError):
    """A stored file is not what was written."""


class DatabaseTooNew(ServiceError):
    """A later version of this program has changed the database: start that version, or a backup."""


class StoreBusy(ServiceError):
    """The database does not answer in time: ask again, nothing was changed."""

    status = 503

    @property
    def retry_after(self) -> timedelta:
        """Long enough for a lock to go."""
        return timedelta(seconds=5)


class StorageUnreachable(ServiceError):
    """The storage for files does not answer: ask again."""

    status = 503

    @property
    def retry_after(self) -> timedelta:
        """Long enough for a restart."""
        return timedelta(seconds=10)


class StorageRefused(StorageUnreachable):
    """The storage for files refuses this service, which whoever runs it must mend: credentials."""


class StorageFull(ServiceError):
    """There is no space left to store this; nothing of it was kept."""

    status = 507


class QuotaReached(StorageFull):
    """The organization has used all the storage that it may."""


def in_dollars(microdollars: int) -> str:
    """`2_400_000` as `$2.40`: two digits after the point, and up to six where they are needed."""
    sign = "-" if microdollars < 0 else ""
    dollars, rest = divmod(abs(microdollars), 1_000_000)
    cents = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}${dollars:,}.{cents}"

"""Something that a server does and that takes a while: watched, waited for, ended.

In: where it is.  Out: what it tells, and how it ended.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, Self

from modelgenerator.client.connection import Connection
from modelgenerator.client.errors import WorkFailed
from modelgenerator.client.events import ServerEvent, watch
from modelgenerator.client.progress import shown


class Work:
    """What trainings, runs and requests for pictures have in common."""

    resource: ClassVar[str]
    called: ClassVar[str]

    def __init__(self, connection: Connection, id: str) -> None:
        self._connection = connection
        self.id = id

    def read(self) -> dict[str, Any]:
        """It as it is now, as the server shows it."""
        return self._connection.get(self._path)

    @property
    def status(self) -> str:
        """queued, running, succeeded, failed or cancelled; asks the server."""
        return str(self.read()["status"])

    def events(self) -> Iterator[ServerEvent]:
        """Everything that it tells, from its beginning until its end."""
        return watch(self._connection, f"{self._path}/events")

    def wait(self, *, progress: bool = False) -> Self:
        """Until it has succeeded; `progress` shows a line meanwhile.

        Raises:
            WorkFailed: it failed, or was cancelled.
        """
        events = self.events()
        for _ in shown(events, self.called) if progress else events:
            pass
        record = self.read()
        if record["status"] != "succeeded":
            raise WorkFailed(self.called, record)
        return self

    def cancel(self) -> None:
        """End it; what it used until then is paid."""
        self._connection.post(f"{self._path}/cancel")

    @property
    def _path(self) -> str:
        return f"/v1/{self.resource}/{self.id}"

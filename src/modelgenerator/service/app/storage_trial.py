"""Whether the storage is one to keep files in, before anything is kept there.

In: a storage.  Out: nothing, or why not.  One that does not answer yet may be back in a minute: it
is asked again until it answers, and whoever serves is ended if it is none after all.
"""

import logging
from collections.abc import Callable

from modelgenerator.errors import InvalidSettings
from modelgenerator.service.errors import StorageUnreachable
from modelgenerator.service.store.files import Files

AGAIN_SECONDS = 10
_log = logging.getLogger(__name__)


class StorageTrial:
    """Of one storage, by one server."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.fault: InvalidSettings | None = None
        """Found when it was asked again."""
        self.is_over = False

    def begin(self) -> None:
        """Ask for the first time.

        Raises:
            InvalidSettings: it is none to keep files in.
        """
        try:
            self._ask()
        except StorageUnreachable as error:
            _log.warning("%s Until then nothing is taken that needs it.", error)

    def again(self, end: Callable[[], object]) -> None:
        """Ask, if it has never answered; `end` is what is to be done if it is none.

        Raises:
            StorageUnreachable: it does not answer now either.
        """
        if self.is_over:
            return
        try:
            self._ask()
        except InvalidSettings as fault:
            self.fault, self.is_over = fault, True
            _log.error("This server ends: %s", fault)
            end()

    def _ask(self) -> None:
        self._files.assure_rules()
        self.is_over = True

"""What is known of a base model, asked once in some minutes and not for every request.

In: what a person calls a base model.  Out: what `hub.look_at` tells.  A stranger names repositories
and short names; which folders of this machine are base models, the operator says in his table.
"""

import threading
from datetime import datetime, timedelta
from pathlib import Path

from modelgenerator.diffusion import hub
from modelgenerator.diffusion.aliases import OPERATORS_TABLE, known_aliases, meaning_of, nearest
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import BaseModelNotFound

KEPT = timedelta(minutes=5)
MOST_KEPT = 256


class BaseModelLooks:
    """One for a process; any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str | None], tuple[datetime, BaseModelFiles]] = {}

    def look_at(
        self, reference: str, now: datetime, *, pinned: str | None = None
    ) -> BaseModelFiles:
        """The base model called `reference`, at the commit `pinned` where it has one.

        Raises:
            BaseModelNotFound: no such name, or it is a path of this machine.
            BaseModelGated, BaseModelUnsupported, HubUnreachable: see `hub.look_at`.
        """
        _refuse_paths(reference)
        with self._lock:
            kept = self._kept.get((reference, pinned))
        if kept is not None and timedelta() <= now - kept[0] < KEPT:
            return kept[1]
        found = hub.look_at(reference, pinned=pinned)
        with self._lock:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[reference, pinned] = (now, found)
        return found


def commit_of(base: BaseModelFiles) -> str | None:
    """The commit that was looked at; none where a base model has none, as a folder."""
    return base.revision if base.revision and hub.COMMIT.fullmatch(base.revision) else None


def _refuse_paths(reference: str) -> None:
    """Whether a file of this machine exists is nothing to tell a stranger, so none is looked at."""
    aliases = known_aliases()
    if meaning_of(reference.strip(), aliases) != reference.strip():
        return
    if Path(reference).is_absolute() or reference[:1] in ("~", ".") or Path(reference).exists():
        near = nearest(reference, aliases)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        raise BaseModelNotFound(
            f"There is no base model {reference}.{meant} Give a repository on the hub or a short "
            f"name; folders of the server get names from its operator, in {OPERATORS_TABLE}."
        )

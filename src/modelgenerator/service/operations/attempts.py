"""How often something was tried lately, so that nobody tries all passwords there are.

In: who tries, and when.  Out: nothing, or a refusal until there is room again.  Kept in memory: a
restart forgets it.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from modelgenerator.service.errors import RateLimited

MOST_KEPT = 100_000


@dataclass(slots=True)
class _Window:
    began: datetime
    count: int = 0


class Attempts:
    """So many attempts in a while, for each who tries; any thread may ask."""

    def __init__(self, most: int, within: timedelta) -> None:
        self.most, self.within = most, within
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, who: str, now: datetime) -> None:
        """One more.

        Raises:
            RateLimited: there were too many, and this is not counted.
        """
        with self._lock:
            window = self._windows.get(who)
            # a clock that was set back opens no window twice as long
            if window is None or not window.began <= now < window.began + self.within:
                self._windows[who] = window = _Window(now)
                self._windows.move_to_end(who)
                while len(self._windows) > MOST_KEPT:
                    self._windows.popitem(last=False)
            if window.count >= self.most:
                raise RateLimited(window.began + self.within - now)
            window.count += 1

    def forget(self, who: str) -> None:
        """It was no guessing."""
        with self._lock:
            self._windows.pop(who, None)

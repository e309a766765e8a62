"""What was computed once and need not be computed again, found by what it was made of.

In: facts that decide a result, and how to compute it.  Out: the result's bytes.  A file name, a
date or an order never decides: the same picture in another folder is found, a changed one is not.
What the bytes mean is not known.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from modelgenerator.errors import OutputNotWritable
from modelgenerator.whole_files import write_whole

SEAL = hashlib.sha256().digest_size


class ContentCache:
    """Results in a folder; with `folder` None everything is computed anew."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get_bytes(
        self, facts: Mapping[str, object], compute: Callable[[], bytes]
    ) -> tuple[bytes, bool]:
        """The bytes that belong to `facts`, and whether they were found."""
        if (found := self.find(facts)) is not None:
            return found, True
        content = compute()
        self.keep(facts, content)
        return content, False

    def find(self, facts: Mapping[str, object]) -> bytes | None:
        """What was kept for `facts`; none if it is absent or damaged: then it is made again."""
        if self._folder is None:
            return None
        try:
            sealed = self._file(self._folder, facts).read_bytes()
        except OSError:
            return None
        seal, content = sealed[:SEAL], sealed[SEAL:]
        return content if hashlib.sha256(content).digest() == seal else None

    def keep(self, facts: Mapping[str, object], content: bytes) -> None:
        """Keep `content` if that is possible: a full disk must not stop the work."""
        if self._folder is None:
            return
        with suppress(OSError, OutputNotWritable):
            self._folder.mkdir(parents=True, exist_ok=True)
            sealed = hashlib.sha256(content).digest() + content
            write_whole(self._file(self._folder, facts), sealed, called="The cache")

    @staticmethod
    def _file(folder: Path, facts: Mapping[str, object]) -> Path:
        text = json.dumps(facts, sort_keys=True)
        return folder / hashlib.sha256(text.encode()).hexdigest()


def user_cache(part: str) -> ContentCache:
    """This user's cache: `MODELGENERATOR_CACHE`, or modelgenerator in the XDG cache folder.

    `part` keeps results of one kind in a folder of their own, as `encoded`.
    """
    given = os.environ.get("MODELGENERATOR_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    folder = Path(base) if base else Path.home() / ".cache"
    return ContentCache((Path(given) if given else folder / "modelgenerator") / part)

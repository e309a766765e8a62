"""Files that are complete or not there.

In: a path and its bytes.  Out: the file, under its own name only when all of it is on the disk; on
any failure an earlier file of that name is intact.  What is in the file is not known.
"""

import os
from contextlib import suppress
from pathlib import Path

from modelgenerator.errors import OutputNotWritable


def partial_of(path: Path) -> Path:
    """Where the content of `path` is until all of it is there."""
    return path.with_name(f".{path.name}.partial")


def write_whole(path: Path, content: bytes, *, called: str, earlier: Path | None = None) -> None:
    """Write `content`; `called` says what it is, as "The LoRA".

    An earlier file of that name is kept as `earlier` if that is given, else replaced.
    The temporary name is always the same, so that a killed process leaves at most one behind.

    Raises:
        OutputNotWritable: the folder is gone or not writable, or the disk is full.
    """
    partial = partial_of(path)
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if earlier is not None and path.exists():
            path.replace(earlier)
        partial.replace(path)
    except OSError as error:
        raise OutputNotWritable(
            f"{called} cannot be written to {path}: {error.strerror}. "
            "Free some space or choose another folder with --output."
        ) from error
    finally:
        # whoever interrupts the writing finds no half file either
        with suppress(OSError):
            partial.unlink(missing_ok=True)

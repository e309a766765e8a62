"""Files that are complete or not there.

In: a path and its bytes.  Out: the file, under its own name only when all of it is on the disk; on
any failure an earlier file of that name is intact.  What is in the file is not known.
"""

import os
from contextlib import suppress
from pathlib import Path

from modelgenerator.errors import OutputNotWritable


def write_whole(path: Path, content: bytes, *, called: str) -> None:
    """Write `content`; `called` says what it is, as "The LoRA".

    The temporary name is always the same, so that a killed process leaves at most one behind.

    Raises:
        OutputNotWritable: the folder is gone or not writable, or the disk is full.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
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

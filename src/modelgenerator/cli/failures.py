"""Turns an error into what the person reads on stderr and the exit code of the command.

Comes in: whatever a command raised.  Goes out: 2 after an error that the person can mend, 1
after one of ours.  It knows the error tree and the few faults of the machine (full disk, missing
permission) that can strike anywhere.
"""

import errno
import traceback
from collections.abc import Iterator

import typer

from modelgenerator.errors import ModelGeneratorError, TrainingProcessFailed, UserError

USER_ERROR = 2
OUR_ERROR = 1


def show(error: Exception, *, debug: bool) -> int:
    """Write `error` to stderr, with its traceback under `debug`, and return the exit code."""
    if debug:
        typer.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    message, exit_code = _verdict(error)
    typer.echo(f"error: {message}", err=True)
    return exit_code


def _verdict(error: Exception) -> tuple[str, int]:
    if isinstance(error, TrainingProcessFailed):
        cure = "Go on from the last checkpoint with --resume, on fewer GPUs by --processes."
        return f"{error} {cure}", OUR_ERROR
    if isinstance(error, ModelGeneratorError):
        return str(error), USER_ERROR if isinstance(error, UserError) else OUR_ERROR
    if _is_disk_full(error):
        return _disk_full(error), USER_ERROR
    if isinstance(error, PermissionError) and error.filename:
        return f"No permission for {error.filename}: choose another place or change it.", USER_ERROR
    return (
        f"Something broke that should not ({type(error).__name__}: {error}). This is our fault, "
        "not yours. Please report it with the output of `modelgenerator doctor` and of the same "
        "command after `modelgenerator --debug`.",
        OUR_ERROR,
    )


def _disk_full(error: Exception) -> str:
    names = (link.filename for link in _chain(error) if isinstance(link, OSError))
    named = next((name for name in names if name), None)
    where = f" while writing {named}" if named else ""
    return (
        f"The disk is full{where}. Free some space, or choose a folder on another disk with "
        "--output; results that were finished before are intact."
    )


def _is_disk_full(error: Exception) -> bool:
    """Also where a library, as safetensors does, kept only the system's words."""
    return any(
        (isinstance(link, OSError) and link.errno in (errno.ENOSPC, errno.EDQUOT))
        or "No space left on device" in str(link)
        for link in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

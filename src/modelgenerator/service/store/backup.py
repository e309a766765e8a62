"""A copy of everything that a deployment keeps, made while it runs.

In: an opened database and its files, and an empty folder.  Out: a folder that is a data folder: a
server that is started on it has all of it.  The database is copied first: what is written after
that may leave a file without a row, which is litter, and never a row without its file.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from modelgenerator.errors import OutputNotWritable
from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.errors import NotFound
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.files import Files

SQLITE, POSTGRES, FILES, SECRET = (
    "modelgenerator.sqlite",
    "modelgenerator.pgdump",
    "files",
    "secret.key",
)


@dataclass(frozen=True, slots=True)
class FileCopied:
    """One more stored file is in the backup."""

    count: int
    byte_count: int
    """Of all files so far."""


def back_up(
    config: ServiceConfig, database: Database, files: Files, to: Path
) -> Iterator[FileCopied]:
    """Copy everything to the folder `to`.

    Raises:
        OutputNotWritable: the folder is not empty or cannot be written, or `pg_dump` is needed and
            not here or does not succeed.
        StorageUnreachable: a stored file cannot be read.
    """
    _require_empty(to)
    if database.is_sqlite:
        database.copy_to(to / SQLITE)
    else:
        _dump_postgres(config.database_url, to / POSTGRES)
    yield from _copy_files(files, to / FILES / "objects")
    secret = config.data_dir / SECRET
    if secret.exists():
        shutil.copy(secret, to / SECRET)


def _require_empty(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if next(folder.iterdir(), None) is not None:
            raise OutputNotWritable(f"{folder} is not empty: name a new folder for each backup.")
    except OSError as error:
        message = f"The folder {folder} cannot be written: {error.strerror}."
        raise OutputNotWritable(message) from error


def _copy_files(files: Files, folder: Path) -> Iterator[FileCopied]:
    count = byte_count = 0
    for key in files.keys("organizations"):
        path = folder / key
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as copy:
                copy.writelines(files.stream(key))
        except NotFound:  # deleted since it was listed, and so not to be in any later backup
            path.unlink(missing_ok=True)
            continue
        except OSError as error:
            message = f"The backup cannot be written: {error.strerror} ({path})."
            raise OutputNotWritable(message) from error
        count, byte_count = count + 1, byte_count + path.stat().st_size
        yield FileCopied(count, byte_count)


def _dump_postgres(url: str, to: Path) -> None:
    """By Postgres' own program; the password goes by the environment, where nobody lists it."""
    program = shutil.which("pg_dump")
    if program is None:
        raise OutputNotWritable(
            "The database is Postgres and `pg_dump` is not on this machine: install the package "
            "postgresql-client, in the version of the server."
        )
    address = make_url(url)
    environment = dict(os.environ)
    if address.password:
        environment["PGPASSWORD"] = str(address.password)
    plain = address.set(drivername="postgresql", password=None)
    command = [program, "--format=custom", f"--file={to}", plain.render_as_string()]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise OutputNotWritable(f"pg_dump did not succeed: {ended.stderr.strip()}")

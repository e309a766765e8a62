"""The database: a SQLite file or a Postgres server, and transactions on it.

In: a URL.  Out: transactions that are kept whole or not at all, each on a disk before it is
acknowledged.  What is in the tables is not known.
"""

import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    StatementError,
    TimeoutError,
)

from modelgenerator.errors import InvalidSettings
from modelgenerator.service.errors import (
    AlreadyExists,
    InvalidValue,
    ServiceError,
    StillInUse,
    StorageFull,
    StoreBusy,
)
from modelgenerator.service.store.transaction import Transaction

BUSY_SECONDS = 30
"""How long a SQLite transaction waits for another process to end its own."""
_BEGIN = "sqlite_begin"
_DISK_FULL = "53100"
"""Source: https://www.postgresql.org/docs/current/errcodes-appendix.html."""


class Database:
    """Hands out transactions; to be closed."""

    def __init__(self, url: str) -> None:
        """Raises InvalidSettings: the URL is not one of SQLite or Postgres."""
        self.engine = _engine(_checked(url))
        # SQLite lets one write at a time and lets the others poll; threads of one process queue up
        self._writing = threading.Lock() if self.is_sqlite else nullcontext()

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of this machine."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def transaction(self) -> Generator[Transaction, None, None]:
        """Read and write: kept when the block ends, undone when it raises.

        Raises:
            StoreBusy: no answer in time, or another transaction was in the way; nothing is changed.
            StorageFull: the disk is full; nothing is changed.
        """
        with self._writing, _told_apart(), self._connected("IMMEDIATE") as connection:
            yield Transaction(connection)

    @contextmanager
    def reading(self) -> Generator[Transaction, None, None]:
        """Read one state of the database; does not wait for those who write, and cannot write."""
        with (
            _told_apart(),
            self._connected("DEFERRED") as connection,
            _read_only(connection),
        ):
            yield Transaction(connection)

    @contextmanager
    def changing_tables(self) -> Generator[Connection, None, None]:
        """The bare connection, for migrations."""
        with self._writing, _told_apart(), self._connected("IMMEDIATE") as connection:
            yield connection

    def copy_to(self, file: Path) -> None:
        """Write one state of a SQLite database to a new file; nobody waits for it."""
        assert self.is_sqlite, "a server has a program of its own for this"
        with _told_apart(), self.engine.connect() as connection:
            # not in a transaction, and so not through the driver's own BEGIN
            raw = connection.connection.driver_connection
            assert raw is not None
            raw.execute("VACUUM INTO ?", (str(file),))

    def forget_deleted(self) -> None:
        """Leave nothing of what was deleted in the files of SQLite; Postgres' vacuum does it.

        Its log still has the pages as they were.  Somebody who reads just now may keep it from
        being emptied: then the next time does it.
        """
        if not self.is_sqlite:
            return
        with self._writing, _told_apart(), self.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA busy_timeout = 500")
            try:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                # the connection is used again, by one that may wait
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    @contextmanager
    def _connected(self, begin: str) -> Generator[Connection, None, None]:
        options = {_BEGIN: begin} if self.is_sqlite else {}
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection


@contextmanager
def _read_only(connection: Connection) -> Generator[None, None, None]:
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
        return
    connection.exec_driver_sql("PRAGMA query_only = ON")
    try:
        yield
    finally:
        # the connection is used again, by one that may write
        connection.exec_driver_sql("PRAGMA query_only = OFF")


def _checked(written: str) -> URL:
    try:
        url = make_url(written)
    except ArgumentError:
        url = None
    if url is not None and url.drivername == "sqlite" and url.database:
        return url
    if url is not None and url.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    raise InvalidSettings(
        "DATABASE_URL is sqlite:///FILE or postgresql://USER@HOST/NAME, nothing else."
    )


def _engine(url: URL) -> Engine:
    if url.drivername != "sqlite":
        try:
            return create_engine(url, pool_pre_ping=True)
        except ModuleNotFoundError:
            raise InvalidSettings(
                "Postgres needs one more package: pip install 'modelgenerator[postgres]'."
            ) from None
    assert url.database is not None
    Path(url.database).absolute().parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, record: object) -> None:
    """Every commit is on the disk before it is acknowledged: FULL, since it may be money."""
    del record
    connection.isolation_level = None  # the driver begins nothing by itself
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "secure_delete = ON",  # what a person had deleted is written over
)


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock at once: one that reads first and then writes may never get it."""
    begin = connection.get_execution_options().get(_BEGIN, "IMMEDIATE")
    connection.exec_driver_sql(f"BEGIN {begin}")


_NO_TEXT = "There is text with characters that cannot be kept: nulls, or halves of characters."


@contextmanager
def _told_apart() -> Generator[None, None, None]:
    """The database's errors as ours; what only we can have caused goes through."""
    try:
        yield
    except IntegrityError as error:
        raise _refused(error) from error
    except OperationalError as error:
        if (ours := _unable(error.orig)) is None:
            raise
        raise ours from error
    except TimeoutError as error:
        raise StoreBusy from error
    except DataError as error:
        raise InvalidValue(_NO_TEXT) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreBusy from error
        raise
    except (UnicodeEncodeError, StatementError) as error:
        if "surrogates not allowed" not in str(error):
            raise
        raise InvalidValue(_NO_TEXT) from error


def _refused(error: IntegrityError) -> ServiceError:
    text = str(error.orig).lower()
    return StillInUse() if "foreign key" in text else AlreadyExists()


def _unable(error: BaseException | None) -> ServiceError | None:
    """What stands in the way and will pass or can be mended; None: it is a mistake of ours."""
    if isinstance(error, sqlite3.OperationalError):
        reason = error.sqlite_errorcode & 0xFF
        passes: dict[int, type[ServiceError]] = {
            sqlite3.SQLITE_BUSY: StoreBusy,
            sqlite3.SQLITE_LOCKED: StoreBusy,
            sqlite3.SQLITE_FULL: StorageFull,
        }
        return passes[reason]() if reason in passes else None
    # Postgres: the server is gone or going, or two transactions were in each other's way
    return StorageFull() if getattr(error, "sqlstate", None) == _DISK_FULL else StoreBusy()

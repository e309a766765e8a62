"""Opens what a deployment keeps: its database, its files, and the secret that signs.

In: the config.  Out: things that are ready to use: tables up to date, folders made.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.records.clock import Clock
from modelgenerator.service.store.bucket import BucketFiles
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.files import Files
from modelgenerator.service.store.folder import FolderFiles
from modelgenerator.service.store.links import LinkSigner
from modelgenerator.service.store.migrate import migrate


def open_database(config: ServiceConfig) -> Database:
    """The database of a deployment, with today's tables; to be closed.

    Raises:
        InvalidSettings: DATABASE_URL is not one of SQLite or Postgres.
        DatabaseTooNew: a later version of this program has changed the tables.
        StoreBusy: it does not answer.
    """
    database = Database(config.database_url)
    try:
        migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def open_files(config: ServiceConfig, signer: LinkSigner, clock: Clock) -> Files:
    """The storage of a deployment.

    Raises:
        InvalidSettings: STORAGE_URL is neither a folder nor a bucket.
        StorageUnreachable: the folder cannot be made.
    """
    url = config.storage_url
    if url.startswith("s3://"):
        return BucketFiles(url, endpoint=config.storage_endpoint, clock=clock)
    folder = Path(url.removeprefix("file://"))
    return FolderFiles(folder.absolute(), signer, clock, base_url=config.public_url or "")


def signing_secret(config: ServiceConfig) -> bytes:
    """What signs links and sessions: the operator's, or one that is made once and kept.

    Of two servers that start at once, both take the one that was there first.
    """
    if config.secret_key is not None:
        return config.secret_key.get_secret_value().encode()
    path = config.data_dir / "secret.key"
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    try:
        fresh.write_text(secrets.token_hex(32), encoding="ascii")
        with suppress(FileExistsError):
            path.hardlink_to(fresh)
    finally:
        fresh.unlink()
    return path.read_bytes()

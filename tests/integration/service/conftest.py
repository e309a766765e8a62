"""Databases and storages: every test here runs on each kind that there is."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from benchmarks import postgres
from tests.bucket import KEYS, make_bucket, s3_server
from tests.remembered import SetClock, an_organization

from modelgenerator.service.store.bucket import BucketFiles
from modelgenerator.service.store.columns import METADATA
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.files import Files
from modelgenerator.service.store.folder import FolderFiles
from modelgenerator.service.store.links import LinkSigner
from modelgenerator.service.store.migrate import migrate

NewUrl = Callable[[], str]
"""Makes an empty database."""


@pytest.fixture(scope="session")
def new_postgres() -> Iterator[NewUrl]:
    """Makes an empty Postgres database."""
    if (bin_ := postgres.programs()) is None:
        reason = "Postgres is not installed: neither initdb in PATH nor /usr/lib/postgresql/*/bin"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with postgres.cluster(bin_) as url:
        yield lambda: _made(url)


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def new_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewUrl:
    if request.param == "postgres":
        return request.getfixturevalue("new_postgres")
    folder = tmp_path_factory.mktemp("sqlite")
    return lambda: f"sqlite:///{folder}/{uuid4().hex}.sqlite"


@pytest.fixture(scope="session")
def migrated(new_url: NewUrl) -> str:
    """A database with today's tables."""
    url = new_url()
    database = Database(url)
    migrate(database)
    database.close()
    return url


@pytest.fixture
def url(migrated: str, tmp_path: Path) -> Iterator[str]:
    """A database for this test, with today's tables and nothing in them."""
    if migrated.startswith("sqlite"):
        shutil.copy(migrated.removeprefix("sqlite:///"), tmp_path / "test.sqlite")
        yield f"sqlite:///{tmp_path}/test.sqlite"
        return
    yield migrated
    # emptied and used again: a database of its own takes Postgres three hundred files
    database = Database(migrated)
    with database.changing_tables() as connection:
        connection.exec_driver_sql(f"TRUNCATE {', '.join(METADATA.tables)}")
    database.close()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def organization_id(database: Database, clock: SetClock) -> UUID:
    return an_organization(database, clock, balance=1_000_000)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, s3_server() as endpoint:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        yield endpoint


@pytest.fixture(params=["folder", "bucket"])
def files(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> Files:
    if request.param == "folder":
        return FolderFiles(tmp_path / "files", LinkSigner([b"s" * 32]), clock, base_url="")
    endpoint = request.getfixturevalue("s3_endpoint")
    bucket = f"b-{uuid4().hex}"
    make_bucket(endpoint, bucket)
    return BucketFiles(f"s3://{bucket}/some/prefix", endpoint=endpoint)


def _made(url: str) -> str:
    """A new database of the cluster."""
    name = f"t{uuid4().hex}"
    database = Database(url.format(name="postgres"))
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE template0")
    database.close()
    return url.format(name=name)

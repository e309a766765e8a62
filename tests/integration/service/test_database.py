"""What a database is asked for by its URL, and what it says when it cannot."""

import subprocess
import sys
import textwrap
import threading

import pytest
from sqlalchemy import text
from tests.remembered import a_job, an_organization, queued

from modelgenerator.errors import InvalidSettings
from modelgenerator.service.config import read_config
from modelgenerator.service.errors import StoreBusy
from modelgenerator.service.store import database as module
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.opening import open_database, signing_secret


@pytest.mark.parametrize(
    "url", ["", "x", "mysql://x/y", "sqlite://", "sqlite:///", "sqlite+aiosqlite:///x", "http://x"]
)
def test_a_url_of_something_else_is_refused(url):
    with pytest.raises(InvalidSettings, match="DATABASE_URL"):
        Database(url)


def test_a_deployment_opens_with_folders_and_tables_that_were_not_there(tmp_path):
    config = read_config({"MODELGENERATOR_DATA_DIR": str(tmp_path / "new" / "data")})
    database = open_database(config)
    with database.reading() as transaction:
        assert transaction.identities.organizations() == []
    database.close()


def test_sqlite_has_every_commit_on_the_disk(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/x.sqlite")
    with database.changing_tables() as connection:
        found = [
            connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]
    database.close()


def test_a_database_that_others_hold_too_long_is_busy(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.1)
    url = f"sqlite:///{tmp_path}/x.sqlite"
    first, second = Database(url), Database(url)
    with first.transaction(), pytest.raises(StoreBusy), second.transaction():
        pass
    with second.transaction():
        pass
    first.close()
    second.close()


def test_who_reads_does_not_wait_for_who_writes(database, organization_id, clock):
    with database.transaction() as writing:
        job_id = _add(writing, organization_id, clock)
        with database.reading() as transaction:
            assert transaction.of(organization_id).jobs.find(job_id) is None


def test_who_reads_sees_one_state(database, organization_id, clock):
    with database.reading() as transaction:
        jobs = transaction.of(organization_id).jobs
        assert jobs.count() == 0
        writer = threading.Thread(target=queued, args=(database, organization_id, clock))
        writer.start()
        writer.join()
        assert jobs.count() == 0


def test_a_server_that_is_not_there_is_busy(tmp_path):
    database = Database(f"postgresql://nobody@/none?host={tmp_path}")
    with pytest.raises(StoreBusy), database.transaction():
        pass
    database.close()


def test_a_connection_that_the_server_cut_is_made_anew(new_postgres):
    database = Database(new_postgres())
    with pytest.raises(StoreBusy), database.changing_tables() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with database.changing_tables() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    database.close()


def test_a_full_disk_changes_nothing(tmp_path, clock):
    """SQLite may not use a page more: for it that is a full disk."""
    url = f"sqlite:///{tmp_path}/data/modelgenerator.sqlite"
    config = read_config({"DATABASE_URL": url})
    open_database(config).close()
    program = textwrap.dedent(f"""
        from sqlalchemy import text
        from modelgenerator.service.errors import StorageFull
        from modelgenerator.service.store.database import Database
        database = Database({url!r})
        try:
            with database.changing_tables() as connection:
                connection.execute(text("PRAGMA max_page_count = 1"))
                connection.execute(text("CREATE TABLE large (content TEXT)"))
                connection.execute(text("INSERT INTO large VALUES (zeroblob(10000000))"))
        except StorageFull:
            print("full")
    """)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "full\n"
    database = Database(url)
    an_organization(database, clock)
    database.close()


def test_a_secret_is_made_once_and_readable_by_its_owner_alone(tmp_path):
    config = read_config({"MODELGENERATOR_DATA_DIR": str(tmp_path / "data")})
    secret = signing_secret(config)
    assert signing_secret(config) == secret
    assert len(secret) == 64
    (file,) = (tmp_path / "data").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_operators_secret_wins(tmp_path):
    config = read_config(
        {"MODELGENERATOR_SECRET_KEY": "s" * 32, "MODELGENERATOR_DATA_DIR": str(tmp_path / "data")}
    )
    assert signing_secret(config) == b"s" * 32
    assert not (tmp_path / "data").exists()


def _add(transaction, organization_id, clock):
    job = a_job(organization_id, clock)
    transaction.of(organization_id).jobs.add(job)
    return job.id

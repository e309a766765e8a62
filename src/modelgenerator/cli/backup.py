"""`modelgenerator backup`: a copy of everything that the service keeps.

Comes in: a new folder.  Goes out: a data folder that can be served.
"""

from pathlib import Path

from modelgenerator.cli.deployment import deployment
from modelgenerator.cli.progress import reporter
from modelgenerator.errors import InvalidSettings
from modelgenerator.service.records.clock import system_clock
from modelgenerator.service.store.backup import back_up
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.links import LinkSigner
from modelgenerator.service.store.opening import open_files, signing_secret


def run(folder: Path, *, data_dir: Path | None) -> None:
    """Copy, and say how much there was.

    Raises:
        InvalidSettings: there is nothing to back up.
        OutputNotWritable, StorageUnreachable: see `back_up`.
    """
    config = deployment({"data_dir": data_dir})
    database = Database(config.database_url)
    if database.is_sqlite and not Path(database.engine.url.database or "").exists():
        raise InvalidSettings(
            f"There is no service in {config.data_dir}: name its folder with --data-dir."
        )
    count = byte_count = 0
    files = open_files(config, LinkSigner([signing_secret(config)]), system_clock)
    try:
        with reporter(as_json=False) as report:
            report.phase("copying the database and the files")
            for copied in back_up(config, database, files, folder):
                count, byte_count = copied.count, copied.byte_count
                report.count("files", count, count)
            report.result("backup", f"{folder}: {count} files, {byte_count / 1e6:,.1f} MB")
            report.result("to go back", f"modelgenerator serve --data-dir A-COPY-OF-{folder}")
    finally:
        database.close()

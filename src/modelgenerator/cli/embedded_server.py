"""A server of one's own for as long as a command needs one.

Comes in: nothing, or what the environment says of a service.  Goes out: an address and a key; the
server ends with the block.  It keeps everything in a folder of this user, so that the next command
finds what was trained.
"""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelgenerator.cli.deployment import deployment
from modelgenerator.errors import ModelGeneratorError
from modelgenerator.service.config import variables_of
from modelgenerator.service.operations.api_keys import create_api_key
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.first_start import first_start
from modelgenerator.service.operations.service import Service, opened
from modelgenerator.service.records.organizations import Role

_COMMAND = "from modelgenerator.cli.main import main; main()"
_ANNOUNCES = "ModelGenerator serves at "
_STOP_SECONDS = 90
"""A server that is told to end saves what it trains."""
_ENDING = "Look into {log} for what it said."


@dataclass(frozen=True, slots=True)
class Embedded:
    """A server that runs."""

    url: str
    key: str


@contextmanager
def embedded_server(folder: Path | None = None) -> Generator[Embedded, None, None]:
    """A server on a free port of this machine, which charges nothing unless the environment does.

    Raises:
        ServerDidNotStart: it ended at once.
    """
    data_dir = (folder or user_folder()).absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault(variables_of("billing")[0], "off")
    with opened(deployment({"data_dir": data_dir})) as service:
        key = _key(service, data_dir / "command-line.key")
    log = data_dir / "server.log"
    with log.open("ab") as said:
        process = _started(data_dir, said.fileno())
        try:
            yield Embedded(_address(process, log), key)
        finally:
            _stop(process)


class ServerDidNotStart(ModelGeneratorError):
    """The embedded server ended before it answered."""


def user_folder() -> Path:
    """Where this user's own server keeps what it has."""
    base = os.environ.get("XDG_DATA_HOME")
    folder = Path(base) if base else Path.home() / ".local" / "share"
    return folder / "modelgenerator" / "server"


def _key(service: Service, file: Path) -> str:
    """The key of earlier commands, or a new one, which only this user can read."""
    first = first_start(service)
    if first is None and file.is_file():
        return file.read_text(encoding="ascii").strip()
    key = first.key if first else _new_key(service)
    fresh = file.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(key, encoding="ascii")
    fresh.replace(file)
    return key


def _new_key(service: Service) -> str:
    with service.database.reading() as transaction:
        organization = transaction.identities.organizations()[0]
    owner = Caller(organization_id=organization.id, role=Role.OWNER)
    made = create_api_key(service, owner, name="command line", role=Role.ADMIN)
    assert made.key is not None, "a new key is shown once"
    return made.key


def _started(data_dir: Path, log: int) -> "subprocess.Popen[str]":
    """In a session of its own: Ctrl-C is for the command, which then ends its server."""
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "serve", "--port", "0", "--data-dir", str(data_dir)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )


def _address(process: "subprocess.Popen[str]", log: Path) -> str:
    assert process.stdout is not None, "it is a pipe"
    for line in process.stdout:
        if line.startswith(_ANNOUNCES):
            return line.removeprefix(_ANNOUNCES).partition(" ")[0].strip()
    raise ServerDidNotStart("The embedded server did not start. " + _ENDING.format(log=log))


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.communicate(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()

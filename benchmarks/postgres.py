"""A Postgres cluster that is made for tests or a benchmark and thrown away after them.

In: nothing; the machine's own programs are looked for.  Out: a URL at which databases can be made.
It listens at a socket in a folder of its own, so that it meets no other.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SUPERUSER = "postgres"
NOBODY = "nobody"


def programs() -> Path | None:
    """The folder with `initdb` and `pg_ctl`, if there is one: the newest version's."""
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda it: float(it.parent.name),
        reverse=True,
    )
    in_path = shutil.which("initdb")
    candidates = [*installed, *([Path(in_path).resolve().parent] if in_path else [])]
    return next((it for it in candidates if (it / "initdb").exists()), None)


@dataclass(frozen=True)
class Postgres:
    """A cluster that runs."""

    bin_: Path
    folder: Path

    @property
    def url(self) -> str:
        """Of a database without its name, to be filled in."""
        return f"postgresql://{SUPERUSER}@/{{name}}?host={self.folder}"

    def restart(self) -> None:
        """As after a power cut: nobody is asked, and the log is gone through."""
        self._do("-m", "immediate", "stop")
        self._start()

    def _start(self) -> None:
        settings = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=100"
        self._do("-l", self.folder / "log", "-o", settings, "start")

    def _do(self, *words: str | Path) -> None:
        _run([*_as_somebody(), self.bin_ / "pg_ctl", "-D", self.folder / "data", "-w", *words])


@contextmanager
def running(bin_: Path) -> Iterator[Postgres]:
    """A cluster that can be started again."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    server = Postgres(bin_, folder)
    made = ["-U", SUPERUSER, "-A", "trust", "--no-sync", "-E", "UTF8", "--no-locale"]
    try:
        _give_away(folder)
        _run([*_as_somebody(), bin_ / "initdb", "-D", folder / "data", *made])
        server._start()
        try:
            yield server
        finally:
            server._do("-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@contextmanager
def cluster(bin_: Path) -> Iterator[str]:
    """Yields the URL of a database without its name, to be filled in."""
    with running(bin_) as server:
        yield server.url


def _as_somebody() -> list[str]:
    """What goes before a command so that it does not run as root, which Postgres refuses."""
    return ["runuser", "-u", NOBODY, "--"] if os.geteuid() == 0 else []


def _give_away(folder: Path) -> None:
    """To whom the server runs as."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam(NOBODY)
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

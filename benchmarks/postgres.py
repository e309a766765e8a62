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
from pathlib import Path

SUPERUSER = "postgres"


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


@contextmanager
def cluster(bin_: Path) -> Iterator[str]:
    """A running cluster; yields the URL of a database without its name, to be filled in."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    as_somebody = _as_somebody(folder)
    data = folder / "data"
    made = [bin_ / "initdb", "-D", data, "-U", SUPERUSER, "-A", "trust", "--no-sync", "-E", "UTF8"]
    settings = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=60"
    server: Sequence[str | Path] = [bin_ / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
    try:
        _run([*as_somebody, *made, "--no-locale"])
        _run([*as_somebody, *server, "-o", settings, "start"])
        try:
            yield f"postgresql://{SUPERUSER}@/{{name}}?host={folder}"
        finally:
            _run([*as_somebody, *server, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder)


def _as_somebody(folder: Path) -> list[str]:
    """What goes before a command so that it does not run as root, which Postgres refuses."""
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return ["runuser", "-u", "nobody", "--"]


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

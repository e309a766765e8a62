"""The real server in a process of its own, asked over sockets, and what the process takes.

In: a data folder.  Out: its address, a key, and its memory and processor time as Linux tells them.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.operations.first_start import first_start
from modelgenerator.service.operations.service import opened

READY_SECONDS = 90


@dataclass(frozen=True)
class Served:
    """A server that answers."""

    url: str
    key: str
    process_id: int

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=self.headers, timeout=300)

    def memory(self, which: str = "VmRSS") -> float:
        """MB of the web process: now, or with `VmHWM` at its highest so far."""
        status = Path(f"/proc/{self.process_id}/status").read_text()
        lines = dict(line.split(":", 1) for line in status.splitlines())
        return int(lines[which].split()[0]) * 1024 / 1e6

    def processor_seconds(self) -> float:
        """Of the web process, until now."""
        stat = Path(f"/proc/{self.process_id}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def new_key(data_dir: Path) -> str:
    """Makes what a first start makes; a key that may do everything."""
    with opened(ServiceConfig(data_dir=data_dir)) as service:
        first = first_start(service)
    assert first is not None, "the folder was used before"
    return first.key


@contextmanager
def served(
    data_dir: Path, key: str, variables: Mapping[str, str] | None = None
) -> Generator[Served, None, None]:
    """`modelgenerator serve` on a folder in which `key` is valid, until the block ends."""
    words = [Path(sys.executable).with_name("modelgenerator"), "serve", "--port", "0"]
    with data_dir.with_name(f"{data_dir.name}.log").open("a") as log:
        process = subprocess.Popen(
            [*words, "--data-dir", data_dir],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **(variables or {})},
        )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.search(r"serves at (http://\S+:\d+)", line):
                yield _ready(Served(found.group(1), key, process.pid))
                return
        raise SystemExit(f"The server ended: {data_dir}.log says why.")
    finally:
        process.terminate()
        process.communicate()


def _ready(server: Served) -> Served:
    give_up = time.monotonic() + READY_SECONDS
    while time.monotonic() < give_up:
        try:
            if httpx.get(f"{server.url}/readyz").status_code == 200:
                return server
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise SystemExit("The server is not ready.")

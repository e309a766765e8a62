"""The real server in a process of its own, to be asked, killed and started again."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest
from tests.deployments import new_environment

from modelgenerator.service.config import read_config
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.service import opened as opened_service
from modelgenerator.service.records.clock import Clock, system_clock

READY_SECONDS = 90


@dataclass
class Server:
    """`modelgenerator serve` on this machine; the key of its first start is kept."""

    data_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    key: str = ""
    said: str = ""
    """What it printed since it was started last."""
    process: "subprocess.Popen[str] | None" = None
    listener: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until it is ready."""
        assert self.process is None
        command = [
            Path(sys.executable).with_name("modelgenerator"),
            "serve",
            "--port",
            str(self.port),
        ]
        self.said = ""
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        with (self.data_dir.parent / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [*command, "--data-dir", str(self.data_dir)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **self.environment},
            )
        self.listener = threading.Thread(target=self._listen, args=(self.process,), daemon=True)
        self.listener.start()
        self._wait_until_ready()

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.said += line

    def _wait_until_ready(self) -> None:
        give_up = time.monotonic() + READY_SECONDS
        while time.monotonic() < give_up:
            assert self.process is not None
            assert self.process.poll() is None, self._log()
            if found := re.search(r"serves at http://127\.0\.0\.1:(\d+)", self.said):
                self.port = int(found.group(1))
                if shown := re.search(r"API key\s+(\S+)", self.said):
                    self.key = shown.group(1)
                try:
                    if httpx.get(f"{self.url}/readyz").status_code == 200 and self.key:
                        return
                except httpx.TransportError:
                    pass
            time.sleep(0.05)
        raise AssertionError(f"the server is not ready: {self.said}\n{self._log()}")

    def _log(self) -> str:
        return (self.data_dir.parent / "server.log").read_text()[-5_000:]

    @contextmanager
    def http(self, key: str | None = None) -> Generator[httpx.Client, None, None]:
        """Somebody who asks it."""
        headers = {"Authorization": f"Bearer {key or self.key}"}
        with httpx.Client(base_url=self.url, headers=headers, timeout=60) as client:
            yield client

    @contextmanager
    def opened(self, clock: Clock = system_clock) -> Generator[Service, None, None]:
        """The deployment itself, as another server of it sees it, running or not."""
        said = {**self.environment, "MODELGENERATOR_DATA_DIR": str(self.data_dir)}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in said.items():
                patch.setenv(name, value)
            with opened_service(read_config(said), clock) as service:
                yield service

    def children(self) -> list[psutil.Process]:
        """The processes that run jobs and look at photos."""
        assert self.process is not None
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """As the kernel does it when memory runs out."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """As an operator does it; the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(number)
        code = process.wait(timeout=90)
        assert self.listener is not None
        self.listener.join()
        return code


@contextmanager
def server(folder: Path, **environment: str) -> Generator[Server, None, None]:
    """A server of a new deployment, which ends with the block."""
    it = Server(folder / "data", {**new_environment(), **environment})
    with started(it):
        yield it


@contextmanager
def another(first: Server, folder: Path, **environment: str) -> Generator[Server, None, None]:
    """A second server of the same deployment, with a disk of its own."""
    it = Server(folder / "data", {**first.environment, **environment}, key=first.key)
    with started(it):
        yield it


@contextmanager
def started(it: Server) -> Generator[Server, None, None]:
    """It ends with the block."""
    it.start()
    try:
        yield it
    finally:
        if it.process is not None:
            it.kill()

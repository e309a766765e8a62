"""A service at an address of this machine, and somebody who does its jobs, for clients to ask."""

import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from tests.serving import Serving, serving
from tests.working import claim, fail, succeed

from modelgenerator.service.operations.carrying_on import carry_on
from modelgenerator.service.records.jobs import Job


@dataclass(frozen=True)
class Loopback:
    """A server that answers, and runs jobs at its edge."""

    serving: Serving
    url: str
    key: str


def _succeed(here: Serving, job: Job) -> None:
    succeed(here, job)


def failing(here: Serving, job: Job) -> None:
    """Every job fails."""
    fail(here, job)


@contextmanager
def loopback(
    folder: Path, do: Callable[[Serving, Job], None] = _succeed, **config: object
) -> Generator[Loopback, None, None]:
    """`do` is what becomes of each job."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (
        serving(folder, public_url=url, **config) as here,
        _answering(here, port),
        _working(here, do),
    ):
        yield Loopback(here, url, here.http.headers["authorization"].removeprefix("Bearer "))


@contextmanager
def _answering(here: Serving, port: int) -> Generator[None, None, None]:
    app = here.http.app
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield
    finally:
        here.service.news.close()
        server.should_exit = True
        thread.join()


@contextmanager
def _working(here: Serving, do: Callable[[Serving, Job], None]) -> Generator[None, None, None]:
    is_over = threading.Event()

    def work() -> None:
        while not is_over.wait(0.02):
            carry_on(here.service)
            if (job := claim(here)) is not None:
                do(here, job)
                here.service.news.tell(job.id)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()

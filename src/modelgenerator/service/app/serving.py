"""`serve`: one process that answers, runs jobs and does what is due, until it is told to end.

In: a config.  Out: nothing; what a person must know at the start is handed to `say`.  On SIGTERM or
Ctrl-C it stops accepting, lets running jobs save a checkpoint and hands them back.
"""

import logging
import os
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType

import uvicorn

from modelgenerator.errors import InvalidSettings
from modelgenerator.service.app.background import Repeated
from modelgenerator.service.app.storage_trial import AGAIN_SECONDS, StorageTrial
from modelgenerator.service.app.web import create_app
from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs.dispatcher import Dispatcher
from modelgenerator.service.jobs.executors.choice import executor_for
from modelgenerator.service.operations.carrying_on import carry_on
from modelgenerator.service.operations.expiry import sweep
from modelgenerator.service.operations.first_start import FirstStart, first_start
from modelgenerator.service.operations.sending import send_due
from modelgenerator.service.operations.service import Service, opened
from modelgenerator.service.records.clock import system_clock
from modelgenerator.service.store.links import LinkSigner
from modelgenerator.service.store.opening import open_files

_log = logging.getLogger(__name__)
_ANSWER_SECONDS = 10
"""How long answers that have begun may take once the end was asked for."""


@dataclass(frozen=True, slots=True)
class Listening:
    """The server answers."""

    url: str
    first: FirstStart | None
    """Set when this start made the organization."""


def serve(config: ServiceConfig, say: Callable[[Listening], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        InvalidSettings: the address cannot be listened at, the config names no database, the
            storage is none that keeps files, or the executor needs what is not there.
        DatabaseTooNew, StoreBusy, StorageUnreachable: see `store.opening`.
    """
    _warn_of_own_secret(config)
    listener = _listener(config)
    host, port = config.host, listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    url = config.public_url or f"http://{shown}:{port}"
    deployed = config.model_copy(update={"public_url": url})
    with listener:
        trial = StorageTrial(open_files(deployed, LinkSigner([os.urandom(32)]), system_clock))
        trial.begin()  # before tables are changed, which an earlier version would not open again
        with opened(deployed) as service:
            executor = executor_for(service)  # before secrets are made, which are shown once
            first = first_start(service)
            with (
                Dispatcher(service, executor) as dispatcher,
                _what_is_due(service),
                Repeated("storage trial", partial(trial.again, _end), seconds=AGAIN_SECONDS),
            ):
                server = _Server(service, dispatcher)
                say(Listening(url, first))
                server.run(sockets=[listener])
    if trial.fault is not None:
        raise trial.fault


def _end() -> None:
    """As whoever runs this server does it."""
    os.kill(os.getpid(), signal.SIGTERM)


class _Server(uvicorn.Server):
    """Ends open event streams and asks jobs for a checkpoint as soon as the end is asked for."""

    def __init__(self, service: Service, dispatcher: Dispatcher) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(service),
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_ANSWER_SECONDS,
                lifespan="off",
            )
        )
        self._service, self._dispatcher = service, dispatcher

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """As uvicorn does, but a signal that was heard is not raised again: jobs end after this."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal ends politely, a second one at once."""
        _log.info("ending on %s", signal.Signals(sig).name)
        self._service.news.close()
        self._dispatcher.begin_to_stop()
        super().handle_exit(sig, frame)


def _warn_of_own_secret(config: ServiceConfig) -> None:
    """A database that several servers can share, and a secret that only this one has."""
    if config.secret_key is None and not config.database_url.startswith("sqlite:"):
        _log.warning(
            "MODELGENERATOR_SECRET_KEY is not set: links that this server signs open nothing at "
            "another server of the same database. Set the same one for all of them."
        )


@contextmanager
def _what_is_due(service: Service) -> Generator[None, None, None]:
    wait = service.news.wait_for_work
    with (
        Repeated("sweeper", lambda: sweep(service), seconds=60),
        Repeated("webhooks", lambda: send_due(service), seconds=1),
        Repeated("runs", lambda: carry_on(service), seconds=1, wait=wait),
    ):
        yield


def _listener(config: ServiceConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.host, config.port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise InvalidSettings(
            f"The address {config.host} port {config.port} cannot be listened at: "
            f"{error.strerror}. Choose another with --port, or stop what listens there."
        ) from error
    return listener

"""What a warm child of an executor runs: an endless "do this job", "here is what it says".

In: pickled words over a pipe.  Out: pickled messages.  Bodies are imported here, when the first of
their kind comes; this process ends with its parent, whatever it does.
"""

import os
import pickle
import queue
import threading
from collections.abc import Generator
from multiprocessing.connection import Connection

from modelgenerator.parent_process import end_with
from modelgenerator.service.jobs.bodies import Tools, body_of
from modelgenerator.service.jobs.faults import failed
from modelgenerator.service.jobs.messages import (
    Assignment,
    End,
    Place,
    Said,
    Stop,
)
from modelgenerator.service.records.clock import system_clock
from modelgenerator.service.store.files import Files
from modelgenerator.service.store.links import LinkSigner
from modelgenerator.service.store.opening import open_files

Word = Assignment | Stop


def serve(descriptor: int, parent: int) -> None:
    """Work on the pipe of that number until the parent closes its end, or ends."""
    end_with(parent)
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    pipe = Connection(descriptor)
    place: Place = pickle.loads(pipe.recv_bytes())
    files = open_files(place.config, LinkSigner([os.urandom(32)]), system_clock)
    child = _Child(pipe, place, files)
    threading.Thread(target=child.listen, daemon=True).start()
    child.work()


class _Child:
    def __init__(self, pipe: Connection, place: Place, files: Files) -> None:
        self._pipe, self._place, self._files = pipe, place, files
        self._waiting: queue.SimpleQueue[tuple[Assignment, threading.Event]] = queue.SimpleQueue()

    def listen(self) -> None:
        """A second thread: a stop must be heard while a body works."""
        stops: dict[str, threading.Event] = {}
        while True:
            try:
                word: Word = pickle.loads(self._pipe.recv_bytes())
            except (EOFError, OSError):
                os._exit(0)
            if isinstance(word, Stop):  # which may come before the attempt that it is about
                stops.setdefault(word.name, threading.Event()).set()
            else:
                stops = {word.name: stops.get(word.name, threading.Event())}
                self._waiting.put((word, stops[word.name]))

    def work(self) -> None:
        """One job after the other."""
        while True:
            assignment, stop = self._waiting.get()
            folder = self._place.folder_of(assignment)
            folder.mkdir(parents=True)
            tools = Tools(
                config=self._place.config,
                files=self._files,
                folder=folder,
                checkpoint_seconds=self._place.checkpoint_seconds,
                stop=stop,
                gpu_kind=self._place.gpu_kind,
            )
            for message in _said(assignment, tools):
                if isinstance(message, End):
                    self._place.tidy(assignment)
                self._say(message)

    def _say(self, message: Said) -> None:
        try:
            self._pipe.send_bytes(pickle.dumps(message))
        except OSError:  # nobody is there any more
            os._exit(0)


def _said(assignment: Assignment, tools: Tools) -> Generator[Said, None, None]:
    """What the body says; what it raises is an end too."""
    try:
        yield from body_of(assignment.kind)(assignment, tools)
    except Exception as error:  # noqa: BLE001  the job ends with it, this process does not
        yield failed(error)


def _end_with_standard_input() -> None:
    """A pipe that the parent holds and writes nothing into."""
    os.read(0, 1)
    os._exit(1)

"""The server's hand on a Ray cluster: places runners, carries words between them and the server.

In: words of the server over a pipe.  Out: what jobs say, what there is, what was lost.  It is a
process of its own because Ray ends whoever is connected to a cluster that is lost, and the server
must go on answering.  Nothing is ever tried again here: the ledger decides that.

A runner is asked what it has to say again and again, one question at a time, rather than that a
generator streams from it: one wait serves all of them, many messages come in one answer, and a
runner that is not asked any more knows that its driver is gone.
"""

import logging
import pickle
import queue
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any, cast

import ray
from ray.exceptions import ActorUnavailableError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from modelgenerator.notices import Notice
from modelgenerator.service.jobs.executors.machines import GPU_KIND, machines_of
from modelgenerator.service.jobs.executors.nearby import held_during
from modelgenerator.service.jobs.executors.ray_runner import MachineUnfit, Runner, forget
from modelgenerator.service.jobs.executors.ray_words import (
    Begin,
    Begun,
    Came,
    Cluster,
    Heard,
    Held,
    Kill,
    Loaded,
    Lost,
    Needs,
    Opened,
    Terms,
    WordOfDriver,
    WordOfServer,
)
from modelgenerator.service.jobs.messages import (
    Assignment,
    End,
    Message,
    Phase,
    PhaseBegun,
    Stopped,
    noticed,
    without_object_generator,
)
from modelgenerator.service.records.holds import NOTHING, Holds
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.records.servers import Machine

LISTEN_SECONDS = 0.05
TELL_SECONDS = 1.0
WAIT_SECONDS = 3.0
"""A job that has no machine by then is told to wait for one."""
ROOM_SECONDS = 1.0
"""A job that has no machine by then gets the place of a runner that only waits."""
CLOSE_SECONDS = 10.0
_remote: Any = ray.remote


def serve(descriptor: int, parent: int) -> None:
    """Work on the pipe of that number until the parent closes its end, or ends."""
    del parent  # what runs on machines is ended in order, also when the parent was killed
    pipe = Connection(descriptor)
    terms: Terms = pickle.loads(pipe.recv_bytes())
    ray.init(
        address=terms.config.ray_address,
        logging_level=logging.WARNING,
        log_to_driver=False,
        configure_logging=False,
    )
    driver = _Driver(pipe, terms)
    threading.Thread(target=driver.listen, daemon=True).start()
    driver.work()


class _OnRay(Runner):
    """A runner as an actor."""

    def gpu_kind(self) -> str | None:
        """The label that Ray gives this machine."""
        labels = ray.get_runtime_context().get_node_labels()
        return cast("Mapping[str, str]", labels).get(GPU_KIND)  # Ray says lists, and gives none

    def open(self, terms: Terms, gpus: int) -> Opened:
        """Get ready, and say where."""
        return replace(super().open(terms, gpus), node=ray.get_runtime_context().get_node_id())


@dataclass(eq=False)
class _Placed:
    """A runner that was asked of Ray, and what it works on."""

    actor: Any
    needs: Needs
    kind: JobKind
    assignment: Assignment | None
    asked_at: float
    question: Any
    """What it was asked last, and answers some time."""
    holds: Holds = NOTHING
    """What it has loaded, or is about to."""
    opened: Opened | None = None
    is_told_to_wait: bool = False
    idle_since: float = field(default=0.0)

    @property
    def name(self) -> str:
        assert self.assignment is not None
        return self.assignment.name


class _Driver:
    def __init__(self, pipe: Connection, terms: Terms) -> None:
        self._pipe, self._terms = pipe, terms
        self._words: queue.SimpleQueue[WordOfServer | None] = queue.SimpleQueue()
        self._placed: list[_Placed] = []
        self._machines: Mapping[str, Machine] = {}
        self._forgetting: list[Any] = []
        self._next_telling = self._next_room = 0.0

    def listen(self) -> None:
        """A second thread: words come at any time."""
        while True:
            try:
                self._words.put(pickle.loads(self._pipe.recv_bytes()))
            except (EOFError, OSError):
                self._words.put(None)
                return

    def work(self) -> None:
        """Until the server is gone."""
        while True:
            self._hear_runners()
            while not self._words.empty():
                word = self._words.get()
                if word is None:
                    self._close()
                    return
                self._obey(word)
            now = time.monotonic()
            if now >= self._next_telling:
                self._next_telling = now + TELL_SECONDS
                self._tell_cluster()
            self._look_after_waiting(now)
            self._give_idle_back(now)

    def _say(self, word: WordOfDriver) -> None:
        with suppress(OSError):  # the server is gone: that is heard
            self._pipe.send_bytes(pickle.dumps(word))

    def _tell_cluster(self) -> None:
        self._machines = machines_of(ray.nodes())
        machines = tuple(self._machines.values())
        cpus, gpus = sum(it.cpus for it in machines), sum(it.gpus for it in machines)
        self._say(Cluster(cpus=cpus, gpus=gpus, machines=machines))

    def _tell_loaded(self) -> None:
        draw = [one for one in self._placed if one.kind is JobKind.GENERATE]
        idle = [one for one in draw if one.assignment is None]
        idle.sort(key=lambda one: one.idle_since, reverse=True)
        busy = [one for one in draw if one.assignment is not None]
        self._say(Loaded(_held(idle), _held(busy)))

    # --- words of the server

    def _obey(self, word: WordOfServer) -> None:
        if isinstance(word, Begin):
            self._begin(word)
            return
        placed = self._of(word.name)
        if placed is None:
            return
        if isinstance(word, Kill):
            self._retire(placed)
        elif placed.opened is None:  # there is nothing that could be kept
            assert placed.assignment is not None
            self._say(Came(word.name, [Stopped(placed.assignment.used_ms)]))
            self._retire(placed)
        else:
            placed.actor.ask_to_stop.remote(word.name)

    def _of(self, name: str) -> _Placed | None:
        working = (one for one in self._placed if one.assignment is not None)
        return next((one for one in working if one.name == name), None)

    def _begin(self, word: Begin) -> None:
        placed = self._warm(word)
        if placed is None:
            self._placed.append(self._asked_for(word))
        else:
            placed.assignment = word.assignment
            placed.holds = held_during(word.assignment, placed.holds)
            placed.actor.begin.remote(word.assignment)
            self._say_where(placed)
        self._tell_loaded()

    def _warm(self, word: Begin) -> _Placed | None:
        """A runner that waits: the one that loads the least for it; else the one that has the most
        room, or waits the longest."""
        wanted = word.assignment
        waiting = [
            one
            for one in self._placed
            if one.assignment is None and one.kind is wanted.kind and one.needs == word.needs
        ]
        return min(
            waiting,
            key=lambda one: (
                not one.holds.has(wanted.base_model, wanted.lora_sha256),
                not one.holds.has(wanted.base_model, None),
                len(one.holds.base_models),
                one.idle_since,
            ),
            default=None,
        )

    def _asked_for(self, word: Begin) -> _Placed:
        needs = word.needs
        actor = (
            _remote(_OnRay)
            .options(
                num_cpus=needs.cpus,
                num_gpus=needs.gpus,
                memory=needs.memory or None,
                label_selector=_selector(needs),
                max_restarts=0,
                max_task_retries=0,
                max_concurrency=4,
            )
            .remote()
        )
        question = actor.open.remote(self._terms_for(word.assignment.kind), needs.gpus)
        return _Placed(
            actor=actor,
            needs=needs,
            kind=word.assignment.kind,
            assignment=word.assignment,
            asked_at=time.monotonic(),
            question=question,
            holds=held_during(word.assignment, NOTHING),
        )

    def _terms_for(self, kind: JobKind) -> Terms:
        """The key of the language model is for those who ask it."""
        if kind is JobKind.GENERATE_OBJECTS:
            return self._terms
        return replace(self._terms, config=without_object_generator(self._terms.config))

    # --- what runners say

    def _hear_runners(self) -> None:
        asked = {one.question: one for one in self._placed}
        if not asked:
            time.sleep(LISTEN_SECONDS)
            return
        answered, _ = ray.wait(list(asked), num_returns=1, timeout=LISTEN_SECONDS)
        if answered:
            answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=0)
        for question in answered:
            self._answered(asked[question])

    def _answered(self, placed: _Placed) -> None:
        try:
            answer: Opened | Heard = ray.get(placed.question)
        except RayError as error:
            if placed.opened is None and (why := unfit(error)) is not None:
                self._refused(placed, why)
            else:
                self._lost(placed, _how(error))
            return
        if isinstance(answer, Opened):
            placed.opened = answer
            self._say_where(placed)
            if placed.is_told_to_wait:  # from now on it may stand still
                self._say(Came(placed.name, [PhaseBegun(Phase.STARTING)]))
            placed.actor.begin.remote(placed.assignment)
        else:
            self._heard(placed, answer)
        if placed in self._placed:
            placed.question = placed.actor.hear.remote()

    def _heard(self, placed: _Placed, answer: Heard) -> None:
        said = [message for message in answer.messages if not isinstance(message, Holds)]
        told = [message for message in answer.messages if isinstance(message, Holds)]
        name, is_over = placed.assignment and placed.name, _is_over(said)
        if told:
            placed.holds = told[-1]
        if is_over:  # it stays for a while, with what it has loaded
            placed.assignment, placed.idle_since = None, time.monotonic()
        if told or is_over:  # before the end: who hears of that looks for the next job
            self._tell_loaded()
        if said and name is not None:
            self._say(Came(name, said))
        if is_over and placed.kind is JobKind.TRAIN:  # its place is for others
            self._retire(placed)
        elif answer.how is not None and not is_over:
            self._lost(placed, answer.how, answer.last_lines)

    def _say_where(self, placed: _Placed) -> None:
        assert placed.opened is not None
        machine = self._machines.get(placed.opened.node)
        name = placed.opened.machine if machine is None else machine.name
        self._say(Begun(placed.name, name))

    def _lost(self, placed: _Placed, how: str, last_lines: Any = ()) -> None:
        if placed.assignment is not None:
            where = f" on the machine {placed.opened.machine}" if placed.opened else ""
            self._say(Lost(placed.name, f"{how}{where}", last_lines))
        self._retire(placed)

    def _refused(self, placed: _Placed, why: str) -> None:
        """The machine can run no job of this server: the job has lost nothing, and waits again."""
        if placed.assignment is not None:
            told = noticed(Notice("warning", None, f"A machine could not begin it. {why}"))
            self._say(Came(placed.name, [told, Stopped(placed.assignment.used_ms)]))
        self._retire(placed)

    # --- runners that wait, and the end of all

    def _look_after_waiting(self, now: float) -> None:
        waiting = [one for one in self._placed if one.opened is None]
        for one in waiting:
            if now - one.asked_at > WAIT_SECONDS and not one.is_told_to_wait:
                one.is_told_to_wait = True
                self._say(Came(one.name, [PhaseBegun(Phase.WAITING_FOR_MACHINE)]))
        if now < self._next_room:
            return
        self._next_room = now + ROOM_SECONDS
        needed = [one.needs for one in waiting if now - one.asked_at > ROOM_SECONDS]
        idle = [
            one
            for one in self._placed
            if one.assignment is None and any(_makes_room(one.needs, it) for it in needed)
        ]
        if idle:
            self._retire(min(idle, key=lambda one: one.idle_since))

    def _give_idle_back(self, now: float) -> None:
        for one in list(self._placed):
            if one.assignment is None and now - one.idle_since > self._terms.idle_seconds:
                self._retire(one)

    def _retire(self, placed: _Placed) -> None:
        """End it, and let somebody on its machine remove its folder."""
        self._placed = [one for one in self._placed if one is not placed]
        self._tell_loaded()
        ray.kill(placed.actor)
        if placed.opened is None:
            return
        there = NodeAffinitySchedulingStrategy(placed.opened.node, soft=False)
        options = _remote(forget).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
        _, self._forgetting = ray.wait(
            [*self._forgetting, options.remote(placed.opened.folder)], timeout=0
        )

    def _close(self) -> None:
        for placed in list(self._placed):
            self._retire(placed)
        if self._forgetting:
            count = len(self._forgetting)
            ray.wait(self._forgetting, num_returns=count, timeout=CLOSE_SECONDS)
        ray.shutdown()


def _held(runners: Iterable[_Placed]) -> list[Held]:
    return [Held(one.needs.gpu_kinds, one.holds) for one in runners]


def _makes_room(idle: Needs, wanted: Needs) -> bool:
    """Whether a runner on that kind of machine could be in the way."""
    is_of_kind = not wanted.gpu_kinds or not idle.gpu_kinds
    is_of_kind = is_of_kind or bool(set(idle.gpu_kinds) & set(wanted.gpu_kinds))
    return is_of_kind and (idle.gpus > 0 or not wanted.gpus)


def _selector(needs: Needs) -> dict[str, str] | None:
    """Of a node's labels."""
    kinds = ",".join(needs.gpu_kinds)
    return {GPU_KIND: f"in({kinds})"} if kinds else None


def _is_over(messages: Any) -> bool:
    last: Message | None = messages[-1] if messages else None
    return isinstance(last, End)


def unfit(error: RayError) -> str | None:
    """What makes a machine one that cannot run jobs of this server; none: it is something else."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, MachineUnfit):
        return str(cause)
    lines = str(error).strip().splitlines()
    is_not_installed = cause is None and lines and "creation task" in lines[0]
    return lines[-1].strip() if is_not_installed else None


def _how(error: RayError) -> str:
    """What Ray says of a runner that is gone, in words that follow "the process"."""
    cause = getattr(error, "cause", None)
    if cause is not None:
        return f"could not begin ({cause})"
    if isinstance(error, ActorUnavailableError):
        return "cannot be reached any more"
    if "its node has died" in str(error):
        return "was lost together with its machine"
    return "was ended from outside"

"""From the ledger to the executor and back: claims jobs, keeps what they say, ends what must end.

In: the service and an executor.  Out: jobs that are done.  One thread does all of it, in turns; a
turn never waits for a job.  This is the one place that catches everything: whatever a job or the
database does, the others go on.
"""

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Self

from modelgenerator.service.errors import LeaseLost, StorageFull, StoreBusy
from modelgenerator.service.jobs import faults
from modelgenerator.service.jobs.checkpoint_keys import forget_checkpoints, read_key
from modelgenerator.service.jobs.executors.executor import Executor, Slot
from modelgenerator.service.jobs.following import Following, Why
from modelgenerator.service.jobs.funds import Funds
from modelgenerator.service.jobs.messages import Assignment
from modelgenerator.service.jobs.neighbours import Neighbours
from modelgenerator.service.jobs.presence import TELL_SECONDS, Presence
from modelgenerator.service.operations import outcomes
from modelgenerator.service.operations.pictures import drawn_positions
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.webhook_messages import tell_of_start
from modelgenerator.service.records.job_specs import TrainSpec
from modelgenerator.service.records.jobs import Job, JobKind
from modelgenerator.service.store.job_queue import NO_LIMIT, Offer

LISTEN_SECONDS = 0.05
"""Between two looks at what running jobs say."""
IDLE_SECONDS = 1.0
"""Between two looks into the queue, and at what people asked of running jobs."""
SWEEP_SECONDS = 5.0
DRAIN_SECONDS = 60.0
SECONDS_TO_STOP = {
    Why.CANCELLED: 10.0,
    Why.FUNDS: 60.0,
    Why.HANDED_BACK: DRAIN_SECONDS,
    Why.MAKES_ROOM: DRAIN_SECONDS,
}
"""Then it is killed."""
STALLED_ATTEMPTS = 2
"""In a row: what stands still is tried once more."""

_LOG = logging.getLogger(__name__)


class Dispatcher:
    """Works from `start` to `stop`, or turn by turn where somebody else calls `turn`."""

    def __init__(
        self, service: Service, executor: Executor, *, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._service, self._executor, self._timer = service, executor, timer
        self.owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._followed: list[tuple[Following, Funds]] = []
        self._heartbeat = _Every(service.config.lease_seconds / 3, timer)
        self._look = _Every(IDLE_SECONDS, timer)
        self._sweep = _Every(SWEEP_SECONDS, timer)
        self._telling = _Every(TELL_SECONDS, timer)
        self._presence = Presence(service, executor, self.owner)
        self._neighbours = Neighbours(service, self.owner)
        self._is_claiming, self._may_claim = True, True
        self._next_room = 0.0
        self._is_stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> list[Job]:
        """The jobs that it follows, as they were claimed."""
        return [following.job for following, _ in self._followed]

    def start(self) -> None:
        """Work in a thread of its own."""
        assert self._thread is None, "it is started once"
        self._thread = threading.Thread(target=self._work, name="dispatcher")
        self._thread.start()

    def begin_to_stop(self) -> None:
        """Claim nothing more, and ask what runs for a checkpoint; does not wait for it."""
        self._is_stopping.set()
        self._service.news.work_came()

    def stop(self) -> None:
        """Put what runs back into the queue, with a checkpoint where it has one, and end.

        It takes `DRAIN_SECONDS` at most, and a little.
        """
        self.begin_to_stop()
        if self._thread is not None:
            self._thread.join()
        self._executor.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def turn(self, *, work_came: bool = False) -> None:
        """Look once at everything."""
        for following, funds in list(self._followed):
            self._attend(following, funds)
        ended = [one for one in self._followed if one[0].has_ended]
        self._followed = [one for one in self._followed if not one[0].has_ended]
        self._may_claim = self._may_claim or work_came or bool(ended)
        wants_room = False
        if self._look.is_due():
            self._may_claim = True
            self._guarded(self._hear_people)
            self._guarded(self._neighbours.look)
            self._guarded(partial(self._presence.tell_news, takes_jobs=self._is_claiming))
        if self._sweep.is_due():
            self._guarded(self._take_back_lapsed)
            wants_room = self._is_claiming
        if self._telling.is_due():
            self._guarded(partial(self._presence.tell, takes_jobs=self._is_claiming))
        if self._may_claim and self._is_claiming:
            self._may_claim = False
            self._guarded(self._claim)
        if wants_room:  # after claiming: a place may have come free
            self._guarded(self._make_room)

    def drain(self) -> None:
        """No new jobs; those that run are asked to stop, and go back into the queue."""
        self._is_claiming = False
        for following, _ in self._followed:
            following.ask_to_stop(Why.HANDED_BACK)

    # --- the thread

    def _work(self) -> None:
        came = True
        while not self._is_stopping.is_set():
            self._guarded(partial(self.turn, work_came=came))
            seconds = LISTEN_SECONDS if self._followed else IDLE_SECONDS
            came = self._service.news.wait_for_work(seconds)
        self.drain()
        deadline = self._timer() + DRAIN_SECONDS
        while self._followed and self._timer() < deadline:
            self._guarded(self.turn)
            time.sleep(LISTEN_SECONDS)
        for following, _ in self._followed:
            self._guarded(following.hand_back)
        self._guarded(self._presence.end)

    def _guarded(self, work: Callable[[], object]) -> None:
        """A database that is busy is asked again; a mistake of ours is told and survived."""
        try:
            work()
        except (StoreBusy, StorageFull) as error:
            _LOG.warning("The database cannot be written now: %s", error)
        except Exception:  # noqa: BLE001  the others go on
            _LOG.exception("The dispatcher made a mistake")

    # --- what runs

    def _attend(self, following: Following, funds: Funds) -> None:
        try:
            following.listen()
            if not following.has_ended:
                self._watch(following, funds)
        except LeaseLost:
            self._let_go(following)
        except (StoreBusy, StorageFull) as error:
            _LOG.warning("Job %s cannot be written down now: %s", following.job.id, error)
        except Exception as error:  # noqa: BLE001  the others go on
            _LOG.exception("What job %s said could not be kept", following.job.id)
            self._guarded(partial(self._lose, following, error))
        else:
            if following.has_succeeded:
                self._guarded(partial(self._tidy, following.job))

    def _watch(self, following: Following, funds: Funds) -> None:
        """Whatever may be a reason to end it."""
        if following.asked is not None:
            if self._timer() - following.asked_at > SECONDS_TO_STOP[following.asked]:
                following.running.kill()
            return
        if (seconds := following.watchdog.stood_still) is not None:
            error = faults.stalled(seconds, following.watchdog.phase)
            following.give_up(error, most_lost=STALLED_ATTEMPTS)
        elif (lack := funds.lack(following.used_ms)) is not None:
            following.lack = lack
            following.ask_to_stop(Why.FUNDS)

    def _let_go(self, following: Following) -> None:
        """Another attempt has the job, or it has ended: nothing of ours counts any more."""
        _LOG.warning("Job %s is not ours any more", following.job.id)
        following.running.kill()
        following.has_ended = True

    def _lose(self, following: Following, error: Exception) -> None:
        following.has_ended = True  # whatever follows: its lease lapses otherwise
        with suppress(LeaseLost):
            most = self._service.config.lost_attempts
            following.give_up(faults.failed(error).error, most_lost=most)

    def _tidy(self, job: Job) -> None:
        """What is needed no more once it has succeeded."""
        if job.kind is not JobKind.TRAIN:
            return
        prefixes = {TrainSpec.from_json(job.spec).storage_prefix}
        if (begun_from := read_key(job.checkpoint_key or "")) is not None:
            prefixes.add(begun_from.prefix)
        for prefix in prefixes:
            forget_checkpoints(self._service.files, prefix)

    # --- leases, and what people asked

    def _hear_people(self) -> None:
        if not self._followed:
            return
        with self._service.database.reading() as transaction:
            ours = {job.id: job for job in transaction.jobs.running(self.owner)}
        is_heartbeat = self._heartbeat.is_due()
        for following, _ in self._followed:
            job = ours.get(following.job.id)
            if job is None or job.attempt != following.job.attempt:
                self._let_go(following)
                continue
            if job.cancel_requested_at is not None:
                following.ask_to_stop(Why.CANCELLED)
            elif job.makes_room_for is not None:
                following.ask_to_stop(Why.MAKES_ROOM)
            if is_heartbeat:
                self._sign_of_life(following)

    def _sign_of_life(self, following: Following) -> None:
        lease = self._service.config.lease
        try:
            with self._service.database.transaction() as transaction:
                transaction.jobs.heartbeat(following.job.lease, self._service.clock(), lease)
        except LeaseLost:
            self._let_go(following)

    def _take_back_lapsed(self) -> None:
        with self._service.database.transaction() as transaction:
            lapsed = transaction.jobs.requeue_lapsed(
                self._service.clock(), most_lost=self._service.config.lost_attempts
            )
            for job in lapsed:
                if job.status.is_final:
                    outcomes.record_end(self._service, transaction, job, None)
        self._tell(lapsed)

    def _make_room(self) -> None:
        """For work of a higher priority that has waited long enough, one training at a time; the
        next one after as long again."""
        config = self._service.config
        if not config.preempt_seconds or self._timer() < self._next_room:
            return
        waited, now = timedelta(seconds=config.preempt_seconds), self._service.clock()
        most = config.running_jobs or NO_LIMIT
        without_machine = [
            following
            for following, _ in self._followed
            if following.waits_for_machine(waited) and not following.room_was_asked
        ]
        with self._service.database.transaction() as transaction:
            jobs = transaction.jobs
            asked = jobs.make_room(now, waited, most_of_one=most)
            for following in without_machine:
                if asked is None:
                    asked = jobs.make_room_for(following.job, now)
                    following.room_was_asked = asked is not None
        if asked is not None:
            self._next_room = self._timer() + config.preempt_seconds
            self._tell([asked])

    def _tell(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._service.news.tell(job.id)
            self._may_claim = True

    # --- claiming

    def _claim(self) -> None:
        in_vain: set[Offer] = set()  # of a hundred places that are alike one asks
        for slot in self._neighbours.known_to(self._executor.free_slots()):
            offer = self._offer(slot)
            if offer in in_vain:
                continue
            if (claimed := self._claimed(offer)) is None:
                in_vain.add(offer)
                continue
            job, assignment = claimed
            self._service.news.tell(job.id)
            running = self._executor.start(slot, assignment)
            following = Following(self._service, job, running, self._timer)
            self._followed.append((following, Funds(self._service, job)))

    def _offer(self, slot: Slot) -> Offer:
        return Offer(
            owner=self.owner,
            kinds=slot.kinds,
            gpus=slot.gpus,
            gpu_memory=slot.gpu_memory,
            gpu_memory_above=slot.gpu_memory_above,
            holds=slot.holds,
            nearby=slot.nearby,
            most_of_one=self._service.config.running_jobs or NO_LIMIT,
        )

    def _claimed(self, offer: Offer) -> tuple[Job, Assignment] | None:
        with self._service.database.transaction() as transaction:
            job = transaction.jobs.claim(offer, self._service.clock(), self._service.config.lease)
            if job is None:
                return None
            tell_of_start(transaction, job, self._service.clock())
            drawn: frozenset[int] = frozenset()
            if job.kind is JobKind.GENERATE:
                drawn = drawn_positions(transaction.of(job.organization_id), job)
        return job, Assignment(
            job_id=job.id,
            attempt=job.attempt,
            kind=job.kind,
            spec=job.spec,
            checkpoint_key=job.checkpoint_key,
            used_ms=job.used_ms,
            gpus=job.gpus,
            base_model=job.base_model,
            lora_sha256=job.lora_sha256,
            drawn=drawn,
        )


class _Every:
    """Due at once, and then after each so many seconds."""

    def __init__(self, seconds: float, timer: Callable[[], float]) -> None:
        self._seconds, self._timer = seconds, timer
        self._next = timer()

    def is_due(self) -> bool:
        """Whether it is time; then not again before the next time."""
        now = self._timer()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True

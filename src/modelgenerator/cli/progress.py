"""What a person, or a program, sees of a long command while it runs.

Comes in: phases, notices, events.  Goes out: bars on a terminal, plain lines into a pipe or a log,
or one JSON object a line.  It decides nothing.
"""

import json
import sys
import time
from contextlib import AbstractContextManager
from typing import Protocol, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from modelgenerator.notices import Notice
from modelgenerator.training.events import (
    Event,
    Noticed,
    PictureEncoded,
    Started,
    StepFinished,
    Validated,
    as_json,
)

PLAIN_SECONDS = 5.0


class Reporter(AbstractContextManager["Reporter"], Protocol):
    """Where a command says how it is doing."""

    def phase(self, title: str) -> None:
        """A new part of the work begins."""
        ...

    def notice(self, notice: Notice) -> None:
        """Something was decided for the person."""
        ...

    def event(self, event: Event) -> None:
        """The training went on."""
        ...

    def count(self, what: str, done: int, total: int) -> None:
        """So much of a phase is done."""
        ...

    def result(self, what: str, value: str) -> None:
        """Something that the person takes away: a file, a figure, the next command."""
        ...


def reporter(*, as_json: bool) -> Reporter:
    """The one that fits where the output goes."""
    if as_json:
        return JsonLines()
    return Bars() if sys.stdout.isatty() else PlainLines()


class _Pace:
    """Steps per second and what is left, measured since the first step of this run."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._first = 1
        self.total = 0

    def start(self, event: Started) -> None:
        self._started, self._first, self.total = (
            time.monotonic(),
            event.first_step,
            event.total_steps,
        )

    def words(self, event: StepFinished) -> str:
        seconds = max(1e-9, time.monotonic() - self._started)
        speed = (event.step - self._first + 1) / seconds
        left = (self.total - event.step) / speed
        rate = f"lr {event.learning_rate:.2e}"
        if event.d != 1:
            rate += f" x d {event.d:.2e}"
        return f"loss {event.loss:.4f}  {rate}  {speed:.1f} steps/s  {_clock(left)} left"


class PlainLines:
    """For pipes and logs: one line for what matters, and for steps every few seconds."""

    def __init__(self) -> None:
        self._pace = _Pace()
        self._last_line = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def phase(self, title: str) -> None:
        _line(f"== {title}")

    def notice(self, notice: Notice) -> None:
        _line(_notice_text(notice))

    def event(self, event: Event) -> None:
        if isinstance(event, Started):
            self._pace.start(event)
        if isinstance(event, StepFinished) and self._is_due(event):
            _line(f"step {event.step}/{self._pace.total}  {self._pace.words(event)}")
        if isinstance(event, Validated):
            _line(_validated_text(event))
        if isinstance(event, Noticed):
            self.notice(event.notice)

    def count(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._last_line > PLAIN_SECONDS:
            self._last_line = now
            _line(f"{what}: {done} of {total}")

    def result(self, what: str, value: str) -> None:
        _line(f"{what}: {value}")

    def _is_due(self, event: StepFinished) -> bool:
        now = time.monotonic()
        if event.step in (1, self._pace.total) or now - self._last_line > PLAIN_SECONDS:
            self._last_line = now
            return True
        return False


class Silence:
    """For who wants the result alone."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def phase(self, title: str) -> None: ...

    def notice(self, notice: Notice) -> None: ...

    def event(self, event: Event) -> None: ...

    def count(self, what: str, done: int, total: int) -> None: ...

    def result(self, what: str, value: str) -> None: ...


class JsonLines:
    """For programs: every event as one JSON object a line."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def phase(self, title: str) -> None:
        self._write({"event": "phase", "title": title})

    def notice(self, notice: Notice) -> None:
        self._write({"event": "notice", **vars(notice)})

    def event(self, event: Event) -> None:
        if isinstance(event, Noticed):
            self.notice(event.notice)
        else:
            self._write(as_json(event))

    def count(self, what: str, done: int, total: int) -> None:
        self._write({"event": "progress", "what": what, "done": done, "total": total})

    def result(self, what: str, value: str) -> None:
        self._write({"event": "result", "what": what, "value": value})

    def _write(self, value: dict[str, object]) -> None:
        _line(json.dumps(value, ensure_ascii=False))


class Bars:
    """For a terminal: a bar for what is going on."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._pace = _Pace()
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}"),
            console=self._console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def phase(self, title: str) -> None:
        self._console.print(f"[bold]{escape(title)}[/bold]")

    def notice(self, notice: Notice) -> None:
        colour = "yellow" if notice.level == "warning" else "dim"
        self._console.print(f"[{colour}]{escape(_notice_text(notice))}[/{colour}]")

    def event(self, event: Event) -> None:
        if isinstance(event, Started):
            self._pace.start(event)
            self.count("training", event.first_step - 1, event.total_steps)
        elif isinstance(event, StepFinished):
            self._move("training", event.step, self._pace.total, self._pace.words(event))
        elif isinstance(event, PictureEncoded):
            self.count("encoding pictures", event.done, event.total)
        elif isinstance(event, Validated):
            self._console.print(_validated_text(event))
        elif isinstance(event, Noticed):
            self.notice(event.notice)

    def count(self, what: str, done: int, total: int) -> None:
        self._move(what, done, total, "")

    def result(self, what: str, value: str) -> None:
        self._console.print(f"[bold green]{escape(what)}[/bold green]: {escape(value)}")

    def _move(self, what: str, done: int, total: int, words: str) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total, words=words)
        self._bars.update(self._tasks[what], completed=done, total=total, words=words)


def _notice_text(notice: Notice) -> str:
    setting = f"{notice.setting}: " if notice.setting else ""
    return f"{notice.level}: {setting}{notice.message}"


def _validated_text(event: Validated) -> str:
    return f"epoch {event.epoch}: loss {event.loss:.4f} on the pictures that are kept out"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

"""One line on a terminal that says how far something is.

In: events as they come.  Out: the same events, and a bar meanwhile.  Without a terminal nothing is
shown.
"""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from modelgenerator.client.events import ServerEvent


def shown(events: Iterator[ServerEvent], title: str) -> Iterator[ServerEvent]:
    """`events`, while a line shows how far they are."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[words]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as bars:
        task = bars.add_task(title, total=None, words="")
        for event in events:
            if event.name == "stepStarted":
                told = event.data
                title = f"{told.get('stepId')} ({told.get('number')} of {told.get('of')})"
                bars.update(task, description=title, total=None, completed=0, words="")
            step, total = event.data.get("step"), event.data.get("totalSteps")
            if event.name == "progress" and isinstance(step, int) and isinstance(total, int):
                bars.update(task, completed=step, total=total, words=words_of(event.data))
            phase = event.data.get("phase")
            if event.name.removeprefix("job.") == "phase" and phase:
                bars.update(task, words=str(phase))
            yield event


def words_of(progress: dict[str, Any]) -> str:
    """What there is to say beside the bar."""
    parts = [f"{progress['step']}/{progress['totalSteps']}"]
    if isinstance(loss := progress.get("loss"), float):
        parts.append(f"loss {loss:.4f}")
    if isinstance(seconds := progress.get("secondsRemaining"), int | float):
        minutes, rest = divmod(round(seconds), 60)
        parts.append(f"{minutes}:{rest:02} left")
    return "  ".join(parts)

"""The folder of one training: what was asked for, what happened, what came out.

    plan.json        the settings as written, and the plan they resolved to
    events.jsonl     everything that happened, one event a line
    checkpoint.safetensors, checkpoint-previous.safetensors
                             only while the training is not finished
    lora.safetensors         the result
    samples/, contact-sheet.png, loss.png

Comes in: a folder and a plan.  Goes out: the files, and a refusal where an earlier training would
be lost.
"""

import fcntl
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

from modelgenerator.errors import CannotResume, OutputNotWritable
from modelgenerator.training import checkpoint_files
from modelgenerator.training.events import Event, StepFinished, Validated, as_json
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.whole_files import write_whole

PLAN, EVENTS, LORA = "plan.json", "events.jsonl", "lora.safetensors"
_OURS = (PLAN, EVENTS, LORA, *checkpoint_files.NAMES)
_SHOWN = ("contact-sheet.png", "loss.png")


@contextmanager
def claimed(folder: Path, *, may_hold_training: bool) -> Generator[None, None, None]:
    """Hold `folder` for one training; a second one at the same time is refused.

    Raises:
        OutputNotWritable: it cannot be written, another training is writing into it, or it holds
            an earlier one and may not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise OutputNotWritable(
            f"The output folder {folder} cannot be written: {error.strerror}. "
            "Choose another one with --output."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise OutputNotWritable(
                f"Another training is writing into {folder} right now. Wait for it, or choose "
                "another folder with --output."
            ) from None
        if not may_hold_training:
            _require_unused(folder)
        yield


def _require_unused(folder: Path) -> None:
    if not any((folder / name).exists() for name in _OURS):
        return
    going_on = "" if (folder / LORA).exists() else "go on with it by --resume, "
    raise OutputNotWritable(
        f"{folder} holds an earlier training: {going_on}replace it by --overwrite, or choose "
        "another folder with --output."
    )


def make_room(folder: Path) -> None:
    """Clear away an earlier training.

    Raises:
        OutputNotWritable: a file of it cannot be removed.
    """
    pictures = (*folder.glob("lora-epoch-*.safetensors"), *folder.glob("samples/*.png"))
    try:
        for file in (*(folder / name for name in (*_OURS, *_SHOWN)), *pictures):
            file.unlink(missing_ok=True)
    except OSError as error:
        raise OutputNotWritable(
            f"The earlier training in {folder} cannot be removed: {error.strerror} "
            f"({error.filename}). Choose another folder with --output."
        ) from error


def write_plan(folder: Path, record: Mapping[str, object]) -> None:
    """Keep `record`, and when it was kept."""
    started = {"startedAt": datetime.now(UTC).isoformat(timespec="seconds")}
    text = plan_text({**record, **started})
    write_whole(folder / PLAN, text.encode(), called="The plan")


def plan_record(settings: Mapping[str, object], plan: TrainingPlan) -> dict[str, object]:
    """What was asked for, with the seed that was drawn, and what was made of it."""
    return {
        "settings": {**settings, "seed": plan.seed},
        "plan": plan.as_json(),
        "digest": plan.digest,
    }


def plan_text(record: Mapping[str, object]) -> str:
    """`record` as it stands in the file."""
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"


def read_plan(folder: Path) -> dict[str, Any]:
    """What `write_plan` kept.

    Raises:
        CannotResume: no training was started here, or its record is damaged.
    """
    try:
        return json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise CannotResume(
            f"No training was started in {folder}. Start one without --resume, or name the folder "
            "that it is in with --output."
        ) from None


@contextmanager
def recorded(folder: Path) -> Generator[FileIO, None, None]:
    """`events.jsonl`, to be appended to; a line is on its way to the disk as soon as it is said.

    Raises:
        OutputNotWritable: the folder is gone or not writable.
    """
    file = folder / EVENTS
    try:
        # unbuffered, so that what a full disk refused is not tried again on closing
        lines = FileIO(file, "a")
    except OSError as error:
        raise _no_events(file, error) from error
    with lines:
        yield lines


def record(lines: FileIO, event: Event) -> None:
    """Append one event, with the time.

    Raises:
        OutputNotWritable: the disk is full.
    """
    stamped = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **as_json(event)}
    rest = (json.dumps(stamped, ensure_ascii=False) + "\n").encode()
    try:
        while rest:
            rest = rest[lines.write(rest) :]
    except OSError as error:
        raise _no_events(lines.name, error) from error


def _no_events(file: object, error: OSError) -> OutputNotWritable:
    return OutputNotWritable(
        f"The record of events {file} cannot be written: {error.strerror}. "
        "Free some space or choose another folder with --output."
    )


def losses(folder: Path) -> list[tuple[int, float]]:
    """(step, loss) of the whole training; a step that was done twice counts as done last."""
    return _losses(folder, StepFinished, "step")


def validation_losses(folder: Path) -> list[tuple[int, float]]:
    """(epoch, loss on the pictures that are kept out) of the whole training."""
    return _losses(folder, Validated, "epoch")


def _losses(folder: Path, kind: type[Event], counted: str) -> list[tuple[int, float]]:
    name = kind.__name__[0].lower() + kind.__name__[1:]
    by_number: dict[int, float] = {}
    for line in (folder / EVENTS).read_text(encoding="utf-8").splitlines():
        try:
            event = json.loads(line)
        except ValueError:  # the line that a crash cut off
            continue
        if event.get("event") == name and event["loss"] is not None:
            by_number[event[counted]] = event["loss"]
    return sorted(by_number.items())

"""What does it cost to divide a step among processes?

    python benchmarks/several_processes.py [--turns 8] [--seconds 3] [--base embedded|larger ...]

The same training in one process and in two, on this machine's CPU, one thread each: batch 4, rank
16, AdamW, fp32.  Nobody works before it is asked for its next event, so they take turns of a few
seconds in which the others sleep, and are compared turn by turn.  "the machine" is how many times
the steps per second of one process two of them make; 2 is the most there could be.  "processor" is
how much more processor time a step takes when it is divided: what adding up the gradients, doing
the optimizer's work twice and running networks on half a batch cost.  It must not be read on a
machine with fewer free cores than processes; the processor time may.  Out: a table, and
`several_processes.json`.
"""

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import psutil  # noqa: E402  beneath what makes the package be found
import torch  # noqa: E402
from benchmarks.larger_base import save_larger_base  # noqa: E402
from benchmarks.train_step import write_photos  # noqa: E402

from modelgenerator.content_cache import ContentCache  # noqa: E402
from modelgenerator.datasets.prepare import Preparation, PreparedDataset, prepare  # noqa: E402
from modelgenerator.diffusion import hub  # noqa: E402
from modelgenerator.diffusion.bringing import load_brought  # noqa: E402
from modelgenerator.settings import TrainingSettings  # noqa: E402
from modelgenerator.training import teach  # noqa: E402
from modelgenerator.training.events import Event, StepFinished  # noqa: E402
from modelgenerator.training.parallel import together  # noqa: E402
from modelgenerator.training.plan import DeviceFacts  # noqa: E402
from modelgenerator.training.planning.resolve import resolve  # noqa: E402

RESULTS = Path(__file__).parent / "results"
PROCESSES = (1, 2)
BATCH = 4
SIDES = {"embedded": 32, "larger": 256}
WARM_UP = 2  # steps


@dataclasses.dataclass(frozen=True)
class Turn:
    """Of one contender."""

    steps_per_second: float
    processor_seconds: float
    """Of all its processes, for one step."""


def main() -> None:
    options = _options()
    os.environ["OMP_NUM_THREADS"] = str(max(PROCESSES))  # divided among them: one each
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        dataset = prepare(
            write_photos(Path(scratch) / "photos"), Preparation(caption_prefix="lvff")
        )
        rows = [_compared(name, dataset, Path(scratch) / name, options) for name in options.base]
    print("| base model | steps/s in 1 / 2 processes | the machine | processor |")
    print("| --- | --- | --- | --- |")
    for row in rows:
        print(
            f"| {row['base']} | {row['one']:.2f} / {row['two']:.2f} | {row['machine']:.2f}x "
            f"| {row['processor']:.2f}x |"
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "several_processes.json").write_text(json.dumps(rows, indent=2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn, in one process")
    parser.add_argument("--base", nargs="+", choices=list(SIDES), default=list(SIDES))
    return parser.parse_args()


def _compared(
    name: str, dataset: PreparedDataset, folder: Path, options: argparse.Namespace
) -> dict[str, Any]:
    folder.mkdir()
    reference = "modelgenerator/creatures"
    if name == "larger":
        reference = str(save_larger_base(folder / "base"))
    turns: dict[int, list[Turn]] = {count: [] for count in PROCESSES}
    with ExitStack() as running:
        trainings = {
            count: running.enter_context(
                closing(_training(reference, name, dataset, folder, count))
            )
            for count in PROCESSES
        }
        for events in trainings.values():
            _take(events, WARM_UP)
        begun = time.monotonic()
        _take(trainings[1], 2)
        steps = max(2, round(2 * options.seconds / (time.monotonic() - begun)))
        for number in range(options.turns):
            for count in (PROCESSES, PROCESSES[::-1])[number % 2]:
                turns[count].append(_turn(trainings[count], steps, count))
    one, two = turns[1], turns[2]
    both = list(zip(one, two, strict=True))
    return {
        "base": name,
        "steps": steps,
        "one": median(turn.steps_per_second for turn in one),
        "two": median(turn.steps_per_second for turn in two),
        "machine": median(b.steps_per_second / a.steps_per_second for a, b in both),
        "processor": median(b.processor_seconds / a.processor_seconds for a, b in both),
        "turns": {count: [dataclasses.asdict(t) for t in those] for count, those in turns.items()},
    }


def _training(
    reference: str, name: str, dataset: PreparedDataset, folder: Path, count: int
) -> Iterator[Event]:
    files = hub.look_at(reference)
    written = {
        "baseModel": reference,
        "resolution": SIDES[name],
        "batchSize": BATCH,
        "networkDim": 16,
        "optimizer": "AdamW",
        "epochs": 10_000,
        "seed": 0,
    }
    settings = TrainingSettings.from_written(written)
    plan = resolve(settings, dataset, files, DeviceFacts(kind="cpu", has_bf16=False))
    plan = dataclasses.replace(plan, processes=count)
    out = folder / str(count)
    out.mkdir()
    more = {"cache": ContentCache(None), "checkpoint_seconds": 1e9}
    if count > 1:
        return together.teach(plan, dataset, files, out, **more)
    base = load_brought(files, "fp32")
    torch.set_num_threads(1)
    return teach.teach(plan, dataset, base, out, **more)


def _take(events: Iterator[Event], steps: int) -> None:
    done = 0
    while done < steps:
        done += isinstance(next(events), StepFinished)


def _turn(events: Iterator[Event], steps: int, count: int) -> Turn:
    before, begun = _processor_seconds(count), time.monotonic()
    _take(events, steps)
    seconds = time.monotonic() - begun
    return Turn(steps / seconds, (_processor_seconds(count) - before) / steps)


def _processor_seconds(count: int) -> float:
    ours = psutil.Process()
    found = [ours, *(ours.children() if count > 1 else ())]
    return sum(sum(process.cpu_times()[:2]) for process in found)


if __name__ == "__main__":
    main()

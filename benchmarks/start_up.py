"""How long from the command to its first training step?

    python benchmarks/start_up.py [--repeats 5]

Runs the real command `modelgenerator train --json` on the embedded base model and eight small
pictures, reads its events as they come, and ends it after its first step.  Once unmeasured, so that
disk and cache are warm.  Out: for each mark on the way the median of the seconds since the command
was given, and of the processor seconds, which a busy machine changes less.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median

from train_step import write_photos

GOAL_SECONDS = 5.0
FIRST_STEP = "first step"
PROCESSOR = "processor seconds"


def mark_of(event: Mapping[str, object]) -> str | None:
    """What an event means for somebody who waits; None if nothing."""
    if event["event"] == "phase":
        return str(event["title"])
    return {"started": "started", "stepFinished": FIRST_STEP}.get(str(event["event"]))


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """By mark, in the order of the first run."""
    return {mark: median(run[mark] for run in runs) for mark in runs[0]}


def table(found: Mapping[str, float]) -> str:
    lines = ["| until | s |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {mark} | {seconds:.2f} |" for mark, seconds in found.items())])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        photos = write_photos(Path(scratch) / "photos")
        runs = [_marks(photos, Path(scratch)) for _ in range(1 + repeats)][1:]
    found = medians(runs)
    print(table(found))
    times = ", ".join(f"{run[FIRST_STEP]:.2f}" for run in runs)
    word = "reached" if found[FIRST_STEP] <= GOAL_SECONDS else "not reached"
    print(f"to the first step: {times}; the goal of {GOAL_SECONDS:g} s is {word}")


def _marks(photos: Path, scratch: Path) -> dict[str, float]:
    began = time.perf_counter()
    process = subprocess.Popen(
        [
            *(str(Path(sys.executable).with_name("modelgenerator")), "train", str(photos)),
            *("--prefix", "lvff", "--set", "seed=1"),
            *("--output", str(scratch / "run"), "--overwrite", "--json"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"MODELGENERATOR_CACHE": str(scratch / "cache")},
    )
    assert process.stdout is not None
    try:
        found = _until_first_step(process.stdout, began)
    finally:
        process.kill()
        process.stdout.close()
        _, _, used = os.wait4(process.pid, 0)
    return found | {PROCESSOR: used.ru_utime + used.ru_stime}


def _until_first_step(lines: Iterable[str], began: float) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in lines:
        mark = mark_of(json.loads(line))
        if mark is not None:
            found[mark] = time.perf_counter() - began
        if mark == FIRST_STEP:
            return found
    raise SystemExit("The command ended before its first step: what it said is above.")


if __name__ == "__main__":
    main()

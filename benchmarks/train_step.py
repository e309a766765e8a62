"""How fast is a training step, and in how much memory?

    python benchmarks/train_step.py [--quick] [--device cuda] [--threads 1] [--repeats 5]
    python benchmarks/train_step.py --family sd15|sdxl|flux

Our loop against the one a user would write with diffusers, peft and torch's or prodigyopt's
optimizers (`contenders.py` says exactly what): same base model, pictures, layers, rank, batch,
optimizer and number of threads, all in fp32.  Both must first give the same loss for the same noise
and train the same number of numbers.  "frozen" only runs the base model's own networks, forward and
back: the floor of any loop on it.  Each runs in a process of its own; they take turns, a few
seconds each, and are compared turn by turn.  Out: a table of ratios and `train_step.json`.

`--family` takes a base model of full size with random weights (`full_size.py`) at batch 1, its base
in bf16, on a GPU unless another device is said.  Only Stable Diffusion 1.5 has rivals so far; of
the others our own rate and memory are told.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parent / "results"
CONTENDERS = Path(__file__).parent / "contenders.py"
OURS, FROZEN = "ours", "frozen"
RIVALS = ("script", "script, cached", FROZEN)
PHOTOS = 8
FAMILIES = ("sd15", "sdxl", "flux")
BASES = ["embedded", "larger", "half-width"]
LOSSES_AGREE = {"fp32": 1e-4, "bf16": 2e-2}
"""By the number format of the frozen base: in bf16 the two round in other places."""
WARM_UP = 3  # steps
LIBRARIES = ("torch", "diffusers", "transformers", "peft", "prodigyopt")
COLUMNS = (
    "base, targets",
    "optimizer",
    "rival",
    "ours/s",
    "rival/s",
    "speed",
    "CPU",
    "MB",
    "memory",
)
Turn = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A base model, and what it is trained with."""

    name: str
    reference: str
    resolution: int
    targets: tuple[str, ...]
    rivals: tuple[str, ...] = RIVALS


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """One number for each turn: how many times more the rival needed."""

    turns: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.turns)

    def __str__(self) -> str:
        return f"{self.median:.2f}x ({min(self.turns):.2f}-{max(self.turns):.2f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Ours against one rival."""

    base: str
    optimizer: str
    rival: str
    parameters: int
    steps_per_turn: int
    our_steps_per_second: float
    rival_steps_per_second: float
    speed: Ratios
    cpu: Ratios
    our_peak_bytes: int
    rival_peak_bytes: int

    @property
    def memory(self) -> float:
        """How many times our memory the rival takes."""
        return self.rival_peak_bytes / self.our_peak_bytes


def ratios(ours: Sequence[Turn], rival: Sequence[Turn], what: str) -> Ratios:
    """`rival` over `ours`, turn by turn: what slowed the machine down met both."""
    return Ratios(turns=tuple(r[what] / o[what] for o, r in zip(ours, rival, strict=True)))


def order_of(turn: int, names: Sequence[str]) -> list[str]:
    """Everybody is first, second and last equally often."""
    start = turn % len(names)
    return [*names[start:], *names[:start]]


def steps_per_turn(seconds_per_step: float, wanted_seconds: float) -> int:
    return max(2, round(wanted_seconds / seconds_per_step))


def table(rows: Sequence[Row]) -> str:
    """Markdown; speed, CPU and memory are rival over ours: above 1 is good for us."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    for row in rows:
        cells = (
            row.base,
            row.optimizer,
            row.rival,
            f"{row.our_steps_per_second:.2f}",
            f"{row.rival_steps_per_second:.2f}",
            str(row.speed),
            f"{row.cpu.median:.2f}x",
            f"{row.our_peak_bytes / 2**20:.0f} / {row.rival_peak_bytes / 2**20:.0f}",
            f"{row.memory:.2f}x",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    options = _options()
    print(_machine(options), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        photos = write_photos(Path(scratch) / "photos")
        bases = _chosen(Path(scratch), options)
        cases = product(bases, options.optimizers)
        rows = [
            row
            for number, (base, optimizer) in enumerate(cases)
            for row in _compare(base, optimizer, photos, Path(scratch) / str(number), options)
        ]
    print(table(rows))
    RESULTS.mkdir(exist_ok=True)
    facts = {"machine": _machine(options), "rows": [asdict(row) for row in rows]}
    (RESULTS / "train_step.json").write_text(json.dumps(facts, indent=2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="AdamW only, 3 short turns")
    parser.add_argument("--family", choices=FAMILIES, help="of full size: bf16, batch 1, cuda")
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--dtype", choices=tuple(LOSSES_AGREE), help="of the frozen base model")
    parser.add_argument("--threads", type=int, default=1, help="of torch, for all alike")
    parser.add_argument("--repeats", type=int, help="turns of each contender (6; quick: 3)")
    parser.add_argument("--seconds", type=float, help="of our turns (4; quick: 1.5)")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--batch", type=int, help="samples a step (4; of full size: 1)")
    parser.add_argument("--bases", nargs="+", default=BASES, choices=BASES)
    parser.add_argument("--optimizers", nargs="+", choices=("AdamW", "Prodigy"))
    options = parser.parse_args()
    options.device = options.device or ("cuda" if options.family else "cpu")
    options.dtype = options.dtype or ("bf16" if options.family else "fp32")
    options.batch = options.batch or (1 if options.family else 4)
    options.repeats = options.repeats or (3 if options.quick else 6)
    options.seconds = options.seconds or (1.5 if options.quick else 4.0)
    options.optimizers = options.optimizers or (
        ["AdamW"] if options.quick else ["AdamW", "Prodigy"]
    )
    return options


def _machine(options: argparse.Namespace) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{versions}; {options.device}, {options.dtype}, {options.threads} threads, "
        f"rank {options.rank}, "
        f"batch {options.batch}; load average {load}"
    )


def _chosen(scratch: Path, options: argparse.Namespace) -> list[Base]:
    if options.family:
        return [_full_size(options.family, scratch, options.device)]
    return [base for base in _bases(scratch) if base.name.partition(",")[0] in options.bases]


def _full_size(family: str, scratch: Path, device: str) -> Base:
    import torch
    from full_size import RESOLUTIONS, save_full_size

    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("There is no CUDA device here; --device cpu would take very long.")
    return Base(
        name=family,
        reference=str(save_full_size(family, scratch / family, device=device)),
        resolution=RESOLUTIONS[family],
        targets=("attention",),
        rivals=RIVALS if family == "sd15" else (),
    )


def _bases(scratch: Path) -> list[Base]:
    from larger_base import save_half_width, save_larger_base

    from modelgenerator.diffusion.aliases import BUILTIN

    larger = str(save_larger_base(scratch / "larger"))
    half = str(save_half_width(scratch / "half-width"))
    attention, all_ = ("attention",), ("attention", "convolutions")
    return [
        Base(name="embedded, attention", reference=BUILTIN, resolution=32, targets=attention),
        Base(name="embedded, all", reference=BUILTIN, resolution=32, targets=all_),
        Base(name="larger, attention", reference=larger, resolution=256, targets=attention),
        Base(name="half-width, attention", reference=half, resolution=256, targets=attention),
    ]


def write_photos(folder: Path) -> Path:
    """Small ones: opening them is part of the script's step, and large photos would flatter us."""
    import numpy as np
    from PIL import Image

    folder.mkdir()
    chance = np.random.default_rng(0)
    for number in range(PHOTOS):
        pixels_HW3 = chance.integers(0, 256, (32, 32, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        Image.fromarray(pixels_HW3).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"lvff creature in the snow, picture {number}")
    return folder


def _compare(
    base: Base, optimizer: str, photos: Path, folder: Path, options: argparse.Namespace
) -> list[Row]:
    names = (OURS, *base.rivals)
    with ExitStack() as running:
        workers = {
            name: running.enter_context(
                _worker(_case(name, base, optimizer, photos, folder, options))
            )
            for name in names  # ours first: it writes down its first step
        }
        _require_same(workers, LOSSES_AGREE[options.dtype])
        for worker in workers.values():
            worker.turn(WARM_UP)
        ours = workers[OURS].turn(WARM_UP)
        count = steps_per_turn(ours["seconds"] / WARM_UP, options.seconds)
        turns: dict[str, list[Turn]] = {name: [] for name in names}
        for turn in range(options.repeats):
            for name in order_of(turn, names):
                turns[name].append(workers[name].turn(count))
        peaks = {name: worker.peak_bytes() for name, worker in workers.items()}
    rate = count / median(turn["seconds"] for turn in turns[OURS])
    print(f"{base.name}, {optimizer}: {rate:.2f} steps/s, {peaks[OURS] / 2**20:.0f} MB", flush=True)
    return [
        Row(
            base=base.name,
            optimizer=optimizer,
            rival=name,
            parameters=workers[OURS].parameters,
            steps_per_turn=count,
            our_steps_per_second=rate,
            rival_steps_per_second=count / median(turn["seconds"] for turn in turns[name]),
            speed=ratios(turns[OURS], turns[name], "seconds"),
            cpu=ratios(turns[OURS], turns[name], "cpuSeconds"),
            our_peak_bytes=peaks[OURS],
            rival_peak_bytes=peaks[name],
        )
        for name in base.rivals
    ]


def _case(
    name: str, base: Base, optimizer: str, photos: Path, folder: Path, options: argparse.Namespace
) -> Mapping[str, Any]:
    """A `contenders.Case`, which loads torch, as its JSON."""
    own = folder / name.replace(", ", "-")
    own.mkdir(parents=True)
    return {
        "contender": name,
        "base": base.reference,
        "photos": str(photos),
        "folder": str(own),
        "first_step": str(folder / "first_step.safetensors"),
        "resolution": base.resolution,
        "optimizer": optimizer,
        "targets": base.targets,
        "rank": options.rank,
        "batch": options.batch,
        "device": options.device,
        "dtype": options.dtype,
        "threads": options.threads,
    }


class _Worker:
    """A contender that is ready."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        facts = self._read()
        self.parameters, self.first_loss = int(facts["parameters"]), facts["firstLoss"]

    def turn(self, steps: int) -> Turn:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        return self._read()

    def peak_bytes(self) -> int:
        """The last that it says."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return int(self._read()["peakBytes"])

    def _read(self) -> Turn:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # libraries print too
                return json.loads(line)
        raise SystemExit("A contender stopped: what it said is above.")


@contextmanager
def _worker(case: Mapping[str, Any]) -> Generator[_Worker, None, None]:
    quiet = {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(case["threads"])}
    process = subprocess.Popen(
        [sys.executable, str(CONTENDERS), json.dumps(case)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | quiet,
    )
    try:
        yield _Worker(process)
    finally:
        process.kill()
        process.wait()


def _require_same(workers: Mapping[str, _Worker], tolerance: float) -> None:
    """A faster loop that learns something else has won nothing."""
    ours = workers[OURS]
    learning = {name: worker for name, worker in workers.items() if name != FROZEN}
    for name, rival in learning.items():
        if rival.parameters != ours.parameters:
            raise SystemExit(f"{name} trains {rival.parameters} numbers, we {ours.parameters}")
        if abs(rival.first_loss - ours.first_loss) > tolerance * abs(ours.first_loss):
            raise SystemExit(f"{name} begins at loss {rival.first_loss}, we at {ours.first_loss}")
    print(f"same {ours.parameters} parameters, same first loss {ours.first_loss:.6f}", flush=True)


if __name__ == "__main__":
    main()

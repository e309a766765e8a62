"""How long does the optimizer's part of a step take?

    python benchmarks/optimizer_step.py [--device cuda] [--threads 1] [--rounds 15] [--rank 32]

Our optimizers on flat buffers against the libraries' on the same 500 matrices, as large as those of
a LoRA for Stable Diffusion 1.5: same start, same gradients, same settings.  The two take turns step
by step in one process and are compared turn by turn.  Out: a table of ratios, below 1 is faster,
and `optimizer_step.json`.
"""

import argparse
import contextlib
import io
import itertools
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import dadaptation
import dadaptation.experimental
import prodigyopt
import torch
from torch import Tensor, nn
from transformers.optimization import Adafactor

from modelgenerator.training.optimizers.by_name import OPTIMIZERS
from modelgenerator.training.optimizers.flat import FlatMatrix

RESULTS = Path(__file__).parent / "results"
SIDES = ((320, 320), (640, 640), (1280, 1280), (768, 320), (768, 1280), (320, 2560), (1280, 320))
PAIRS = 250
WARM_UP = 3  # steps
Step = Callable[[], None]
Rival = Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One of ours, and what it is compared with."""

    ours: str
    arguments: dict[str, float | bool]
    rival: str
    make_rival: Rival
    rate: float = 1.0
    goal: float | None = None
    """The ratio that was promised, where one was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Milliseconds a step, and ours over the rival's, each the median over all turns."""

    ours: str
    rival: str
    ours_ms: float
    rival_ms: float
    ratio: float
    goal: float | None

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        return f"goal {self.goal:g}: {'met' if self.ratio <= self.goal else 'MISSED'}"


def compare(case: Case, ours: Sequence[float], theirs: Sequence[float]) -> Comparison:
    """From seconds by turn: what slowed the machine in a turn slowed both."""
    return Comparison(
        ours=case.ours,
        rival=case.rival,
        ours_ms=1000 * median(ours),
        rival_ms=1000 * median(theirs),
        ratio=median(mine / yours for mine, yours in zip(ours, theirs, strict=True)),
        goal=case.goal,
    )


def shapes(rank: int) -> list[tuple[int, int]]:
    """All downs, then all ups, as in `LoraNetwork`."""
    sides = list(itertools.islice(itertools.cycle(SIDES), PAIRS))
    return [(rank, inputs) for inputs, _ in sides] + [(outputs, rank) for _, outputs in sides]


def cases(device: str) -> list[Case]:
    d_options = {"use_bias_correction": True, "decouple": True, "weight_decay": 0.01}
    preprint = {"decouple": True, "weight_decay": 0.01}

    def fused(parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, lr=1e-4, fused=True)

    against_libraries = [
        Case(
            ours="Prodigy",
            arguments=d_options,
            rival="prodigyopt",
            make_rival=lambda p: prodigyopt.Prodigy(p, **d_options),
            goal=0.5 if device == "cpu" else None,
        ),
        Case(
            ours="DAdaptAdam",
            arguments=d_options,
            rival="dadaptation",
            make_rival=lambda p: dadaptation.DAdaptAdam(p, **d_options),
        ),
        Case(
            ours="DAdaptation",
            arguments=preprint,
            rival="dadaptation, preprint",
            make_rival=lambda p: dadaptation.experimental.DAdaptAdamPreprint(p, **preprint),
        ),
        Case(
            ours="AdaFactor",
            arguments={},
            rival="transformers",
            make_rival=lambda p: Adafactor(p),
        ),
    ]
    against_fused = [
        Case(ours=ours, arguments={}, rival="torch, fused AdamW", make_rival=fused, rate=1e-4)
        for ours in ("AdamW", "AdamW8bit")
    ]
    on_a_gpu = Case(
        ours="Prodigy",
        arguments=d_options,
        rival="torch, fused AdamW",
        make_rival=fused,
        goal=1.5,
    )
    return [*against_libraries, *against_fused, *([on_a_gpu] if device != "cpu" else [])]


def our_step(case: Case, start_N: Tensor, gradients_N: Tensor, rank: int) -> Step:
    starts = itertools.accumulate((math.prod(shape) for shape in shapes(rank)), initial=0)
    matrices = [FlatMatrix(s, shape) for s, shape in zip(starts, shapes(rank), strict=False)]
    values_N = start_N.clone()
    optimizer = OPTIMIZERS[case.ours](values_N, gradients_N.clone(), matrices, **case.arguments)
    return lambda: optimizer.step(case.rate)


def their_step(case: Case, start_N: Tensor, gradients_N: Tensor, rank: int) -> Step:
    sizes = [math.prod(shape) for shape in shapes(rank)]
    pieces = zip(start_N.split(sizes), gradients_N.split(sizes), shapes(rank), strict=True)
    parameters: list[nn.Parameter] = []
    for value_N, gradient_N, shape in pieces:
        parameters.append(nn.Parameter(value_N.clone().view(shape)))
        parameters[-1].grad = gradient_N.clone().view(shape)
    with contextlib.redirect_stdout(io.StringIO()):  # some print
        optimizer = case.make_rival(parameters)
    return lambda: optimizer.step()


def seconds(step: Step, device: str) -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    started = time.perf_counter()
    step()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def measure(case: Case, *, device: str, rounds: int, rank: int) -> Comparison:
    g = torch.Generator().manual_seed(0)
    length = sum(math.prod(shape) for shape in shapes(rank))
    start_N = 0.05 * torch.randn(length, generator=g)
    start_N[length // 2 :] = 0  # about where the ups are
    gradients_N = (1e-3 * torch.randn(length, generator=g)).to(device)
    buffers = start_N.to(device), gradients_N
    pair = our_step(case, *buffers, rank), their_step(case, *buffers, rank)
    for step in pair * WARM_UP:
        step()
    turns = [[seconds(step, device) for step in pair] for _ in range(rounds)]
    return compare(case, [mine for mine, _ in turns], [yours for _, yours in turns])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rank", type=int, default=32)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    numbers = sum(math.prod(shape) for shape in shapes(options.rank))
    machine = torch.cuda.get_device_name() if options.device != "cpu" else "CPU"
    print(
        f"{2 * PAIRS} matrices, {numbers / 1e6:.1f} million numbers, {machine}, "
        f"{options.threads} threads, torch {torch.__version__}, median of {options.rounds}"
    )
    found: list[Comparison] = []
    for case in cases(options.device):
        result = measure(case, device=options.device, rounds=options.rounds, rank=options.rank)
        found.append(result)
        print(
            f"{result.ours:12} {result.ours_ms:8.1f} ms   {result.rival:22} "
            f"{result.rival_ms:8.1f} ms   ratio {result.ratio:5.2f}   {result.verdict}",
            flush=True,
        )
    RESULTS.mkdir(exist_ok=True)
    record = json.dumps([asdict(result) for result in found], indent=2)
    (RESULTS / "optimizer_step.json").write_text(record + "\n")


if __name__ == "__main__":
    main()

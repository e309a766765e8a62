"""What the benchmark of learning says at the end: counts, intervals, a table, contact sheets.

In: outcomes of trainings.  Out: text, JSON values, pictures.  It trains and draws nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from counting import Count, together, wilson
from judge_pictures import LOOKS
from PIL import Image

from modelgenerator.generation.contact_sheet import Row, contact_sheet

GOALS = {"held-out scene: all looks": 0.8, "held-out scene: scene": 0.8}
"""What must be reached, of all pictures together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One training: how many pictures show what was asked for."""

    subject: str
    seed: int
    held_out: str
    seconds: float
    counts: Mapping[str, Count]

    def as_json(self) -> dict[str, object]:
        return {
            "subject": self.subject,
            "seed": self.seed,
            "heldOut": self.held_out,
            "seconds": round(self.seconds, 1),
            "counts": {name: asdict(part) for name, part in self.counts.items()},
        }


COLUMNS = {
    "base": "without LoRA: subject",
    "subject": "held-out scene: subject",
    "scene": "held-out scene: scene",
    "both": "held-out scene: both",
    "looks": "held-out scene: all looks",
    "flawless": "held-out scene: flawless",
    "trained": "trained scene: subject",
    "plain": "plain: subject",
    "ctl base": "control, without LoRA",
    "ctl LoRA": "control, with LoRA",
    "leak": "control, with LoRA: subject",
}
"""Heading of each column, and the count below it."""


def outcome_table(outcomes: Sequence[Outcome]) -> str:
    """A line for each training, in per cent, and their totals."""
    head = f"{'subject':8}{'seed':>5}  {'held out':9}" + "".join(f"{c:>9}" for c in COLUMNS)
    lines = [head + f"{'seconds':>9}"]
    for outcome in outcomes:
        cells = (str(outcome.counts[name]) for name in COLUMNS.values())
        start = f"{outcome.subject:8}{outcome.seed:5}  {outcome.held_out:9}"
        lines.append(start + "".join(f"{cell:>9}" for cell in cells) + f"{outcome.seconds:9.0f}")
    cells = (str(sums(outcomes)[name]) for name in COLUMNS.values())
    lines.append(f"{'all':8}{'':5}  {'':9}" + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


def sums(outcomes: Sequence[Outcome]) -> dict[str, Count]:
    return {
        name: together(outcome.counts[name] for outcome in outcomes) for name in outcomes[0].counts
    }


def totals_table(outcomes: Sequence[Outcome]) -> str:
    """Every count with its 95 % interval, and whether it reaches its goal."""
    lines = [f"{'of all pictures together':34}{'count':>11}{'share':>8}{'95 % interval':>17}"]
    for name, part in sums(outcomes).items():
        low, high = wilson(part)
        interval = f"{100 * low:.0f} to {100 * high:.0f} %"
        line = f"{name:34}{f'{part.right}/{part.total}':>11}{part!s:>8}{interval:>17}"
        lines.append(line + _verdict(name, part))
    return "\n".join(lines)


def reached(outcomes: Sequence[Outcome]) -> bool:
    summed = sums(outcomes)
    return all(summed[name].share >= goal for name, goal in GOALS.items())


def looks_table(outcomes: Sequence[Outcome]) -> str:
    """Which looks are right in the held-out scene, the subject's trainings together."""
    lines = [f"{'looks, held-out scene':24}" + "".join(f"{look:>15}" for look in LOOKS)]
    for subject in dict.fromkeys(outcome.subject for outcome in outcomes):
        summed = sums([outcome for outcome in outcomes if outcome.subject == subject])
        cells = (str(summed[f"held-out scene: {look}"]) for look in LOOKS)
        lines.append(f"{subject:24}" + "".join(f"{cell:>15}" for cell in cells))
    return "\n".join(lines)


def sheet(
    title: str, photos: Sequence[Image.Image], rows: Mapping[str, Sequence[Image.Image]]
) -> Image.Image:
    """What was learnt from, and below it what was drawn; at most eight pictures in a row."""
    shown = {"trained on": photos} | dict(rows)
    return contact_sheet(
        title,
        [Row(label=label, pictures=list(pictures)[:8]) for label, pictures in shown.items()],
    )


def _verdict(name: str, part: Count) -> str:
    if name not in GOALS:
        return ""
    goal = GOALS[name]
    word = "PASS" if part.share >= goal else "BELOW GOAL"
    return f"   {word} (goal {100 * goal:.0f} %)"

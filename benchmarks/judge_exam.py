"""How far the judge can be trusted: it is asked about drawings whose truth is known.

In: a judge.  Out: its scores, and a table of them.  The drawings are fresh: none was in a lesson.

    python benchmarks/judge_exam.py     # teach the judge, if need be, and print the table
"""

import argparse
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from counting import Count, count
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from judge import Judge, a_judge, autoencoder_of, carried
from judge_pictures import KINDS, LABELS, SUBJECT_NAMES, Example, Kind, a_subject

from modelgenerator.diffusion import builtin

EMBEDDED = Path(builtin.__file__).parent / "creatures"
EXAM = 2 * 10**7  # first seed of the fresh drawings


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How often the judge was right about one sort of picture."""

    name: str
    drawn: Count
    carried: Count | None = None  # the same pictures after the autoencoder


def examine(judge: Judge, autoencoder: AutoencoderKL, pictures: int) -> list[Score]:
    """All questions over all pictures, then sort by sort whether it names the subject.

    A subject is right when it is named; anything else is right when no subject is named.
    """
    scores: list[Score] = []
    everything: list[Example] = []
    for number, kind in enumerate(_exam_kinds()):
        seeds = range(EXAM + number * 10_000, EXAM + number * 10_000 + pictures)
        drawn = [kind.draw(random.Random(seed)) for seed in seeds]
        looks = [example.pixels_HW3 for example in drawn]
        said, said_of_carried = (
            judge.say(shown) for shown in (looks, carried(autoencoder, looks, seed=number))
        )
        name = kind.name if kind.is_subject else f"not fooled: {kind.name}"
        scores.append(
            Score(
                name=name,
                drawn=_right("subject", said, drawn),
                carried=_right("subject", said_of_carried, drawn),
            )
        )
        everything += drawn
    said = judge.say([example.pixels_HW3 for example in everything])
    overall = [Score(name=f"{q}, all", drawn=_right(q, said, everything)) for q in LABELS]
    return overall + scores


def exam_table(scores: Sequence[Score]) -> str:
    """A line for each score: pictures as drawn, and after the autoencoder."""
    lines = [f"{'the judge on fresh drawings':34}{'as drawn':>10}{'autoencoder':>13}"]
    for score in scores:
        through = f"{100 * score.carried.share:11.1f} %" if score.carried else ""
        lines.append(f"{score.name:34}{100 * score.drawn.share:8.1f} %{through}")
    return "\n".join(lines)


def _exam_kinds() -> list[Kind]:
    subjects_alone = [
        Kind(name=name, share=1, draw=a_subject(name), is_subject=True) for name in SUBJECT_NAMES
    ]
    return [*subjects_alone, *(kind for kind in KINDS if not kind.is_subject)]


def _right(question: str, said: Mapping[str, Sequence[str]], drawn: Sequence[Example]) -> Count:
    """Pictures whose truth is open do not count."""
    answers = zip([e.true_word(question) for e in drawn], said[question], strict=True)
    return count(true == word for true, word in answers if true is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--base-model", type=Path, default=EMBEDDED, help="a diffusers folder")
    parser.add_argument("--pictures", type=int, default=200, help="per row of the table")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    judge = a_judge(arguments.base_model)
    scores = examine(judge, autoencoder_of(arguments.base_model), arguments.pictures)
    print(exam_table(scores))


if __name__ == "__main__":
    main()

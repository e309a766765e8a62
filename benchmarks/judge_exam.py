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
from judge_pictures import (
    KINDS,
    LABELS,
    LOOKS,
    SUBJECT_NAMES,
    Example,
    Kind,
    a_subject,
    looks_of,
)

from modelgenerator.diffusion import builtin
from modelgenerator.diffusion.builtin.subjects import SUBJECTS

EMBEDDED = Path(builtin.__file__).parent / "creatures"
EXAM = 2 * 10**7  # first seed of the fresh drawings
QUESTION = "as drawn"
WAYS = ("subject", "subject, autoencoder", "flawless", "flawless, autoencoder")
"""Two ways of naming a subject, each with pictures as drawn and after the autoencoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How often the judge was right about one question, or about one sort of picture."""

    name: str
    counts: Mapping[str, Count]  # by `QUESTION` alone, or by each of `WAYS`


def looks_to_show(subject: str) -> dict[str, str]:
    """What the judge must say to each of `LOOKS` of a picture that shows `subject`."""
    looks = looks_of(SUBJECTS[subject]) | {"colour": subject, "second colour": subject}
    return {look: looks[look] for look in LOOKS}


def examine(judge: Judge, autoencoder: AutoencoderKL, pictures: int) -> list[Score]:
    """All questions over all pictures, then sort by sort whether it names the subject.

    A subject is right when it is named; anything else is right when no subject is named.  Both
    questions that name one are examined: who it is, and whether it is undamaged too.
    """
    scores: list[Score] = []
    everything: list[Example] = []
    for number, kind in enumerate(_exam_kinds()):
        seeds = range(EXAM + number * 10_000, EXAM + number * 10_000 + pictures)
        drawn = [kind.draw(random.Random(seed)) for seed in seeds]
        shown = [example.pixels_HW3 for example in drawn]
        said, said_of_carried = (
            judge.say(pixels) for pixels in (shown, carried(autoencoder, shown, seed=number))
        )
        ways = (
            said["subject"],
            said_of_carried["subject"],
            said["flawless"],
            said_of_carried["flawless"],
        )
        scores.append(
            Score(
                name=kind.name if kind.is_subject else f"not fooled: {kind.name}",
                counts={
                    way: _right("flawless", words, drawn)
                    for way, words in zip(WAYS, ways, strict=True)
                },
            )
        )
        everything += drawn
    said = judge.say([example.pixels_HW3 for example in everything])
    overall = [
        Score(name=question, counts={QUESTION: _right(question, said[question], everything)})
        for question in LABELS
    ]
    return overall + scores


def exam_table(scores: Sequence[Score]) -> str:
    """First the questions over all pictures, then a line for each sort of picture."""
    overall = [score for score in scores if QUESTION in score.counts]
    sorts = [score for score in scores if QUESTION not in score.counts]
    return "\n".join(
        [
            f"{'the judge on fresh drawings':34}{QUESTION:>12}",
            *(_row(score, (QUESTION,)) for score in overall),
            "",
            f"{'':34}{'------ subject ------':>25}{'----- flawless -----':>25}",
            f"{'names the subject, or none':34}" + f"{'as drawn':>12}{'autoencoder':>13}" * 2,
            *(_row(score, WAYS) for score in sorts),
        ]
    )


def _row(score: Score, ways: Sequence[str]) -> str:
    cells = [f"{100 * score.counts[way].share:.1f} %" for way in ways]
    widths = (12, 13, 12, 13)[: len(cells)]
    row = "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return f"{score.name:34}{row}"


def _exam_kinds() -> list[Kind]:
    subjects_alone = [
        Kind(name=name, share=1, draw=a_subject(name), is_subject=True) for name in SUBJECT_NAMES
    ]
    return [*subjects_alone, *(kind for kind in KINDS if not kind.is_subject)]


def _right(question: str, words: Sequence[str], drawn: Sequence[Example]) -> Count:
    """Pictures whose truth is open do not count."""
    answers = zip([e.true_word(question) for e in drawn], words, strict=True)
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

"""Trainings side by side: what differs in them, and what they drew.

In: trainings as the operations show them, their samples, pictures that were asked of them.  Out:
rows for templates, with a cell for each training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from modelgenerator.service.dashboard.settings_form import in_words
from modelgenerator.service.operations.inferences import ShownInference, ShownPicture
from modelgenerator.service.operations.training_status import Sample, ShownTraining

_NO_SETTINGS = {"pictures", "validationPictures", "datasetFingerprint", "memoryBytes"}
"""Parts of a plan that are too long to compare, or nobody's choice."""


@dataclass(frozen=True, slots=True)
class DifferentRow:
    """One thing that is not the same everywhere."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SampleOfAll:
    """What one prompt looked like at last in each training; none: it was not drawn there."""

    prompt: str
    samples: tuple[Sample | None, ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One cell of the grid: a picture, or how it stands."""

    picture: ShownPicture | None
    status: str


@dataclass(frozen=True, slots=True)
class DrawnRow:
    """One prompt with one seed, as each training draws it."""

    prompt: str
    seed: int
    cells: tuple[Drawn, ...]


def differences(trainings: Sequence[ShownTraining]) -> list[DifferentRow]:
    """What their plans, and the pictures they learnt from, do not have in common."""
    plans = [it.training.plan for it in trainings]
    names = list({name: 0 for plan in plans for name in plan})
    rows = [
        DifferentRow(name, tuple(in_words(plan.get(name)) for plan in plans))
        for name in names
        if name not in _NO_SETTINGS
    ]
    subjects = tuple(it.subject.name if it.subject else "none" for it in trainings)
    rows.insert(0, DifferentRow("subject", subjects))
    rows.insert(1, DifferentRow("photos", tuple(_pictures(it) for it in trainings)))
    rows.insert(2, DifferentRow("set of photos", tuple(_picture_set(it) for it in trainings)))
    return [row for row in rows if len(set(row.values)) > 1]


def shared_samples(samples: Sequence[Sequence[Sample]]) -> list[SampleOfAll]:
    """Of each prompt that more than one training drew, the last sample of each."""
    last = [{it.prompt: it for it in some} for some in samples]
    prompts = list({prompt: 0 for found in last for prompt in found})
    rows = [SampleOfAll(it, tuple(found.get(it) for found in last)) for it in prompts]
    return [row for row in rows if sum(it is not None for it in row.samples) > 1]


def drawn_grid(ids: Sequence[UUID], inferences: Sequence[ShownInference]) -> list[DrawnRow]:
    """Pictures by prompt and seed, with a column for each of the trainings `ids`."""
    wishes = list({wish: 0 for it in inferences for wish in _wishes(it)})
    return [
        DrawnRow(prompt, seed, tuple(_cell(inferences, id, prompt, seed) for id in ids))
        for prompt, seed in wishes
    ]


def prompts_in(text: str) -> list[str]:
    """One a line."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def _cell(inferences: Sequence[ShownInference], id: UUID, prompt: str, seed: int) -> Drawn:
    """The newest of those that were asked."""
    found = Drawn(None, "not asked for")
    for it in inferences:
        for position, image in enumerate(it.inference.images):
            if _is(image, id, prompt, seed):
                made = {one.picture.position: one for one in it.pictures}.get(position)
                found = Drawn(made, str(it.job.status))
    return found


def _is(image: Mapping[str, object], id: UUID, prompt: str, seed: int) -> bool:
    return (image["trainingId"], image["prompt"], image["seed"]) == (str(id), prompt, seed)


def _wishes(shown: ShownInference) -> list[tuple[str, int]]:
    return [(str(it["prompt"]), int(str(it["seed"]))) for it in shown.inference.images]


def _pictures(shown: ShownTraining) -> str:
    pictures = shown.training.plan.get("pictures")
    return str(len(cast(list[object], pictures)) if isinstance(pictures, list) else 0)


def _picture_set(shown: ShownTraining) -> str:
    """The beginning of what tells sets of pictures and captions apart."""
    return str(shown.training.plan.get("datasetFingerprint"))[:8]

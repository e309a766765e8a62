"""What do the settings do?  Small trainings on the drawn world that differ in one setting each.

    python benchmarks/settings_matter.py [--only maskedLoss optimizers] [--steps 144]

Each case of an experiment: 8 drawn photos, the base model's recommended settings without
`priorPreservation` (it doubles the time), one change; the library's `teach` makes a LoRA,
`generate` draws with it, and the judge of `learning.py` says what each picture shows.  Two lessons
a case, each with a subject and a seed of its own.  All pictures count: none is chosen.
Out: a table for each experiment, contact sheets and `results.json`.  What an earlier run drew with
the same settings is not drawn again (`--afresh`: it is).
"""

import argparse
import json
import logging
import shutil
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from counting import Count, count, together, wilson
from judge import Judge, a_judge
from judge_exam import looks_to_show
from judge_pictures import Pixels
from learning import RESULTS, machine
from PIL import Image
from settings_experiments import EXPERIMENTS, LOUD, Case, Experiment, Lesson, write_photos

from modelgenerator.cli.base_models import this_machine
from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import Preparation, PreparedDataset, prepare
from modelgenerator.datasets.segmenters.choice import choose_segmenter
from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles, look_at
from modelgenerator.diffusion.load import load
from modelgenerator.diffusion.recommended import image_defaults, training_settings
from modelgenerator.errors import TrainingDiverged
from modelgenerator.generation.contact_sheet import Row, contact_sheet
from modelgenerator.generation.generate import generate
from modelgenerator.generation.wishes import plan_images
from modelgenerator.lora import files as lora_files
from modelgenerator.settings import ImageSettings, TrainingSettings
from modelgenerator.training.events import EpochFinished, Event, Finished, StepFinished
from modelgenerator.training.loop import LORA_FILE
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.planning.objective import mask_shades
from modelgenerator.training.planning.resolve import resolve
from modelgenerator.training.teach import teach

LESSONS = (Lesson(subject="lvff", seed=0), Lesson(subject="zorb", seed=1))
LAST_STEPS = 50  # whose mean loss is told
ASIDE = 2.0  # pixels from the middle from which a subject stands on one side
GREY = (0.299, 0.587, 0.114)  # how bright red, green and blue are

log = logging.getLogger("settings_matter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """What one training cost and drew: numbers by name, pictures by prompt."""

    lesson: Lesson
    facts: Mapping[str, float]
    drawn: Mapping[str, Sequence[Pixels]]


@dataclass(slots=True, kw_only=True)
class Workshop:
    """What all trainings share."""

    files: BaseModelFiles
    base: ModelFamily
    judge: Judge
    folder: Path
    steps: int
    pictures: int
    afresh: bool
    lessons: Sequence[Lesson]
    done: set[str] = field(default_factory=set[str])
    """Trainings that this run has made or found."""

    def settings(self, case: Case, lesson: Lesson) -> TrainingSettings:
        usual = training_settings(self.files)
        for name in ("priorPreservation", "priorPrompts"):
            del usual[name]
        usual |= {"epochs": self.steps // 2, "seed": lesson.seed, "captionPrefix": lesson.subject}
        for name, value in case.changes(self.steps).items():
            if value is None:
                usual.pop(name, None)
            else:
                usual[name] = value
        return TrainingSettings.from_written({"baseModel": BUILTIN, **usual})


# One training


def taught(shop: Workshop, case: Case, lesson: Lesson) -> Taught:
    """Train and draw, unless the same was done before."""
    settings = shop.settings(case, lesson)
    prompts = {name: words.format(lesson.subject) for name, words in case.prompts.items()}
    asked = [settings.given(), case.photos, lesson.subject] if case.trains else "no LoRA"
    name = f"{lesson.subject}-{_digest(asked)}"
    folder = shop.folder / "trainings" / name
    if name not in shop.done and (shop.afresh or not (folder / "facts.json").exists()):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        facts = _train(shop, settings, case, lesson, folder) if case.trains else {}
        (folder / "facts.json").write_text(json.dumps(facts))
    shop.done.add(name)
    facts = json.loads((folder / "facts.json").read_text())
    if "diverged" in facts:
        return Taught(lesson=lesson, facts=facts, drawn={})
    file = folder / f"drawn-{_digest([prompts, shop.pictures])}.npz"
    if not file.exists():
        np.savez_compressed(file, pictures_PNHW3=_draw(shop, prompts, folder, lesson))
    pictures_PNHW3 = np.load(file)["pictures_PNHW3"]
    drawn = {prompt: list(part) for prompt, part in zip(prompts, pictures_PNHW3, strict=True)}
    if case.trains:
        # as planned: what an earlier training left behind in this process hides the true peak
        facts["memory MB"] = _planned(shop, settings, folder)[1].memory_bytes / 1e6
    return Taught(lesson=lesson, facts=facts, drawn=drawn)


def _digest(asked: object) -> str:
    return sha256(json.dumps(asked).encode()).hexdigest()[:12]


def _train(
    shop: Workshop, settings: TrainingSettings, case: Case, lesson: Lesson, folder: Path
) -> dict[str, float]:
    write_photos(lesson, case.photos, folder / "photos")
    dataset, plan = _planned(shop, settings, folder)
    cpu, wall = time.process_time(), time.monotonic()
    events: list[Event] = []
    try:
        events.extend(teach(plan, dataset, shop.base, folder, cache=ContentCache(None)))
    except TrainingDiverged as problem:
        log.info("%s, %s: %s", case.name, lesson.subject, problem)
        return {"diverged": 1.0}
    seconds = time.process_time() - cpu
    steps = [event for event in events if isinstance(event, StepFinished)]
    last = next(event for event in events if isinstance(event, Finished))
    return {
        "steps": len(steps),
        "epochs": sum(isinstance(event, EpochFinished) for event in events),
        "loss": statistics.fmean(step.loss for step in steps[-LAST_STEPS:]),
        "d": steps[-1].d,
        "CPU s": seconds,
        "ms/step": 1000 * seconds / len(steps),
        "wall s": time.monotonic() - wall,
        "LoRA MB": last.lora_file.stat().st_size / 1e6,
    }


def _planned(
    shop: Workshop, settings: TrainingSettings, folder: Path
) -> tuple[PreparedDataset, TrainingPlan]:
    how = Preparation(
        caption_prefix=settings.caption_prefix,
        normalize=settings.normalize_dataset,
        shades=mask_shades(settings),
        segmenter=choose_segmenter()[0],
    )
    dataset = prepare(folder / "photos", how)
    return dataset, resolve(settings, dataset, shop.files, this_machine())


def _draw(shop: Workshop, prompts: Mapping[str, str], folder: Path, lesson: Lesson) -> Pixels:
    """`pictures_PNHW3`: N of each prompt, in their order."""
    steps = image_defaults(shop.files).steps
    wishes = [
        ImageSettings.from_written(
            {"prompt": words, "count": shop.pictures, "steps": steps, "seed": 1000 + lesson.seed}
        )
        for words in prompts.values()
    ]
    file = folder / LORA_FILE
    lora = lora_files.load(file) if file.exists() else None
    drawn = [
        np.asarray(one.image.convert("RGB"))
        for one in generate(plan_images(wishes, shop.files), shop.base, lora)
    ]
    return np.stack(drawn).reshape(len(prompts), shop.pictures, *drawn[0].shape)


# What is measured


def measures(experiment: Experiment, one: Taught, judge: Judge) -> dict[str, Count | float]:
    """By column: how many pictures of how many, or a number."""
    measured: dict[str, Count | float] = {}
    for prompt, pictures in one.drawn.items():
        measured |= {
            f"{prompt}: {column}": value
            for column, value in _seen(experiment, one, prompt, pictures, judge).items()
        }
    return measured | dict(one.facts)


def _seen(
    experiment: Experiment, one: Taught, prompt: str, pictures: Sequence[Pixels], judge: Judge
) -> dict[str, Count | float]:
    subject = one.lesson.subject
    leftness = [offset_from_middle(picture) for picture in pictures]
    said = judge.say(centred(pictures, leftness) if experiment.moved else pictures)
    looks = looks_to_show(subject)
    right = [
        sum(said[look][n] == word for look, word in looks.items()) for n in range(len(pictures))
    ]
    return {
        "scene": count(scene == prompt.split(",")[0].split()[0] for scene in said["scene"]),
        "leak": count(scene == experiment.leaks for scene in said["scene"]),
        "subject": count(name == subject for name in said["subject"]),
        "looks": together(Count(right=number, total=len(looks)) for number in right),
        "left": count(offset < -ASIDE for offset in leftness),
        "right": count(offset > ASIDE for offset in leftness),
        "loud": count(shows_wall(picture) for picture in pictures),
        "brightness": statistics.fmean(brightness(picture) for picture in pictures),
    }


def offset_from_middle(pixels_HW3: Pixels) -> float:
    """Columns from the middle to what differs from the background: negative is left.

    The background is the colour that the border has most nearly everywhere: its median.
    """
    border = np.concatenate([pixels_HW3[0], pixels_HW3[-1], pixels_HW3[:, 0], pixels_HW3[:, -1]])
    distance_HW = np.abs(pixels_HW3.astype(int) - np.median(border, axis=0)).sum(axis=2)
    columns = np.nonzero(distance_HW > 90)[1]
    return float(columns.mean() - (pixels_HW3.shape[1] - 1) / 2) if columns.size else 0.0


def centred(pictures: Sequence[Pixels], offsets: Sequence[float]) -> list[Pixels]:
    """The judge was taught with subjects in the middle."""
    return [
        np.roll(picture, -round(offset), axis=1)
        for picture, offset in zip(pictures, offsets, strict=True)
    ]


def shows_wall(pixels_HW3: Pixels) -> bool:
    """Whether both colours of the wall, or nearly, cover a twentieth of the picture each."""
    distance_HWC = np.abs(pixels_HW3[:, :, None].astype(int) - np.array(LOUD)).sum(axis=3)
    return bool(((distance_HWC < 120).mean(axis=(0, 1)) > 0.05).all())


def brightness(pixels_HW3: Pixels) -> float:
    """Mean grey, 0 black to 255 white."""
    return float((pixels_HW3 @ np.array(GREY)).mean())


def summed(parts: Iterable[Mapping[str, Count | float]]) -> dict[str, Count | float]:
    """Counts together, numbers by their mean."""
    pairs = sorted((pair for part in parts for pair in part.items()), key=lambda pair: pair[0])
    result: dict[str, Count | float] = {}
    for name, group in groupby(pairs, key=lambda pair: pair[0]):
        values = [value for _, value in group]
        counts = [value for value in values if isinstance(value, Count)]
        numbers = [value for value in values if not isinstance(value, Count)]
        result[name] = together(counts) if counts else statistics.fmean(numbers)
    return result


# What is told


def table(
    columns: Mapping[str, Sequence[str]], rows: Mapping[str, Mapping[str, Count | float]]
) -> str:
    """Markdown: a line for each case; a column adds up the counts that it names."""
    lines = ["| case | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for case, measured in rows.items():
        cells = [
            cell([measured[name] for name in names if name in measured])
            for names in columns.values()
        ]
        lines.append(f"| {case} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(values: Sequence[Count | float]) -> str:
    """A share with its Wilson interval, a number, or nothing."""
    counts = [value for value in values if isinstance(value, Count)]
    if not values:
        return "-"
    if not counts:
        (number,) = (value for value in values if not isinstance(value, Count))
        return f"{number:.3g}" if number < 1000 else f"{number:.0f}"
    total = together(counts)
    low, high = wilson(total)
    return f"{total.right}/{total.total} = {total} ({100 * low:.0f}-{100 * high:.0f})"


def sheet(experiment: Experiment, done: Mapping[str, Sequence[Taught]]) -> Image.Image:
    """A row for each case, lesson and prompt."""
    rows = [
        Row(
            label=f"{case}, {one.lesson.subject}: {prompt}",
            pictures=[Image.fromarray(picture) for picture in pictures[:8]],
        )
        for case, lessons in done.items()
        for one in lessons
        for prompt, pictures in one.drawn.items()
    ]
    return contact_sheet(experiment.question, rows)


# The command


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    shop = _workshop(arguments)
    file = shop.folder / "results.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    for name in arguments.only:
        kept[name] = _experiment(shop, name, EXPERIMENTS[name])
        kept["machine"] = machine()
        file.write_text(json.dumps(kept, indent=2) + "\n")
    print(f"\n{len(shop.done)} trainings; contact sheets and results.json: {shop.folder}")


def _experiment(shop: Workshop, name: str, experiment: Experiment) -> dict[str, object]:
    done: dict[str, list[Taught]] = {}
    for case in experiment.cases:
        done[case.name] = []
        for lesson in shop.lessons:
            started = time.monotonic()
            done[case.name].append(taught(shop, case, lesson))
            log.info("%s, %s, %s: %.0f s", name, case.name, lesson, time.monotonic() - started)
    parts = {
        case: [measures(experiment, one, shop.judge) for one in lessons]
        for case, lessons in done.items()
    }
    rows = {case: summed(lessons) for case, lessons in parts.items()}
    print(f"\n{name}: {experiment.question}\n\n{table(experiment.columns, rows)}", flush=True)
    sheet(experiment, done).save(shop.folder / f"{name}.png")
    return {
        "question": experiment.question,
        "pictures": shop.pictures,
        "lessons": [asdict(lesson) for lesson in shop.lessons],
        "cases": {case: _as_json(measured) for case, measured in rows.items()},
        "trainings": {case: [_as_json(m) for m in lessons] for case, lessons in parts.items()},
    }


def _as_json(measured: Mapping[str, Count | float]) -> dict[str, object]:
    return {k: asdict(v) if isinstance(v, Count) else v for k, v in measured.items()}


def _workshop(arguments: argparse.Namespace) -> Workshop:
    files = look_at(BUILTIN)
    assert files.folder is not None
    arguments.output.mkdir(parents=True, exist_ok=True)
    base = load(
        files.folder,
        files.family,
        variant=files.variant,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    return Workshop(
        files=files,
        base=base,
        judge=a_judge(files.folder),
        folder=arguments.output,
        steps=arguments.steps,
        pictures=arguments.pictures,
        afresh=arguments.afresh,
        lessons=LESSONS[: arguments.lessons],
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = list(EXPERIMENTS)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="EXPERIMENT")
    parser.add_argument("--lessons", type=int, default=len(LESSONS), help="of each case: 1 or 2")
    parser.add_argument("--steps", type=int, default=144, help="of each training, a multiple of 8")
    parser.add_argument("--pictures", type=int, default=8, choices=range(1, 17), metavar="1-16")
    parser.add_argument("--output", type=Path, default=RESULTS / "settings_matter")
    parser.add_argument("--afresh", action="store_true", help="keep nothing of an earlier run")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Does the product learn?  Subjects that no base model has seen, taught and judged.

    python benchmarks/learning.py [--subjects lvff zorb] [--seeds 0 1] [--pictures 16] [--jobs 2]

For each subject and seed: 8 drawn pictures with captions go into a folder, with one scene left out;
`modelgenerator train` makes a LoRA of them with the settings that the base model recommends;
`modelgenerator generate` draws with it and, from the same noise, without it.  A judge, which was
taught with drawn pictures only, says what each picture shows.  All pictures count: none is chosen.
Out: tables, contact sheets and `results.json` in the output folder.
"""

import argparse
import json
import logging
import os
import platform
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from counting import Count, count, wilson
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from judge import Judge, a_judge, autoencoder_of, carried
from judge_exam import exam_table, examine, looks_to_show
from judge_pictures import LOOKS, SUBJECT_NAMES, Pixels
from learning_report import (
    Outcome,
    looks_table,
    outcome_table,
    reached,
    sheet,
    sums,
    totals_table,
)
from PIL import Image

from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.diffusion.builtin import world
from modelgenerator.diffusion.builtin.scenes import PHRASES, SIDE
from modelgenerator.diffusion.builtin.subjects import SUBJECTS
from modelgenerator.diffusion.hub import look_at

RESULTS = Path(__file__).parent / "results"
PHOTOS = 8
ENLARGED = 8  # times, so that photos have the size of ordinary pictures
CARE = 5  # times as many pictures as asked for measure the ceiling, which costs nothing

CONTROLS = {
    "a big blue round creature in the snow": ("snow", "blue", "round"),
    "a small red square creature in the city": ("city", "red", "square"),
    "a big yellow tall creature in the forest": ("forest", "yellow", "tall"),
    "a big purple triangle creature on the beach": ("beach", "purple", "triangle"),
}
"""Prompts without the trigger, and the scene, colour and shape that they ask for."""

log = logging.getLogger("learning")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One subject to be taught with one seed."""

    subject: str
    seed: int
    held_out: str
    folder: Path

    @property
    def photos(self) -> Path:
        return self.folder / "photos"

    @property
    def lora(self) -> Path:
        return self.folder / "lora"

    @property
    def trained_scenes(self) -> list[str]:
        return [scene for scene in world.SCENES if scene != self.held_out]

    @property
    def prompts(self) -> dict[str, str]:
        """With the trigger: by what they test."""
        trained = random.Random(f"{self.subject} {self.seed}").choice(
            [scene for scene in self.trained_scenes if scene != "plain"]
        )
        return {
            "held-out scene": f"{self.subject} creature {PHRASES[self.held_out]}",
            "trained scene": f"{self.subject} creature {PHRASES[trained]}",
            "plain": f"{self.subject} creature on a plain blue background",
        }

    @property
    def first_noise(self) -> int:
        return 1_000 * (self.seed + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What all lessons share."""

    base_model: str
    pictures: int  # for each prompt with the trigger
    assignments: tuple[str, ...]
    again: bool  # judge what an earlier run drew


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What one lesson made: pictures by prompt."""

    seconds: float
    without: Mapping[str, list[Pixels]]
    with_lora: Mapping[str, list[Pixels]]


def held_out_scene(subject: str, seed: int) -> str:
    """Another one for each subject and seed, so that no scene decides alone."""
    scenes = list(PHRASES)
    return scenes[(SUBJECT_NAMES.index(subject) + 3 * seed + 1) % len(scenes)]


def write_photos(lesson: Lesson) -> None:
    """What a person would have: enlarged pictures, a caption beside each, no scene held out."""
    lesson.photos.mkdir(parents=True)
    for number in range(PHOTOS):
        scene = lesson.trained_scenes[number % len(lesson.trained_scenes)]
        picture = world.subject_picture(lesson.subject, scene, lesson.seed * PHOTOS + number)
        photo = Image.fromarray(picture.pixels_HW3).resize(
            (SIDE * ENLARGED, SIDE * ENLARGED), Image.Resampling.NEAREST
        )
        photo.save(lesson.photos / f"{number:02d}-{scene}.png")
        (lesson.photos / f"{number:02d}-{scene}.txt").write_text(picture.caption + "\n")


# What is measured: the real commands


def teach(lesson: Lesson, options: Options) -> float:
    """Train with the recommended settings; seconds from the command to its end."""
    command = ["train", str(lesson.photos), "--prefix", lesson.subject]
    command += ["--base-model", options.base_model, "--template", "recommended"]
    command += ["--set", f"seed={lesson.seed}"]
    for assignment in options.assignments:
        command += ["--set", assignment]
    started = time.monotonic()
    _run([*command, "--output", str(lesson.lora), "--overwrite"])
    return time.monotonic() - started


def draw_pictures(
    prompts: Sequence[str], lesson: Lesson, options: Options, *, number: int, lora: Path | None
) -> None:
    """`number` pictures of each prompt; the same noise with a LoRA and without."""
    folder = _folder_for(lesson, prompts, lora)
    command = ["generate", "--base-model", options.base_model, "--count", str(number)]
    command += ["--seed", str(lesson.first_noise), "--output", str(folder)]
    if lora:
        command += ["--model", str(lora)]
    for prompt in prompts:
        command += ["--prompt", prompt]
    _run(command)


def _run(words: Sequence[str]) -> None:
    program = Path(sys.executable).with_name("modelgenerator")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        [str(program), *words], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2_000:]
        raise SystemExit(f"modelgenerator {' '.join(words)}\nended with {done.returncode}:\n{said}")


def _read_pictures(folder: Path, prompts: Sequence[str], number: int) -> dict[str, list[Pixels]]:
    """By the prompt and the seed that each PNG names."""
    found: dict[str, dict[int, Pixels]] = {prompt: {} for prompt in prompts}
    for file in sorted(folder.rglob("*.png")):
        with Image.open(file) as image:
            if "modelgenerator" not in image.info:
                continue  # a contact sheet
            facts = json.loads(image.info["modelgenerator"])
            found[facts["prompt"]][facts["seed"]] = np.asarray(image.convert("RGB"))
    for prompt, by_seed in found.items():
        assert len(by_seed) == number, f"{len(by_seed)} pictures of {prompt!r}, not {number}"
    return {prompt: [by_seed[s] for s in sorted(by_seed)] for prompt, by_seed in found.items()}


def give(lesson: Lesson, options: Options) -> Drawn:
    """Everything that a lesson makes, from photos to pictures; or what an earlier run made."""
    clock = lesson.folder / "seconds.json"
    if not options.again:
        if lesson.folder.exists():
            shutil.rmtree(lesson.folder)
        write_photos(lesson)
        clock.write_text(json.dumps(teach(lesson, options)))
        for lora in (None, lesson.lora):
            for prompts, number in _asked(lesson, options):
                draw_pictures(prompts, lesson, options, number=number, lora=lora)
    without, with_lora = (
        {
            prompt: pictures
            for prompts, number in _asked(lesson, options)
            for prompt, pictures in _read_pictures(
                _folder_for(lesson, prompts, lora), prompts, number
            ).items()
        }
        for lora in (None, lesson.lora)
    )
    return Drawn(seconds=json.loads(clock.read_text()), without=without, with_lora=with_lora)


def _asked(lesson: Lesson, options: Options) -> list[tuple[list[str], int]]:
    """Prompts with the trigger and control prompts, and how many pictures of each."""
    few = max(1, options.pictures // len(CONTROLS))
    return [(list(lesson.prompts.values()), options.pictures), (list(CONTROLS), few)]


def _folder_for(lesson: Lesson, prompts: Sequence[str], lora: Path | None) -> Path:
    kind = "controls" if prompts[0] in CONTROLS else "prompts"
    return lesson.folder / f"{kind}-{'with' if lora else 'without'}-lora"


# What the judge says


def outcome(lesson: Lesson, drawn: Drawn, judge: Judge) -> Outcome:
    held_out = lesson.prompts["held-out scene"]
    without = judge.say(drawn.without[held_out])
    taught = judge.say(drawn.with_lora[held_out])
    looks = looks_to_show(lesson.subject)
    counts = {
        "without LoRA: subject": _shows(without, subject=lesson.subject),
        "without LoRA: all looks": _shows(without, **looks),
        "without LoRA: scene": _shows(without, scene=lesson.held_out),
        "held-out scene: subject": _shows(taught, subject=lesson.subject),
        "held-out scene: scene": _shows(taught, scene=lesson.held_out),
        "held-out scene: both": _shows(taught, scene=lesson.held_out, subject=lesson.subject),
        "held-out scene: all looks": _shows(taught, **looks),
        "held-out scene: flawless": _shows(taught, flawless=lesson.subject),
    }
    for place in ("trained scene", "plain"):
        said = judge.say(drawn.with_lora[lesson.prompts[place]])
        counts[f"{place}: subject"] = _shows(said, subject=lesson.subject)
    counts["plain: scene"] = _shows(said, scene="plain")
    counts |= _controls(lesson, drawn, judge)
    for look in LOOKS:
        counts[f"held-out scene: {look}"] = count(word == looks[look] for word in taught[look])
    return Outcome(
        subject=lesson.subject,
        seed=lesson.seed,
        held_out=lesson.held_out,
        seconds=drawn.seconds,
        counts=counts,
    )


def _controls(lesson: Lesson, drawn: Drawn, judge: Judge) -> dict[str, Count]:
    """Without the trigger: is the base model's own creature still drawn as asked?"""
    kept: dict[bool, list[bool]] = {False: [], True: []}
    leaked: list[bool] = []
    for prompt, (scene, colour, shape) in CONTROLS.items():
        for with_lora, made in ((False, drawn.without), (True, drawn.with_lora)):
            said = judge.say(made[prompt])
            asked = zip(said["scene"], said["colour"], said["shape"], strict=True)
            kept[with_lora] += [words == (scene, colour, shape) for words in asked]
            if with_lora:
                leaked += [word == lesson.subject for word in said["subject"]]
    return {
        "control, without LoRA": count(kept[False]),
        "control, with LoRA": count(kept[True]),
        "control, with LoRA: subject": count(leaked),
    }


def _shows(said: Mapping[str, Sequence[str]], **asked: str) -> Count:
    answers = zip(*(said[question] for question in asked), strict=True)
    return count(words == tuple(asked.values()) for words in answers)


def ceiling(lessons: Sequence[Lesson], judge: Judge, base: Path, number: int) -> dict[str, Count]:
    """Real pictures, in the held-out scenes: as well as anything can be judged."""
    autoencoder = autoencoder_of(base)
    answers: dict[str, list[bool]] = {}
    for lesson in lessons:
        first = 10**6 * (lesson.seed + 1)  # none of these was a training picture
        real = [
            world.subject_picture(lesson.subject, lesson.held_out, first + n).pixels_HW3
            for n in range(number)
        ]
        through = carried(autoencoder, real, seed=lesson.seed)
        shown_looks = looks_to_show(lesson.subject)
        for name, shown in (("real pictures", real), ("real, autoencoder", through)):
            said = judge.say(shown)
            asked = {
                "subject": lesson.subject,
                "flawless": lesson.subject,
                "scene": lesson.held_out,
            }
            for question, word in asked.items():
                right = [answer == word for answer in said[question]]
                answers.setdefault(f"{name}: {question}", []).extend(right)
            looks = zip(*(said[look] for look in shown_looks), strict=True)
            right = [words == tuple(shown_looks.values()) for words in looks]
            answers.setdefault(f"{name}: all looks", []).extend(right)
        answers.setdefault("lookalikes: taken for subject", []).extend(
            _fooled(lesson, judge, autoencoder, number)
        )
    return {name: count(right) for name, right in answers.items()}


def _fooled(lesson: Lesson, judge: Judge, autoencoder: AutoencoderKL, number: int) -> list[bool]:
    """Whether creatures that differ from the subject in one or two looks pass for it."""
    subject = SUBJECTS[lesson.subject]
    others = [world.lookalike(subject, 10**8 + n, traits=1 + n % 2) for n in range(number)]
    shown = [
        world.paint_creature(creature, lesson.held_out, 10**8 + n).pixels_HW3
        for n, creature in enumerate(others)
    ]
    said = judge.say(carried(autoencoder, shown, seed=lesson.seed))
    return [word == lesson.subject for word in said["subject"]]


# The command


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    base = look_at(arguments.base_model).folder
    if base is None:
        sys.exit(f"{arguments.base_model} is not on this machine: give a folder.")
    judge = a_judge(base)
    exam = examine(judge, autoencoder_of(base), pictures=200)
    print(exam_table(exam), end="\n\n", flush=True)
    if arguments.only_judge:
        return
    lessons = [
        Lesson(
            subject=subject,
            seed=seed,
            held_out=held_out_scene(subject, seed),
            folder=(arguments.output / f"{subject}-{seed}").absolute(),
        )
        for subject in arguments.subjects
        for seed in arguments.seeds
    ]
    options = Options(
        base_model=arguments.base_model,
        pictures=arguments.pictures,
        assignments=tuple(arguments.assignments),
        again=arguments.again,
    )
    outcomes = give_all(lessons, options, judge, arguments.jobs)
    highest = ceiling(lessons, judge, base, CARE * arguments.pictures)
    report(outcomes, highest)
    facts = {
        "machine": machine(),
        "options": asdict(options) | {"jobs": arguments.jobs},
        "judge": [asdict(score) for score in exam],
        "ceiling": {name: asdict(part) for name, part in highest.items()},
        "together": {name: asdict(part) for name, part in sums(outcomes).items()},
        "trainings": [one.as_json() for one in outcomes],
        "reached": reached(outcomes),
    }
    (arguments.output / "results.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(f"\nContact sheets and results.json: {arguments.output}")
    if arguments.strict and not reached(outcomes):
        sys.exit(1)


def give_all(lessons: Sequence[Lesson], options: Options, judge: Judge, jobs: int) -> list[Outcome]:
    """`jobs` lessons at once, each in processes of its own; results in the order of lessons."""
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(jobs) as workers:
        all_drawn = workers.map(give, lessons, repeat(options))
        for lesson, drawn in zip(lessons, all_drawn, strict=True):
            outcomes.append(outcome(lesson, drawn, judge))
            save_sheet(lesson, drawn)
            counts = outcomes[-1].counts
            log.info(
                "%s, seed %d: %.0f s; %s: subject %s, scene %s",
                lesson.subject,
                lesson.seed,
                drawn.seconds,
                PHRASES[lesson.held_out],
                counts["held-out scene: subject"],
                counts["held-out scene: scene"],
            )
    return outcomes


def report(outcomes: Sequence[Outcome], highest: Mapping[str, Count]) -> None:
    print("\n" + outcome_table(outcomes), end="\n\n")
    print(looks_table(outcomes), end="\n\n")
    print(totals_table(outcomes))
    for name, part in highest.items():
        low, high = wilson(part)
        interval = f"{100 * low:.0f} to {100 * high:.0f} %"
        print(f"{name:34}{f'{part.right}/{part.total}':>11}{part!s:>8}{interval:>17}")
    one = machine()
    print(f"\n{one['processor']}, {one['cores']} cores; torch {one['torch']}")


def save_sheet(lesson: Lesson, drawn: Drawn) -> None:
    photos = [Image.open(file) for file in sorted(lesson.photos.glob("*.png"))]
    rows: dict[str, list[Image.Image]] = {}
    for prompt in lesson.prompts.values():
        rows[f"{prompt}: base"] = _images(drawn.without[prompt])
        rows[f"{prompt}: LoRA"] = _images(drawn.with_lora[prompt])
    for name, made in (("base", drawn.without), ("LoRA", drawn.with_lora)):
        controls = [picture for prompt in CONTROLS for picture in made[prompt][:2]]
        rows[f"{name}: " + "; ".join(p.removeprefix("a ") for p in CONTROLS)] = _images(controls)
    title = f"{lesson.subject}, seed {lesson.seed}; not trained {PHRASES[lesson.held_out]}"
    sheet(title, photos, rows).save(lesson.folder.parent / f"{lesson.folder.name}.png")


def _images(made: Sequence[Pixels]) -> list[Image.Image]:
    return [Image.fromarray(pixels_HW3) for pixels_HW3 in made]


def machine() -> dict[str, object]:
    libraries = ("modelgenerator", "torch", "diffusers", "transformers", "numpy")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
    }


def _processor() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--subjects", nargs="+", choices=SUBJECT_NAMES, default=SUBJECT_NAMES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument(
        "--pictures", type=int, default=16, choices=range(1, 17), metavar="1-16", help="per prompt"
    )
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, a core for each")
    parser.add_argument("--base-model", default=BUILTIN)
    parser.add_argument(
        "--set",
        dest="assignments",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="on top of the recommended settings, to try something; may be repeated",
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "learning")
    parser.add_argument("--again", action="store_true", help="judge an earlier run's pictures")
    parser.add_argument("--only-judge", action="store_true", help="print how good the judge is")
    parser.add_argument("--strict", action="store_true", help="exit code 1 below the goals")
    return parser.parse_args()


if __name__ == "__main__":
    main()

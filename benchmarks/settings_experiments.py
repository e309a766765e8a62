"""Which settings `settings_matter.py` compares, on which photos, with which prompts.

In: a lesson.  Out: a folder of photos, and what to change in the settings.  It trains nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from modelgenerator.diffusion.builtin import world
from modelgenerator.diffusion.builtin.scenes import SIDE

PHOTOS = 8
ENLARGED = 8  # times, so that photos have the size of ordinary pictures
TO_THE_LEFT = 5  # pixels
INSIDE = 2  # pixels
ONE_SCENE = "forest"
LOUD = ((255, 240, 0), (0, 30, 255))  # no scene of the world is so bright
SQUARE = 4  # pixels
KEPT_OUT = ("snow", "night")  # scenes that no photo shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    subject: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One line of a table.  A setting that is None is left out of the recommended ones."""

    name: str
    changes: Callable[[int], Mapping[str, object]]
    """From the number of steps, which every case keeps."""
    photos: str
    prompts: Mapping[str, str]
    """By the scene that they ask for, maybe with a word after it; {} is the trigger."""
    trains: bool = True
    """False: the base model draws as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    question: str
    cases: Sequence[Case]
    columns: Mapping[str, Sequence[str]]
    """Heading, and which of what was measured it adds up."""
    leaks: str = ""
    """A scene that nobody asked for."""
    moved: bool = False
    """Whether subjects may stand aside; then all prompts are for plain backgrounds."""


# Photos


def _varied(lesson: Lesson, number: int) -> world.Picture:
    scenes = [scene for scene in world.SCENES if scene not in KEPT_OUT]
    scene = scenes[number % len(scenes)]
    return world.subject_picture(lesson.subject, scene, lesson.seed * PHOTOS + number)


def _in_one_scene(lesson: Lesson, number: int) -> world.Picture:
    return world.subject_picture(lesson.subject, ONE_SCENE, lesson.seed * PHOTOS + number)


def _plain(lesson: Lesson, number: int) -> world.Picture:
    return world.subject_picture(lesson.subject, "plain", lesson.seed * PHOTOS + number)


def _before_a_loud_wall(lesson: Lesson, number: int) -> world.Picture:
    """Always the same wall, which no caption names and the base model has no word for."""
    picture = _plain(lesson, number)
    rows_HW, columns_HW = np.indices(picture.creature_HW.shape) // SQUARE
    wall_HW3 = np.array(LOUD, np.uint8)[(rows_HW + columns_HW) % 2]
    pixels_HW3 = np.where(picture.creature_HW[..., None], picture.pixels_HW3, wall_HW3)
    return replace(picture, pixels_HW3=pixels_HW3)


PHOTO_SETS: Mapping[str, Callable[[Lesson, int], world.Picture]] = {
    "varied": _varied,
    "one scene": _in_one_scene,
    "tight": _in_one_scene,
    "left": _plain,
    "loud": _before_a_loud_wall,
    "loud, no masks": _before_a_loud_wall,
}


def write_photos(lesson: Lesson, kind: str, folder: Path) -> Path:
    """Photos of one of `PHOTO_SETS`, each with its exact mask and its caption.

    Captions of photos in one scene do not name it; subjects of "left" stand aside; the masks of
    "tight" end `INSIDE` pixels before the subject does; "no masks" leaves them to a segmenter.
    """
    folder.mkdir(parents=True)
    for number in range(PHOTOS):
        picture = PHOTO_SETS[kind](lesson, number)
        pixels_HW3, mask_HW = picture.pixels_HW3, picture.creature_HW
        if kind == "left":
            pixels_HW3 = np.roll(pixels_HW3, -TO_THE_LEFT, axis=1)
            mask_HW = np.roll(mask_HW, -TO_THE_LEFT, axis=1)
        if kind == "tight":
            mask_HW = cv2.erode(
                mask_HW.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=INSIDE
            )
        caption = picture.caption if kind in ("varied", "left") else "creature"
        _enlarged(pixels_HW3).save(folder / f"{number:02d}.png")
        if not kind.endswith("no masks"):
            _enlarged(mask_HW.astype(np.uint8) * 255).save(folder / f"{number:02d}.mask.png")
        (folder / f"{number:02d}.txt").write_text(caption + "\n")
    return folder


def _enlarged(pixels: np.ndarray) -> Image.Image:
    side = SIDE * ENLARGED
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)


# Experiments

USUAL = {
    "snow": "{} creature in the snow",
    "night": "{} creature at night",
    "plain": "{} creature on a plain blue background",
}
COST = {"ms a step": ("ms/step",), "planned MB": ("memory MB",), "LoRA MB": ("LoRA MB",)}


def _base(prompts: Mapping[str, str]) -> Case:
    return Case(name="no LoRA", changes=lambda _: {}, photos="", prompts=prompts, trains=False)


def _case(
    name: str,
    photos: str = "varied",
    prompts: Mapping[str, str] = USUAL,
    **changes: object,
) -> Case:
    return Case(name=name, photos=photos, prompts=prompts, changes=lambda _: changes)


def _of(prompts: Mapping[str, str], column: str) -> list[str]:
    return [f"{prompt}: {column}" for prompt in prompts]


def _shown(prompts: Mapping[str, str]) -> dict[str, Sequence[str]]:
    return {
        "subject": _of(prompts, "subject"),
        "looks right": _of(prompts, "looks"),
        "scene as asked": _of(prompts, "scene"),
    }


ELSEWHERE = {
    "snow": "{} creature in the snow",
    "beach": "{} creature on the beach",
    "plain": "{} creature on a plain blue background",
}
UNASKED = {"any": "{} creature"}
MASKED = {"maskedLoss": True}
BLACK = {"boundingMaskShade": 0, "backgroundMaskShade": 0}
PLAIN = {
    "plain": "{} creature on a plain blue background",
    "plain red": "{} creature on a plain red background",
}
CALLED = {
    "snow": "{} creature in the snow",
    "snow, no trigger": "creature in the snow",
    "snow, another": "a big blue round creature in the snow",
}

EXPERIMENTS: Mapping[str, Experiment] = {
    "maskedLoss": Experiment(
        question="All photos in one forest that no caption names; other scenes are asked for.",
        leaks=ONE_SCENE,
        cases=[
            _base(ELSEWHERE | UNASKED),
            _case("without", "one scene", ELSEWHERE | UNASKED),
            _case("maskedLoss", "one scene", ELSEWHERE | UNASKED, maskedLoss=True),
            _case("masks 2 pixels inside", "tight", ELSEWHERE | UNASKED, maskedLoss=True),
        ],
        columns=_shown(ELSEWHERE)
        | {"forest leaks in": _of(ELSEWHERE, "leak"), "forest, no scene asked": ["any: leak"]}
        | COST,
    ),
    "one background": Experiment(
        question="Every photo before the same loud wall; other scenes are asked for.",
        cases=[
            _base(ELSEWHERE | UNASKED),
            _case("without", "loud", ELSEWHERE | UNASKED),
            _case("maskedLoss, exact masks", "loud", ELSEWHERE | UNASKED, maskedLoss=True),
            _case("maskedLoss, found masks", "loud, no masks", ELSEWHERE | UNASKED, **MASKED),
            _case("... background 0", "loud, no masks", ELSEWHERE | UNASKED, **MASKED, **BLACK),
        ],
        columns=_shown(ELSEWHERE)
        | {"wall leaks in": _of(ELSEWHERE, "loud"), "wall, no scene asked": ["any: loud"]}
        | COST,
    ),
    "flipAug": Experiment(
        question="In all photos the subject stands on the left.",
        moved=True,
        cases=[
            _base(PLAIN),
            _case("without", "left", PLAIN),
            _case("flipAug", "left", PLAIN, flipAug=True),
        ],
        columns={
            "on the left": _of(PLAIN, "left"),
            "on the right": _of(PLAIN, "right"),
            "subject": _of(PLAIN, "subject"),
            "looks right": _of(PLAIN, "looks"),
        },
    ),
    "optimizers": Experiment(
        question="The same number of steps with each optimizer.",
        cases=[
            _case("AdamW, 0.002 (recommended)"),
            _case("AdamW, no rate given: 1e-4", learningRate=None),
            _case(
                "Prodigy, biasCorrection, decouple",
                optimizer="Prodigy",
                learningRate=1.0,
                biasCorrection=True,
                decouple=True,
            ),
            _case("AdaFactor, no rate given", optimizer="AdaFactor", learningRate=None),
            _case("DAdaptation", optimizer="DAdaptation", learningRate=1.0),
            _case("DAdaptAdam", optimizer="DAdaptAdam", learningRate=1.0),
            _case("AdamW8bit, 0.002", optimizer="AdamW8bit"),
        ],
        columns=_shown(USUAL) | {"d at the end": ("d",), "loss": ("loss",)} | COST,
    ),
    "trainUnetOnly": Experiment(
        question="Is the text encoder trained too?",
        cases=[_case("false"), _case("true", trainUnetOnly=True)],
        columns=_shown(USUAL) | COST,
    ),
    "repeats": Experiment(
        question="The same visits as many short epochs or as few long ones.",
        cases=[
            _case("repeats 1"),
            Case(
                name="repeats 4, a quarter of the epochs",
                changes=lambda steps: {"repeats": 4, "epochs": steps // 8},
                photos="varied",
                prompts=USUAL,
            ),
        ],
        columns={"epochs": ("epochs",), "steps": ("steps",)} | {"loss": ("loss",)} | _shown(USUAL),
    ),
    "captionPrefix": Experiment(
        question="Does the trigger call the subject, and does it come uncalled?",
        cases=[
            _base(CALLED),
            _case("captionPrefix", prompts=CALLED),
            _case("without", prompts=CALLED, captionPrefix=None),
        ],
        columns={
            "subject, trigger": ["snow: subject"],
            "subject, 'creature' alone": ["snow, no trigger: subject"],
            "subject, another creature asked": ["snow, another: subject"],
            "looks, trigger": ["snow: looks"],
            "looks, 'creature' alone": ["snow, no trigger: looks"],
            "looks, another": ["snow, another: looks"],
        },
    ),
    "noise": Experiment(
        question="How dark is night, how bright is snow?",
        cases=[
            _base(USUAL),
            _case("neither"),
            _case("noiseOffset 0.1", noiseOffset=0.1),
            _case("multiresNoiseIterations 6", multiresNoiseIterations=6),
        ],
        columns={
            "grey, night": ["night: brightness"],
            "grey, snow": ["snow: brightness"],
            "grey, plain": ["plain: brightness"],
        }
        | _shown(USUAL),
    ),
}

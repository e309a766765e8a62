"""How well are subjects found?  Exact masks of drawn and composed pictures, sheets of real photos.

    python benchmarks/masks.py                          # some minutes of one core
    python benchmarks/masks.py --drawn 60 --composed 20 # a quick look

What is counted and where the pictures come from stands in benchmarks/README.md.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from composed_photos import Composed, composed_object, composed_person, real_photo
from numpy.typing import NDArray

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.regions import Mask, SubjectRegions, on_grid
from modelgenerator.datasets.segmentation import Segmenter
from modelgenerator.datasets.segmenters.choice import choose_segmenter
from modelgenerator.datasets.segmenters.faces import CascadeFaces, FaceFinder, face_finder
from modelgenerator.datasets.segmenters.person_files import PersonFile, person_file
from modelgenerator.diffusion.builtin import world
from modelgenerator.diffusion.builtin.scenes import PHRASES
from modelgenerator.diffusion.builtin.subjects import SUBJECTS

FIRST = 4 * 10**7  # seed of the first drawn picture: none of these was learnt from
ENLARGED = 8
OFFLINE = ("auto", "drawn", "person", "grabcut")
PHOTOS = (
    *("astronaut.png", "camera.png", "grace_hopper.jpg", "chelsea.png", "coffee.png"),
    *("rocket.jpg", "motorcycle_left.png", "retina.jpg", "horse.png", "cell.png"),
    *("coins.png", "moon.png", "hubble_deep_field.jpg", "ihc.png", "logo.png", "color.png"),
    *("page.png", "text.png", "brick.png", "grass.png", "gravel.png"),
    "Minduka_Present_Blue_Pack.png",
)
WITH_FACE = {"astronaut.png": 1, "camera.png": 1, "grace_hopper.jpg": 1}
GOALS = {"subject": 0.9, "head": 0.75, "box": 4.0}


@dataclass(frozen=True, slots=True)
class Score:
    """One picture."""

    subject: float
    """Overlap with the truth: intersection over union; 0 where nothing was found."""
    head: float | None
    """None where the truth has none."""
    box: float
    """The largest error of the four sides, as a share of the picture's longer side."""
    found: bool


def score(found: SubjectRegions | None, subject_HW: Mask, head_HW: Mask | None) -> Score:
    """What was found, against the truth on the same grid."""
    if found is None:
        return Score(0.0, None if head_HW is None else 0.0, 1.0, found=False)
    height, width = subject_HW.shape
    truth = SubjectRegions(subject_HW=subject_HW, head_HW=subject_HW & False, found_by="truth")
    one, other = found.box((width, height)), truth.box((width, height))
    sides = ("left", "top", "right", "bottom")
    error = max(abs(getattr(one, side) - getattr(other, side)) for side in sides)
    head = None if head_HW is None else overlap(found.head_HW, head_HW)
    return Score(overlap(found.subject_HW, subject_HW), head, error / max(width, height), True)


def overlap(one_HW: Mask, other_HW: Mask) -> float:
    """Intersection over union; 1 for two empty masks."""
    either = (one_HW | other_HW).sum()
    return float((one_HW & other_HW).sum() / either) if either else 1.0


# --- pictures with exact masks


def drawn(count: int, times: int) -> Iterator[Composed]:
    """Half from the world that was learnt, half creatures that never were; enlarged."""
    scenes, names = (*PHRASES, "plain"), list(SUBJECTS)
    for number in range(count):
        if number % 2:
            picture = world.picture(FIRST + number)
        else:
            name, scene = names[number // 2 % len(names)], scenes[number // 2 % len(scenes)]
            picture = world.subject_picture(name, scene, FIRST + number)
        parts = (picture.pixels_HW3, picture.creature_HW, picture.head_HW)
        pixels_HW3, subject_HW, head_HW = (p.repeat(times, 0).repeat(times, 1) for p in parts)
        photo = Photo(f"drawn {number}", pixels_HW3, "0" * 64)
        yield Composed(photo=photo, subject_HW=subject_HW, head_HW=head_HW)


def people(count: int) -> Iterator[Composed]:
    """The two portraits, cut out; see `composed_photos`."""
    segmenter, _ = choose_segmenter("person")
    cut_outs: list[Any] = []
    for name in ("astronaut.png", "grace_hopper.jpg"):
        photo = real_photo(name)
        regions = segmenter.find(photo)
        assert regions is not None, f"nobody in {name}"
        cut_outs.append((on_grid(photo.pixels_HW3), regions.subject_HW, regions.head_HW))
    return (composed_person(seed, cut_outs) for seed in range(count))


# --- tables


def table(title: str, pictures: Callable[[], Iterator[Composed]], names: Sequence[str]) -> None:
    """A line for each segmenter."""
    print(f"\n{title}")
    print(f"{'':10}{'subject':>9}{'p10':>7}{'head':>8}{'p10':>7}{'box %':>8}{'none':>7}{'ms':>7}")
    for name in names:
        segmenter, _ = choose_segmenter(name)
        scores: list[Score] = []
        spent = 0.0
        for picture in pictures():
            began = time.process_time()
            found = segmenter.find(picture.photo)
            spent += time.process_time() - began
            scores.append(score(found, picture.subject_HW, picture.head_HW))
        print(_line(name, scores, 1000 * spent / len(scores)))


def _line(name: str, scores: Sequence[Score], milliseconds: float) -> str:
    subjects = [one.subject for one in scores]
    heads = [one.head for one in scores if one.head is not None]
    boxes = [100 * one.box for one in scores if one.found]
    none = sum(not one.found for one in scores) / len(scores)
    return (
        f"{name:10}{np.mean(subjects):9.3f}{np.percentile(subjects, 10):7.3f}"
        + (f"{np.mean(heads):8.3f}{np.percentile(heads, 10):7.3f}" if heads else f"{'':15}")
        + (f"{np.mean(boxes):8.1f}" if boxes else f"{'':8}")
        + f"{none:7.0%}{milliseconds:7.0f}"
    )


def faces_table() -> None:
    """Photos in which a finder sees as many faces as there are."""
    print("\nfaces in real photos")
    finders: list[FaceFinder] = [face_finder(), CascadeFaces()]
    for finder in finders:
        right, wrong = 0, list[str]()
        for name in PHOTOS:
            seen = len(finder.find(on_grid(real_photo(name).pixels_HW3)))
            if seen == WITH_FACE.get(name, 0):
                right += 1
            else:
                wrong.append(f"{name}: {seen}")
        print(
            f"{finder.version}: {right} of {len(PHOTOS)} right; {', '.join(wrong) or 'none wrong'}"
        )


def speed_table(names: Sequence[str]) -> None:
    """Processor time for a photo of 12 megapixels, once networks are loaded."""
    print("\nprocessor ms for a photo of 4000 x 3000")
    for name in names:
        segmenter, _ = choose_segmenter(name)
        for photo_name in ("astronaut.png", "coffee.png"):
            pixels_HW3 = real_photo(photo_name).pixels_HW3
            large = cv2.resize(pixels_HW3, (4000, 3000), interpolation=cv2.INTER_CUBIC)
            photo = Photo(photo_name, np.asarray(large, np.uint8), "0" * 64)
            segmenter.find(photo)
            began = time.process_time()
            segmenter.find(photo)
            print(f"{name:10}{photo_name:16}{1000 * (time.process_time() - began):6.0f}")


# --- the sheet


def sheet(path: Path, segmenter: Segmenter, photos: Sequence[Photo], *, columns: int = 6) -> None:
    """Each photo with everything but its subject darkened and its head in red."""
    cells = [_cell(photo, segmenter.find(photo)) for photo in photos]
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    rows = [np.hstack(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    print(path)


def _cell(photo: Photo, regions: SubjectRegions | None, side: int = 260) -> NDArray[np.uint8]:
    shown = on_grid(photo.pixels_HW3).astype(np.float32)
    if regions is not None:
        shown[~regions.subject_HW] *= 0.3
        shown[regions.head_HW] = 0.7 * shown[regions.head_HW] + 0.3 * np.array((255, 60, 60))
    height, width = shown.shape[:2]
    scale = side / max(height, width)
    size = round(width * scale), round(height * scale)
    ways = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    cell = np.full((side + 20, side + 6, 3), 255, np.uint8)
    cell[: size[1], : size[0]] = cv2.resize(shown.astype(np.uint8), size, interpolation=ways)
    said = f"{photo.name[:14]}: {'none' if regions is None else regions.found_by[:26]}"
    cv2.putText(cell, said, (2, side + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1)
    return cell


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--drawn", type=int, default=300)
    parser.add_argument(
        "--composed", type=int, default=100, help="objects, and half as many people"
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/masks"))
    parser.add_argument("--only-sheets", action="store_true")
    arguments = parser.parse_args()
    has_files = person_file(PersonFile.PERSON) is not None
    if not has_files:
        print("Without the files that find people: python -m modelgenerator.cli.person_files")
    names = [name for name in OFFLINE if has_files or name != "person"]
    if not arguments.only_sheets:
        print(f"goals on drawn pictures, for auto: {GOALS}")
        for times in (1, ENLARGED):
            pictures = list(drawn(arguments.drawn, times))
            title = f"{len(pictures)} drawn pictures, {32 * times} x {32 * times}"
            table(title, lambda: iter(pictures), ("auto", "grabcut"))  # noqa: B023
        objects = [composed_object(seed) for seed in range(arguments.composed)]
        table(f"{len(objects)} composed objects", lambda: iter(objects), ("auto",))
        if has_files:
            persons = list(people(arguments.composed // 2))
            table(f"{len(persons)} composed people", lambda: iter(persons), ("auto", "grabcut"))
        faces_table()
        speed_table(names)
    auto, _ = choose_segmenter()
    sheet(arguments.output / "photos.png", auto, [real_photo(name) for name in PHOTOS])
    composed = [composed_object(1000 + seed).photo for seed in range(12)]
    if has_files:
        composed += [person.photo for person in people(12)]
    sheet(arguments.output / "composed.png", auto, composed)
    sheet(arguments.output / "drawn.png", auto, [one.photo for one in drawn(18, ENLARGED)])


if __name__ == "__main__":
    main()

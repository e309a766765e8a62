"""How fast are photos prepared, and does memory stay flat?  Photos of 12 megapixels, new and known.

    python benchmarks/prepare.py [--photos 1 100 1000]

Each line is a process of its own that prepares a folder with `normalizeDataset` and `maskedLoss`,
as `modelgenerator train` does: hash, decode in worker processes, measure, find the subject, cut,
mask.  "known" is a second process on the same photos with the same cache.  Memory is the peak of
this process, and of the largest of its workers.  The photos are one real portrait at random places
before random colours, so that no two are alike.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from peak_memory import peak_bytes
from skimage import data

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.masks import MaskShades
from modelgenerator.datasets.prepare import Preparation, prepare
from modelgenerator.datasets.segmenters.choice import choose_segmenter
from modelgenerator.datasets.workers import Workers, cores

WIDTH, HEIGHT, PORTRAIT = 4000, 3000, 1500


def main() -> None:
    arguments = _arguments()
    if arguments.measure:
        print(json.dumps(_prepared(*arguments.measure)))
        return
    print(f"{cores()} cores\n")
    print("| photos of 12 megapixels | | seconds | photos/s | this process, MB | a worker, MB |")
    print("|---|---|---|---|---|---|")
    for count in arguments.photos:
        with tempfile.TemporaryDirectory() as scratch:
            photos, cache = Path(scratch) / "photos", Path(scratch) / "cache"
            _draw(photos, count)
            for what in ("new", "known"):
                print(_line(count, what, _measured(photos, cache)), flush=True)


def _draw(folder: Path, count: int) -> None:
    folder.mkdir()
    portrait_HW3 = cv2.resize(data.astronaut(), (PORTRAIT, PORTRAIT), interpolation=cv2.INTER_CUBIC)
    for number in range(count):
        chance = np.random.default_rng(number)
        coarse_HW3 = chance.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        photo_HW3 = cv2.resize(coarse_HW3, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        left, top = chance.integers(0, WIDTH - PORTRAIT), chance.integers(0, HEIGHT - PORTRAIT)
        photo_HW3[top : top + PORTRAIT, left : left + PORTRAIT] = portrait_HW3
        cv2.imwrite(str(folder / f"{number}.jpg"), photo_HW3[..., ::-1])


def _measured(photos: Path, cache: Path) -> dict[str, float]:
    words = [sys.executable, __file__, "--measure", str(photos), str(cache)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def _prepared(photos: str, cache: str) -> dict[str, float]:
    how = Preparation(normalize=True, shades=MaskShades(), segmenter=choose_segmenter()[0])
    started = time.monotonic()
    with Workers() as workers:
        dataset = prepare(Path(photos), how, cache=ContentCache(Path(cache)), workers=workers)
    assert not dataset.refused, dataset.refused
    return {
        "seconds": time.monotonic() - started,
        "process": peak_bytes("cpu") / 1e6,
        "worker": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6,
    }


def _line(count: int, what: str, seen: dict[str, float]) -> str:
    worker = f"{seen['worker']:.0f}" if seen["worker"] else "none started"
    return (
        f"| {count} | {what} | {seen['seconds']:.2f} | {count / seen['seconds']:.1f} "
        f"| {seen['process']:.0f} | {worker} |"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--photos", type=int, nargs="+", default=[1, 100, 1000])
    parser.add_argument("--measure", nargs=2, metavar=("PHOTOS", "CACHE"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()

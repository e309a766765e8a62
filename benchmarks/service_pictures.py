"""One picture of a trained subject, asked for over HTTP: the first, and those that find all loaded.

In: how many come after the first.  Out: a line for each: the seconds from the request until the
picture is stored, and what they went by with; then what drawing it takes in this process.
"""

import io
import json
import time
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from PIL import Image
from served import new_key, served

from modelgenerator.diffusion import hub
from modelgenerator.diffusion.bringing import bring_and_load
from modelgenerator.diffusion.builtin import world
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.generation.generate import generate
from modelgenerator.generation.wishes import plan_images
from modelgenerator.lora import files as lora_files
from modelgenerator.settings import ImageSettings

BASE, SUBJECT = "creatures", "lvff"
SCENES = ("beach", "forest", "city", "meadow", "plain")
WISH = {"prompt": "lvff creature in the snow", "seed": 3}
SECONDS = 180
GOAL_SECONDS = 0.5


def measure(folder: Path, warm: int) -> None:
    data_dir, lora = folder / "pictures", folder / "lora.safetensors"
    key = new_key(data_dir)
    with served(data_dir, key) as server, server.client() as http:
        training = _taught(http)
        lora.write_bytes(http.get(f"/v1/trainings/{training}/model").raise_for_status().content)
    print(
        "| picture | request to stored, s | until a worker has it | starts, loads | draws, stores |"
    )
    print("|---|---|---|---|---|")
    with served(data_dir, key) as server, server.client() as http:
        drawn = [_drawn(http, training, number) for number in range(1 + warm)]
    alone = _alone(lora)
    after = median(sum(parts) for parts in drawn[1:])
    print(f"\ndrawn alone in this process: {alone:.3f} s")
    print(f"beyond drawing, once all is loaded: {after - alone:.3f} s (goal {GOAL_SECONDS} s)")


def _taught(http: httpx.Client) -> str:
    dataset = http.post("/v1/subjects", json={"name": "Luff"}).json()["datasetId"]
    photos = [("files", (f"{scene}.png", _photo(scene))) for scene in SCENES]
    http.post(f"/v1/datasets/{dataset}/images", files=photos).raise_for_status()
    settings = {"baseModel": BASE, "captionPrefix": SUBJECT, "maxSteps": 10, "seed": 7}
    asked = {"datasetId": dataset, "settings": settings}
    made = http.post("/v1/trainings", json=asked).raise_for_status().json()
    _ended(http, f"/v1/trainings/{made['id']}")
    return made["id"]


def _photo(scene: str) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(world.subject_picture(SUBJECT, scene, 1).pixels_HW3)
    picture.resize((512, 512), Image.Resampling.NEAREST).save(file, format="PNG")
    return file.getvalue()


def _drawn(http: httpx.Client, training: str, number: int) -> Sequence[float]:
    """Seconds until a worker has it, until it draws, until the picture is stored."""
    sent = time.time()
    asked = {"trainingId": training, "images": [WISH]}
    made = http.post("/v1/inferences", json=asked).raise_for_status().json()
    _ended(http, f"/v1/inferences/{made['id']}")
    at = _times(http, f"/v1/inferences/{made['id']}/events")
    marks = [sent, at["started"], at["phase"], at["finished"]]
    parts = [later - sooner for sooner, later in pairwise(marks)]
    cells = " | ".join(f"{part:.2f}" for part in (sum(parts), *parts))
    print(f"| {'first' if number == 0 else 'warm'} | {cells} |", flush=True)
    return parts


def _times(http: httpx.Client, address: str) -> dict[str, float]:
    """When an event of each name came last, by the server's clock, which is this machine's."""
    found: dict[str, float] = {}
    name = ""
    with http.stream("GET", address) as stream:
        for line in stream.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            if line.startswith("data: ") and '"at"' in line:
                data: dict[str, Any] = json.loads(line[6:])
                found[name] = datetime.fromisoformat(data["at"]).timestamp()
    return found


def _ended(http: httpx.Client, address: str) -> None:
    give_up = time.monotonic() + SECONDS
    while (seen := http.get(address).json())["finishedAt"] is None:
        assert time.monotonic() < give_up, seen
        time.sleep(0.02)
    assert seen["status"] == "succeeded", seen


def _alone(lora: Path) -> float:
    """Seconds of drawing it here: the median of five, after one that warms."""
    files = hub.look_at(BASE)
    base, trained = _loaded(files), lora_files.load(lora)
    planned = plan_images([ImageSettings.from_written(WISH)], files)
    seconds: list[float] = []
    for _ in range(6):
        began = time.perf_counter()
        list(generate(planned, base, trained))
        seconds.append(time.perf_counter() - began)
    return median(seconds[1:])


def _loaded(files: BaseModelFiles) -> ModelFamily:
    steps = bring_and_load(files, "fp32")
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value

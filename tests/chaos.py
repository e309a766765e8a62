"""Clients that ask for work, and a nemesis that kills whatever does it, all from one seed.

In: servers, a seed, how many jobs.  Out: what the clients were promised, for a checker to hold
against what became of it.  The order of events on a busy machine is not repeated by a seed; what is
asked for and what is killed is.
"""

import io
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import psutil
from PIL import Image
from tests.server import Server

from modelgenerator.diffusion.builtin import world

BASE = "modelgenerator/creatures"
PATIENCE_SECONDS = 300
PAUSE_SECONDS = 2.0
"""Between two wishes of a client, at most: kills must find something half done."""
FLOW = {
    "title": "Pack",
    "description": "A number in an archive.",
    "steps": [
        {"id": "number", "type": "ObjectTransformer", "result": {"value": 7}},
        {"id": "packed", "type": "Zipper", "parameters": {"sources": ["number"]}},
    ],
}


@dataclass
class Promises:
    """What was acknowledged; a list is appended to by several threads."""

    trainings: list[str] = field(default_factory=list)
    inferences: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    pictures: list[tuple[str, str]] = field(default_factory=list)
    """Dataset, and picture in it."""
    deleted_datasets: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    """Idempotency-Key, and the id that was answered to it, each time the same."""
    heard: list[str] = field(default_factory=list)
    """Ids of the messages that a webhook was sent."""
    faults: list[str] = field(default_factory=list)
    """What a client saw that nobody may see."""

    @property
    def job_count(self) -> int:
        return len(self.trainings) + len(self.inferences) + len(self.runs)


class Client:
    """Somebody who asks until he is answered, in the same words: whichever server answers."""

    def __init__(self, servers: Sequence[Server], promises: Promises) -> None:
        self._servers, self._promises = list(servers), promises
        self._http = httpx.Client(timeout=30)

    def __call__(self, method: str, address: str, **more: Any) -> httpx.Response:
        key = uuid4().hex if method == "POST" else None
        headers = {"Authorization": f"Bearer {self._servers[0].key}"}
        headers |= {"Idempotency-Key": key} if key else {}
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up:
            with suppress(httpx.TransportError):
                url = f"{self._servers[0].url}{address}"
                answer = self._http.request(method, url, headers=headers, **more)
                if answer.status_code < 500:
                    self._hold(key, answer)
                    return answer
                if answer.status_code not in (503, 507):
                    self._promises.faults.append(f"{method} {address}: {answer.text}")
            self._servers.append(self._servers.pop(0))
            time.sleep(0.2)
        raise AssertionError(f"nobody answers {method} {address}")

    def _hold(self, key: str | None, answer: httpx.Response) -> None:
        if key is None or answer.status_code not in (201, 202) or "id" not in answer.json():
            return
        id = answer.json()["id"]
        if self._promises.keys.setdefault(key, id) != id:
            self._promises.faults.append(f"{key} made {id} and {self._promises.keys[key]}")

    def close(self) -> None:
        self._http.close()


def ask_for_work(
    servers: Sequence[Server], promises: Promises, chance: random.Random, count: int
) -> None:
    """Until `count` jobs are promised, to all clients together."""
    ask = Client(chance.sample(servers, len(servers)), promises)
    try:
        dataset = _a_dataset(ask, promises, chance)
        flow = ask("POST", "/v1/flows", json={"definition": FLOW}).json()["id"]
        while promises.job_count < count:
            act = chance.choices(
                (_train, _draw, _run, _cancel, _upload, _delete), (4, 4, 3, 2, 2, 0.5)
            )[0]
            if act is _delete:
                doomed = _a_dataset(ask, promises, chance)
                _delete(ask, promises, chance, doomed, flow)
            else:
                act(ask, promises, chance, dataset, flow)
            time.sleep(chance.uniform(0, PAUSE_SECONDS))
    except Exception as error:
        promises.faults.append(f"a client broke: {error!r}")
        raise
    finally:
        ask.close()


Act = Callable[[Client, Promises, random.Random, str, str], None]


def _train(ask: Client, promises: Promises, chance: random.Random, dataset: str, _: str) -> None:
    settings: Mapping[str, object] = {
        "baseModel": BASE,
        "captionPrefix": "lvff",
        "maxSteps": chance.randint(4, 60),
        "networkDim": 4,
        "optimizer": "AdamW",
        "seed": chance.randint(0, 999),
    }
    made = ask("POST", "/v1/trainings", json={"datasetId": dataset, "settings": settings})
    _promised(promises.trainings, promises, made)


def _draw(ask: Client, promises: Promises, chance: random.Random, _: str, __: str) -> None:
    body: dict[str, object] = {
        "images": [{"prompt": "creature in the snow", "steps": 2, "count": chance.randint(1, 3)}]
    }
    some = [it for it in promises.trainings if chance.random() < 0.2]
    made = None
    if some:
        made = ask("POST", "/v1/inferences", json={**body, "trainingId": some[0]})
    # a training that is not finished, or was cancelled, has nothing to draw with
    if made is None or made.status_code in (404, 409):
        made = ask("POST", "/v1/inferences", json={**body, "baseModel": BASE})
    _promised(promises.inferences, promises, made)


def _run(ask: Client, promises: Promises, _: random.Random, __: str, flow: str) -> None:
    made = ask("POST", f"/v1/flows/{flow}/runs", json={"input": {}})
    _promised(promises.runs, promises, made)


def _cancel(ask: Client, promises: Promises, chance: random.Random, _: str, __: str) -> None:
    kinds = (("trainings", promises.trainings), ("inferences", promises.inferences))
    kind, ids = chance.choice(kinds)
    if ids:
        answer = ask("POST", f"/v1/{kind}/{chance.choice(ids)}/cancel")
        if answer.status_code not in (200, 202, 404, 409):
            promises.faults.append(f"cancel: {answer.text}")


def _upload(ask: Client, promises: Promises, chance: random.Random, dataset: str, _: str) -> None:
    noise = np.random.default_rng(chance.randint(0, 10**9)).integers(0, 256, (64, 64, 3))
    file = io.BytesIO()
    Image.fromarray(noise.astype(np.uint8)).save(file, format="PNG")
    files = {"files": ("noise.png", file.getvalue())}
    answer = ask("POST", f"/v1/datasets/{dataset}/images", files=files)
    for told in answer.json().get("files", ()):
        if told.get("status") in ("accepted", "duplicate"):
            promises.pictures.append((dataset, told["imageId"]))


def _delete(ask: Client, promises: Promises, _: random.Random, dataset: str, __: str) -> None:
    answer = ask("DELETE", f"/v1/datasets/{dataset}?cancel=true")
    if answer.status_code == 200:
        promises.deleted_datasets.append(dataset)


def _a_dataset(ask: Client, promises: Promises, chance: random.Random) -> str:
    dataset = ask("POST", "/v1/datasets").json()["id"]
    files = []
    for number in range(4):
        picture = world.subject_picture("lvff", "forest", chance.randint(0, 10**6))
        file = io.BytesIO()
        image = Image.fromarray(picture.pixels_HW3).resize((128, 128), Image.Resampling.NEAREST)
        image.save(file, format="PNG")
        files.append(("files", (f"{number}.png", file.getvalue())))
    answer = ask("POST", f"/v1/datasets/{dataset}/images", files=files)
    for told in answer.json()["files"]:
        if told["status"] != "refused":
            promises.pictures.append((dataset, told["imageId"]))
    return dataset


def _promised(ids: list[str], promises: Promises, made: httpx.Response) -> None:
    if made.status_code == 202 or made.status_code == 201:
        ids.append(made.json()["id"])
    else:
        promises.faults.append(f"refused: {made.request.url.path} {made.text}")


@dataclass(frozen=True)
class Deed:
    """What a nemesis may do, `weight` times as often as what has 1."""

    name: str
    weight: float
    do: Callable[[], None]


def rage(
    deeds: Sequence[Deed],
    chance: random.Random,
    *,
    seconds: tuple[float, float],
    is_over: Callable[[int], bool],
    tend: Callable[[], None],
) -> list[str]:
    """Do one after the other, with so many seconds between, until it is over; what was done.

    `is_over` is told how many that were; `tend` mends in between what ended by itself.  Ray wants
    the main thread, and this is it.
    """
    done: list[str] = []
    weights = [deed.weight for deed in deeds]
    while not _comes_over(is_over, len(done), chance.uniform(*seconds)):
        tend()
        (deed,) = chance.choices(deeds, weights)
        done.append(deed.name)
        deed.do()
    return done


def _comes_over(is_over: Callable[[int], bool], count: int, seconds: float) -> bool:
    """Whether it does within so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_over(count):
            return True
        time.sleep(0.5)
    return False


SLEEP_SECONDS = 8.0
"""Longer than a lease, so that somebody else has the job when the sleeper wakes."""


def on_a_machine(server: Server, chance: random.Random) -> list[Deed]:
    """What can go wrong with one server and its children."""

    def again(end: Callable[[], object]) -> Callable[[], None]:
        def ended_and_started() -> None:
            end()
            server.start()

        return ended_and_started

    return [
        Deed("server killed", 3, again(server.kill)),
        Deed("server ended", 1, again(server.stop)),
        Deed("child killed", 4, lambda: kill_one(server.children(), chance)),
        Deed("child slept", 1, lambda: let_one_sleep(server.children(), chance)),
    ]


def kill_one(processes: Sequence[psutil.Process], chance: random.Random) -> None:
    """If there are any."""
    if processes:
        with suppress(psutil.NoSuchProcess):
            chance.choice(processes).kill()


def let_one_sleep(processes: Sequence[psutil.Process], chance: random.Random) -> None:
    """And wake."""
    if processes:
        with suppress(psutil.NoSuchProcess):
            process = chance.choice(processes)
            process.send_signal(signal.SIGSTOP)
            time.sleep(SLEEP_SECONDS)
            process.send_signal(signal.SIGCONT)

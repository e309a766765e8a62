"""What the acceptance tests share: the real command in a process of its own, and its material.

Nothing here reaches the network or this user's caches.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image
from skimage import data
from tests import deployments
from tests.tiny import save_tiny_stable_diffusion

SECONDS = 300
"""After which a command hangs."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.acceptance)


def pytest_sessionfinish() -> None:
    deployments.end()


@dataclass(frozen=True)
class ModelGenerator:
    """The command, started in `folder`."""

    folder: Path
    environment: Mapping[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list[subprocess.Popen[str]])

    def __call__(self, *words: object, **more: str) -> subprocess.CompletedProcess[str]:
        return self.through([], *words, **more)

    def through(
        self, before: Sequence[str], *words: object, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end, with the program of `before` in front."""
        return subprocess.run(
            [*before, *self._line(words)],
            cwd=self.folder,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def start(self, *words: object, before: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start, and leave running."""
        process = subprocess.Popen(
            [*before, *self._line(words)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pipesize=4096,  # a reader that gets no time holds the training up, and not too late
        )
        self.started.append(process)
        return process

    def stop_at(
        self, step: int, number: signal.Signals, *words: object, before: Sequence[str] = ()
    ) -> tuple[int, str]:
        """Start a training with --json, send a signal once `step` is done: exit code, output."""
        process = self.start(*words, "--json", before=before)
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if f'"event": "stepFinished", "step": {step},' in line:
                process.send_signal(number)
        return process.wait(SECONDS), "".join(said)

    def _line(self, words: Sequence[object]) -> list[str]:
        main = "from modelgenerator.cli.main import main; main()"
        return [sys.executable, "-c", main, *map(str, words)]


@pytest.fixture
def modelgenerator(tmp_path: Path, hub_home: Path) -> Iterator[ModelGenerator]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HOME": str(hub_home),
        "HF_HUB_OFFLINE": "1",
        "MODELGENERATOR_CACHE": str(tmp_path / "cache"),
        "PYTHONUNBUFFERED": "1",
    }
    command = ModelGenerator(tmp_path, environment)
    yield command
    for process in command.started:
        process.kill()
        process.communicate()


@pytest.fixture
def hub_home(tmp_path: Path) -> Path:
    return tmp_path / "hub-home"


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stable Diffusion folder with random weights, which wants few pictures drawn."""
    folder = save_tiny_stable_diffusion(tmp_path_factory.mktemp("base") / "tiny")
    wishes = {"images": {"steps": 2, "guidanceScale": 2}, "prompts": ["{} in the snow"]}
    (folder / "recommended.json").write_text(json.dumps(wishes))
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four real photographs in three formats, one of them taken with the camera turned."""
    folder = tmp_path / "photos"
    folder.mkdir()
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(data.astronaut()).save(folder / "astronaut.jpg", exif=turned)
    Image.fromarray(data.chelsea()).save(folder / "cat.png")
    Image.fromarray(data.coffee()).save(folder / "coffee.webp")
    Image.fromarray(data.rocket()).save(folder / "rocket.jpg")
    (folder / "astronaut.txt").write_text("a woman in an orange suit")
    (folder / "cat.txt").write_text("a cat that looks up")
    return folder


@pytest.fixture
def train_words(photos: Path, tiny_base: Path) -> Callable[..., list[object]]:
    """The words of a short training into a folder; assignments are added or replaced."""

    def words(output: object, **settings: object) -> list[object]:
        values: dict[str, object] = {"maxSteps": 6, "resolution": 64, "networkDim": 4, "seed": 7}
        assigned = [f"--set={name}={value}" for name, value in (values | settings).items()]
        place = ["--base-model", tiny_base, "--output", output]
        return ["train", photos, "--prefix", "lvff", *place, *assigned]

    return words


def wait_for(happened: Callable[[], bool]) -> None:
    """Return as soon as it has."""
    end = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)

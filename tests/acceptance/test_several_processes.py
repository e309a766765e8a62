"""A training in several processes is stopped, killed and gone on with as one in a single one is."""

import signal
import tempfile
from pathlib import Path

import psutil
from tests.acceptance.conftest import wait_for


def test_two_processes_are_stopped_then_killed_with_their_parent_and_one_goes_on(
    modelgenerator, train_words, tmp_path
):
    words = train_words("out", maxSteps=8, batchSize=2)
    exit_code, said = modelgenerator.stop_at(2, signal.SIGINT, *words, "--processes", 2)
    assert exit_code == 130
    assert "--resume --processes 2" in said.splitlines()[-1]
    assert (tmp_path / "out/checkpoint.safetensors").exists()

    before, places = set(psutil.pids()), _meeting_places()
    resume = ["train", words[1], "--output", "out", "--resume"]
    killed = modelgenerator.stop_at(5, signal.SIGKILL, *resume, "--processes", 2)
    assert killed[0] == -signal.SIGKILL
    wait_for(lambda: not _ranks(set(psutil.pids()) - before))
    wait_for(lambda: _meeting_places() <= places)

    ended = modelgenerator(*resume)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "out/lora.safetensors").exists()


def _meeting_places() -> set[Path]:
    """Where processes that train together find each other."""
    return set(Path(tempfile.gettempdir()).glob("modelgenerator-*/meeting"))


def _ranks(pids: set[int]) -> list[int]:
    """Those that take part in a training."""

    def takes_part(pid: int) -> bool:
        try:
            return "rank_process" in " ".join(psutil.Process(pid).cmdline())
        except psutil.Error:
            return False

    return [pid for pid in pids if takes_part(pid)]

"""A training in several processes is stopped, killed and gone on with as one in a single one is."""

import dataclasses
import signal
import subprocess

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

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    surroundings = {**modelgenerator.environment, "TMPDIR": str(temporary)}
    elsewhere = dataclasses.replace(modelgenerator, environment=surroundings)
    resume = ["train", words[1], "--output", "out", "--resume"]
    killed = elsewhere.start(*resume, "--processes", 2, "--json")
    ranks = _ranks_at_step(5, killed)
    assert len(ranks) == 2
    ranks[1].suspend()  # it cannot see that its parent ends
    killed.kill()
    wait_for(lambda: not any(_lives(rank) for rank in ranks))
    assert list(temporary.iterdir()) == []

    ended = modelgenerator(*resume)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "out/lora.safetensors").exists()


def _ranks_at_step(step: int, command: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes that take part in the training of `command`, once `step` is done."""
    assert command.stdout is not None
    assert any(f'"event": "stepFinished", "step": {step},' in line for line in command.stdout)
    children = psutil.Process(command.pid).children()
    return [child for child in children if "rank_process" in " ".join(child.cmdline())]


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

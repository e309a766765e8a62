"""One step shared by replicas is one step on the whole batch; a resumed run is the same run."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from modelgenerator.diffusion.builtin.learner import Learner, Replica, falling, in_replicas

ALONE = Replica(rank=0, count=1, device=torch.device("cpu"))
STEPS, BATCH = 4, 8


def tiny() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))


def loss_of(module: nn.Module, step: int, rows: slice) -> Tensor:
    chance = torch.Generator().manual_seed(step)
    pictures_B3HW = torch.randn(BATCH, 3, 4, 4, generator=chance)[rows]
    return (module(pictures_B3HW) - 1).square().mean()


def weights(module: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def learn(learner: Learner, module: nn.Module, until: int, rows: slice = slice(None)) -> None:
    for step in range(learner.step_count, until):
        learner.step(loss_of(module, step, rows), learning_rate=1e-2)


def share_a_batch(replica: Replica, folder: Path) -> None:
    """What each replica of a test does: its own half of every batch."""
    module = tiny()
    learner = Learner([(module, 1.0)], replica=replica, average=0.9)
    own = BATCH // replica.count
    learn(learner, module, STEPS, slice(replica.rank * own, (replica.rank + 1) * own))
    save_file({"weights": weights(module)}, folder / f"{replica.rank}.safetensors")


def wait_for_ever(replica: Replica, folder: Path) -> None:
    (folder / f"{replica.rank}.pid").write_text(str(os.getpid()))
    time.sleep(600)


def fail_in_one(replica: Replica, folder: Path) -> None:
    assert folder.is_dir()
    if replica.rank == 1:
        raise RuntimeError("this replica failed")
    time.sleep(600)


def test_laying_weights_out_in_one_buffer_does_not_change_what_a_module_does():
    module, twin = tiny(), tiny()
    Learner([(module, 1.0)], replica=ALONE, average=0.9)
    assert torch.equal(loss_of(module, 0, slice(None)), loss_of(twin, 0, slice(None)))
    assert torch.equal(weights(module), weights(twin))


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path: Path):
    whole = tiny()
    uninterrupted = Learner([(whole, 1.0)], replica=ALONE, average=0.9)
    learn(uninterrupted, whole, 6)
    uninterrupted.save(tmp_path / "whole.safetensors")

    first = tiny()
    learner = Learner([(first, 1.0)], replica=ALONE, average=0.9)
    learn(learner, first, 3)
    learner.save(tmp_path / "half.safetensors")
    second = tiny()
    resumed = Learner([(second, 1.0)], replica=ALONE, average=0.9)
    resumed.load(tmp_path / "half.safetensors")
    learn(resumed, second, 6)
    resumed.save(tmp_path / "resumed.safetensors")

    assert torch.equal(weights(second), weights(whole))
    expected, saved = (load_file(tmp_path / f"{n}.safetensors") for n in ("whole", "resumed"))
    assert expected.keys() == saved.keys()
    assert all(torch.equal(expected[name], saved[name]) for name in expected)


def test_a_checkpoint_is_there_whole_or_not_at_all(tmp_path: Path):
    module = tiny()
    learner = Learner([(module, 1.0)], replica=ALONE, average=0.9)
    learn(learner, module, 1)
    learner.save(tmp_path / "checkpoint.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_a_part_with_no_share_of_the_learning_rate_stays_as_it_is():
    learns, rests = tiny(), tiny()
    before = weights(rests)
    learner = Learner([(learns, 1.0), (rests, 0.0)], replica=ALONE, average=0.9)
    both = loss_of(learns, 0, slice(None)) + loss_of(rests, 0, slice(None))
    learner.step(both, learning_rate=1e-2)
    assert torch.equal(weights(rests), before)
    assert not torch.equal(weights(learns), before)


def test_averages_lie_between_the_first_and_the_last_weights():
    module, average = tiny(), tiny()
    first = weights(module)
    learner = Learner([(module, 1.0)], replica=ALONE, average=0.5)
    learner.step(loss_of(module, 0, slice(None)), learning_rate=1e-2)
    learner.load_averages_into([average])
    keep = 2 / 11  # short averages in the beginning, whatever was asked for
    torch.testing.assert_close(weights(average), first * keep + weights(module) * (1 - keep))


def test_the_learning_rate_rises_stays_and_falls_to_nothing():
    rate = partial(falling, steps=100, peak=2.0, warm_up=10, flat=0.5)
    assert [rate(0), rate(4), rate(9), rate(50), rate(75), rate(100)] == [0.2, 1.0, 2.0, 2.0, 1, 0]


@pytest.mark.slow
def test_two_replicas_learn_what_one_process_learns_from_the_whole_batch(tmp_path: Path):
    if torch.cuda.is_available():
        pytest.skip("replicas are for CPUs")
    in_replicas(share_a_batch, tmp_path, count=2)
    halves = [load_file(tmp_path / f"{rank}.safetensors")["weights"] for rank in range(2)]
    module = tiny()
    learn(Learner([(module, 1.0)], replica=ALONE, average=0.9), module, STEPS)
    assert torch.equal(halves[0], halves[1])
    torch.testing.assert_close(halves[0], weights(module), rtol=1e-5, atol=1e-6)
    assert not list(tmp_path.glob("replicas-*"))


@pytest.mark.slow
def test_a_replica_that_fails_ends_the_others(tmp_path: Path):
    if torch.cuda.is_available():
        pytest.skip("replicas are for CPUs")
    with pytest.raises(Exception, match="this replica failed"):
        in_replicas(fail_in_one, tmp_path, count=2)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells the replicas")
def test_replicas_end_with_a_parent_that_is_killed(tmp_path: Path):
    if torch.cuda.is_available():
        pytest.skip("replicas are for CPUs")
    here = Path(__file__)
    script = (
        f"import sys; sys.path.insert(0, {str(here.parent)!r})\n"
        "from pathlib import Path\n"
        f"from {here.stem} import in_replicas, wait_for_ever\n"
        f"if __name__ == '__main__': in_replicas(wait_for_ever, Path({str(tmp_path)!r}), count=2)\n"
    )
    (tmp_path / "parent.py").write_text(script)
    # as a shell starts a job in the background: with Ctrl-C ignored
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "parent.py"],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        stderr=subprocess.DEVNULL,
    )
    try:
        assert eventually(lambda: len(running(tmp_path)) == 2)
    finally:
        parent.kill()
        parent.wait()
    assert eventually(lambda: not running(tmp_path))


def running(folder: Path) -> list[int]:
    """Which of the replicas that wrote their number are still there."""
    numbers = [int(path.read_text() or 0) for path in folder.glob("*.pid")]
    states = {number: Path(f"/proc/{number}/stat") for number in numbers if number}
    return [n for n, stat in states.items() if stat.exists() and ") Z " not in stat.read_text()]


def eventually(holds: object) -> bool:
    assert callable(holds)
    for _ in range(1_200):
        if holds():
            return True
        time.sleep(0.1)
    return False

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.kills import killed_at

from modelgenerator.errors import CannotResume, OutputNotWritable
from modelgenerator.training import checkpoint, checkpoint_files
from modelgenerator.training.checkpoint import Checkpoint

SAVED = Checkpoint(
    step=7,
    plan_digest="f00d",
    network={"unet.a.down": torch.tensor([[0.1, 0.2]])},
    optimizer={"d": torch.tensor(1e-6, dtype=torch.float64), "mean_N": torch.ones(3)},
    scaler={"good_steps": torch.tensor(5)},
    epoch_losses=(0.1, 1 / 3),
)


def test_what_is_written_is_read_to_the_last_bit(tmp_path: Path):
    checkpoint.write(SAVED, tmp_path)
    read = checkpoint.read(tmp_path, plan_digest="f00d")
    assert (read.step, read.epoch_losses) == (7, (0.1, 1 / 3))
    for part in ("network", "optimizer", "scaler"):
        one, other = getattr(SAVED, part), getattr(read, part)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[n], other[n]) and one[n].dtype == other[n].dtype for n in one)


def test_the_newest_two_are_kept_and_nothing_half_written(tmp_path: Path):
    for step in (1, 2, 3):
        checkpoint.write(replace(SAVED, step=step), tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == set(checkpoint_files.NAMES)
    assert checkpoint.read(tmp_path, plan_digest="f00d").step == 3
    (tmp_path / checkpoint_files.FILE).unlink()
    assert checkpoint.read(tmp_path, plan_digest="f00d").step == 2


def test_a_finished_training_leaves_none_of_its_files(tmp_path: Path):
    checkpoint.write(SAVED, tmp_path)
    checkpoint.write(SAVED, tmp_path)
    (tmp_path / f".{checkpoint_files.FILE}.partial").write_bytes(b"killed while writing")
    checkpoint_files.remove(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_checkpoint_of_another_training_is_refused(tmp_path: Path):
    checkpoint.write(SAVED, tmp_path)
    with pytest.raises(CannotResume, match="other settings, pictures or another base model"):
        checkpoint.read(tmp_path, plan_digest="beef")


def test_a_missing_checkpoint_is_refused_with_what_to_do(tmp_path: Path):
    with pytest.raises(CannotResume, match=r"There is no checkpoint .* without --resume"):
        checkpoint.read(tmp_path, plan_digest="f00d")


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: content[:0],
    "4 bytes": lambda content: content[:4],
    "100 bytes": lambda content: content[:100],
    "one byte less": lambda content: content[:-1],
    "one byte more": lambda content: content + b"0",
    "another number": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "another step": lambda content: content.replace(b'"step":"7"', b'"step":"8"'),
    "no seal": lambda content: content.replace(b'"sha256"', b'"sha000"'),
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_refused_by_its_path(tmp_path: Path, damage: str):
    file = checkpoint.write(SAVED, tmp_path)
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    with pytest.raises(CannotResume, match=f"{file.name} is damaged"):
        checkpoint.read(tmp_path, plan_digest="f00d")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_gives_way_to_the_one_before_and_says_so(tmp_path: Path, damage: str):
    checkpoint.write(replace(SAVED, step=5), tmp_path)
    file = checkpoint.write(SAVED, tmp_path)
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    found = checkpoint.read(tmp_path, plan_digest="f00d")
    assert found.step == 5
    (notice,) = found.notices
    assert notice.level == "warning"
    assert f"{file} is damaged" in notice.message
    assert "at step 6" in notice.message


def test_an_undamaged_checkpoint_earns_no_notice(tmp_path: Path):
    checkpoint.write(SAVED, tmp_path)
    assert checkpoint.read(tmp_path, plan_digest="f00d").notices == ()


def test_two_damaged_checkpoints_are_refused(tmp_path: Path):
    for _ in range(2):
        checkpoint.write(SAVED, tmp_path)
    for name in checkpoint_files.NAMES:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(CannotResume, match="and so is the one before it"):
        checkpoint.read(tmp_path, plan_digest="f00d")


@pytest.mark.parametrize("instant", range(4))
def test_a_kill_at_any_instant_of_a_writing_leaves_one_of_the_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instant: int
):
    checkpoint.write(replace(SAVED, step=5), tmp_path)
    with killed_at(instant, monkeypatch):
        checkpoint.write(SAVED, tmp_path)
    assert checkpoint.read(tmp_path, plan_digest="f00d").step in (5, 7)


def test_a_failed_writing_keeps_the_earlier_checkpoint(tmp_path: Path):
    checkpoint.write(SAVED, tmp_path)
    (tmp_path / f".{checkpoint_files.FILE}.partial").mkdir()  # so that writing fails, even for root
    with pytest.raises(OutputNotWritable, match="The checkpoint cannot be written"):
        checkpoint.write(SAVED, tmp_path)
    assert checkpoint.read(tmp_path, plan_digest="f00d").step == 7

from pathlib import Path

import pytest
import torch

from modelgenerator.errors import CannotResume, OutputNotWritable
from modelgenerator.training import checkpoint
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


def test_there_is_one_file_and_nothing_half_written(tmp_path: Path):
    checkpoint.write(SAVED, tmp_path)
    checkpoint.write(SAVED, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [checkpoint.FILE]


def test_the_checkpoint_of_another_training_is_refused(tmp_path: Path):
    checkpoint.write(SAVED, tmp_path)
    with pytest.raises(CannotResume, match="other settings, pictures or another base model"):
        checkpoint.read(tmp_path, plan_digest="beef")


def test_a_missing_checkpoint_is_refused_with_what_to_do(tmp_path: Path):
    with pytest.raises(CannotResume, match=r"There is no checkpoint .* without --resume"):
        checkpoint.read(tmp_path, plan_digest="f00d")


@pytest.mark.parametrize("kept", [0, 4, 100, -1], ids=["empty", "4", "100", "one byte less"])
def test_a_damaged_checkpoint_is_refused_by_its_path(tmp_path: Path, kept: int):
    file = checkpoint.write(SAVED, tmp_path)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(CannotResume, match=f"{checkpoint.FILE} is damaged"):
        checkpoint.read(tmp_path, plan_digest="f00d")


def test_a_failed_writing_keeps_the_earlier_checkpoint(tmp_path: Path):
    checkpoint.write(SAVED, tmp_path)
    (tmp_path / f".{checkpoint.FILE}.partial").mkdir()  # so that writing fails, even for root
    with pytest.raises(OutputNotWritable, match="The checkpoint cannot be written"):
        checkpoint.write(SAVED, tmp_path)
    assert checkpoint.read(tmp_path, plan_digest="f00d").step == 7

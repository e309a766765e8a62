"""What a training needs to go on as if it had not stopped.

In: the network's, the optimizer's and the scaler's tensors, and how far the training is.  Out: a
safetensors file, which is complete or not there, with the one before it kept: when the newest turns
out to be damaged, the training goes on from that.  Randomness is not in it: it has no state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from modelgenerator.errors import CannotResume
from modelgenerator.notices import Notice
from modelgenerator.training import checkpoint_files
from modelgenerator.training.checkpoint_files import SEAL, UNSEALED, Damaged


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A training after `step` steps."""

    step: int
    plan_digest: str
    network: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    scaler: Mapping[str, Tensor]
    epoch_losses: tuple[float, ...]
    """Of the steps of the epoch that is not finished yet."""
    notices: tuple[Notice, ...] = ()
    """What turned out while it was read; not written."""


def write(checkpoint: Checkpoint, folder: Path) -> Path:
    """Make it the newest in `folder` and keep the one before; a failure loses neither.

    Raises:
        OutputNotWritable: the disk is full, or the folder is gone or not writable.
    """
    parts = {
        "network": checkpoint.network,
        "optimizer": checkpoint.optimizer,
        "scaler": checkpoint.scaler,
    }
    tensors = {
        f"{part}:{name}": tensor.cpu().contiguous()
        for part, state in parts.items()
        for name, tensor in state.items()
    }
    metadata = {
        "step": str(checkpoint.step),
        "plan": checkpoint.plan_digest,
        "losses": " ".join(loss.hex() for loss in checkpoint.epoch_losses),
        SEAL: UNSEALED,
    }
    return checkpoint_files.write(folder, save(tensors, metadata))


def read(folder: Path, *, plan_digest: str) -> Checkpoint:
    """The newest checkpoint in `folder` that is whole, if it belongs to this plan.

    Raises:
        CannotResume: there is none, all are damaged, or it belongs to another training.
    """
    files = [folder / name for name in checkpoint_files.NAMES if (folder / name).exists()]
    if not files:
        raise CannotResume(
            f"There is no checkpoint in {folder}: the training stopped before its first one, or "
            "it is finished. Start again without --resume."
        )
    for file in files:
        try:
            found = _read(file, folder, plan_digest)
        except Damaged:
            continue
        return (
            found if file is files[0] else replace(found, notices=(_fallen_back(files[0], found),))
        )
    both = ", and so is the one before it" if len(files) > 1 else ""
    raise CannotResume(f"The checkpoint {files[0]} is damaged{both}. Start again without --resume.")


def _read(file: Path, folder: Path, plan_digest: str) -> Checkpoint:
    content, metadata = checkpoint_files.read(file)
    if metadata.get("plan") != plan_digest:
        raise CannotResume(
            f"The checkpoint in {folder} belongs to a training with other settings, pictures or "
            "another base model. Train into another folder with --output."
        )
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise Damaged(file) from error
    return Checkpoint(
        step=int(metadata["step"]),
        plan_digest=plan_digest,
        network=_part("network", tensors),
        optimizer=_part("optimizer", tensors),
        scaler=_part("scaler", tensors),
        epoch_losses=tuple(float.fromhex(loss) for loss in metadata["losses"].split()),
    )


def _fallen_back(damaged: Path, found: Checkpoint) -> Notice:
    message = (
        f"The newest checkpoint {damaged} is damaged, so the training goes on from the one before "
        f"it, at step {found.step + 1}. The result is the same. Is the disk in order?"
    )
    return Notice("warning", None, message)


def _part(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    mark = f"{part}:"
    return {k.removeprefix(mark): t for k, t in tensors.items() if k.startswith(mark)}

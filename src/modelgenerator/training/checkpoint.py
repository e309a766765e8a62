"""What a training needs to go on as if it had not stopped.

In: the network's, the optimizer's and the scaler's tensors, and how far the training is.  Out: one
safetensors file, which is complete or not there.  Randomness is not in it: it has no state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from modelgenerator.errors import CannotResume
from modelgenerator.whole_files import write_whole

FILE = "checkpoint.safetensors"


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


def write(checkpoint: Checkpoint, folder: Path) -> Path:
    """Replace the checkpoint in `folder`; on any failure the earlier one stays.

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
    }
    file = folder / FILE
    write_whole(file, save(tensors, metadata), called="The checkpoint")
    return file


def read(folder: Path, *, plan_digest: str) -> Checkpoint:
    """The checkpoint in `folder`, if it belongs to this plan.

    Raises:
        CannotResume: there is none, it is damaged, or it belongs to another training.
    """
    file = folder / FILE
    if not file.exists():
        raise CannotResume(
            f"There is no checkpoint in {folder}: the training stopped before its first one, or "
            "it is finished. Start again without --resume."
        )
    try:
        with safe_open(file, "pt") as opened:
            metadata = dict(opened.metadata() or {})
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CannotResume(
            f"The checkpoint {file} is damaged. Start again without --resume."
        ) from error
    if metadata.get("plan") != plan_digest:
        raise CannotResume(
            f"The checkpoint in {folder} belongs to a training with other settings, pictures or "
            "another base model. Train into another folder with --output."
        )
    return Checkpoint(
        step=int(metadata["step"]),
        plan_digest=plan_digest,
        network=_part("network", tensors),
        optimizer=_part("optimizer", tensors),
        scaler=_part("scaler", tensors),
        epoch_losses=tuple(float.fromhex(loss) for loss in metadata["losses"].split()),
    )


def _part(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    mark = f"{part}:"
    return {k.removeprefix(mark): t for k, t in tensors.items() if k.startswith(mark)}

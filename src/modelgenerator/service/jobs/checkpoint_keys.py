"""What the checkpoints of trainings are called in the storage, where no torch is needed to know it.

In: a prefix and what is to be known of a checkpoint without reading it.  Out: a key that says it.
"""

import re
from dataclasses import dataclass

from modelgenerator.service.store.files import Files

_NAME = re.compile(
    r"(.*)/attempts/([0-9a-f]{32})-\d+/checkpoint-(\d{8})-from-(\d{8})-used-(\d{12})\.safetensors"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointName:
    """What a key says."""

    prefix: str
    """Of the training."""
    job: str
    """Its id, in hexadecimal."""
    step: int
    first_step: int
    """Steps that were done before this job: it went on from another one's checkpoint."""
    used_ms: int
    """By this job."""


def checkpoint_key(folder: str, *, step: int, first_step: int, used_ms: int) -> str:
    """Keys below one folder sort by step; `folder` is `<prefix>/attempts/<job>-<attempt>`."""
    return f"{folder}/checkpoint-{step:08}-from-{first_step:08}-used-{used_ms:012}.safetensors"


def read_key(key: str) -> CheckpointName | None:
    """What `checkpoint_key` was told; None for any other key."""
    if (found := _NAME.fullmatch(key)) is None:
        return None
    prefix, job, step, first_step, used_ms = found.groups()
    return CheckpointName(
        prefix=prefix, job=job, step=int(step), first_step=int(first_step), used_ms=int(used_ms)
    )


def checkpoints_below(files: Files, prefix: str) -> list[str]:
    """Of a training, the oldest first."""
    return sorted(key for key in files.keys(f"{prefix}/attempts") if read_key(key))


def forget_checkpoints(files: Files, prefix: str) -> None:
    """The training is finished and its LoRA is stored: nothing goes on from them any more."""
    for key in checkpoints_below(files, prefix):
        files.delete(key)

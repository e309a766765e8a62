"""What the checkpoints of trainings are called in the storage, where no torch is needed to know it.

In: a prefix, a step, the time that was used up to it.  Out: a key that says both.
"""

import re

from modelgenerator.service.store.files import Files

_NAME = re.compile(r"/checkpoint-\d{8}-(\d{12})\.safetensors$")


def checkpoint_key(prefix: str, step: int, used_ms: int) -> str:
    """Keys below one prefix sort by step."""
    return f"{prefix}/checkpoint-{step:08}-{used_ms:012}.safetensors"


def is_checkpoint(key: str) -> bool:
    """Whether `checkpoint_key` made it."""
    return _NAME.search(key) is not None


def used_ms_of(key: str) -> int:
    """What the key says of the time; 0 for one that says nothing."""
    found = _NAME.search(key)
    return int(found[1]) if found else 0


def forget_checkpoints(files: Files, prefix: str) -> None:
    """The training is finished and its LoRA is stored: nothing goes on from them any more."""
    for key in list(files.keys(f"{prefix}/attempts")):
        if is_checkpoint(key):
            files.delete(key)

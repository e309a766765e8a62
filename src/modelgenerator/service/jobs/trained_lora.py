"""The LoRA of a training that is finished, stored in both layouts that programs read.

In: the file that the library wrote.  Out: what is said of it at the end of the job.
"""

from pathlib import Path
from typing import Literal, cast

from modelgenerator.errors import UnusableLora
from modelgenerator.lora import files
from modelgenerator.lora.convert import convert
from modelgenerator.lora.files import LoraFile
from modelgenerator.lora.key_names import DIFFUSERS, KOHYA
from modelgenerator.service.jobs.training_messages import Telling
from modelgenerator.service.records.job_specs import StoredLora, TrainResult

Layout = Literal["kohya", "diffusers"]


def stored_lora(
    file: Path,
    telling: Telling,
    *,
    name: str,
    base_revision: str | None,
    steps: int,
    preparing_ms: int,
    machine: str,
) -> TrainResult:
    """Store it, after it was seen that it loads; `steps` are those that this job did.

    `name` is what browsers save it as, before its layout; `machine` the kind of the one it was
    trained on.

    Raises:
        UnusableLora: it does not load.
        StorageFull, StorageUnreachable: see `Files.put`.
    """
    lora = files.load(file)
    stored, plan = telling.put(file, _file_name(name, lora.layout)), telling.plan
    return TrainResult(
        storage_key=stored.key,
        sha256=stored.sha256,
        byte_count=stored.byte_count,
        layout=cast(Layout, lora.layout),
        other_layout=_in_other_layout(lora, telling, name),
        base_model=plan.base_model,
        base_revision=base_revision,
        family=plan.family,
        steps=steps,
        machine=machine,
        preparing_ms=preparing_ms,
    )


def _in_other_layout(lora: LoraFile, telling: Telling, name: str) -> StoredLora | None:
    """None where it cannot be said in that one."""
    layout = DIFFUSERS if lora.layout == KOHYA else KOHYA
    file = lora.path.with_name(f"lora-{layout}.safetensors")
    try:
        convert(lora, file, layout=layout, header="full")
    except UnusableLora:
        return None
    stored = telling.put(file, _file_name(name, layout))
    return StoredLora(
        layout=layout,
        storage_key=stored.key,
        sha256=stored.sha256,
        byte_count=stored.byte_count,
    )


def _file_name(name: str, layout: str) -> str:
    return f"{name}.{layout}.safetensors"

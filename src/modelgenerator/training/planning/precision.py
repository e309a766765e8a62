"""In which number format the frozen base model computes.

In: precision as written, the family, the device.  Out: `fp32`, `fp16` or `bf16`, and a notice
where that is another one than was written.
"""

from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.traits import TRAITS
from modelgenerator.notices import Notice
from modelgenerator.settings import Precision, TrainingSettings
from modelgenerator.training.plan import DeviceFacts


def choose_precision(
    settings: TrainingSettings, base: BaseModelFiles, device: DeviceFacts, notices: list[Notice]
) -> str:
    """Never refuses: every device computes in fp32."""
    if device.kind == "cpu":
        message = "fp32 is used: half precision is many times slower on a CPU."
        notices.append(Notice("info", "precision", message))
        return "fp32"
    if not TRAITS[base.family].computes_in_fp16:
        return _flow_dtype(settings, base, device, notices)
    if settings.precision is Precision.BF16 and not device.has_bf16:
        message = "fp16 is used: this GPU does not compute in bf16."
        notices.append(Notice("warning", "precision", message))
        return "fp16"
    return settings.precision.value


def _flow_dtype(
    settings: TrainingSettings, base: BaseModelFiles, device: DeviceFacts, notices: list[Notice]
) -> str:
    """Never fp16."""
    used = "bf16" if device.has_bf16 else "fp32"
    reasons = {
        Precision.FP16: f"{base.reference} overflows in fp16.",
        Precision.BF16: "this GPU does not compute in bf16.",
    }
    if settings.precision.value != used:
        message = f"{used} is used: {reasons[settings.precision]}"
        notices.append(Notice("warning", "precision", message))
    return used

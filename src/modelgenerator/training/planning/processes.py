"""Among how many processes a training is divided.

In: how many are wished, the settings, the device.  Out: nothing, or a refusal that says what to
write instead.  It changes how long a training takes and how much memory each process needs, and
nothing of the LoRA: that is why it is no setting.
"""

from modelgenerator.errors import InvalidSettings
from modelgenerator.settings import TrainingSettings
from modelgenerator.training.plan import DeviceFacts


def pictures_in_step(settings: TrainingSettings) -> int:
    """The most that one optimizer step learns from; no more processes find work."""
    return settings.batch_size * settings.gradient_accumulation


def refuse_idle_processes(processes: int, settings: TrainingSettings, device: DeviceFacts) -> None:
    """Raises InvalidSettings: there is no GPU, or no picture, for each of them."""
    if device.kind == "cuda" and processes > device.count:
        raise InvalidSettings(
            f"{processes} processes need a GPU each, and this machine has {device.count}: ask "
            f"for {device.count}."
        )
    pictures = pictures_in_step(settings)
    if processes > pictures:
        raise InvalidSettings(
            f"{processes} processes divide the pictures of a step among them, and a step has "
            f"{pictures}: raise batchSize or gradientAccumulation, or ask for fewer."
        )

"""What is trained: the shape of the LoRA and the parts of the base model that it corrects.

In: networkDim, alphaDim, networkTargets and trainUnetOnly as written.  Out: names and numbers.
"""

from dataclasses import dataclass

from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.traits import TRAITS
from modelgenerator.notices import Notice
from modelgenerator.settings import NetworkTarget, TrainingSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What is decided of it."""

    denoiser: str
    text_encoders: tuple[str, ...]
    """Those that are trained too."""
    targets: tuple[str, ...]
    dim: int
    alpha: float


def choose_network(
    settings: TrainingSettings, base: BaseModelFiles, notices: list[Notice]
) -> Network:
    """Never refuses."""
    traits = TRAITS[base.family]
    alpha = settings.network_dim if settings.alpha_dim is None else settings.alpha_dim
    return Network(
        denoiser=traits.denoiser,
        text_encoders=() if settings.train_unet_only else traits.text_encoders,
        targets=_targets(settings, base, notices),
        dim=settings.network_dim,
        alpha=float(alpha),
    )


def _targets(
    settings: TrainingSettings, base: BaseModelFiles, notices: list[Notice]
) -> tuple[str, ...]:
    targets = {target.value for target in settings.network_targets}
    if NetworkTarget.CONVOLUTIONS in targets and not TRAITS[base.family].has_convolutions:
        message = "Ignored: convolutions. A transformer has none: its attention blocks are trained."
        notices.append(Notice("warning", "networkTargets", message))
        targets = {NetworkTarget.ATTENTION.value}
    return tuple(sorted(targets))

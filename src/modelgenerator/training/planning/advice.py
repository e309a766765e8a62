"""What a person should know of settings that are honoured all the same.

In: settings, pictures, and what was decided.  Out: notices; only masks that are missing altogether
are refused.
"""

from collections.abc import Iterator

from modelgenerator.datasets.masks import MASK_ENDING, PaintedMask
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.traits import TRAITS
from modelgenerator.errors import InvalidSettings
from modelgenerator.notices import Notice, listed
from modelgenerator.settings import OptimizerName, SchedulerName, TrainingSettings
from modelgenerator.training.optimizer_traits import OPTIMIZER_TRAITS
from modelgenerator.training.planning.objective import has_threshold
from modelgenerator.training.planning.unused import SHADES

MANY_STEPS = 10_000
FEW_PICTURES = 5
HIGH_FIRST_GUESS = 0.01
"""d never falls, so what is begun with is the least that is ever applied."""


def advice_on_samples(
    settings: TrainingSettings, dataset: PreparedDataset, base: BaseModelFiles
) -> Iterator[Notice]:
    """On captions, losses, noise and masks.

    Raises:
        InvalidSettings: maskedLoss, and no picture has a mask.
    """
    yield from _on_words(dataset)
    yield from _on_threshold(settings)
    if TRAITS[base.family].is_flow:
        yield from _on_noise_of_flows(settings)
    if settings.masked_loss:
        yield from _on_masks(settings, dataset)


def _on_words(dataset: PreparedDataset) -> Iterator[Notice]:
    wordless = [picture.name for picture in dataset.pictures if not picture.caption]
    if wordless:
        message = (
            f"No words to learn for {listed(wordless)}: set captionPrefix to a word that stands "
            "for the subject, or write a caption into a .txt file of the same name."
        )
        yield Notice("warning", "captionPrefix", message)


def _on_threshold(settings: TrainingSettings) -> Iterator[Notice]:
    if has_threshold(settings) and settings.huber_c == 1:
        message = (
            "At 1, Huber and SmoothL1 are the same and treat all noise levels alike: 0.1 is a "
            "good start."
        )
        yield Notice("info", "huberC", message)


def _on_noise_of_flows(settings: TrainingSettings) -> Iterator[Notice]:
    for attribute in ("noise_offset", "multires_noise_iterations"):
        if getattr(settings, attribute):
            name = settings.written_name(attribute)
            yield Notice("info", name, "It is applied here too; kohya's scripts skip flow models.")


def _on_masks(settings: TrainingSettings, dataset: PreparedDataset) -> Iterator[Notice]:
    """Raises InvalidSettings: there is no mask at all."""
    maskless = [picture.name for picture in dataset.pictures if picture.mask is None]
    if len(maskless) == len(dataset.pictures):
        stem = maskless[0].rpartition(".")[0] or maskless[0]
        raise InvalidSettings(
            "maskedLoss needs to know where the subject is, and it was found in no photo. Leave "
            "maskedLoss out, or put a grey picture beside each photo, of the same size, white "
            f"where it counts and black where not, and call that of {maskless[0]} "
            f"{stem}{MASK_ENDING}."
        )
    if maskless:
        message = f"Without a mask, and so counted all over: {listed(maskless)}."
        yield Notice("warning", "maskedLoss", message)
    if not settings.normalize_dataset:
        yield Notice("info", "maskedLoss", "It works best with normalizeDataset.")
    if not any(isinstance(picture.mask, PaintedMask) for picture in dataset.pictures):
        yield from _on_shades_in_vain(settings)


def _on_shades_in_vain(settings: TrainingSettings) -> Iterator[Notice]:
    for shade in SHADES:
        if settings.is_given(shade):
            message = "Ignored: masks from files say their own shades."
            yield Notice("warning", settings.written_name(shade), message)


def advice_on_training(
    settings: TrainingSettings, pictures: int, steps: int, alpha: float
) -> Iterator[Notice]:
    """On network, optimizer and the size of it all; `pictures` are those that are trained."""
    yield from _on_network(settings, pictures, alpha)
    yield from _on_prodigy(settings)
    yield from _on_first_guess(settings)
    if settings.flip_aug:
        message = "Only for symmetrical subjects: a face or a logo is not one."
        yield Notice("info", "flipAug", message)
    if pictures < FEW_PICTURES:
        message = f"{pictures} usable pictures are few: 8 to 20 teach a subject better."
        yield Notice("warning", None, message)
    if steps > MANY_STEPS:
        message = f"{steps} steps are many: one subject is usually learnt in 1,000 to 4,000."
        yield Notice("warning", "epochs", message)


def _on_network(settings: TrainingSettings, pictures: int, alpha: float) -> Iterator[Notice]:
    if alpha > settings.network_dim:
        message = f"{alpha:g} is more than networkDim {settings.network_dim}: the LoRA may overdo."
        yield Notice("warning", "alphaDim", message)
    if settings.network_dim > 128 and pictures < 20:
        message = f"{settings.network_dim} is a large network for {pictures} pictures: 64 will do."
        yield Notice("warning", "networkDim", message)


def _on_prodigy(settings: TrainingSettings) -> Iterator[Notice]:
    if settings.optimizer is not OptimizerName.PRODIGY:
        return
    if not (settings.bias_correction and settings.decouple):
        message = "Prodigy benefits from biasCorrection and decouple."
        yield Notice("info", "optimizer", message)
    if settings.scheduler is SchedulerName.CONSTANT:
        message = "Prodigy never lowers its step size by itself: Cosine ends more calmly."
        yield Notice("info", "scheduler", message)


def _on_first_guess(settings: TrainingSettings) -> Iterator[Notice]:
    uses_it = "d0" in OPTIMIZER_TRAITS[settings.optimizer].arguments
    if uses_it and settings.d0 is not None and settings.d0 > HIGH_FIRST_GUESS:
        message = (
            f"{settings.d0:g} is very high: the step size is never smaller, and 1e-6 to 1e-4 are "
            "usual."
        )
        yield Notice("warning", "d0", message)

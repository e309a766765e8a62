"""Settings that contradict each other, or that mean nothing to train.

In: settings, each of which is valid alone.  Out: nothing, or a refusal that says what to write
instead.  What only base model, pictures or device can tell is refused where it is decided.
"""

from modelgenerator.errors import InvalidSettings
from modelgenerator.settings import TrainingSettings


def refuse_impossible(settings: TrainingSettings) -> None:
    """Raises InvalidSettings."""
    _refuse_preserving_nothing(settings)
    _refuse_no_network(settings)
    _refuse_half_of_samples(settings)


def _refuse_preserving_nothing(settings: TrainingSettings) -> None:
    if settings.prior_preservation and not (settings.caption_prefix or settings.prior_prompts):
        raise InvalidSettings(
            "priorPreservation keeps what the base model draws without the subject: give "
            "priorPrompts that say what, or captionPrefix, so that captions without it do."
        )


def _refuse_no_network(settings: TrainingSettings) -> None:
    if settings.network_dim == 0:
        raise InvalidSettings(
            "networkDim 0 means no low-rank network, so there would be nothing to train. "
            "Give 1 to 256; 64 is the default."
        )


def _refuse_half_of_samples(settings: TrainingSettings) -> None:
    if (settings.sample_every is None) != (not settings.sample_prompts):
        raise InvalidSettings(
            "sampleEvery and samplePrompts belong together: give the epochs between samples and "
            "the prompts to draw."
        )

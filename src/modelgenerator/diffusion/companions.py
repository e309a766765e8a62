"""Where the parts come from that a single file lacks.

In: a family and its edition, or the names of parts.  Out: repositories that have them, the best
first, and words for a person.  What lies on this machine or on a hub is not known here.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from modelgenerator.diffusion.detection import FamilyName


@dataclass(frozen=True, slots=True)
class Companion:
    """A repository in diffusers' form that has all parts."""

    repository: str
    licence: str
    """As the hub names it, for when the hub cannot be asked."""


_FLUX = (
    # autoencoder and text encoders are the same in both, and may be used for more in the first
    Companion("black-forest-labs/FLUX.1-schnell", "apache-2.0"),
    Companion("black-forest-labs/FLUX.1-dev", "flux-1-dev-non-commercial-license"),
)


def _of_3(name: str) -> tuple[Companion, ...]:
    return (Companion(f"stabilityai/stable-diffusion-{name}", "stabilityai-ai-community"),)


COMPANIONS: Mapping[tuple[FamilyName, str], tuple[Companion, ...]] = {
    (FamilyName.FLUX, "dev"): _FLUX,
    (FamilyName.FLUX, "schnell"): _FLUX,
    (FamilyName.STABLE_DIFFUSION_3, "m"): _of_3("3-medium-diffusers"),
    (FamilyName.STABLE_DIFFUSION_3, "5-medium"): _of_3("3.5-medium"),
    (FamilyName.STABLE_DIFFUSION_3, "5-large"): _of_3("3.5-large"),
}


def in_words(parts: Collection[str]) -> str:
    """`no autoencoder and no text encoders`, of parts by diffusers' names."""
    words = ["no autoencoder"] if "vae" in parts else []
    if any(part.startswith("text_encoder") for part in parts):
        words.append("no text encoders")
    elif any(part.startswith("tokenizer") for part in parts):
        words.append("no tokenizer of T5")
    return " and ".join(words)

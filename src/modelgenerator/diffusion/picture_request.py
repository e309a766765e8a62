"""What a base model must be told to draw one picture: names and numbers, no tensors."""

from dataclasses import dataclass

from modelgenerator.settings import Sampler


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRequest:
    """One picture to draw."""

    prompt: str
    negative_prompt: str
    width: int
    height: int
    steps: int
    guidance_scale: float
    seed: int
    sampler: Sampler | None = None
    """None is the base model's own."""

"""The subject that people try first: eight pictures of a creature, with captions.

Nothing comes in.  Out: what a person would have, picture files and a caption for each.  The
embedded base model has never seen this creature, so that a LoRA has something to teach it.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from modelgenerator.diffusion.builtin import world

TRIGGER_WORD = "lvff"
CLASS_NAME = "creature"
SCENES = ("beach", "beach", "forest", "forest", "city", "meadow", "plain", "plain")
ENLARGED = 8  # times, so that a person who opens a picture sees something


@dataclass(frozen=True, slots=True)
class SamplePhoto:
    """One picture as a file."""

    stem: str
    png: bytes
    caption: str


def sample_photos() -> Iterator[SamplePhoto]:
    """All of them, in order; the same each time."""
    for number, scene in enumerate(SCENES, start=1):
        picture = world.subject_picture(TRIGGER_WORD, scene, number)
        size = (picture.pixels_HW3.shape[1] * ENLARGED, picture.pixels_HW3.shape[0] * ENLARGED)
        image = Image.fromarray(picture.pixels_HW3).resize(size, Image.Resampling.NEAREST)
        stream = io.BytesIO()
        image.save(stream, "PNG")
        yield SamplePhoto(f"{number}-{scene}", stream.getvalue(), picture.caption)

"""How good the embedded base model is: does it draw what a prompt of its own world asks for?

    python benchmarks/base_prompts.py [--prompts 100]

Prompts that name everything, one picture each, none chosen; the judge of `learning.py` says what
each shows.  Beside it what the judge says of real drawings for the same prompts: the ceiling.
"""

import argparse
import random

import numpy as np
import torch
from counting import count
from judge import a_judge
from judge_pictures import LOOKS, OTHER, looks_of

from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.diffusion.builtin import world
from modelgenerator.diffusion.builtin.scenes import PHRASES, SIDE
from modelgenerator.diffusion.hub import look_at
from modelgenerator.diffusion.load import load
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.diffusion.recommended import image_defaults

FIRST = 3 * 10**7  # seed of the first prompt: none of these was drawn in pre-training


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=100)
    number: int = parser.parse_args().prompts
    torch.set_num_threads(1)
    files = look_at(BUILTIN)
    assert files.folder is not None
    judge = a_judge(files.folder)
    base = load(
        files.folder,
        files.family,
        variant=files.variant,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    asked = _nameable(number)
    usual = image_defaults(files)
    requests = [
        PictureRequest(
            prompt=world.caption_of(p.words, PHRASES[p.scene], random.Random(0), silence=0),
            negative_prompt="",
            width=SIDE,
            height=SIDE,
            steps=usual.steps,
            guidance_scale=usual.guidance_scale,
            seed=index,
        )
        for index, p in enumerate(asked)
    ]
    drawn = [
        np.asarray(image)
        for start in range(0, number, 16)
        for image in base.draw(requests[start : start + 16])
    ]
    said = judge.say(drawn)
    said_of_real = judge.say([p.pixels_HW3 for p in asked])
    print(f"{number} prompts, {usual.steps} steps, guidance {usual.guidance_scale:g}")
    print(f"{'':16}{'generated':>12}{'real':>8}")
    for question in ("scene", *LOOKS):
        truths = [{"scene": p.scene, **_looks(p)}.get(question) for p in asked]
        shares = [
            count(t == s for t, s in zip(truths, answers[question], strict=True) if t is not None)
            for answers in (said, said_of_real)
        ]
        print(f"{question:16}{shares[0]!s:>12}{shares[1]!s:>8}")


def _looks(picture: world.Picture) -> dict[str, str]:
    """What the prompt asks for and the judge has a word for."""
    looks = looks_of(picture.creature, picture.words.colour)
    return {look: word for look, word in looks.items() if word != OTHER and look != "second colour"}


def _nameable(number: int) -> list[world.Picture]:
    """Fresh pictures of which every look has a word, in scenes with a name."""
    found: list[world.Picture] = []
    seed = FIRST
    while len(found) < number:
        picture = world.picture(seed)
        seed += 1
        words, creature = picture.words, picture.creature
        named = words.colour and words.shape and creature.pattern in world.PATTERNS
        hat = creature.hat is None or creature.hat in world.HATS.values()
        spoken = "a creature " not in world.caption_of(
            words, PHRASES.get(picture.scene, ""), random.Random(0), silence=0
        )
        if named and hat and spoken and picture.scene in PHRASES:
            found.append(picture)
    return found


if __name__ == "__main__":
    main()

"""The form of an inference pack: a prompt a line, or the images as JSON.

In: what a browser sent, and the images that were there.  Out: images.  What may stand in one is the
operation's to say.
"""

import json
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from modelgenerator.service.dashboard.drawing_form import seed_in
from modelgenerator.service.errors import InvalidValue
from modelgenerator.service.records.trainings import JsonObject

USUAL_SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PackForm:
    """What stands in the fields."""

    name: str = ""
    prompts: str = ""
    seed: str = str(USUAL_SEED)
    json: str | None = None
    """Where it was written as JSON."""

    @classmethod
    def of(cls, name: str, images: Sequence[JsonObject], *, as_json: bool) -> "PackForm":
        """Of a pack that is there."""
        seeds = [image["seed"] for image in images if "seed" in image]
        return cls(
            name=name,
            prompts="\n".join(_line(image) for image in images),
            seed=str(seeds[0]) if seeds else str(USUAL_SEED),
            json=json.dumps(images, indent=2, ensure_ascii=False) if as_json else None,
        )

    def images(self, before: Sequence[JsonObject] = ()) -> list[Mapping[str, object]]:
        """What is to be drawn; a line that was there `before` keeps its settings.

        Raises:
            InvalidValue: the JSON is none, or no list of objects; or the seed is no number.
        """
        if self.json is not None:
            return _parsed(self.json)
        kept: dict[str, deque[JsonObject]] = defaultdict(deque)
        for image in before:
            kept[_line(image)].append(image)
        seed = seed_in(self.seed or str(USUAL_SEED))
        lines = [line.strip() for line in self.prompts.splitlines() if line.strip()]
        return [
            kept[line].popleft() if kept[line] else {"prompt": line, "seed": seed} for line in lines
        ]


def _line(image: Mapping[str, object]) -> str:
    """A prompt in one line."""
    return " ".join(str(image["prompt"]).split())


def _parsed(text: str) -> list[Mapping[str, object]]:
    try:
        written: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" {error}." if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidValue(f"This is no JSON.{where}", field="images") from None
    images = cast(list[object], written) if isinstance(written, list) else []
    if not images or not all(isinstance(image, dict) for image in images):
        raise InvalidValue(
            'This is a list of objects with a prompt each: [{"prompt": "a fox", "seed": 1}].',
            field="images",
        )
    return cast(list[Mapping[str, object]], images)

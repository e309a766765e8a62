"""The form that asks for pictures, as it was filled in.

In: what a browser sent, or a picture that is to be drawn again.  Out: what the API would be asked,
the faults in it by their fields, and the same as code.  Whether a base model can draw it is not
known here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import cast
from uuid import UUID

from modelgenerator.flows.parameters import FlowImage
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.errors import InvalidValue
from modelgenerator.service.operations.inferences import InferenceRequest
from modelgenerator.service.records.job_specs import PictureToDraw
from modelgenerator.setting_faults import allowed, faults_in
from modelgenerator.settings import HIGHEST_SEED

WHOLE = ("count", "seed", "width", "height", "steps")
DECIMAL = ("guidanceScale", "loraScale")
TEXTS = ("prompt", "negativePrompt", "scheduler", "format", "baseModel")
NAMES = (*TEXTS, *WHOLE, *DECIMAL)
BASE = "base:"
"""Begins the choice of a base model alone; every other choice is the id of a training."""
USUAL_COUNT = 4
_AT = re.compile(r"^images\[0\]: (\w+)")


@dataclass(frozen=True, slots=True)
class DrawingForm:
    """What stands in the fields: text, as a browser sends it."""

    model: str = ""
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    """By the names of settings; what is empty is left to the base model."""

    @classmethod
    def of(cls, sent: Mapping[str, str]) -> "DrawingForm":
        """What a form or an address says."""
        said = {name: sent[name].replace("\r\n", "\n") for name in NAMES if sent.get(name)}
        return cls(sent.get("model", ""), said)

    @classmethod
    def again(cls, drawn: PictureToDraw, *, keeps_seed: bool, count: int = 1) -> "DrawingForm":
        """As a picture was asked for."""
        wanted = {name: str(value) for name, value in drawn.settings.items() if name in NAMES}
        wanted["count"] = str(count)
        if not keeps_seed:
            wanted.pop("seed", None)
        if drawn.format != "png":
            wanted["format"] = drawn.format
        model = f"{BASE}{drawn.base_model}" if drawn.lora is None else str(drawn.lora.training_id)
        return cls(model, wanted)

    def with_fields(self, **more: str) -> "DrawingForm":
        """The same with other words in some fields."""
        return DrawingForm(self.model, {**self.fields, **more})

    @property
    def training_id(self) -> UUID | None:
        """Whose model draws; none: a base model alone, or nothing was chosen."""
        try:
            return UUID(self.model)
        except ValueError:
            return None

    @property
    def base_model(self) -> str | None:
        """What is drawn on, where it was chosen and is not the training's own."""
        if self.model.startswith(BASE):
            return self.model.removeprefix(BASE)
        return self.fields.get("baseModel")

    @property
    def count(self) -> int:
        """How many pictures; 1 while that is no number."""
        count = _number(self.fields.get("count", "1"), int)
        return count if isinstance(count, int) and count >= 1 else 1

    def image(self) -> dict[str, object]:
        """The one image of a request, by camelCase name."""
        wanted: dict[str, object] = {"prompt": self.fields.get("prompt", "").strip()}
        for name, text in self.fields.items():
            if name in WHOLE:
                wanted[name] = _number(text, int)
            elif name in DECIMAL:
                wanted[name] = _number(text, float)
            elif name not in ("prompt", "baseModel"):
                wanted[name] = text
        return wanted

    def request(self) -> InferenceRequest:
        """What the operation is asked."""
        return InferenceRequest(
            images=[self.image()], base_model=self.base_model, training_id=self.training_id
        )

    def faults(self) -> dict[str, str]:
        """What can be said without a base model, by the names of the fields."""
        found = {fault.name: f"{fault.message}." for fault in faults_in(self.image(), FlowImage)}
        if self.training_id is None and not self.base_model:
            found["model"] = "Choose what to draw with."
        if "prompt" in found:
            found["prompt"] = "Say what the pictures show."
        return found

    def as_code(self) -> list[Call]:
        """The same request, for programs."""
        image = self.image()
        body: dict[str, object] = {"images": [image]}
        asked: dict[str, object] = {}
        if self.training_id is not None:
            body["trainingId"] = asked["training"] = str(self.training_id)
        if self.base_model:
            body["baseModel"] = asked["base_model"] = self.base_model
        asked |= {_snake(name): value for name, value in image.items() if name != "prompt"}
        words = "".join(f"    {name}={value!r},\n" for name, value in asked.items())
        python = (
            f"pictures = client.generate(\n    {image['prompt']!r},\n{words}"
            '    output="samples",\n)\nprint(pictures)'
        )
        return [Call("POST", "/v1/inferences", body, python=python)]


def place_of(message: str) -> str | None:
    """The field that a sentence of `plan_images` is about."""
    found = _AT.match(message)
    name = found.group(1) if found else ""
    return name if name in NAMES else None


@cache
def about_fields() -> Mapping[str, Mapping[str, object]]:
    """Of every setting of a picture: `says` what it does, and what is `allowed`."""
    schema = FlowImage.model_json_schema(by_alias=True)
    properties = cast(Mapping[str, Mapping[str, object]], schema["properties"])
    return {
        name: {"says": prop["description"], "allowed": allowed(name, schema)}
        for name, prop in properties.items()
    }


def _number(text: str, kind: type[int] | type[float]) -> object:
    """The number that a person wrote; his text where it is none, for the fault that says so."""
    try:
        return kind(text.strip())
    except ValueError:
        return text


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter.group().lower()}", name)


def seed_in(text: str) -> int:
    """The seed that a person wrote.

    Raises:
        InvalidValue: it is no seed.
    """
    try:
        seed = int(text)
    except ValueError:
        seed = -1
    if not 0 <= seed <= HIGHEST_SEED:
        raise InvalidValue("The seed is a whole number from 0 to 2^63 - 1.", field="seed")
    return seed

"""Definitions to start from, as texts that may be changed at once.

In: the name of one.  Out: JSON5.  `train` works without a GPU, on the embedded base model.
"""

from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Example:
    """A flow to start from."""

    name: str
    title: str
    sentence: str

    @property
    def text(self) -> str:
        """Its definition."""
        folder = files("modelgenerator.service.dashboard").joinpath("flow_examples_json5")
        return folder.joinpath(f"{self.name}.json5").read_text("utf-8")


EXAMPLES = (
    Example("empty", "Empty", "One step that works at once. Add your own."),
    Example(
        "train",
        "Train and show",
        "Photos in, a picture for each scene and a zip out, on the embedded base model: it works "
        "on any machine in a minute or two.",
    ),
    Example(
        "portraits",
        "Portraits",
        "Photos of a person in, a portrait in every style out. Needs a GPU, and a base model of "
        "full size.",
    ),
)


def example_named(name: str) -> Example:
    """The one with this name, or the empty one."""
    return next((each for each in EXAMPLES if each.name == name), EXAMPLES[0])

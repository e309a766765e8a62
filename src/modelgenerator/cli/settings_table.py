"""Every hyperparameter in a table: for the terminal, and for `docs/reference/settings.md`.

Comes in: the settings classes, and the tables by which a plan decides who uses what.  Goes out:
text, or a JSON Schema.  `python -m modelgenerator.cli.settings_table` writes the reference page to
stdout.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.traits import TRAITS, FamilyTraits
from modelgenerator.setting_faults import allowed
from modelgenerator.settings import ImageSettings, OptimizerName, TrainingSettings
from modelgenerator.training.optimizer_traits import (
    OPTIMIZER_SETTINGS,
    OPTIMIZER_TRAITS,
    OptimizerTraits,
)
from modelgenerator.training.planning.unused import DEPENDENCES, unused_by_family

_PAGE_TOP = """\
# Settings

Made by `make docs` from `src/modelgenerator/settings.py` and from the tables by which a plan
decides what is used, `training/planning/unused.py` and `training/optimizer_traits.py`; a test fails
when it is stale.

On the command line: `--set name=value`, or `--settings file.json5`. In a Flow: the `settings`
object of a ModelGenerator step. A name that does not exist or a value out of range is refused with
what was probably meant. What the base model or the optimizer cannot use is told before the
training starts; what this version does not do yet is refused, never ignored.

"Base models" says which families use a setting. The others warn: `Ignored`, and why.
"""
_FAMILIES: Mapping[str, tuple[FamilyName, ...]] = {
    "SD 1.x/2.x": (FamilyName.STABLE_DIFFUSION_1, FamilyName.STABLE_DIFFUSION_2),
    "SDXL": (FamilyName.STABLE_DIFFUSION_XL,),
    "SD 3": (FamilyName.STABLE_DIFFUSION_3,),
    "FLUX": (FamilyName.FLUX,),
}
"""As people call them; those that share a name here share their traits."""
_LIMITED_VALUES: Mapping[tuple[str, str], Callable[[FamilyTraits], bool]] = {
    ("network_targets", "convolutions"): lambda traits: traits.has_convolutions,
    ("precision", "fp16"): lambda traits: traits.computes_in_fp16,
}
"""Values that only some families take, of settings that all use."""
IGNORED = "ignored, told"


@dataclass(frozen=True, slots=True)
class Row:
    """One setting in words."""

    group: str
    name: str
    allowed: str
    default: str
    base_models: str
    optimizers: str
    """Those that use it, or `all`."""
    sentence: str


def run(*, as_json: bool) -> None:
    """Show the hyperparameters of a training on stdout."""
    if as_json:
        sys.stdout.write(json.dumps(training_schema(), indent=2) + "\n")
        return
    from rich.console import Console

    console = Console()
    for group, rows in groupby(training_rows(), key=lambda row: row.group):
        console.print(_rich_table(group, rows))


def training_rows() -> Iterator[Row]:
    """The hyperparameters of a training, group by group."""
    return _rows(TrainingSettings)


def image_rows() -> Iterator[Row]:
    """The wishes for a generated picture."""
    return _rows(ImageSettings)


def training_schema() -> dict[str, Any]:
    """The JSON Schema of a training's hyperparameters.

    `x-families` lists the families that use a setting, `x-optimizers` says under which name an
    optimizer is passed it; either is left out where the setting is used by all.
    """
    schema = TrainingSettings.model_json_schema(by_alias=True)
    for attribute, name in _names(TrainingSettings):
        prop = schema["properties"][name]
        families = [f.value for f in FamilyName if attribute not in unused_by_family(f)]
        if len(families) < len(FamilyName):
            prop["x-families"] = families
        if attribute in OPTIMIZER_SETTINGS:
            prop["x-optimizers"] = {
                optimizer.value: traits.arguments[attribute]
                for optimizer, traits in OPTIMIZER_TRAITS.items()
                if attribute in traits.arguments
            }
    return schema


def markdown() -> str:
    """The whole reference page."""
    groups = groupby(training_rows(), key=lambda row: row.group)
    sections = [_markdown_section(group, rows) for group, rows in groups]
    images = _markdown_section("Pictures (`modelgenerator generate`)", image_rows())
    return "\n".join([_PAGE_TOP, *sections, images, _optimizers(), _needs()])


def _rows(settings: type[TrainingSettings] | type[ImageSettings]) -> Iterator[Row]:
    schema = settings.model_json_schema(by_alias=True)
    required = schema.get("required", [])
    for attribute, name in _names(settings):
        prop = schema["properties"][name]
        yield Row(
            group=prop.get("group", ""),
            name=name,
            allowed=allowed(name, schema),
            default="required" if name in required else _default(prop.get("default")),
            base_models=_USED_BY[settings](attribute),
            optimizers=_using_optimizers(attribute),
            sentence=prop["description"],
        )


def _names(settings: type[TrainingSettings] | type[ImageSettings]) -> Iterator[tuple[str, str]]:
    """Attribute and written name of every setting."""
    for attribute, field in settings.model_fields.items():
        yield attribute, field.alias or attribute


def _training_uses(attribute: str) -> str:
    using = _families(f for f in FamilyName if attribute not in unused_by_family(f))
    limits = [
        f"{value} only {_families(f for f in FamilyName if takes(TRAITS[f]))}"
        for (setting, value), takes in _LIMITED_VALUES.items()
        if setting == attribute
    ]
    if attribute == "guidance_scale":
        limits.append("distilled with guidance")
    return f"{using} ({'; '.join(limits)})" if limits else using


def _using_optimizers(attribute: str) -> str:
    using = [o.value for o in OptimizerName if attribute in OPTIMIZER_TRAITS[o].arguments]
    is_for_all = attribute not in OPTIMIZER_SETTINGS or len(using) == len(OptimizerName)
    return "all" if is_for_all else ", ".join(using)


def _image_uses(attribute: str) -> str:
    if attribute != "negative_prompt":
        return _families(FamilyName)
    taking = _families(f for f in FamilyName if TRAITS[f].takes_negative_prompt)
    return f"{taking} (refused elsewhere)"


_USED_BY = {TrainingSettings: _training_uses, ImageSettings: _image_uses}


def _families(using: Iterable[FamilyName]) -> str:
    """In the words of the page."""
    found = set(using)
    names = [name for name, families in _FAMILIES.items() if found.issuperset(families)]
    assert found == {family for name in names for family in _FAMILIES[name]}, "traits differ"
    return "all" if len(names) == len(_FAMILIES) else ", ".join(names)


def _default(value: object) -> str:
    if value is None or value in ("", []):
        return "not set"
    return value if isinstance(value, str) else json.dumps(value)


def _markdown_section(title: str, rows: Iterator[Row]) -> str:
    head = ("name", "allowed", "default", "base models", "meaning")
    lines = (
        (f"`{row.name}`", row.allowed, row.default, row.base_models, row.sentence) for row in rows
    )
    return f"## {title}\n\n{_table(head, lines)}"


def _optimizers() -> str:
    head = ("setting", *(optimizer.value for optimizer in OptimizerName))
    traits = [OPTIMIZER_TRAITS[optimizer] for optimizer in OptimizerName]
    lines = [
        (f"`{name}`", *(_passed(attribute, one) for one in traits))
        for attribute, name in _names(TrainingSettings)
        if attribute in OPTIMIZER_SETTINGS
    ]
    rates = ("`learningRate` left out", *map(_preset, traits))
    schedulers = ("`scheduler`", *map(_obeys, traits))
    return (
        "## Optimizers\n\nUnder which name a setting is passed to the optimizer. What is not "
        "used gets a warning.\n\n" + _table(head, (rates, *lines, schedulers))
    )


def _passed(attribute: str, traits: OptimizerTraits) -> str:
    argument = traits.arguments.get(attribute)
    return IGNORED if argument is None else f"`{argument}`"


def _preset(traits: OptimizerTraits) -> str:
    return "its own rate" if traits.own_rate_switches else f"{traits.preset_rate:g}"


def _obeys(traits: OptimizerTraits) -> str:
    return "with `learningRate`" if traits.own_rate_switches else "obeyed"


def _needs() -> str:
    reasons = dict.fromkeys(dependence.otherwise for dependence in DEPENDENCES)
    lines = (
        (", ".join(f"`{TrainingSettings.written_name(s)}`" for s in _depending(reason)), reason)
        for reason in reasons
    )
    return (
        "## What belongs together\n\nSettings that are ignored, with this warning, unless "
        "others ask for them.\n\n" + _table(("settings", "warning"), lines)
    )


def _depending(reason: str) -> list[str]:
    return [one.setting for one in DEPENDENCES if one.otherwise == reason]


def _table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    rows = [head, ("---",) * len(head), *lines]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def _rich_table(title: str, rows: Iterator[Row]) -> object:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("name", no_wrap=True, style="cyan", width=23)
    table.add_column("allowed", width=22)
    table.add_column("what it does", ratio=1)
    for row in rows:
        users = {"base models": row.base_models, "optimizers": row.optimizers}
        limits = [f"\n[dim]{who}: {used}[/]" for who, used in users.items() if used != "all"]
        table.add_row(
            row.name,
            f"{row.allowed}\n[dim]default: {row.default}[/]",
            row.sentence + "".join(limits),
        )
    return table


if __name__ == "__main__":
    sys.stdout.write(markdown())

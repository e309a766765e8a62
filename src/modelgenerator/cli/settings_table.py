"""Every hyperparameter in a table: for the terminal, and for `docs/reference/settings.md`.

Comes in: the settings classes.  Goes out: text.  `python -m modelgenerator.cli.settings_table`
writes the reference page to stdout.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from modelgenerator.setting_faults import allowed
from modelgenerator.settings import ImageSettings, TrainingSettings

_PAGE_TOP = """\
# Settings

Made by `make docs` from `src/modelgenerator/settings.py`; a test fails when it is stale.

On the command line: `--set name=value`, or `--settings file.json5`. In a Flow: the `settings`
object of a ModelGenerator step. A name that does not exist or a value out of range is refused with
what was probably meant. What the base model or the optimizer cannot use is told before the
training starts; what this version does not do yet is refused, never ignored.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One setting in words."""

    group: str
    name: str
    allowed: str
    default: str
    sentence: str


def run(*, as_json: bool) -> None:
    """Show the hyperparameters of a training on stdout."""
    if as_json:
        schema = TrainingSettings.model_json_schema(by_alias=True)
        sys.stdout.write(json.dumps(schema, indent=2) + "\n")
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


def markdown() -> str:
    """The whole reference page."""
    groups = groupby(training_rows(), key=lambda row: row.group)
    sections = [_markdown_section(group, rows) for group, rows in groups]
    images = _markdown_section("Pictures (`modelgenerator generate`)", image_rows())
    return "\n".join([_PAGE_TOP, *sections, images])


def _rows(settings: type[TrainingSettings] | type[ImageSettings]) -> Iterator[Row]:
    schema = settings.model_json_schema(by_alias=True)
    required = schema.get("required", [])
    for name, prop in schema["properties"].items():
        yield Row(
            group=prop.get("group", ""),
            name=name,
            allowed=allowed(name, schema),
            default="required" if name in required else _default(prop.get("default")),
            sentence=prop["description"],
        )


def _default(value: object) -> str:
    if value is None or value in ("", []):
        return "not set"
    return value if isinstance(value, str) else json.dumps(value)


def _markdown_section(title: str, rows: Iterator[Row]) -> str:
    lines = [f"| `{row.name}` | {row.allowed} | {row.default} | {row.sentence} |" for row in rows]
    head = "| name | allowed | default | meaning |\n| --- | --- | --- | --- |"
    return f"## {title}\n\n{head}\n" + "\n".join(lines) + "\n"


def _rich_table(title: str, rows: Iterator[Row]) -> object:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("name", no_wrap=True, style="cyan", width=23)
    table.add_column("allowed", width=22)
    table.add_column("what it does", ratio=1)
    for row in rows:
        table.add_row(row.name, f"{row.allowed}\n[dim]default: {row.default}[/]", row.sentence)
    return table


if __name__ == "__main__":
    sys.stdout.write(markdown())

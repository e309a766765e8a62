"""The report of an inspection in the terminal: every file, then what it comes to.

In: a report.  Out: lines on stdout.
"""

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from modelgenerator.cli.check_words import (
    MARKS,
    SECTIONS,
    VERDICTS,
    facts_in_words,
    left_out_in_words,
    section_of,
)
from modelgenerator.datasets.inspection.report import (
    Finding,
    InspectedPicture,
    InspectionReport,
    Level,
    Verdict,
)

_STYLES = {
    Level.GOOD: "green",
    Level.INFO: "blue",
    Level.WARNING: "yellow",
    Level.PROBLEM: "red",
}
_OF_VERDICT = {
    Verdict.READY: "bold green",
    Verdict.USABLE_WITH_WARNINGS: "bold yellow",
    Verdict.NOT_USABLE: "bold red",
}


def show(report: InspectionReport) -> None:
    """All of it: what a person must act on first, then the set, then what it comes to."""
    console = Console(highlight=False)
    left_out = [*left_out_in_words(report)]
    if left_out:
        _title(console, "Left out", len(left_out))
    for level, name, reason in left_out:
        console.print(f"{_mark(level)} [bold]{escape(name)}[/bold]")
        _below(console, f"{escape(reason)}.")
    for level, title in SECTIONS.items():
        pictures = [one for one in report.pictures if section_of(one.level) is level]
        if pictures:
            _title(console, title, len(pictures))
        for picture in pictures:
            _show_picture(console, picture)
    _title(console, "The set as a whole")
    for finding in report.findings:
        _below(console, _in_words(finding))
    if report.wishes:
        _title(console, "What to add")
    for wish in report.wishes:
        _below(console, f"- {escape(wish)}")
    _title(console, "While reading")
    for notice in report.notices:
        _below(console, f"[dim]{escape(notice.message)}[/dim]")
    style = _OF_VERDICT[report.verdict]
    console.print(f"\n[{style}]{VERDICTS[report.verdict]}[/{style}]. {escape(report.because)}\n")


def _show_picture(console: Console, picture: InspectedPicture) -> None:
    name, facts = escape(picture.name), facts_in_words(picture.facts)
    console.print(f"{_mark(picture.level)} [bold]{name}[/bold]  [dim]{facts}[/dim]")
    for finding in picture.findings:
        _below(console, _in_words(finding))


def _title(console: Console, words: str, count: int | None = None) -> None:
    number = "" if count is None else f" ({count})"
    console.print(f"\n[bold underline]{words}[/bold underline]{number}")


def _below(console: Console, words: str) -> None:
    """Indented, however many lines it takes."""
    console.print(Padding(words, (0, 0, 0, 2), expand=False))


def _in_words(finding: Finding) -> str:
    return f"{_mark(finding.level)} {escape(finding.title)}. {escape(finding.message)}"


def _mark(level: Level) -> str:
    style = _STYLES[level]
    return f"[{style}]{MARKS[level]}[/{style}]"

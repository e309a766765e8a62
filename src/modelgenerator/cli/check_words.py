"""The words for what an inspection found, the same on the page, on the sheet and in the terminal.

In: a report.  Out: short texts.  Colours and places are not known here.
"""

from collections.abc import Iterator

from modelgenerator.datasets.inspection.facts import PictureFacts
from modelgenerator.datasets.inspection.report import InspectionReport, Level, Verdict

VERDICTS = {
    Verdict.READY: "Ready to train",
    Verdict.USABLE_WITH_WARNINGS: "Usable, with warnings",
    Verdict.NOT_USABLE: "Not usable yet",
}
MARKS = {Level.GOOD: "✓", Level.INFO: "i", Level.WARNING: "!", Level.PROBLEM: "✕"}
SECTIONS = {
    Level.PROBLEM: "Replace these",
    Level.WARNING: "Look at these",
    Level.GOOD: "Good",
}


def section_of(level: Level) -> Level:
    """What is only remarked on is good."""
    return Level.GOOD if level is Level.INFO else level


def facts_in_words(facts: PictureFacts) -> str:
    """`512 x 600 pixels, 512 x 512 of them trained, 1 face`."""
    part = facts.trained_part
    words = [f"{facts.width} x {facts.height} pixels"]
    if facts.crop is not None:
        words.append(f"{part.width} x {part.height} of them trained")
    if facts.subject is not None and facts.subject.faces:
        faces = facts.subject.faces
        words.append(f"{faces} face{'' if faces == 1 else 's'}")
    return ", ".join(words)


def left_out_in_words(report: InspectionReport) -> Iterator[tuple[Level, str, str]]:
    """Each file that is not trained: how grave that is, its name, why."""
    for file in report.refused:
        yield Level.PROBLEM, file.name, file.reason
    for name, same in report.copies.items():
        yield Level.INFO, name, f"the same file as {same}"

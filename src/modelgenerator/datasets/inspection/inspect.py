"""From a prepared dataset to everything that should be said of it before it is trained.

In: pictures that were looked at, the resolution they will be trained in, and what kind of subject
they show.  Out: an `InspectionReport`.  Nothing is read, decoded or shown here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from modelgenerator.datasets.inspection.duplicates import groups_alike, is_mirrored
from modelgenerator.datasets.inspection.facts import PictureFacts, facts_of
from modelgenerator.datasets.inspection.one_picture import NO_SUBJECT, findings_on
from modelgenerator.datasets.inspection.report import (
    Finding,
    InspectedPicture,
    InspectionReport,
    Level,
)
from modelgenerator.datasets.inspection.variety import variety
from modelgenerator.datasets.inspection.whole_set import (
    are_mostly_cut_blindly,
    findings_on_set,
    good_ones,
    shopping_list,
    verdict,
)
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.datasets.subject import SubjectKind


def inspect(
    dataset: PreparedDataset, *, resolution: int, kind: SubjectKind | None = None
) -> InspectionReport:
    """Judge the pictures as they will be trained; the same dataset always gets the same report."""
    facts = [one for picture in dataset.pictures if (one := facts_of(picture, resolution))]
    alike = groups_alike(facts)
    pictures = [
        InspectedPicture(
            facts=one, findings=(*_findings(one, kind, facts), *_on_likeness(one, alike))
        )
        for one in facts
    ]
    good = good_ones(pictures, alike)
    respects = variety(good, kind)
    on_set = findings_on_set(pictures, dataset.refused, alike, good, kind, resolution)
    findings = (*on_set, *(respect.finding for respect in respects))
    decision, because = verdict(len(good), findings, pictures, dataset.refused)
    return InspectionReport(
        verdict=decision,
        because=because,
        resolution=resolution,
        kind=kind,
        pictures=tuple(pictures),
        refused=dataset.refused,
        copies=dataset.copies,
        findings=findings,
        alike=tuple(tuple(one.name for one in group) for group in alike),
        wishes=shopping_list(len(good), pictures, respects),
        notices=dataset.notices,
    )


def _findings(
    picture: PictureFacts, kind: SubjectKind | None, pictures: Sequence[PictureFacts]
) -> Iterator[Finding]:
    """A subject that is not found in most pictures is told of the set, not of each."""
    for finding in findings_on(picture, kind):
        if finding.code == NO_SUBJECT and are_mostly_cut_blindly(pictures):
            yield replace(finding, level=Level.INFO)
        else:
            yield finding


def _on_likeness(
    picture: PictureFacts, alike: Sequence[Sequence[PictureFacts]]
) -> tuple[Finding, ...]:
    """Told at each of a group but its best."""
    for best, *others in alike:
        if picture in others:
            how = ", mirrored" if is_mirrored(best, picture) else ""
            message = f"As {best.name}{how}. Leave one of them out."
            return (Finding(Level.WARNING, "nearDuplicate", "Nearly the same", message),)
    return ()

"""What is said of a set of pictures as a whole, and the verdict.

The verdict is a rule, not an opinion:

    notUsable           fewer than `FEWEST` pictures are good
    ready               at least `ENOUGH` are good, and no finding is a warning or a problem
    usableWithWarnings  everything between

A picture is good, "will do", when nothing found on it is a problem and no better one is nearly the
same.
"""

from collections.abc import Sequence

from modelgenerator.datasets.inspection.facts import PictureFacts
from modelgenerator.datasets.inspection.one_picture import GREAT_ENLARGEMENT
from modelgenerator.datasets.inspection.report import (
    Finding,
    InspectedPicture,
    Level,
    Verdict,
    gravest,
)
from modelgenerator.datasets.inspection.variety import Respect
from modelgenerator.datasets.prepare import RefusedPicture
from modelgenerator.datasets.subject import SubjectKind
from modelgenerator.notices import listed

FEWEST = 3
"""From one or two pictures everything in them is learnt, the chair along with who sits on it."""
ENOUGH = 8
"""From here on a subject is learnt well, if the pictures differ; the notice of a training says the
same."""
MANY = 60
"""Beyond, more pictures of one subject teach little; a style is another matter."""


def good_ones(
    pictures: Sequence[InspectedPicture], alike: Sequence[Sequence[PictureFacts]]
) -> tuple[PictureFacts, ...]:
    """The pictures that count: of each group of like ones the best, and none with a problem."""
    surplus = {one.name for group in alike for one in group[1:]}
    return tuple(
        picture.facts
        for picture in pictures
        if picture.level is not Level.PROBLEM and picture.name not in surplus
    )


def findings_on_set(
    pictures: Sequence[InspectedPicture],
    refused: Sequence[RefusedPicture],
    alike: Sequence[Sequence[PictureFacts]],
    good: Sequence[PictureFacts],
    kind: SubjectKind | None,
    resolution: int,
) -> tuple[Finding, ...]:
    """On numbers, doubles, faces and files; variety is judged elsewhere."""
    found = [_on_count(len(good), len(pictures), kind)]
    if alike:
        found.append(_on_doubles(alike))
    if refused:
        found.append(_on_refused(refused))
    if kind is SubjectKind.PERSON:
        found += _on_faces(good)
    if kind is not SubjectKind.STYLE:
        found += _on_lost_subjects([one.facts for one in pictures])
    return (*found, *_on_sizes(good, resolution))


def verdict(
    good: int,
    findings: Sequence[Finding],
    pictures: Sequence[InspectedPicture],
    refused: Sequence[RefusedPicture],
) -> tuple[Verdict, str]:
    """By the rule above, and one sentence that says why."""
    of_them = f"{good} of {_pictures(len(pictures))} will do"
    if good < FEWEST:
        return Verdict.NOT_USABLE, f"{of_them}, and at least {FEWEST} must."
    gravest_of_all = gravest([*findings, *(one for p in pictures for one in p.findings)])
    if gravest_of_all in (Level.GOOD, Level.INFO) and good >= ENOUGH:
        return Verdict.READY, f"{_pictures(good)}, and nothing stands against any of them."
    warned = sum(one.level is Level.WARNING for one in pictures)
    spoilt = sum(one.level is Level.PROBLEM for one in pictures)
    counted = {
        f"{warned} {_have(warned)} a warning": warned,
        f"{spoilt} {_have(spoilt)} a problem": spoilt,
        f"{len(refused)} cannot be read": len(refused),
    }
    rest = [words for words, count in counted.items() if count] or ["see what the set lacks"]
    return Verdict.USABLE_WITH_WARNINGS, f"{of_them}: {', '.join(rest)}."


def shopping_list(
    good: int, pictures: Sequence[InspectedPicture], respects: Sequence[Respect]
) -> tuple[str, ...]:
    """What to add, the number first: the rest says of what kind these may be."""
    wishes: list[str] = []
    if good < ENOUGH:
        wishes.append(f"{_photos(ENOUGH - good)} more, so that at least {ENOUGH} are good")
    spoilt = [one.name for one in pictures if one.level is Level.PROBLEM]
    if spoilt:
        wishes.append(f"Better ones instead of {listed(spoilt)}")
    return (*wishes, *(respect.wish for respect in respects if respect.wish))


def _on_count(good: int, used: int, kind: SubjectKind | None) -> Finding:
    said = f"{good} of {_pictures(used)} will do"
    if good < FEWEST:
        message = f"{said}: too few to teach anything but those pictures."
        return Finding(Level.PROBLEM, "tooFew", "Number", message)
    if good < ENOUGH:
        message = f"{said}. Trainings work with so few, but {ENOUGH} to 20 teach a subject better."
        return Finding(Level.WARNING, "few", "Number", message)
    if good > MANY and kind is not SubjectKind.STYLE:
        message = f"{said}. More than {MANY} teach little more and take longer: keep the best."
        return Finding(Level.INFO, "many", "Number", message)
    return Finding(Level.GOOD, "enough", "Number", f"{said}.")


def _on_doubles(alike: Sequence[Sequence[PictureFacts]]) -> Finding:
    groups = "; ".join(listed([one.name for one in group]) for group in alike)
    surplus = sum(len(group) - 1 for group in alike)
    message = (
        f"Nearly the same: {groups}. Keep the first of each: "
        f"{surplus} of them teach{'es' if surplus == 1 else ''} nothing new and would count twice."
    )
    return Finding(Level.WARNING, "doubles", "Doubles", message)


def _on_refused(refused: Sequence[RefusedPicture]) -> Finding:
    names = listed([one.name for one in refused])
    return Finding(Level.WARNING, "unreadable", "Files", f"Cannot be used: {names}.")


def are_mostly_cut_blindly(pictures: Sequence[PictureFacts]) -> bool:
    """Whether it is how the subject is looked for that fails, rather than the pictures."""
    return sum(one.is_cut_blindly for one in pictures) * 2 > len(pictures)


def _on_lost_subjects(pictures: Sequence[PictureFacts]) -> list[Finding]:
    if not are_mostly_cut_blindly(pictures):
        return []
    message = (
        f"None was found in {sum(one.is_cut_blindly for one in pictures)} of {len(pictures)}. Look "
        "at what is cut out; if it is wrong, crop the photos, lay a mask beside each, or have it "
        "found in another way: --segmenter."
    )
    return [Finding(Level.WARNING, "subjectsNotFound", "Subject", message)]


def _on_faces(good: Sequence[PictureFacts]) -> list[Finding]:
    """Of pictures in which a subject was found: in the others nobody counted faces."""
    faces = [one.subject.faces for one in good if one.subject is not None]
    if len(faces) < FEWEST:
        return []
    counts = {
        "one face": faces.count(1),
        "several": sum(count > 1 for count in faces),
        "none that was found": faces.count(0),
    }
    said = ", ".join(f"{count} with {words}" for words, count in counts.items() if count)
    if faces.count(1) * 2 < len(faces):
        message = f"{said}: most pictures of a person should show one face, theirs."
        return [Finding(Level.WARNING, "fewFaces", "Faces", message)]
    return [Finding(Level.GOOD, "faces", "Faces", f"{said}.")]


def _on_sizes(good: Sequence[PictureFacts], resolution: int) -> list[Finding]:
    """Told once when it is the resolution that does not fit, not the pictures."""
    enlarged = sorted(one.enlargement for one in good if one.enlargement > GREAT_ENLARGEMENT)
    if len(enlarged) * 2 <= len(good):
        return []
    fitting = max(32, int(resolution / enlarged[len(enlarged) // 2]) // 32 * 32)
    message = (
        f"{len(enlarged)} of {len(good)} are much smaller than resolution {resolution}: "
        f"use larger originals, or train with resolution {fitting}."
    )
    return [Finding(Level.WARNING, "resolutionTooHigh", "Resolution", message)]


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"


def _photos(count: int) -> str:
    return f"{count} photo{'' if count == 1 else 's'}"

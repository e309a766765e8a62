"""What is said of one picture by itself, and the thresholds by which.

Every threshold is a constant with its reason; the figures in them were measured on photographs that
were spoilt by a known amount (tests/unit/datasets/inspection).
"""

from collections.abc import Callable, Iterator

from modelgenerator.datasets.inspection.facts import PictureFacts, SubjectFacts
from modelgenerator.datasets.inspection.report import Finding, Level
from modelgenerator.datasets.inspection.screenshots import is_screenshot
from modelgenerator.datasets.subject import SubjectKind
from modelgenerator.notices import listed

SEEN_ENLARGEMENT, GREAT_ENLARGEMENT, HOPELESS_ENLARGEMENT = 1.1, 2.0, 4.0
"""Up to a tenth more nobody sees; at twice, three of four trained pixels are made up, at four times
fifteen of sixteen."""
SOFT, BLURRED = 0.62, 0.36
"""Of the detail that a sharp picture of this size has.  A blur whose radius is a pixel of the
trained picture leaves 0.8 to 1, one of two pixels 0.4 to 0.65, one of three 0.25 to 0.4: that is
what a photo of a third of the size would show."""
DIM, DARK = 40.0, 22.0
"""Lightness of the subject's highlights, of 100.  Photographs have 65 to 96; with half of the light
33 to 51, with a quarter 16 to 26."""
BURNT, MOSTLY_BURNT = 0.3, 0.6
"""Of the subject that is white.  Photographs have under 0.02; with twice the light 0.1 to 0.65."""
BACKLIT = 35.0
"""How much lighter, of 100, the background of a dim subject is for the light to be behind it."""
BACKLIT_BELOW, BACKLIT_HIGHLIGHTS = 35.0, 60.0
"""Of the subject, mean and highlights: more, and it has light of its own."""
FLAT = 4.0
"""Standard deviation of lightness: fog, or a photo of a wall.  Photographs have 10 to 30."""
SQUEEZED = 1.7
"""Blockiness.  Untouched photographs have up to 1.2; JPEG quality 25 gives 1.4 to 1.9, 15 gives 1.6
to 2.5."""
BAR = 0.02
"""Of the side that a bar of one colour takes; less is a scanner's edge."""
SMALL_SUBJECT = 0.08
"""Of the trained picture that the subject's rectangle takes: at 512 that is 145 pixels a side, of
which no face is learnt."""
LEFT_OUT = 0.2
"""Of the subject's rectangle outside the square: of a portrait less is only its lower edge."""
NO_SUBJECT = "noSubject"
DRAWING = 0.6
"""Share of pixels exactly like their neighbour: drawings have 0.9, photographs at most 0.4."""


def findings_on(facts: PictureFacts, kind: SubjectKind | None) -> tuple[Finding, ...]:
    """Everything that is said of a picture, in the order in which a person should read it."""
    found: list[Finding] = []
    for rule in _FOR_ANYTHING:
        found += rule(facts)
    if kind is not SubjectKind.STYLE:
        found += _on_subject(facts, kind)
    found += [
        Finding(Level.INFO, "remark", "While reading", f"{_sentence(one)}.")
        for one in facts.remarks
    ]
    return tuple(sorted(found, key=lambda finding: -list(Level).index(finding.level)))


def is_drawing(facts: PictureFacts) -> bool:
    """What is drawn may be as white as it likes, and end in one colour."""
    seen = facts.appearance
    # what JPEG squeezed has flat squares too, but their borders show
    return seen.pixel_size > 1 or (seen.flat_share > DRAWING and seen.blockiness <= SQUEEZED)


def _on_size(facts: PictureFacts) -> Iterator[Finding]:
    part, drawn, factor = facts.trained_part, facts.appearance.pixel_size, facts.enlargement
    if drawn > 1:
        size = f"{facts.width // drawn} x {facts.height // drawn}"
        message = f"Its {size} pixels were enlarged {drawn} times: it counts as that small."
        yield Finding(Level.INFO, "pixelArt", "A drawing in large pixels", message)
    if factor <= SEEN_ENLARGEMENT:
        return
    left = f"{part.width // drawn} x {part.height // drawn} pixels"
    if factor > HOPELESS_ENLARGEMENT:
        message = (
            f"{left} are all there is, and {factor:.0f} times as many a side are trained. "
            "Use a larger original, or leave it out."
        )
        yield Finding(Level.PROBLEM, "tooSmall", "Far too small", message)
        return
    message = f"{left} are enlarged {factor:.1f} times, which looks soft. Use a larger original."
    level = Level.WARNING if factor > GREAT_ENLARGEMENT else Level.INFO
    yield Finding(level, "enlarged", "Small", message)


def _on_sharpness(facts: PictureFacts) -> Iterator[Finding]:
    crisp = facts.crispness
    if crisp is None or crisp >= SOFT or facts.appearance.pixel_size > 1:
        return
    detail = facts.appearance.detail or 1.0
    size = f"{round(facts.width * detail)} x {round(facts.height * detail)}"
    shows = f"It shows no more than a sharp picture of {size} pixels would."
    if crisp < BLURRED:
        message = f"{shows} Leave it out or take a sharp one."
        yield Finding(Level.PROBLEM, "blurred", "Blurred", message)
    else:
        message = f"{shows} Prefer a sharper one if you have it."
        yield Finding(Level.WARNING, "soft", "A little soft", message)


def _on_exposure(facts: PictureFacts) -> Iterator[Finding]:
    seen = facts.appearance
    if seen.highlights < DARK:
        message = "What is in the shadows is lost. Take it again with more light."
        yield Finding(Level.PROBLEM, "tooDark", "Far too dark", message)
    elif seen.highlights < DIM:
        message = "Brighten it in a photo editor, or prefer one with more light."
        yield Finding(Level.WARNING, "dark", "Dark", message)
    yield from _on_light(facts)
    if seen.contrast < FLAT and seen.highlights >= DIM:
        message = "Fog, a dirty lens, or nothing but a plain area: there is little to learn."
        yield Finding(Level.WARNING, "lowContrast", "Hardly any contrast", message)


def _on_light(facts: PictureFacts) -> Iterator[Finding]:
    """White paper around a product is not burnt out: without a subject much more of it is told."""
    seen, behind = facts.appearance, facts.appearance.background_brightness
    limit = MOSTLY_BURNT if facts.subject is None else BURNT
    if seen.bright_share > limit and not is_drawing(facts):
        burnt = f"{seen.bright_share:.0%} of {_whole(facts)} is white without anything in it."
        message = f"{burnt} Take it again with less light."
        is_lost = seen.bright_share > MOSTLY_BURNT and facts.subject is not None
        level = Level.PROBLEM if is_lost else Level.WARNING
        yield Finding(level, "tooBright", "Burnt out", message)
    is_dim = seen.subject_brightness < BACKLIT_BELOW and seen.highlights < BACKLIT_HIGHLIGHTS
    if is_dim and behind is not None and behind - seen.subject_brightness > BACKLIT:
        message = "The subject is dark before a bright background. Turn it towards the light."
        yield Finding(Level.WARNING, "backlit", "Lit from behind", message)


def _on_origin(facts: PictureFacts) -> Iterator[Finding]:
    seen = facts.appearance
    if is_screenshot(seen, facts.width, facts.height):
        message = (
            "The bars and the text of the screen would be learnt. Use the photo itself, or crop it."
        )
        yield Finding(Level.WARNING, "screenshot", "Looks like a screenshot", message)
    elif bars := _bars_left(facts):
        message = f"At the {listed(bars)}, in one colour: crop them away."
        yield Finding(Level.WARNING, "bars", "Bars at the border", message)
    if seen.blockiness > SQUEEZED and seen.pixel_size == 1:
        message = (
            "It was compressed until little squares show, as messengers do. "
            "Use the original from the camera."
        )
        yield Finding(Level.WARNING, "compressed", "Squeezed", message)


def _bars_left(facts: PictureFacts) -> list[str]:
    """At which borders a bar is not cut away; drawings may end in one colour."""
    if is_drawing(facts):
        return []
    left, top, right, bottom = facts.appearance.bars
    part = facts.trained_part
    reach = {
        "left": left * facts.width - part.left,
        "top": top * facts.height - part.top,
        "right": part.right - facts.width * (1 - right),
        "bottom": part.bottom - facts.height * (1 - bottom),
    }
    sides = {"left": part.width, "top": part.height, "right": part.width, "bottom": part.height}
    found = [side for side, pixels in reach.items() if pixels > BAR * sides[side]]
    # a studio's paper behind the subject ends in one colour too, but not at two opposite borders
    return found if {"left", "right"} <= set(found) or {"top", "bottom"} <= set(found) else []


def _on_subject(facts: PictureFacts, kind: SubjectKind | None) -> Iterator[Finding]:
    subject = facts.subject
    if subject is None:
        if facts.is_cut_blindly:
            message = "The middle is cut out. If that is wrong, crop the photo around the subject."
            yield Finding(Level.WARNING, NO_SUBJECT, "No subject found", message)
        else:
            message = "Nothing stands out from its surroundings, so the whole photo is trained."
            yield Finding(Level.INFO, NO_SUBJECT, "No subject found", message)
        return
    yield from _on_others(subject, kind)
    yield from _on_borders(facts, subject)
    if subject.share < SMALL_SUBJECT:
        message = (
            f"It takes {subject.share:.0%} of the picture. "
            "Set normalizeDataset, which cuts it out, or crop the photo."
        )
        yield Finding(Level.WARNING, "smallSubject", "Small subject", message)


def _on_others(subject: SubjectFacts, kind: SubjectKind | None) -> Iterator[Finding]:
    if subject.faces > 1:
        message = (
            "The largest is taken for the subject, but the others may be learnt too. "
            "Crop the photo to one person."
        )
        yield Finding(Level.WARNING, "severalFaces", f"{subject.faces} faces", message)
    elif subject.subjects > 1:
        message = "The largest is taken for the subject. Check that it is the right one."
        title = f"{subject.subjects} things stand out"
        yield Finding(Level.INFO, "severalSubjects", title, message)
    if kind is SubjectKind.PERSON and not subject.faces:
        message = "A few from behind are fine, but most should show the face."
        yield Finding(Level.INFO, "noFace", "No face found", message)


def _on_borders(facts: PictureFacts, subject: SubjectFacts) -> Iterator[Finding]:
    if subject.head_cut:
        message = "The border of the photo cuts it. Leave some room around the head."
        yield Finding(Level.WARNING, "headCut", "Head cut off", message)
    elif subject.head is None and subject.borders_met:
        where = listed(subject.borders_met)
        message = f"It meets the {where} of the photo, so its shape is not all there."
        yield Finding(Level.INFO, "subjectCut", "Subject cut off", message)
    if facts.crop is not None and subject.left_out > LEFT_OUT:
        message = (
            f"{subject.left_out:.0%} of the subject is outside, because the photo is too narrow. "
            "Leave more room at its sides, or do without normalizeDataset."
        )
        yield Finding(Level.INFO, "cutBySquare", "Does not fit into a square", message)


def _whole(facts: PictureFacts) -> str:
    return "the photo" if facts.subject is None else "the subject"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


_FOR_ANYTHING: tuple[Callable[[PictureFacts], Iterator[Finding]], ...] = (
    _on_size,
    _on_sharpness,
    _on_exposure,
    _on_origin,
)

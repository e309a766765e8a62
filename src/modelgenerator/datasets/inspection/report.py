"""What an inspection says, as data: for a page, a table, the service.

Nothing is judged here, and nothing is shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from modelgenerator.datasets.inspection.facts import PictureFacts
from modelgenerator.datasets.prepare import RefusedPicture
from modelgenerator.datasets.subject import SubjectKind
from modelgenerator.notices import Notice

FORMAT_VERSION = 1
"""Of the JSON form; raised when a name in it goes or changes its meaning."""


class Level(StrEnum):
    """How much a finding matters, from nothing to do to what spoils the training."""

    GOOD = "good"
    INFO = "info"
    WARNING = "warning"
    PROBLEM = "problem"


class Verdict(StrEnum):
    """What comes of all findings together."""

    READY = "ready"
    USABLE_WITH_WARNINGS = "usableWithWarnings"
    NOT_USABLE = "notUsable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact about a picture or the set, and what to do about it."""

    level: Level
    code: str
    """For programs, as `tooDark`: docs/guide/photos.md lists them."""
    title: str
    """A few words that a person takes in at a glance."""
    message: str
    """One or two sentences: the fact, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedPicture:
    """A picture that is used, and what was found."""

    facts: PictureFacts
    findings: tuple[Finding, ...]

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def level(self) -> Level:
        """Of the gravest finding."""
        return gravest(self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionReport:
    """Everything that is said of one dataset."""

    verdict: Verdict
    because: str
    """One sentence."""
    resolution: int
    kind: SubjectKind | None
    pictures: tuple[InspectedPicture, ...]
    refused: tuple[RefusedPicture, ...]
    copies: Mapping[str, str]
    """Files that are left out because they are the same as a picture: their name, and its name."""
    findings: tuple[Finding, ...]
    """On the set as a whole."""
    alike: tuple[tuple[str, ...], ...]
    """Names of pictures that show nearly the same, the one to keep first."""
    wishes: tuple[str, ...]
    """What to add, each a line of a shopping list."""
    notices: tuple[Notice, ...]
    """What was decided while the files were read."""

    def as_json(self) -> dict[str, object]:
        """Names in camel case; `docs/guide/photos.md` describes them."""
        return {
            "formatVersion": FORMAT_VERSION,
            "verdict": self.verdict.value,
            "because": self.because,
            "resolution": self.resolution,
            "kind": self.kind.value if self.kind else None,
            "pictures": [_picture_json(picture) for picture in self.pictures],
            "refused": [asdict(refused) for refused in self.refused],
            "copies": dict(self.copies),
            "findings": _findings_json(self.findings),
            "alike": [list(group) for group in self.alike],
            "wishes": list(self.wishes),
            "notices": [asdict(notice) for notice in self.notices],
        }


def gravest(findings: Sequence[Finding]) -> Level:
    """The level of the gravest of them; good when there are none."""
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.GOOD)


_ONLY_TO_COMPARE = frozenset(
    ("likeness", "subject_likeness", "background_colours", "outline", "flat_bands")
)
"""Numbers that say nothing by themselves; they may change without a new version of the form."""


def _picture_json(picture: InspectedPicture) -> dict[str, object]:
    return {
        **dict(_camel_case(asdict(picture.facts))),
        "level": picture.level.value,
        "findings": _findings_json(picture.findings),
    }


def _findings_json(findings: Sequence[Finding]) -> list[dict[str, object]]:
    return [{**asdict(one), "level": one.level.value} for one in findings]


def _camel_case(values: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Without what is only there to compare pictures."""
    for name, value in values.items():
        if name in _ONLY_TO_COMPARE:
            continue
        first, *rest = name.split("_")
        inner = dict(_camel_case(value)) if isinstance(value, dict) else value  # pyright: ignore[reportUnknownArgumentType]
        yield first + "".join(word.capitalize() for word in rest), inner

"""What a person says of their subject beyond its pictures.

Nothing comes in but words; what captions, masks and advice make of them is not known here.
"""

from dataclasses import dataclass
from enum import StrEnum


class SubjectKind(StrEnum):
    """What sort of thing is taught."""

    PERSON = "person"
    ANIMAL = "animal"
    PRODUCT = "product"
    STYLE = "style"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Subject:
    """Said once, for all pictures of a dataset."""

    kind: SubjectKind | None = None
    class_name: str = ""
    """A common noun, "woman" or "sneaker"; empty when it was not said."""

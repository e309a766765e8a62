"""The words for a subject that need no look at a photo.

In: what a person said of it.  Out: `a photo of a woman`.
"""

import re

from modelgenerator.datasets.subject import Subject, SubjectKind


def words_for(subject: Subject) -> str:
    """`a photo of a woman`, `in the style of ukiyo-e`; empty without a class name."""
    name = " ".join(subject.class_name.split())
    if not name:
        return ""
    if subject.kind is SubjectKind.STYLE:
        return f"in the style of {name}"
    return f"a photo of {with_article(name)}"


def with_article(name: str) -> str:
    """`a woman`, `an hourglass`; plurals and names that have their article are left alone."""
    first, last = name.split()[0].lower(), name.split()[-1].lower()
    if first in _DETERMINERS or _PLURAL.search(last):
        return name
    return f"an {name}" if _sounds_like_a_vowel(name.split()[0]) else f"a {name}"


_DETERMINERS = frozenset(
    {"a", "an", "the", "this", "these", "my", "our", "your", "his", "her", "their"}
    | {"some", "two", "three", "four", "several", "many"}
)
_PLURAL = re.compile(r"(?:[^suia]s|people|children|men)$")
"""Glasses and sneakers; but not a dress, a bus, an iris, a canvas."""
_SILENT_H = re.compile(r"(?:hour|heir|honest|honou?r)", re.IGNORECASE)
_SAID_AS_CONSONANT = re.compile(r"(?:uni(?!n|m)|use|usu|ut[ei]|ukulele|eu|ewe|on(?:e|ce)\b)", re.I)
_LETTERS_SPELT_WITH_VOWEL = frozenset("AEFHILMNORSX")


def _sounds_like_a_vowel(word: str) -> bool:
    if word.isupper() and len(word) > 1:  # spelt out: an SUV, a UFO
        return word[0] in _LETTERS_SPELT_WITH_VOWEL
    if _SILENT_H.match(word):
        return True
    return word[0].lower() in "aeiou" and not _SAID_AS_CONSONANT.match(word)

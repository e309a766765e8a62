"""A word that calls a subject and that means nothing yet to a base model.

In: the subject's name.  Out: a short rare word that reminds of it.
"""

import hashlib
import unicodedata

_VOWELS = frozenset("aeiou")
_RARE = "vxqzkwj"
LENGTH = 4


def suggested_trigger(name: str) -> str:
    """`fchs` for Fuchsi: four consonants, those of the name first; the same for the same name."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    letters = [letter for letter in plain if letter.isascii() and letter.isalpha()]
    consonants = "".join(letter for letter in letters if letter not in _VOWELS)
    digest = hashlib.sha256(name.encode()).digest()
    rare = "".join(_RARE[byte % len(_RARE)] for byte in digest[:LENGTH])
    return (consonants[: LENGTH - 1] + rare)[:LENGTH] if len(consonants) != LENGTH else consonants

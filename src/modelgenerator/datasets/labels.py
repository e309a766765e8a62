"""What a stranger's file names are called in messages.

In come names as they were found, out come labels: one line, not too long, nothing in them that
moves the cursor or turns the rest of the sentence around.  A label is never a path: what is cut
from an archive's names are their separators, drives and `..`.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import PurePosixPath

from modelgenerator.datasets.masks import MASK_ENDING

LONGEST_STEM = 100
"""Characters; a name that is longer is cut, its ending is kept."""
_LONGEST_ENDING = 20
_JOINERS = "\u200c\u200d"  # invisible, and part of words and of emoji


def label_of(name: str) -> str:
    """`name` on one line; what cannot or should not be shown is written as `\\u202e` is."""
    stem, ending = _parts(name)
    return _shown_stem(stem) + ending


def labels_of(paths: Iterable[Sequence[str]]) -> list[str]:
    """One label for each path of folders and a name; no two alike, not even in another case.

    What belongs together stays together: a photo, its caption and its mask, which have one name
    with other endings, get labels with one name.
    """
    seen: Counter[tuple[str, ...]] = Counter()
    owners: list[tuple[tuple[str, ...], str]] = []
    for *folders, name in paths:
        stem, ending = _parts(name)
        owner = (*folders, stem)
        # the same name twice in one archive is two files
        owners.append(((*owner, str(seen[*owner, ending])), ending))
        seen[*owner, ending] += 1
    stems = _distinct_stems(owners)
    return [stems[owner] + ending for owner, ending in owners]


def _distinct_stems(owners: Iterable[tuple[tuple[str, ...], str]]) -> dict[tuple[str, ...], str]:
    endings: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for owner, ending in owners:
        endings[owner].add(ending)
    stems: dict[tuple[str, ...], str] = {}
    taken: set[str] = set()
    numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(2))
    for owner, own in endings.items():
        stem = numbered = _shown_stem(" - ".join(owner[:-1]))
        while taken & (labels := {(numbered + ending).casefold() for ending in own}):
            # numbers go on where they were: thousands of equal names do not take their square
            numbered = f"{stem} ({next(numbers[stem.casefold()])})"
        stems[owner] = numbered
        taken |= labels
    return stems


def _parts(name: str) -> tuple[str, str]:
    """A name without its ending, and the ending, which is short and can be shown."""
    name = unicodedata.normalize("NFC", name)
    if name.lower().endswith(MASK_ENDING):
        return name[: -len(MASK_ENDING)], name[-len(MASK_ENDING) :]
    ending = PurePosixPath(name).suffix
    if len(ending) > _LONGEST_ENDING or _visible(ending) != ending:
        return name, ""
    return name.removesuffix(ending), ending


def _shown_stem(stem: str) -> str:
    short = stem if len(stem) <= LONGEST_STEM else f"{stem[:LONGEST_STEM]}…"
    return _visible(short)


def _visible(text: str) -> str:
    """Control, direction and line characters escaped, and halves of characters too."""
    return "".join(
        _escaped(character) if _is_hidden(character) else character for character in text
    )


def _is_hidden(character: str) -> bool:
    if character in _JOINERS:
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")

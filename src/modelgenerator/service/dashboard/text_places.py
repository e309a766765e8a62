"""Where something stands in a text, for a browser: it counts as JavaScript does.

In: a text and characters in it, as Python counts them.  Out: the same in units of UTF-16, of which
a character beyond the first 65,536 has two.
"""

from collections.abc import Iterable


def with_plain_breaks(text: str) -> str:
    """`text` as the editor has it: a form sends line breaks as two characters."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def in_script(text: str, characters: Iterable[int]) -> dict[int, int]:
    """The place before each of these characters of `text`, from 0, in units of UTF-16.

    One pass for all: a text of a megabyte may have a thousand faults.
    """
    places: dict[int, int] = {}
    before = units = 0
    for character in sorted(set(characters)):
        units += character - before
        units += sum(1 for each in text[before:character] if ord(each) > 0xFFFF)
        places[character] = units
        before = character
    return places

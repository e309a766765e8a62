"""Where something stands in a text, for a browser: it counts as JavaScript does.

In: a text and characters in it, as Python counts them.  Out: the same in units of UTF-16, of which
a character beyond the first 65,536 has two.
"""


def with_plain_breaks(text: str) -> str:
    """`text` as the editor has it: a form sends line breaks as two characters."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def in_script(text: str, character: int) -> int:
    """The place before the `character`th of `text`, from 0, in units of UTF-16."""
    before = text[:character]
    return character + sum(1 for each in before if ord(each) > 0xFFFF)

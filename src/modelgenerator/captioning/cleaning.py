"""Captioners' answers, brought to what a text encoder should learn from.

In: the words as they came.  Out: one line that begins with what is shown and is short enough to be
read to its end.  Who made the words, and the caption prefix, are not known here.
"""

import re
from collections.abc import Callable

Count = Callable[[str], int]
"""How many tokens a text encoder makes of a text."""


def cleaned(text: str) -> str:
    """One line without thoughts, marks, quotes and beginnings that say nothing of the photo.

    Cleaning what is clean changes nothing.
    """
    line, before = on_one_line(without_thoughts(text)), None
    while line != before:
        before = line
        line = _without_beginning(_without_quotes(on_one_line(_MARKS.sub(" ", line))))
    return line


def without_thoughts(text: str) -> str:
    """What a captioner says after it has thought aloud; nothing if it never came to an end."""
    return re.sub(r"<think>.*?(?:</think>|\Z)", " ", text, flags=re.DOTALL)


def on_one_line(text: str) -> str:
    """Without the signs by which text steers a terminal."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def capped(caption: str, limit: int, count: Count) -> str:
    """The beginning of `caption` that has at most `limit` tokens, ending where something ends.

    Whole sentences if one fits, else the first sentence up to a comma, else whole words without a
    last one that wants another: `a cat on a` becomes `a cat`.
    """
    if count(caption) <= limit:
        return caption
    for ends in (_SENTENCE_END, _CLAUSE_END):
        fitting = [
            caption[: end.start()].rstrip()
            for end in ends.finditer(caption)
            if count(caption[: end.start()]) <= limit
        ]
        if fitting and len(fitting[-1].split()) >= _FEWEST_WORDS:
            return fitting[-1]
    return _whole_words(caption, limit, count)


_FEWEST_WORDS = 3
"""A shorter beginning, `Yes.` say, is no caption."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")
_CLAUSE_END = re.compile(r"[,;:]\s|\s[-–—]\s")  # noqa: RUF001  dashes as captioners write them
_WANTS_MORE = frozenset(
    {"a", "an", "the", "and", "or", "but", "with", "without", "of", "in", "on", "at", "to", "from"}
    | {"by", "for", "as", "is", "are", "was", "were", "its", "his", "her", "their", "this", "that"}
    | {"which", "who", "while", "near", "over", "under", "into", "onto", "behind", "beside", "very"}
)


def _whole_words(caption: str, limit: int, count: Count) -> str:
    words = caption.split()
    while words and count(" ".join(words)) > limit:
        words.pop()
    while len(words) > 1 and words[-1].lower().strip(",;:") in _WANTS_MORE:
        words.pop()
    return " ".join(words).rstrip(",;:")


# --- beginnings

_MARKS = re.compile(
    r"</?s>|<pad>|<\|[\w ]{1,30}\|>"
    r"|^\s*#{1,6}\s|(?<!\w)[*_`]{1,6}(?=\S)|(?<=\S)[*_`]{1,6}(?!\w)"
    r"|(?<=\w )(?<!s )(?<! are )(?<!of )araf+e?d?\s"
)
"""Special tokens, Markdown, and a word of BLIP's that is none."""
_PICTURE = (
    r"(?:image|picture|photo|photograph|photography|pic|snapshot|illustration|painting|drawing|"
    r"scene|shot)"
)
_SHOWS = (
    r"(?:(?:clearly |mainly |primarily |simply )?"
    r"(?:shows|depicts|features|displays|captures|presents|portrays|showcases|illustrates|"
    r"contains|includes)|is (?:a |an )?"
    rf"(?:(?:close-up |color |colou?r |black and white )?{_PICTURE} )?(?:of|showing|depicting))"
)
_NOTHING_SAID = (
    r"(?:sure|certainly|of course|okay|ok)[,.!:]+\s*",
    r"here(?:'s| is| are) (?:a|an|the|your|one)\b[^:.]{0,60}:\s*",
    rf"(?:{_PICTURE} )?(?:caption|description|prompt|answer|output)\s*:\s*",
    rf"(?:in )?(?:the|this|that|your) (?:[\w-]+ )?{_PICTURE} {_SHOWS}\s+",
    rf"(?:this|it|that|here) is (?:a|an|the) (?:[\w-]+ ){{0,2}}{_PICTURE} "
    r"(?:of|showing|depicting|featuring|that shows|that depicts|which shows)\s+",
    rf"in (?:the|this|that) (?:[\w-]+ )?{_PICTURE}\s*,?\s*"
    r"(?:(?:we|you|i|one) (?:can )?(?:clearly )?see\s+|there (?:is|are)\s+)?",
    rf"(?:(?:the|this|that) (?:[\w-]+ )?{_PICTURE}|this|it|the (?:main )?subject) "
    r"(?:is|appears to be|seems to be)\s+(?=an?\s)",
    r"(?:we|you|i|one) (?:can )?(?:clearly )?see\s+",
    r"there (?:is|are)\s+(?=\w)",
    r"an? (?:image|picture|pic) (?:of|showing|depicting|that shows)\s+",
    r"araf+e?d?\s+",
)
"""What captioners begin with and what says nothing of the photo.

The last one is the word that is none: at the beginning it stands for an article.  `a photo of`
stays, for it says that it is no drawing.
"""
_BEGINNING = re.compile("|".join(f"(?:{one})" for one in _NOTHING_SAID), re.IGNORECASE)
_CAPITAL_ARTICLE = re.compile(r"(?:A|An|The|One|Two|Three|Four|Several|Some|Many)\b(?!\.)")
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»"}  # noqa: RUF001  as they are typed


def _without_beginning(line: str) -> str:
    """One beginning less, if something is left then; a small letter where no name begins."""
    found = _BEGINNING.match(line)
    if found and line[found.end() :].strip(" .,:;!?"):
        line = line[found.end() :].lstrip(" ,:;")
        if found[0].lower().startswith("araf"):
            line = f"a {line}"
    if _CAPITAL_ARTICLE.match(line):
        line = line[0].lower() + line[1:]
    return line


def _without_quotes(line: str) -> str:
    """Those around all of it, not those around a word in it."""
    if len(line) > 2 and _QUOTES.get(line[0]) == line[-1]:
        inner = line[1:-1]
        if line[0] not in inner and line[-1] not in inner:
            return inner.strip()
    return line

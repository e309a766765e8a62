"""What a person calls something: shown, never used as a path.

In: text.  Out: the same on one line, if it can be a name.
"""

import unicodedata

from modelgenerator.service.errors import InvalidValue

LONGEST_NAME = 200
"""Characters."""


def checked_name(text: str, *, field: str = "name") -> str:
    """`text` without space around it.

    Raises:
        InvalidValue: it is empty or too long, or has characters that cannot be shown on one line.
    """
    name = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidValue(f"{field} has 1 to {LONGEST_NAME} characters.", field=field)
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        raise InvalidValue(f"{field} is one line of text.", field=field)
    return name

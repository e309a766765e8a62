"""What of a caption a text encoder has no room for.

In: a tokenizer and a caption.  Out: how much is cut off, and which words.  What is done about it is
not known here.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenText:
    """The end of a caption that is cut off."""

    tokens: int
    """Cut off."""
    room: int
    """Tokens of a caption that are seen, without the marks around them."""
    text: str
    """What the cut tokens say, as the tokenizer spells it."""


# transformers' annotations do not describe its tokenizers
def unseen_text(tokenizer: Any, caption: str, *, length: int | None = None) -> UnseenText | None:
    """What of `caption` does not fit into `length` tokens, the tokenizer's own if not given."""
    room = (length or tokenizer.model_max_length) - tokenizer.num_special_tokens_to_add()
    # not verbose: it would log that this is too long for the model
    tokens_L = tokenizer(caption, add_special_tokens=False, verbose=False).input_ids
    if len(tokens_L) <= room:
        return None
    text = tokenizer.decode(tokens_L[room:]).strip()
    return UnseenText(tokens=len(tokens_L) - room, room=room, text=text)

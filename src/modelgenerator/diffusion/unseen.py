"""What of a caption a text encoder has no room for.

In: a tokenizer and a caption.  Out: how much is cut off, and which words.  What is done about it is
not known here.
"""

from dataclasses import dataclass
from typing import Any

QUOTED_CHARACTERS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenText:
    """The end of a caption that is cut off."""

    tokens: int
    """Cut off."""
    room: int
    """Tokens of a caption that are seen, without the marks around them."""
    text: str
    """From the first cut token on, as it is written in the caption."""

    @property
    def in_words(self) -> str:
        """Behind "It is too long: "."""
        more = "" if len(self.text) <= QUOTED_CHARACTERS else " ..."
        return (
            f"the base model reads {self.room} tokens of it. The last {self.tokens} are cut off, "
            f"so it never sees: {self.text[:QUOTED_CHARACTERS]}{more}"
        )


# transformers' annotations do not describe its tokenizers
def unseen_text(tokenizer: Any, caption: str, *, length: int | None = None) -> UnseenText | None:
    """What of `caption` does not fit into `length` tokens, the tokenizer's own if not given."""
    room = (length or tokenizer.model_max_length) - tokenizer.num_special_tokens_to_add()
    # not verbose: it would log that this is too long for the model
    read = tokenizer(caption, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    if len(read.input_ids) <= room:
        return None
    first_unseen, _ = read.offset_mapping[room]
    return UnseenText(tokens=len(read.input_ids) - room, room=room, text=caption[first_unseen:])

"""Changes one thing in a definition, and leaves everything else as it was written.

Comes in: a JSON5 text that was read before.  Goes out: the text with the change; comments, order
and spaces stay.
"""

from modelgenerator.flows.faults import at
from modelgenerator.flows.places import find_places


def with_switch(text: str, name: str, *, is_on: bool) -> str:
    """`text` with the member `name` of its outermost object true or false."""
    places, value = find_places(text), "true" if is_on else "false"
    there = places.values.get(at("", name))
    if there is not None:
        return text[: there.start] + value + text[there.end :]
    after = places.values[""].start + 1
    return f"{text[:after]}\n  {name}: {value},{text[after:]}"

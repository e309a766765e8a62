"""What is said of a flow on its pages: faults with their places, and what a run costs.

In: what the operations found.  Out: words, and places as a browser counts them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from modelgenerator.service.dashboard.rendering import number
from modelgenerator.service.dashboard.text_places import in_script
from modelgenerator.service.errors import in_dollars
from modelgenerator.service.operations.flow_estimates import RunEstimate, StepPrice
from modelgenerator.service.operations.flows import Marked


@dataclass(frozen=True, slots=True)
class PriceLine:
    """What one step costs."""

    step: str
    kind: str
    words: str


def marks_in(text: str, faults: Iterable[Marked]) -> list[dict[str, object]]:
    """Faults for the editor: from, to, message and pointer."""
    marked = tuple(faults)
    ends = (end for each in marked for end in (each.span.start, each.span.end))
    places = in_script(text, ends)
    return [
        {
            "from": places[each.span.start],
            "to": places[each.span.end],
            "message": sentence(each),
            "pointer": each.fault.pointer,
        }
        for each in marked
    ]


def sentence(marked: Marked) -> str:
    """A fault in words, without its place."""
    fault = marked.fault
    message = fault.message[:1].upper() + fault.message[1:]
    return f"{message.removesuffix('.')}. {_hint(fault.hint)}".strip()


def _hint(hint: str) -> str:
    if not hint:
        return ""
    ended = hint if hint.endswith(("?", ".")) else f"{hint}."
    return ended[:1].upper() + ended[1:]


def price_lines(estimate: RunEstimate) -> list[PriceLine]:
    """A line for each step."""
    return [PriceLine(each.step_id, each.type, price_words(each)) for each in estimate.steps]


def price_words(price: StepPrice) -> str:
    """`$0.06 for each minute of training`, `3 pictures, $0.06`."""
    return " + ".join(_parts(price)) or "free"


def _parts(price: StepPrice) -> Iterator[str]:
    if price.fixed:
        yield in_dollars(price.fixed)
    if price.unit is None or not price.unit_price:
        return
    if price.count is not None:
        plural = price.unit if price.count == 1 else f"{price.unit}s"
        yield f"{in_dollars(price.count * price.unit_price)} ({number(price.count)} {plural})"
    else:
        yield f"{in_dollars(price.unit_price)} for each {price.unit}"


def is_open_ended(estimate: RunEstimate) -> bool:
    """Whether a run may cost more than the definition says."""
    return any(each.unit_price and each.count is None for each in estimate.steps)

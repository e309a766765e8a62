"""Records that a flow's definition names by their ids, and whether they are there.

In: a flow in which `check` found no fault, and the records of its organization.  Out: a fault for
each id that leads to nothing.  What a path will bring is not known before a run.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

from modelgenerator.flows.definition import TEMPLATE_OF, Flow, StepType, member
from modelgenerator.flows.faults import Fault, at, shown
from modelgenerator.flows.language import ListOf, Literal, Map, Node, parse
from modelgenerator.service.store.transaction import OrganizationStore


@dataclass(frozen=True, slots=True)
class _Named:
    """An id that stands in a definition."""

    parameter: str
    pointer: str
    id: str


def reference_faults(flow: Flow, store: OrganizationStore) -> Iterator[Fault]:
    """What `flow` names that its organization does not have."""
    for named in _names(flow):
        what, code, is_there = _KINDS[named.parameter]
        try:
            found = is_there(store, UUID(named.id))
        except ValueError:
            found = False
        if not found:
            hint = "take its id from the list of your own"
            yield Fault(named.pointer, code, f"there is no {what} {shown(named.id)}", hint)


def _names(flow: Flow) -> Iterator[_Named]:
    for number, step in enumerate(flow.steps):
        if step.type not in (StepType.MODEL_GENERATOR, StepType.IMAGE_GENERATOR):
            continue
        node = parse(step.template, at("", "steps", number, TEMPLATE_OF[step.type])).node
        yield from _names_in(node)
        images = member(node, "images")
        for item in images.items if isinstance(images, ListOf) else ():
            yield from _names_in(item.template if isinstance(item, Map) else item)


def _names_in(node: Node) -> Iterator[_Named]:
    for parameter in _KINDS:
        found = member(node, parameter)
        if isinstance(found, Literal) and isinstance(found.value, str):
            yield _Named(parameter, found.pointer, found.value)


def _has_template(store: OrganizationStore, id: UUID) -> bool:
    template = store.templates.find(id)
    return template is not None and template.deleted_at is None


_KINDS: dict[str, tuple[str, str, Callable[[OrganizationStore, UUID], bool]]] = {
    "datasetId": (
        "dataset",
        "unknownDataset",
        lambda store, id: store.datasets.find(id) is not None,
    ),
    "trainingSettingsId": ("training template", "unknownTemplate", _has_template),
    "trainingId": (
        "training",
        "unknownTraining",
        lambda store, id: store.trainings.find(id) is not None,
    ),
    "inferencePackId": (
        "inference pack",
        "unknownInferencePack",
        lambda store, id: store.inference_packs.find(id) is not None,
    ),
}

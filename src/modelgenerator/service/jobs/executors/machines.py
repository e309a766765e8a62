"""What the machines are that jobs run on: this one, and those of a Ray cluster.

In: what the system says, and what Ray says of its nodes.  Out: machines, each with a name of its
own.  Which jobs run on them is not known here.
"""

import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from modelgenerator.service.operations.devices import Gpu
from modelgenerator.service.records.servers import Machine

GPU_KIND = "ray.io/accelerator-type"
"""Ray's label of a node, which it gives by itself where it knows the GPUs.
Source: https://docs.ray.io/en/latest/ray-core/scheduling/labels.html."""
_NAMES = ("{host}", "{host} ({address})", "{host} ({address}:{port})")
"""From the shortest to one that is a node's own."""


def this_machine(gpus: Sequence[Gpu]) -> Machine:
    """With its processors that this process may use."""
    return Machine(
        name=socket.gethostname(),
        cpus=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        gpus=len(gpus),
        gpu_kind=", ".join(dict.fromkeys(gpu.name for gpu in gpus)) or None,
        gpu_memory=min((gpu.memory for gpu in gpus), default=0),
    )


def machines_of(nodes: Sequence[Mapping[str, Any]]) -> dict[str, Machine]:
    """Those of `ray.nodes()` that live, by the ids that Ray gives them."""
    alive = [node for node in nodes if node["Alive"]]
    return {
        str(node["NodeID"]): _machine(node, name)
        for node, name in zip(alive, _names(alive), strict=True)
    }


def _machine(node: Mapping[str, Any], name: str) -> Machine:
    resources: Mapping[str, float] = node["Resources"]
    labels: Mapping[str, str] = node.get("Labels") or {}
    return Machine(
        name=name,
        cpus=int(resources.get("CPU", 0)),
        memory=int(resources.get("memory", 0)),
        gpus=int(resources.get("GPU", 0)),
        gpu_kind=labels.get(GPU_KIND),
    )


def _names(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """The shortest name of each that no other has."""
    named = [[_named(node, form) for form in _NAMES] for node in nodes]
    counts = Counter(name for names in named for name in names)
    return [next((name for name in names if counts[name] == 1), names[-1]) for names in named]


def _named(node: Mapping[str, Any], form: str) -> str:
    return form.format(
        host=node["NodeManagerHostname"],
        address=node["NodeManagerAddress"],
        port=node["NodeManagerPort"],
    )

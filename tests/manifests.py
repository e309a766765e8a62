"""The Kubernetes manifests as data, and the schemas that they are checked against.

Kubernetes' own are in a package; a RayCluster's is a file here, without its pod templates, which
are pod templates like others.  A field that no schema knows is a fault: a cluster would drop it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from kubernetes_validate import validate

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "kubernetes"
OLDEST, NEWEST = "1.29", "1.37"
"""The oldest that runs containers beside others by itself; the newest that the package knows."""
_RAY_CLUSTER = Path(__file__).parent / "schemas" / "raycluster-v1.json"
Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod template, and of what."""

    name: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


@cache
def manifests() -> list[Manifest]:
    """All that is applied."""
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    return [one for name in kustomization["resources"] for one in read(FOLDER / name)]


def read(path: Path) -> list[Manifest]:
    return list(yaml.safe_load_all(path.read_text()))


def one(kind: str, name: str) -> Manifest:
    (found,) = [
        each for each in manifests() if each["kind"] == kind and each["metadata"]["name"] == name
    ]
    return found


def groups(cluster: Manifest) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The groups of machines of a Ray cluster, its head's first."""
    yield "head", cluster["spec"]["headGroupSpec"]
    for group in cluster["spec"]["workerGroupSpecs"]:
        yield group["groupName"], group


def pods() -> list[Pod]:
    """All that anything here makes."""
    templates = {"serve": one("Deployment", "serve")["spec"]["template"]}
    templates |= {name: group["template"] for name, group in groups(one("RayCluster", "ray"))}
    return [
        Pod(name, template["metadata"]["labels"], template["spec"])
        for name, template in templates.items()
    ]


def check(manifest: Manifest, version: str) -> None:
    """
    Raises:
        jsonschema.ValidationError: a field is not known, not of its type, or missing.
    """
    if manifest["kind"] != "RayCluster":
        validate(dict(manifest), version, strict=True)
        return
    Draft202012Validator(_ray_cluster()).validate(manifest)
    for _, group in groups(manifest):
        template = {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "metadata": manifest["metadata"],
            "template": group["template"],
        }
        validate(template, version, strict=True)


@cache
def _ray_cluster() -> Any:
    return _strict(json.loads(_RAY_CLUSTER.read_text()))


def _strict(schema: Any) -> Any:
    """Where fields are named, no others may be."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {"additionalProperties": False} if "properties" in schema else {}
    return closed | {name: _strict(each) for name, each in schema.items()}

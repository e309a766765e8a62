"""The segmenters' networks that lie on a model hub: which file, at which commit, which licence.

Nothing is downloaded here: whoever knows a hub passes `NetworkFiles` in.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from modelgenerator.datasets.segmenters.onnx_network import OnnxNetwork


@dataclass(frozen=True, slots=True)
class HubNetwork:
    """One file on a hub; another content than the one that is known is not loaded."""

    repository: str
    file: str
    revision: str
    """A commit."""
    sha256: str
    size_bytes: int
    licence: str


MULTICLASS = HubNetwork(
    repository="senty-au/selfie_multiclass_256x256-ONNX",
    file="onnx/model.onnx",
    revision="6db8421a7150ac20558f2c24675078eb3a1a04d0",
    sha256="35ec1ecd9ee7f85073c99c00020b7f6751b69506eeacf683bc8665f6117f85b0",
    size_bytes=16_454_560,
    licence="Apache-2.0",
)
"""Google's MediaPipe selfie multiclass, in another file format."""

BIREFNET = HubNetwork(
    repository="senty-au/BiRefNet_lite-ONNX-dynamic",
    file="onnx/model.onnx",
    revision="173d635935b93839608b9b9039da8d1d212471e9",
    sha256="1e0da42f0fde010e32e938bad388457ecefe35806fde9d923421997861ae9391",
    size_bytes=180_839_545,
    licence="MIT",
)
"""P. Zheng's BiRefNet_lite, exported so that onnxruntime is fast on a CPU."""


class NetworkFiles(Protocol):
    """Brings such files here, or finds them."""

    def cached(self, network: HubNetwork, /) -> Path | None:
        """Where it lies on this machine already."""
        ...

    def fetch(self, network: HubNetwork, /) -> Path:
        """Where it lies, downloaded if it must be.

        Raises:
            HubUnreachable: it is not here, and the hub does not answer or has another content.
        """
        ...


def network_at(path: Path, network: HubNetwork) -> OnnxNetwork:
    """The network in a file that was brought here."""
    return OnnxNetwork(path, network.sha256)

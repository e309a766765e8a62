"""What a network from the hub sees of a person: hair, skin and clothes, each by itself.

In: a window of a photo.  Out: how likely each place is a person, and how likely a head.  Where the
window comes from, and which person is meant, is `person`'s.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from modelgenerator.datasets.segmenters.edges import Likelihood
from modelgenerator.datasets.segmenters.onnx_network import OnnxNetwork

_SIDE = 256
_BACKGROUND, _HAIR, _FACE = 0, 1, 3
"""Of its six classes; the others are body skin, clothes and what a person wears or holds."""


@dataclass(frozen=True)
class MulticlassSight:
    """MediaPipe's selfie multiclass, 256 x 256, as an ONNX file.

    Source: how it is fed and what comes out: MediaPipe's model card of SelfieMulticlass.
    """

    network: OnnxNetwork
    called = "a person (selfie multiclass)"

    @property
    def version(self) -> str:
        """What decides its answers."""
        return f"selfie multiclass 1, {self.network.sha256[:16]}"

    def see(self, window_HW3: NDArray[np.uint8]) -> tuple[Likelihood, Likelihood]:
        """Person and head, 256 x 256."""
        small_HW3 = cv2.resize(window_HW3, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        logits_HW6 = self.network.answer(np.asarray(small_HW3, np.float32)[None] / np.float32(255))[
            0
        ]
        weights_HW6 = np.exp(logits_HW6 - logits_HW6.max(-1, keepdims=True))
        shares_HW6 = weights_HW6 / weights_HW6.sum(-1, keepdims=True)
        person_HW = 1 - shares_HW6[..., _BACKGROUND]
        return person_HW, shares_HW6[..., _HAIR] + shares_HW6[..., _FACE]

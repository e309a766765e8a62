"""A network in an ONNX file, run on this machine.

In: one array.  Out: one array.  What they mean is not known here.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# onnxruntime is imported inside functions: it takes a good part of a second, and most choices do
# without.


@dataclass(frozen=True, slots=True)
class OnnxNetwork:
    """Loaded when it is first asked, once in each process."""

    path: Path
    sha256: str
    """Of the file, in hexadecimal; who made this object has checked it."""

    def answer(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The only output for the only input."""
        session = _session(self.path)
        (said,) = session.run(None, {session.get_inputs()[0].name: values})
        return np.asarray(said, np.float32)


@cache
def _session(path: Path) -> Any:
    """On the GPU when this onnxruntime can use it; else with the threads that the process has."""
    import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    options.log_severity_level = 3  # errors: its warnings are about its own optimisations
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
    return onnxruntime.InferenceSession(str(path), options, providers=providers)

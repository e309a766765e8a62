"""Stand-ins for the large networks that segmenters take from a hub: the same inputs and outputs, a
colour for what the real ones see.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_FLOATS = TensorProto.FLOAT


def save_multiclass(path: Path) -> None:
    """Pixels of 256 x 256 in, six logits each out: red is skin of a face, green is clothes, dark
    hair, and blue the background.
    """
    weights_36 = np.zeros((3, 6), np.float32)
    weights_36[0, 3] = weights_36[1, 4] = weights_36[2, 0] = 20
    biases_6 = np.array((0, 6, -100, 0, 0, -100), np.float32)
    nodes = [
        helper.make_node("MatMul", ["input_29", "weights"], ["weighted"]),
        helper.make_node("Add", ["weighted", "biases"], ["Identity"]),
    ]
    _save(
        path,
        nodes,
        {"weights": weights_36, "biases": biases_6},
        ("input_29", [1, 256, 256, 3]),
        ("Identity", [1, 256, 256, 6]),
    )


def save_birefnet(path: Path) -> None:
    """Normalised pixels of any size in, one logit each out: what is red rather than blue."""
    kernel_13 = np.array((8, 0, -8), np.float32).reshape(1, 3, 1, 1)
    nodes = [helper.make_node("Conv", ["input_image", "kernel"], ["output_image"])]
    _save(
        path,
        nodes,
        {"kernel": kernel_13},
        ("input_image", [1, 3, "height", "width"]),
        ("output_image", [1, 1, "height", "width"]),
    )


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    given: tuple[str, list[int | str]],
    said: tuple[str, list[int | str]],
) -> None:
    graph = helper.make_graph(
        nodes,
        "stand-in",
        [helper.make_tensor_value_info(given[0], _FLOATS, given[1])],
        [helper.make_tensor_value_info(said[0], _FLOATS, said[1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(network, path)

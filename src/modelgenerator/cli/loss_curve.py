"""The losses of a training as a picture.

Comes in: (step, loss) pairs.  Goes out: a PNG with every step as a dot and a running mean, and the
loss on pictures that were kept out as a second line.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from modelgenerator.whole_files import write_whole


def draw(
    losses: Sequence[tuple[int, float]],
    file: Path,
    *,
    title: str,
    validation: Sequence[tuple[int, float]] = (),
) -> None:
    """Write `file` whole or not at all; no `validation`, no second line.

    Raises:
        OutputNotWritable: the disk is full, or the folder is gone or not writable.
    """
    # matplotlib takes half a second to import, and only this function needs it
    from matplotlib.figure import Figure

    steps, values = np.array(losses).T
    window = max(1, len(values) // 20)
    mean = np.convolve(values, np.ones(window) / window, mode="valid")
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(steps, values, ".", markersize=2, color="#b8c4d6", label="each step")
    axes.plot(steps[window - 1 :], mean, color="#2457a6", label=f"mean of {window}")
    if validation:
        axes.plot(*np.array(validation).T, "o-", markersize=3, color="#c2571a", label="kept out")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_title(title)
    axes.legend()
    axes.grid(alpha=0.3)
    png = io.BytesIO()
    figure.savefig(png, dpi=110)
    write_whole(file, png.getvalue(), called="The loss curve")

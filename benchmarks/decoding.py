"""How many copies of an autoencoder's widest picture are alive while it decodes one?

    python benchmarks/decoding.py [--sides 512 768 1024]

Each side in a process of its own, on the CPU: an autoencoder of the shape that Stable Diffusion and
FLUX have, with random numbers.  Out: the memory that decoding takes beyond what is loaded, and
that in copies of a picture of fp32 numbers with its fewest channels, at its full size.
`generation.memory` places pictures by it.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from peak_memory import peak_bytes

CHANNELS = (128, 256, 512, 512)
SHRINKS = 2 ** (len(CHANNELS) - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sides", nargs="+", type=int, default=[512, 768, 1024])
    parser.add_argument("--child", type=int, help="for the benchmark itself")
    options = parser.parse_args()
    if options.child:
        print(json.dumps(decoding_bytes(options.child)))
        return
    print("| side | MB | copies |")
    print("| ---: | ---: | ---: |")
    for side in options.sides:
        done = subprocess.run(
            [sys.executable, __file__, "--child", str(side)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        taken = float(json.loads(done.stdout.splitlines()[-1]))
        print(f"| {side} | {taken / 1e6:,.0f} | {taken / (4 * CHANNELS[0] * side**2):.1f} |")


def decoding_bytes(side: int) -> int:
    """Of this process, above what it had before."""
    import torch
    from diffusers import AutoencoderKL

    levels = len(CHANNELS)
    autoencoder = AutoencoderKL(
        block_out_channels=CHANNELS,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=2,
    )
    with torch.no_grad():
        autoencoder.decode(torch.zeros(1, 4, 8, 8))  # what is made once
        Path("/proc/self/clear_refs").write_text("5")  # the highest memory begins anew
        before = peak_bytes("cpu")
        autoencoder.decode(torch.zeros(1, 4, side // SHRINKS, side // SHRINKS))
    return peak_bytes("cpu") - before


if __name__ == "__main__":
    main()

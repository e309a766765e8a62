"""Make the network that finds subjects in pixel art: one command, seeded, some minutes on a CPU.

    python -m modelgenerator.diffusion.builtin.mask_recipe --output drawn_network

In: numbers of steps and pictures.  Out: `network.safetensors` (fp16) and `recipe.json`, which says
how it was made and how well it finds creatures that were never drawn for it.  Who runs the network,
without torch, is `datasets.segmenters.drawn`.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from modelgenerator.diffusion.builtin import world
from modelgenerator.diffusion.builtin.learner import LOG_FORMAT, Learner, Replica, falling
from modelgenerator.diffusion.builtin.mask_pictures import mask_picture
from modelgenerator.diffusion.builtin.scenes import PHRASES, SIDE
from modelgenerator.diffusion.builtin.subjects import SUBJECTS

log = logging.getLogger(__name__)

CHANNELS = (12, 16, 24, 32)
"""At each scale, from the finest; each is half as fine as the one before."""
WIDE = 64
"""Side of the larger pictures that it learns from too."""
_BATCH, _WIDE_BATCH, _WIDE_EVERY = 48, 12, 4


class MaskNetwork(nn.Module):
    """A small U-Net: pixels 0 to 1 in, two logits for each out, subject and head.

    Sides are multiples of 8.
    """

    def __init__(self) -> None:
        super().__init__()
        wide = (3, *CHANNELS)
        self.down = nn.ModuleList(
            nn.ModuleList((_convolution(wide[i], wide[i + 1]), _convolution(wide[i + 1], c)))
            for i, c in enumerate(CHANNELS)
        )
        self.up = nn.ModuleList(
            _convolution(coarse + fine, fine)
            for fine, coarse in zip(CHANNELS[-2::-1], CHANNELS[:0:-1], strict=True)
        )
        self.out = nn.Conv2d(CHANNELS[0], 2, 1)

    def forward(self, pixels_B3HW: Tensor) -> Tensor:
        """`logits_B2HW`."""
        x = pixels_B3HW * 2 - 1
        passed: list[Tensor] = []
        for scale, pair in enumerate(self.down):
            x = functional.max_pool2d(x, 2) if scale else x
            for convolution in pair.children():
                x = functional.relu(convolution(x))
            passed.append(x)
        for convolution, finer in zip(self.up, passed[-2::-1], strict=True):
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = functional.relu(convolution(torch.cat([x, finer], 1)))
        return self.out(x)


def _convolution(into: int, out: int) -> nn.Conv2d:
    convolution = nn.Conv2d(into, out, 3, padding=1, padding_mode="replicate")
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    nn.init.zeros_(convolution.bias)  # pyright: ignore[reportArgumentType]
    return convolution


@dataclass(frozen=True, slots=True)
class _Pool:
    """Drawn once, visited often."""

    pixels_N3HW: Tensor
    masks_N2HW: Tensor
    knows_head_N: Tensor


def main(argv: Sequence[str] | None = None) -> None:
    """The command; `argv` is what a person wrote after its name."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="the finished network's folder")
    parser.add_argument("--steps", type=int, default=6_000)
    parser.add_argument("--pictures", type=int, default=24_000, help="drawn, of 32 x 32")
    parser.add_argument("--wide-pictures", type=int, default=4_000, help="drawn, of 64 x 64")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    torch.set_num_threads(1)
    settings = {name: value for name, value in vars(arguments).items() if name != "output"}
    network = train(**settings)
    write(network, arguments.output, settings)


def train(*, steps: int, pictures: int, wide_pictures: int, seed: int) -> MaskNetwork:
    """Draw the pictures and learn from them; the moving average of the weights comes out."""
    torch.manual_seed(seed)
    small = _drawn(range(pictures), SIDE)
    wide = _drawn(range(wide_pictures), WIDE)
    network, average = MaskNetwork(), MaskNetwork()
    replica = Replica(rank=0, count=1, device=torch.device("cpu"))
    learner = Learner([(network, 1.0)], replica=replica, average=0.998)
    chance = torch.Generator().manual_seed(seed)
    for step in range(steps):
        is_wide = step % _WIDE_EVERY == _WIDE_EVERY - 1
        pool, batch = (wide, _WIDE_BATCH) if is_wide else (small, _BATCH)
        loss = _loss(network, *_varied(pool, batch, chance))
        learner.step(loss, learning_rate=falling(step, steps, peak=3e-3, warm_up=100, flat=0.3))
        if (step + 1) % 500 == 0 or step + 1 == steps:
            learner.load_averages_into([average])
            log.info("step %d of %d: loss %.4f, %s", step + 1, steps, loss.item(), measure(average))
    learner.load_averages_into([average])
    return average


def write(network: MaskNetwork, folder: Path, settings: dict[str, object]) -> None:
    """The weights as half floats, and how they were made."""
    folder.mkdir(parents=True, exist_ok=True)
    halves = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    network.load_state_dict({name: value.float() for name, value in halves.items()})
    save_file(halves, folder / "network.safetensors")
    made = {"settings": settings, "overlap": measure(network)}
    (folder / "recipe.json").write_text(json.dumps(made, indent=2) + "\n")


def measure(network: MaskNetwork) -> dict[str, float]:
    """Mean overlap (intersection over union) with the truth, on pictures never learnt from.

    `world` is its pictures, `unseen` those of creatures whose shapes and patterns are not in it.
    """
    others = [world.picture(20_000_000 + seed) for seed in range(150)]
    scenes = (*PHRASES, "plain")
    unseen = [
        world.subject_picture(name, scenes[n % len(scenes)], 700 + n)
        for name in SUBJECTS
        for n in range(25)
    ]
    return _overlaps(network, "world", others) | _overlaps(network, "unseen", unseen)


def _overlaps(
    network: MaskNetwork, name: str, pictures: Sequence[world.Picture]
) -> dict[str, float]:
    pixels_NHW3 = np.stack([picture.pixels_HW3 for picture in pictures])
    truth_N2HW = torch.from_numpy(np.stack([[p.creature_HW, p.head_HW] for p in pictures]))
    with torch.inference_mode():
        found_N2HW = network(_as_tensor(pixels_NHW3).float() / 255) > 0
    common_N2 = (found_N2HW & truth_N2HW).sum((2, 3))
    either_N2 = (found_N2HW | truth_N2HW).sum((2, 3))
    subject, head = (common_N2 / either_N2.clamp(min=1)).mean(0).tolist()
    return {name: round(subject, 4), f"{name}Head": round(head, 4)}


def _drawn(seeds: range, side: int) -> _Pool:
    pictures = [mask_picture(seed, side) for seed in seeds]
    masks = [np.stack([picture.subject_HW, picture.head_HW]) for picture in pictures]
    return _Pool(
        _as_tensor(np.stack([picture.pixels_HW3 for picture in pictures])),
        torch.from_numpy(np.stack(masks)),
        torch.tensor([picture.knows_head for picture in pictures]),
    )


def _as_tensor(pixels_NHW3: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels_NHW3).permute(0, 3, 1, 2).contiguous()


def _varied(pool: _Pool, batch: int, chance: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """A batch, some of it mirrored, in swapped colours, darker or paler, or with noise."""
    chosen = torch.randint(0, len(pool.pixels_N3HW), (batch,), generator=chance)
    pixels_B3HW = pool.pixels_N3HW[chosen].float() / 255
    masks_B2HW = pool.masks_N2HW[chosen].float()
    luck_B4 = torch.rand(batch, 4, generator=chance)
    mirrored = luck_B4[:, 0] < 0.5
    pixels_B3HW[mirrored] = pixels_B3HW[mirrored].flip(-1)
    masks_B2HW[mirrored] = masks_B2HW[mirrored].flip(-1)
    swapped = luck_B4[:, 1] < 0.3
    pixels_B3HW[swapped] = pixels_B3HW[swapped][:, torch.randperm(3, generator=chance)]
    noise_B3HW = torch.randn(pixels_B3HW.shape, generator=chance)
    noise_B3HW *= 0.04 * luck_B4[:, 2].sub(0.5).clamp(min=0)[:, None, None, None] * 2
    gamma_B = torch.exp2((luck_B4[:, 3] - 0.5) * 1.2)
    pixels_B3HW = pixels_B3HW ** gamma_B[:, None, None, None] + noise_B3HW
    return pixels_B3HW.clamp(0, 1), masks_B2HW, pool.knows_head_N[chosen].float()


def _loss(
    network: MaskNetwork, pixels_B3HW: Tensor, masks_B2HW: Tensor, knows_head_B: Tensor
) -> Tensor:
    """Cross-entropy for each pixel, and the overlap of the subject as a whole."""
    logits_B2HW = network(pixels_B3HW)
    known_B2 = torch.stack([torch.ones_like(knows_head_B), knows_head_B], 1)
    entropy_B2HW = functional.binary_cross_entropy_with_logits(
        logits_B2HW, masks_B2HW, reduction="none"
    )
    entropy = (entropy_B2HW.mean((2, 3)) * known_B2).sum() / known_B2.sum()
    found_B2HW = logits_B2HW.sigmoid()
    common_B2 = (found_B2HW * masks_B2HW).sum((2, 3))
    both_B2 = found_B2HW.sum((2, 3)) + masks_B2HW.sum((2, 3))
    overlap_B2 = (2 * common_B2 + 1) / (both_B2 + 1)
    return entropy + 0.3 * ((1 - overlap_B2) * known_B2).sum() / known_B2.sum()


if __name__ == "__main__":
    main()

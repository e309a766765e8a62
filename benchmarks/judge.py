"""A small network that says what a 32 x 32 picture shows: scene, subject, and its looks.

In: pictures.  Out: one word for each and each question, `none` or `other` if not sure.  It is
taught with drawn pictures only (`judge_pictures`) and never sees a generated one before it judges.
A third of its lessons go through the base model's autoencoder, all of them are slightly blurred,
noisy or off in colour: that is how the same picture looks when a base model draws it.
How far it can be trusted is asked by `judge_exam`.
"""

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import judge_pictures
import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from judge_pictures import KINDS, LABELS, UNSAID, Pixels
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from modelgenerator.diffusion.builtin import creatures, scenes, subjects, world

RESULTS = Path(__file__).parent / "results"

STEPS = 2_000
BATCH = 64
POOL = 20_000  # drawn pictures
CARRIED = 6_000  # of them that also go through the autoencoder
LATENT_NOISE = 0.1  # as much as the autoencoder was taught to bear
LESSONS = 10**7  # first seed of what it is taught with

log = logging.getLogger(__name__)


class JudgeNetwork(nn.Module):
    """Rows of logits, one for each of `LABELS`, from pictures (B, 3, 32, 32) in -1 to 1."""

    def __init__(self) -> None:
        super().__init__()
        sizes = ((3, 32, 1), (32, 48, 2), (48, 64, 1), (64, 96, 2), (96, 96, 1), (96, 128, 2))
        self.trunk = nn.Sequential(
            *(_convolution(inputs, outputs, stride) for inputs, outputs, stride in sizes),
            nn.Flatten(),
            nn.Dropout(0.2),
        )
        self.heads = nn.ModuleDict(
            {question: nn.Linear(128 * 4 * 4, len(words)) for question, words in LABELS.items()}
        )

    def forward(self, pixels_B3HW: Tensor) -> dict[str, Tensor]:
        features_BD = self.trunk(pixels_B3HW)
        return {question: head(features_BD) for question, head in self.heads.items()}


def _convolution(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


@dataclass(frozen=True, slots=True)
class Judge:
    network: JudgeNetwork

    def say(self, pictures: Sequence[Pixels]) -> dict[str, list[str]]:
        """One word per picture for each question of `LABELS`.

        A word that is not more likely than all others together is not said: the answer is then
        the last one, `none` or `other`.
        """
        with torch.inference_mode():
            parts = [self.network(part) for part in as_tensor(pictures).split(256)]
        said: dict[str, list[str]] = {}
        for question, words in LABELS.items():
            sureness_NK = torch.cat([part[question] for part in parts]).softmax(1)
            best_N = sureness_NK.max(1)
            sure = zip(best_N.values.tolist(), best_N.indices.tolist(), strict=True)
            said[question] = [words[index] if value > 0.5 else words[-1] for value, index in sure]
        return said


def a_judge(base: Path, cache: Path = RESULTS) -> Judge:
    """The judge for the base model in this folder: from the cache, or taught now."""
    network = JudgeNetwork()
    weights = cache / f"judge-{_fingerprint(base)}.safetensors"
    if not weights.exists():
        log.info("teaching the judge with %d drawn pictures (some minutes, once) ...", POOL)
        taught = _teach(autoencoder_of(base))
        cache.mkdir(parents=True, exist_ok=True)
        save_file(taught.state_dict(), weights)
    network.load_state_dict(load_file(weights))
    return Judge(network.eval())


def autoencoder_of(base: Path) -> AutoencoderKL:
    return AutoencoderKL.from_pretrained(base / "vae", torch_dtype=torch.float32).eval()


def carried(autoencoder: AutoencoderKL, pictures: Sequence[Pixels], seed: int) -> list[Pixels]:
    """The same pictures after the autoencoder, with a little noise on the latents."""
    chance = torch.Generator().manual_seed(seed)
    parts: list[Tensor] = []
    with torch.inference_mode():
        for part_B3HW in as_tensor(pictures).split(64):
            latents = autoencoder.encode(part_B3HW, return_dict=False)[0].mean
            latents += LATENT_NOISE * torch.randn(latents.shape, generator=chance)
            decoded_B3HW: Tensor = autoencoder.decode(latents, return_dict=False)[0]  # pyright: ignore[reportArgumentType]  diffusers names the CPU type
            parts.append(decoded_B3HW)
    bytes_N3HW = ((torch.cat(parts).clamp(-1, 1) + 1) * 127.5).round().byte()
    return list(bytes_N3HW.permute(0, 2, 3, 1).contiguous().numpy())


def as_tensor(pictures: Sequence[Pixels]) -> Tensor:
    pixels_NHW3 = torch.from_numpy(np.stack(pictures)).float() / 127.5 - 1
    return pixels_NHW3.permute(0, 3, 1, 2).contiguous()


# How it is taught


def _teach(autoencoder: AutoencoderKL) -> JudgeNetwork:
    pictures_N3HW, labels = _lessons(autoencoder)
    torch.manual_seed(0)
    network = JudgeNetwork()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=STEPS)
    started = time.monotonic()
    for step in range(STEPS):
        chance = torch.Generator().manual_seed(step)
        chosen_B = torch.randint(0, len(pictures_N3HW), (BATCH,), generator=chance)
        answers = network(_roughened(pictures_N3HW[chosen_B], chance))
        loss = torch.stack([_surprise(answers[q], labels[q][chosen_B]) for q in LABELS]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % 200 == 0:
            seconds = time.monotonic() - started
            log.info("  step %d of %d: %.3f, %.0f s", step + 1, STEPS, loss.item(), seconds)
    return network


def _lessons(autoencoder: AutoencoderKL) -> tuple[Tensor, dict[str, Tensor]]:
    drawn = judge_pictures.examples(range(LESSONS, LESSONS + POOL), KINDS)
    pictures = [example.pixels_HW3 for example in drawn]
    pictures += carried(autoencoder, pictures[:CARRIED], seed=0)
    drawn += drawn[:CARRIED]
    labels = {q: torch.tensor([example.truth.get(q, UNSAID) for example in drawn]) for q in LABELS}
    return as_tensor(pictures), labels


def _surprise(logits_BK: Tensor, labels_B: Tensor) -> Tensor:
    total = functional.cross_entropy(logits_BK, labels_B, ignore_index=UNSAID, reduction="sum")
    return total / len(labels_B)


def _roughened(pixels_B3HW: Tensor, chance: torch.Generator) -> Tensor:
    """Moved a little, and for most pictures slightly blurred, noisy, or off in colour."""
    batch = len(pixels_B3HW)
    padded = functional.pad(pixels_B3HW, (2, 2, 2, 2), mode="replicate")
    left, top = torch.randint(0, 5, (2,), generator=chance).tolist()
    moved = padded[:, :, top : top + scenes.SIDE, left : left + scenes.SIDE]
    blurred = functional.avg_pool2d(functional.pad(moved, (1, 1, 1, 1), mode="replicate"), 3, 1)
    strength_B111 = _amounts(batch, 0.35, chance)
    rough = torch.lerp(moved, blurred, strength_B111)
    rough = rough + _amounts(batch, 0.06, chance) * torch.randn(rough.shape, generator=chance)
    shift_B311 = 0.08 * (2 * torch.rand(batch, 3, 1, 1, generator=chance) - 1)
    gain_B111 = 1 + 0.08 * (2 * torch.rand(batch, 1, 1, 1, generator=chance) - 1)
    return (rough * gain_B111 + shift_B311).clamp(-1, 1)


def _amounts(batch: int, most: float, chance: torch.Generator) -> Tensor:
    """None for half of the pictures, up to `most` for the others."""
    amounts_B = most * torch.rand(batch, generator=chance)
    return torch.where(torch.rand(batch, generator=chance) < 0.5, amounts_B, 0.0).view(-1, 1, 1, 1)


def _fingerprint(base: Path) -> str:
    """Changes with the world, the judge's own code, and the autoencoder."""
    digest = hashlib.sha256()
    for module in (world, creatures, scenes, subjects, judge_pictures):
        digest.update(Path(str(module.__file__)).read_bytes())
    digest.update(Path(__file__).read_bytes())
    for file in sorted((base / "vae").glob("*.safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]

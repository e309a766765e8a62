"""The autoencoder of the embedded base model: 32 x 32 pixels to latents of 16 x 16 x 12 and back.

In: drawn pictures, half of them in colours that the world does not have, some with random sprites:
what a user teaches has colours and shapes that were never drawn, and what the autoencoder cannot
carry no LoRA can learn.  Out: an `AutoencoderKL` folder.
"""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor, nn
from torch.nn import functional

from modelgenerator.diffusion.builtin import world
from modelgenerator.diffusion.builtin.learner import Learner, Replica, falling
from modelgenerator.diffusion.builtin.scenes import SIDE
from modelgenerator.diffusion.builtin.subjects import SUBJECTS

log = logging.getLogger(__name__)

Autoencoder = Any  # an AutoencoderKL: diffusers' annotations contradict what it takes and returns
LATENT_CHANNELS = 12
PICTURES = 8_000  # drawn for each replica
BATCH = 8  # per replica; larger on a GPU
LATENT_NOISE = 0.1  # what the decoder must bear: a U-Net's latents are never exact


def new_autoencoder() -> Autoencoder:
    """One group per normalisation keeps absolute brightness easier to carry than eight do."""
    build: Any = AutoencoderKL
    autoencoder = build(
        in_channels=3,
        out_channels=3,
        latent_channels=LATENT_CHANNELS,
        block_out_channels=(32, 48),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        norm_num_groups=1,
        sample_size=SIDE,
        mid_block_add_attention=False,
        scaling_factor=1.0,
    )
    for block in autoencoder.modules():  # every residual branch starts silent
        if type(block).__name__ == "ResnetBlock2D":
            nn.init.zeros_(block.conv2.weight)
            nn.init.zeros_(block.conv2.bias)
    return autoencoder


def train_autoencoder(
    replica: Replica, folder: Path, *, steps: int, seed: int, pictures: int = PICTURES
) -> None:
    """Train, or go on training, and write `folder/vae` and `folder/vae.json`.

    Each replica draws `pictures` of its own.
    """
    torch.manual_seed(seed)
    autoencoder = new_autoencoder().to(replica.device, memory_format=torch.channels_last)
    learner = Learner([(autoencoder, 1.0)], replica=replica, average=0.998)
    checkpoint = folder / "vae-checkpoint.safetensors"
    if checkpoint.exists():
        learner.load(checkpoint)
    own = range(replica.rank * pictures, (replica.rank + 1) * pictures)
    pool_N3HW = _pictures(own).to(replica.device)
    batch = BATCH if replica.device.type == "cpu" else 128
    average = new_autoencoder().to(replica.device, memory_format=torch.channels_last).eval()

    for step in range(learner.step_count, steps):
        chance = _chance(seed, step, replica.rank)
        pixels_B3HW = _varied_batch(pool_N3HW, batch, chance)
        rate = falling(step, steps, peak=3e-3, warm_up=100, flat=0.2)
        learner.step(_loss(autoencoder, pixels_B3HW, chance), learning_rate=rate)
        if replica.leads and ((step + 1) % 250 == 0 or step + 1 == steps):
            learner.save(checkpoint)
            learner.load_averages_into([average])
            quality = measure(average)
            log.info("autoencoder step %d of %d: %s", step + 1, steps, quality)
    if replica.leads:
        learner.load_averages_into([average])
        _finish(average, folder)


def measure(autoencoder: Autoencoder) -> dict[str, float]:
    """Peak signal-to-noise ratio in dB after a round trip: the world, and each unseen subject."""
    scenes = ("snow", "night", "desert", "beach")
    quality = {"world": _psnr(autoencoder, _pictures(range(10_000_000, 10_000_200)))}
    for name in SUBJECTS:
        pixels = [world.subject_picture(name, s, n).pixels_HW3 for s in scenes for n in range(8)]
        quality[name] = _psnr(autoencoder, _as_tensor(np.stack(pixels)))
    quality["unseen"] = round(sum(quality[name] for name in SUBJECTS) / len(SUBJECTS), 2)
    return quality


def encode_all(autoencoder: Autoencoder, pixels_N3HW: Tensor) -> Tensor:
    """Means of the latents, not scaled, in pieces that fit in the cache."""
    device = autoencoder.device
    with torch.inference_mode():
        parts = [
            autoencoder.encode(
                part.to(device).contiguous(memory_format=torch.channels_last)
            ).latent_dist.mean.cpu()
            for part in pixels_N3HW.split(64)
        ]
    return torch.cat(parts)


def _finish(autoencoder: Autoencoder, folder: Path) -> None:
    latents = encode_all(autoencoder, _pictures(range(11_000_000, 11_001_000)))
    autoencoder.register_to_config(scaling_factor=1 / latents.std().item())
    quality = measure(autoencoder)
    autoencoder.save_pretrained(folder / "vae")
    (folder / "vae.json").write_text(json.dumps(quality, indent=2) + "\n")
    log.info("autoencoder done: %s", quality)


def _loss(autoencoder: Autoencoder, pixels_B3HW: Tensor, chance: torch.Generator) -> Tensor:
    posterior = autoencoder.encode(pixels_B3HW).latent_dist
    latents_BCHW = posterior.mean
    noise_BCHW = torch.randn(latents_BCHW.shape, generator=chance).to(latents_BCHW)
    decoded_B3HW = autoencoder.decode(latents_BCHW + LATENT_NOISE * noise_BCHW).sample
    # Keep latents near unit size and the unused variance head at a fixed small value.
    size = 3e-4 * latents_BCHW.square().mean() + 1e-4 * (posterior.logvar + 4.6).square().mean()
    exactness = functional.mse_loss(decoded_B3HW, pixels_B3HW)
    return exactness + 0.1 * functional.l1_loss(decoded_B3HW, pixels_B3HW) + size


def _varied_batch(pool_N3HW: Tensor, batch: int, chance: torch.Generator) -> Tensor:
    chosen = torch.randint(0, len(pool_N3HW), (batch,), generator=chance)
    pixels_B3HW = pool_N3HW[chosen.to(pool_N3HW.device)].clone()
    recoloured = torch.rand(batch, generator=chance) < 0.4
    signs = torch.randint(0, 2, (batch, 3, 1), generator=chance) * 2.0 - 1.0
    orders = torch.stack([torch.randperm(3, generator=chance) for _ in range(batch)])
    maps_B33 = torch.eye(3)[orders] * signs
    maps_B33[~recoloured] = torch.eye(3)
    pixels_B3HW = torch.einsum("bij,bjhw->bihw", maps_B33.to(pixels_B3HW), pixels_B3HW)
    luck = torch.rand(batch, generator=chance)
    for index in torch.nonzero(luck < 0.2).flatten().tolist():
        covered = torch.rand(1, 4, 4, generator=chance) < (1.0 if luck[index] < 0.04 else 0.4)
        covered_1HW = covered.float().repeat_interleave(8, 1).repeat_interleave(8, 2)
        covered_1HW = covered_1HW.to(pixels_B3HW)
        sprite_3HW = _sprite(chance).to(pixels_B3HW)
        pixels_B3HW[index] = torch.lerp(pixels_B3HW[index], sprite_3HW, covered_1HW)
    return pixels_B3HW.contiguous(memory_format=torch.channels_last)


def _sprite(chance: torch.Generator) -> Tensor:
    """Random squares of two to five random colours."""
    side = (4, 8, 16, 32)[int(torch.randint(0, 4, (), generator=chance))]
    inks = int(torch.randint(2, 6, (), generator=chance))
    colours_K3 = torch.rand(inks, 3, generator=chance) * 2 - 1
    indices_HW = torch.randint(0, inks, (side, side), generator=chance)
    sprite_3HW = colours_K3[indices_HW].permute(2, 0, 1)
    return sprite_3HW.repeat_interleave(SIDE // side, 1).repeat_interleave(SIDE // side, 2)


def _chance(seed: int, step: int, rank: int) -> torch.Generator:
    return torch.Generator().manual_seed((seed * 1_000_003 + step) * 64 + rank)


def _pictures(seeds: range) -> Tensor:
    return _as_tensor(np.stack([world.picture(seed).pixels_HW3 for seed in seeds]))


def _as_tensor(pixels_NHW3: np.ndarray) -> Tensor:
    return (torch.from_numpy(pixels_NHW3).float() / 127.5 - 1).permute(0, 3, 1, 2).contiguous()


def _psnr(autoencoder: Autoencoder, pixels_N3HW: Tensor) -> float:
    pixels_N3HW = pixels_N3HW.to(autoencoder.device)
    with torch.inference_mode():
        latents = autoencoder.encode(pixels_N3HW).latent_dist.mean
        decoded_N3HW = autoencoder.decode(latents).sample.clamp(-1, 1)
    error_N = (decoded_N3HW - pixels_N3HW).square().mean((1, 2, 3))
    return round(float((10 * torch.log10(4 / error_N)).mean()), 2)

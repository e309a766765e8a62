"""The U-Net and the text encoder of the embedded base model.

In: the autoencoder and the tokenizer.  Out: a diffusers folder.  Prediction is of the velocity on a
cosine schedule that ends in pure noise, so that generation starts where training did.

The text encoder gets a head start: its last states must foretell the picture and the words of the
caption.  Without it the first steps of the U-Net, which cannot use text yet, ruin it (measured:
the loss with the right and with a wrong caption stays the same for ever).
Source of the velocity target: Salimans and Ho 2022, https://arxiv.org/abs/2202.00512, section 4.
"""

import copy
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from modelgenerator.diffusion.builtin import world
from modelgenerator.diffusion.builtin.autoencoder import LATENT_CHANNELS, Autoencoder, encode_all
from modelgenerator.diffusion.builtin.learner import Learner, Replica, falling
from modelgenerator.diffusion.builtin.vocabulary import LENGTH

log = logging.getLogger(__name__)

# diffusers' and transformers' annotations contradict what these take and return
UNet = Any  # a UNet2DConditionModel
TextEncoder = Any  # a CLIPTextModel
Pipeline = Any  # a StableDiffusionPipeline

WIDTH = 128  # of the text states
HEAD_START_PICTURES = 8_000
BATCH = 16  # per replica; larger on a GPU
CHECKPOINT_EVERY = 500  # steps
CAPTION_DROPOUT = 0.1  # what classifier-free guidance needs
NOISY_SHARE = 0.3  # of samples that are drawn from the noisier half, where the text decides
SCHEDULE: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
    "clip_sample": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Drawn pictures as latents, and their captions as tokens."""

    latents_NCHW: Tensor  # scaled to unit size, fp16
    tokens_NL: Tensor


def new_unet() -> UNet:
    """Wide where sprites are drawn, narrow where only the layout is decided."""
    build: Any = UNet2DConditionModel
    unet = build(
        sample_size=16,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 96, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )
    for block in unet.modules():  # every residual branch starts silent
        for name in {"ResnetBlock2D": ["conv2"], "Transformer2DModel": ["proj_out"]}.get(
            type(block).__name__, []
        ):
            layer = block.get_submodule(name)
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)
    nn.init.zeros_(unet.conv_out.weight)
    nn.init.zeros_(unet.conv_out.bias)
    return unet


def new_text_encoder(vocabulary: int) -> TextEncoder:
    """Two layers; its token embeddings are large, so that words differ from the first step on."""
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            hidden_act="quick_gelu",
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
            pad_token_id=vocabulary - 1,
        )
    )
    for name, parameter in text_encoder.named_parameters():
        if "token_embedding" in name:
            nn.init.normal_(parameter, std=0.5)
        if "position_embedding" in name:
            nn.init.normal_(parameter, std=0.1)
    return text_encoder


def pool_of(folder: Path, replica: Replica, *, pictures: int) -> Pool:
    """Draw and encode this replica's own pictures, once; later calls read the cache."""
    cache = folder / f"pool-{replica.rank}-of-{replica.count}-{pictures}.safetensors"
    if not cache.exists():
        autoencoder: Autoencoder = AutoencoderKL.from_pretrained(folder / "vae")
        autoencoder.to(replica.device)
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        latents: list[Tensor] = []
        tokens: list[Tensor] = []
        for start in range(0, pictures, 1_000):
            first = replica.rank * pictures + start
            drawn = [world.picture(n) for n in range(first, first + min(1_000, pictures - start))]
            pixels_NHW3 = torch.from_numpy(np.stack([p.pixels_HW3 for p in drawn]))
            pixels_N3HW = (pixels_NHW3.float() / 127.5 - 1).permute(0, 3, 1, 2)
            encoded_NCHW = encode_all(autoencoder, pixels_N3HW)
            scaled_NCHW = encoded_NCHW * autoencoder.config.scaling_factor
            latents.append(scaled_NCHW.half().contiguous())
            tokens.append(_tokens(tokenizer, [p.caption for p in drawn]))
        partial = cache.with_suffix(".partial")
        save_file({"latents": torch.cat(latents), "tokens": torch.cat(tokens)}, partial)
        partial.replace(cache)
    cached = load_file(cache, device=str(replica.device))
    return Pool(latents_NCHW=cached["latents"], tokens_NL=cached["tokens"])


def start_text_encoder(
    replica: Replica, folder: Path, *, steps: int, seed: int, pictures: int = HEAD_START_PICTURES
) -> None:
    """Write `folder/text_encoder`: states that foretell picture and words."""
    torch.manual_seed(seed)
    pool = pool_of(folder, replica, pictures=pictures)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    vocabulary = len(tokenizer)
    text_encoder = new_text_encoder(vocabulary).to(replica.device)
    flat_ND = pool.latents_NCHW.float().flatten(1)
    mean_D = flat_ND.mean(0)
    _, spread_K, directions_DK = torch.pca_lowrank(flat_ND - mean_D, 64, niter=2)
    components_NK = (flat_ND - mean_D) @ directions_DK
    spread_K = components_NK.std(0)
    components_NK = components_NK / spread_K
    weights_K = (spread_K / spread_K[0]).sqrt()
    to_picture = nn.Linear(WIDTH, 64, device=replica.device)
    to_words = nn.Linear(WIDTH, vocabulary, device=replica.device)
    learner = Learner(
        [(text_encoder, 1.0), (to_picture, 1.0), (to_words, 1.0)], replica=replica, average=0.99
    )
    for step in range(steps):
        chance = torch.Generator().manual_seed(seed * 1_000_003 + step)
        chosen_B = torch.randint(0, len(flat_ND), (96,), generator=chance).to(replica.device)
        tokens_BL = pool.tokens_NL[chosen_B]
        states_BLD = text_encoder(tokens_BL).last_hidden_state
        padding_BL1 = (tokens_BL == vocabulary - 1).float()[..., None]
        summary_BD = (states_BLD * padding_BL1).sum(1) / padding_BL1.sum(1)
        misses_BK = (to_picture(summary_BD) - components_NK[chosen_B]).square()
        said_BV = torch.zeros(96, vocabulary, device=replica.device).scatter_(1, tokens_BL, 1.0)
        surprise_BV = functional.binary_cross_entropy_with_logits(
            to_words(summary_BD) - 4, said_BV, reduction="none"
        )
        loss = (misses_BK * weights_K).mean() + 0.05 * surprise_BV.sum(1).mean()
        rate = falling(step, steps, peak=1e-3, warm_up=20, flat=0.5)
        learner.step(loss, learning_rate=rate)
        if (step + 1) % 100 == 0:
            foretold = (misses_BK * weights_K).mean() / weights_K.mean()
            log.info("text encoder step %d of %d: picture %.3f", step + 1, steps, foretold.item())
    partial = folder / "text_encoder.partial"
    text_encoder.save_pretrained(partial)
    partial.rename(folder / "text_encoder")


def pretrain(
    replica: Replica,
    folder: Path,
    *,
    steps: int,
    pictures: int,
    seed: int,
    checkpoint_every: int = CHECKPOINT_EVERY,
) -> None:
    """Train, or go on training, U-Net and text encoder; `folder/pipeline` is the latest."""
    torch.manual_seed(seed)
    pool = pool_of(folder, replica, pictures=pictures)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    empty_L = _tokens(tokenizer, [""])[0].to(replica.device)
    unet = new_unet().to(replica.device, memory_format=torch.channels_last)
    text_encoder: TextEncoder = CLIPTextModel.from_pretrained(folder / "text_encoder")
    text_encoder.to(replica.device)
    averages = copy.deepcopy((unet, text_encoder))
    # The text encoder arrives trained: at the U-Net's rate it would be ruined before it is used.
    learner = Learner([(unet, 1.0), (text_encoder, 0.15)], replica=replica, average=0.998)
    checkpoint = folder / "checkpoint.safetensors"
    if checkpoint.exists():
        learner.load(checkpoint)
    batch = BATCH if replica.device.type == "cpu" else 512
    alphas_T = DDPMScheduler(**SCHEDULE).alphas_cumprod.to(replica.device)

    started, first = time.monotonic(), learner.step_count
    losses: list[float] = []
    for step in range(first, steps):
        chance = torch.Generator().manual_seed((seed * 1_000_003 + step) * 64 + replica.rank)
        loss = _velocity_loss(unet, text_encoder, pool, empty_L, alphas_T, batch, chance)
        rate = falling(step, steps, peak=1.5e-3, warm_up=100, flat=0.35)
        learner.step(loss, learning_rate=rate)
        losses.append(loss.item())
        if not replica.leads:
            continue
        if (step + 1) % 100 == 0:
            speed = (step + 1 - first) / (time.monotonic() - started)
            log.info(
                "step %d of %d: loss %.4f, %.2f steps/s, %.0f minutes to go",
                step + 1,
                steps,
                float(np.mean(losses[-100:])),
                speed,
                (steps - step) / speed / 60,
            )
        if (step + 1) % checkpoint_every == 0 or step + 1 == steps:
            learner.save(checkpoint)
        if (step + 1) % checkpoint_every == 0:
            _write_pipeline(folder, learner, averages)
    if replica.leads:  # outside the loop: a run killed after its last checkpoint comes here too
        _write_pipeline(folder, learner, averages)


def _write_pipeline(folder: Path, learner: Learner, averages: tuple[UNet, TextEncoder]) -> None:
    learner.load_averages_into(averages)
    assemble(folder, *averages).save_pretrained(folder / "pipeline")


def assemble(folder: Path, unet: UNet, text_encoder: TextEncoder) -> Pipeline:
    """The parts as one pipeline in half precision, ready to be saved."""
    autoencoder: Autoencoder = AutoencoderKL.from_pretrained(folder / "vae")
    autoencoder.register_to_config(_name_or_path="")  # it would name a folder of this machine
    build: Any = StableDiffusionPipeline
    pipeline = build(
        vae=autoencoder,
        text_encoder=copy.deepcopy(text_encoder).cpu(),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        unet=copy.deepcopy(unet).cpu().to(memory_format=torch.contiguous_format),
        scheduler=DDIMScheduler(
            **SCHEDULE, set_alpha_to_one=True, steps_offset=1, timestep_spacing="trailing"
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return pipeline.to(dtype=torch.float16)


def _velocity_loss(
    unet: UNet,
    text_encoder: TextEncoder,
    pool: Pool,
    empty_L: Tensor,
    alphas_T: Tensor,
    batch: int,
    chance: torch.Generator,
) -> Tensor:
    device = alphas_T.device
    chosen_B = torch.randint(0, len(pool.latents_NCHW), (batch,), generator=chance)
    times_B = torch.randint(0, 1000, (batch,), generator=chance)
    noisy_B = torch.randint(500, 1000, (batch,), generator=chance)
    times_B = torch.where(torch.rand(batch, generator=chance) < NOISY_SHARE, noisy_B, times_B)
    silent_B1 = torch.rand(batch, 1, generator=chance) < CAPTION_DROPOUT
    latents_BCHW = pool.latents_NCHW[chosen_B.to(device)].float()
    noise_BCHW = torch.randn(latents_BCHW.shape, generator=chance).to(device)
    tokens_BL = torch.where(silent_B1.to(device), empty_L, pool.tokens_NL[chosen_B.to(device)])
    times_B = times_B.to(device)
    signal_B111 = alphas_T[times_B].sqrt().view(-1, 1, 1, 1)
    noisiness_B111 = (1 - alphas_T[times_B]).sqrt().view(-1, 1, 1, 1)
    noised_BCHW = signal_B111 * latents_BCHW + noisiness_B111 * noise_BCHW
    velocity_BCHW = signal_B111 * noise_BCHW - noisiness_B111 * latents_BCHW
    states_BLD = text_encoder(tokens_BL).last_hidden_state
    predicted_BCHW = unet(
        noised_BCHW.contiguous(memory_format=torch.channels_last), times_B, states_BLD
    ).sample
    return functional.mse_loss(predicted_BCHW, velocity_BCHW)


def _tokens(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    return torch.tensor(
        tokenizer(captions, padding="max_length", max_length=LENGTH, truncation=True).input_ids
    )


def write_measurements(folder: Path, output: Path, settings: dict[str, object]) -> None:
    """Say beside the weights how they were made and how good the autoencoder is."""
    quality = json.loads((folder / "vae.json").read_text())
    facts = {"settings": settings, "autoencoderDecibels": quality}
    (output / "recipe.json").write_text(json.dumps(facts, indent=2) + "\n")

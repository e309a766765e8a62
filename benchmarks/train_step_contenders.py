"""The training loops that train_step.py compares, each in a process of its own.

In: a `Case` as JSON in the first line of stdin, then one line for each round: how many steps.
Out: one JSON line for each: seconds, and at the end what was held in memory.  The rival is the loop
that a user writes after reading diffusers' LoRA examples, without accelerate, which only adds work.
Source: huggingface/diffusers, examples/text_to_image/train_text_to_image_lora.py and
examples/dreambooth/train_dreambooth_lora.py (order of the calls and what is done in each step).
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

WARM_UP_STEPS = 5
RATE = {"AdamW": 1e-4, "Prodigy": 1.0}
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
CONVOLUTIONS = (
    *("conv1", "conv2", "conv_shortcut", "time_emb_proj"),
    *("downsamplers.0.conv", "upsamplers.0.conv"),
)
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What all contenders train."""

    base: str
    photos: str
    side: int  # of the pictures, in pixels
    targets: tuple[str, ...]
    optimizer: str
    rank: int
    batch: int
    threads: int
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A training that waits between its steps."""

    step: Callable[[], float]  # answers the loss
    trained_parameters: int


# Ours: the library's own loop, on pictures that it has encoded itself


def ours(case: Case) -> Contender:
    from modelgenerator.datasets.prepare import prepare
    from modelgenerator.diffusion.hub import look_at
    from modelgenerator.diffusion.load import load, numbers_of
    from modelgenerator.settings import TrainingSettings
    from modelgenerator.training.cache import ContentCache
    from modelgenerator.training.events import Started, StepFinished
    from modelgenerator.training.plan import DeviceFacts, resolve
    from modelgenerator.training.teach import teach

    files = look_at(case.base)
    assert files.folder is not None
    written = {
        **{"baseModel": files.reference, "resolution": case.side, "epochs": 10_000},
        **{"batchSize": case.batch, "networkDim": case.rank, "alphaDim": case.rank},
        **{"networkTargets": list(case.targets), "optimizer": case.optimizer, "seed": 0},
        **{"learningRate": RATE[case.optimizer], "scheduler": "Cosine", "flipAug": True},
        **{"trainUnetOnly": False},
    }
    dataset = prepare(Path(case.photos))
    # a plan for a CPU computes in fp32, as the rival does; where it runs is decided by `load`
    facts = DeviceFacts(kind="cpu", has_bf16=False)
    plan = resolve(TrainingSettings.from_written(written), dataset, files, facts)
    base = load(
        files.folder,
        files.family,
        variant=files.variant,
        device=torch.device(case.device),
        dtype=numbers_of(plan.compute_dtype),
    )
    folder = Path(case.photos).with_name("ours")
    folder.mkdir(exist_ok=True)
    events = teach(plan, dataset, base, folder, cache=ContentCache(None))
    started = next(event for event in events if isinstance(event, Started))
    losses = (event.loss for event in events if isinstance(event, StepFinished))
    return Contender(step=lambda: next(losses), trained_parameters=started.trainable_parameters)


# The rival


class Photos(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Pictures and their tokens, read anew for every step."""

    def __init__(self, folder: Path, tokenizer: Any, side: int) -> None:
        self._files = sorted(folder.glob("*.png"))
        self._tokenizer, self._side = tokenizer, side

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        import numpy as np
        from PIL import Image

        file = self._files[index]
        image = Image.open(file).convert("RGB").resize((self._side, self._side))
        pixels_3HW = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float()
        if torch.rand(()) < 0.5:
            pixels_3HW = pixels_3HW.flip(-1)
        tokens = self._tokenizer(
            file.with_suffix(".txt").read_text().strip(),
            truncation=True,
            padding="max_length",
            max_length=self._tokenizer.model_max_length,
            return_tensors="pt",
        ).input_ids[0]
        return {"pixels": pixels_3HW / 127.5 - 1, "tokens": tokens}


class Cached(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """The same, encoded before the first step; the autoencoder may go."""

    def __init__(self, photos: Photos, vae: Any, device: torch.device) -> None:
        with torch.no_grad():
            self._items = [
                {
                    "tokens": item["tokens"],
                    "mean": (posterior := vae.encode(pixels).latent_dist).mean[0].cpu(),
                    "deviation": posterior.std[0].cpu(),
                }
                for item in photos
                for pixels in (item["pixels"][None].to(device),)
            ]

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return self._items[index]


def diffusers_and_peft(case: Case, *, cached: bool) -> Contender:
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from diffusers.optimization import get_scheduler
    from peft import LoraConfig
    from transformers import CLIPTextModel, CLIPTokenizer

    device, folder = torch.device(case.device), Path(case.base)
    tokenizer = CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer")
    noising = DDPMScheduler.from_pretrained(folder, subfolder="scheduler")
    full: Any = {"torch_dtype": torch.float32}
    vae = AutoencoderKL.from_pretrained(folder, subfolder="vae", **full).to(device)
    unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", **full).to(device)
    text = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", dtype=torch.float32)
    text.to(device)
    for part in (vae, unet, text):
        part.requires_grad_(False)

    names = ATTENTION + (CONVOLUTIONS if "convolutions" in case.targets else ())
    for part, layers in ((unet, names), (text, TEXT)):
        part.add_adapter(
            LoraConfig(
                r=case.rank,
                lora_alpha=case.rank,
                init_lora_weights="gaussian",
                target_modules=list(layers),
            )
        )
        part.train()
    parameters = [p for part in (unet, text) for p in part.parameters() if p.requires_grad]
    optimizer = _optimizer(case, parameters)
    schedule = get_scheduler("cosine", optimizer, num_warmup_steps=0, num_training_steps=20_000)
    photos = Photos(Path(case.photos), tokenizer, case.side)
    data = Cached(photos, vae, device) if cached else photos
    if cached:
        del vae
    loader = torch.utils.data.DataLoader(data, batch_size=case.batch, shuffle=True)
    batches = _forever(loader)

    def latents_of(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        if cached:
            mean, deviation = batch["mean"].to(device), batch["deviation"].to(device)
            return mean + deviation * torch.randn_like(mean)
        return vae.encode(batch["pixels"].to(device)).latent_dist.sample()

    factor = AutoencoderKL.load_config(folder, subfolder="vae")["scaling_factor"]

    def step() -> float:
        batch = next(batches)
        latents_BCHW = latents_of(batch) * factor
        noise_BCHW = torch.randn_like(latents_BCHW)
        times_B = torch.randint(
            0, noising.config.num_train_timesteps, (len(latents_BCHW),), device=device
        )
        noised_BCHW = noising.add_noise(latents_BCHW, noise_BCHW, times_B)
        states_BLD = text(batch["tokens"].to(device), return_dict=False)[0]
        if noising.config.prediction_type == "epsilon":
            target_BCHW = noise_BCHW
        else:
            target_BCHW = noising.get_velocity(latents_BCHW, noise_BCHW, times_B)
        predicted_BCHW = unet(noised_BCHW, times_B, states_BLD, return_dict=False)[0]
        loss = torch.nn.functional.mse_loss(predicted_BCHW.float(), target_BCHW.float())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        return loss.detach().item()

    return Contender(step=step, trained_parameters=sum(p.numel() for p in parameters))


def _optimizer(case: Case, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    if case.optimizer == "AdamW":
        return torch.optim.AdamW(parameters, lr=RATE["AdamW"], weight_decay=0.01)
    from prodigyopt import Prodigy

    return Prodigy(parameters, lr=RATE["Prodigy"])


def _forever(loader: Any) -> Iterator[dict[str, torch.Tensor]]:
    while True:
        yield from loader


CONTENDERS: dict[str, Callable[[Case], Contender]] = {
    "ours": ours,
    "diffusers": lambda case: diffusers_and_peft(case, cached=False),
    "diffusers, cached": lambda case: diffusers_and_peft(case, cached=True),
}


# What they train


def prepare_photos(folder: Path, count: int = 8) -> None:
    """What a person would have: pictures of 256 pixels, a caption beside each."""
    from PIL import Image

    from modelgenerator.diffusion.builtin import world

    folder.mkdir(parents=True)
    for number, scene in zip(range(count), world.SCENES * 2, strict=False):
        picture = world.subject_picture("lvff", scene, number)
        photo = Image.fromarray(picture.pixels_HW3).resize((256, 256), Image.Resampling.NEAREST)
        photo.save(folder / f"{number:02d}.png")
        (folder / f"{number:02d}.txt").write_text(picture.caption + "\n")


def make_larger_base(folder: Path, tokenizer: Path) -> None:
    """A Stable Diffusion pipeline of 25 million random numbers for 256 x 256 pixels."""
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    words = CLIPTokenizer.from_pretrained(tokenizer)
    text = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=words.model_max_length,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    pipeline: Any = StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(32, 64, 64, 64),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            norm_num_groups=16,
            sample_size=256,
        ),
        text_encoder=CLIPTextModel(text),
        tokenizer=words,
        unet=UNet2DConditionModel(
            sample_size=32,
            layers_per_block=2,
            block_out_channels=(64, 128, 256),
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=256,
            attention_head_dim=8,
        ),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)


# What a child process does


def take_part(name: str, lines: Iterator[str]) -> None:
    """Warm up, then train as many steps as each line says."""
    case = Case(**json.loads(next(lines)))
    torch.set_num_threads(case.threads)
    torch.manual_seed(0)
    contender = CONTENDERS[name](case)
    for _ in range(WARM_UP_STEPS):
        contender.step()
    _say({"parameters": contender.trained_parameters})
    for line in lines:
        started = time.perf_counter()
        losses = [contender.step() for _ in range(int(line))]
        seconds = time.perf_counter() - started
        _say({"seconds": seconds, "loss": sum(losses) / len(losses), "mb": peak_mb(case.device)})


def peak_mb(device: str) -> float:
    """On a GPU its memory alone, on a CPU the whole process, libraries included."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _say(facts: dict[str, float]) -> None:
    print(json.dumps(facts), flush=True)


def main() -> None:
    if sys.argv[1] == "prepare":
        folder, tokenizer = map(Path, sys.argv[2:])
        prepare_photos(folder / "photos")
        make_larger_base(folder / "larger", tokenizer)
    else:
        take_part(sys.argv[1], iter(sys.stdin.readline, ""))


if __name__ == "__main__":
    main()

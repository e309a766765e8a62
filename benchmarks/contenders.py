"""The two that `train_step.py` compares, each in a process of its own.

    python benchmarks/contenders.py '{"contender": "ours", "base": ..., ...}'

In: a `Case` as JSON; then a number of steps a line on stdin.  Out: one JSON object a line: first
what was set up, then for each number the seconds that so many steps took, and when stdin ends the
peak memory.  It does not know what it is compared with.

"ours" is `modelgenerator.training.teach`, as the command runs it.  "script" is the loop that a user
writes with diffusers, peft and torch: its parts and their order are those of diffusers'
train_text_to_image_lora.py, with the text encoder trained as in its train_dreambooth_lora.py, and
without accelerate, which would only add to it.  "script, cached" is the same with latents and
tokens made once, before the first step.  "frozen" is no rival but a floor: the base model's own
networks forward and back, by torch's own kernels, and nothing that learns.
Source: huggingface/diffusers, examples/text_to_image and examples/dreambooth.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peak_memory import peak_bytes
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
CONVOLUTIONS = ("conv1", "conv2", "conv_shortcut", "time_emb_proj", "conv")
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
ENDLESS = 10_000  # epochs
AS_ADAMW = {"lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What both do."""

    contender: str
    base: str
    photos: str
    folder: str
    """Its own, empty."""
    first_step: str
    """The file with what our first step sees: "ours" writes it, the others read it."""
    resolution: int
    optimizer: str
    targets: tuple[str, ...]
    rank: int
    batch: int
    device: str
    dtype: str
    """Of the frozen base model: fp32 or bf16.  What learns is fp32."""
    threads: int

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def main() -> None:
    """Set up, then answer numbers of steps with seconds."""
    case = Case(**json.loads(sys.argv[1]))
    torch.set_num_threads(case.threads)
    torch.manual_seed(0)
    parameters, first_loss, steps = CONTENDERS[case.contender](case)
    _answer({"parameters": parameters, "firstLoss": first_loss})
    for line in sys.stdin:
        _answer(_timed(steps, int(line)))
    _answer({"peakBytes": peak_bytes(case.device)})


def _timed(steps: Iterator[float], count: int) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        next(steps)
    return {"seconds": time.perf_counter() - wall, "cpuSeconds": time.process_time() - cpu}


def _answer(facts: dict[str, Any]) -> None:
    print(json.dumps(facts), flush=True)


# ---------------------------------------------------------------------------------------- ours


def ours(case: Case) -> tuple[int, float, Iterator[float]]:
    """Trainable numbers, the loss of a first step, and an endless training, step by step."""
    # diffusers imports what it finds, and only the rivals' installation has peft
    sys.modules["peft"] = None  # pyright: ignore[reportArgumentType]
    from modelgenerator.content_cache import ContentCache
    from modelgenerator.datasets.prepare import prepare
    from modelgenerator.diffusion import hub
    from modelgenerator.diffusion.load import load, numbers_of
    from modelgenerator.settings import TrainingSettings
    from modelgenerator.training.events import Started, StepFinished
    from modelgenerator.training.plan import DeviceFacts
    from modelgenerator.training.planning.resolve import resolve
    from modelgenerator.training.teach import teach

    files = hub.look_at(case.base)
    settings = TrainingSettings.from_written(_settings(case))
    dataset = prepare(Path(case.photos))
    device = DeviceFacts(kind=case.device, has_bf16=True)
    plan = replace(resolve(settings, dataset, files, device), compute_dtype=case.dtype)
    assert files.folder is not None
    base = load(
        files.folder,
        files.family,
        variant=files.variant,
        device=torch.device(case.device),
        dtype=numbers_of(plan.compute_dtype),
    )
    cache = ContentCache(Path(case.folder) / "cache")

    def events(seen_by: Any) -> Iterator[Any]:
        return teach(plan, dataset, seen_by, Path(case.folder), cache=cache)

    recorder = _Recorder(base)
    parameters, first_loss = 0, 0.0
    first = events(recorder)
    for event in first:
        if isinstance(event, Started):
            parameters = event.trainable_parameters
        if isinstance(event, StepFinished):
            first_loss = event.loss
            break
    first.close()  # pyright: ignore[reportAttributeAccessIssue]
    (Path(case.folder) / "checkpoint.safetensors").unlink(missing_ok=True)
    save_file(recorder.seen, case.first_step)
    losses = (event.loss for event in events(base) if isinstance(event, StepFinished))
    return parameters, first_loss, losses


def _settings(case: Case) -> dict[str, Any]:
    return {
        "baseModel": case.base,
        "seed": 1,
        "epochs": ENDLESS,
        "batchSize": case.batch,
        "resolution": case.resolution,
        "networkDim": case.rank,
        "networkTargets": list(case.targets),
        "optimizer": case.optimizer,
        "learningRate": 1e-4 if case.optimizer == "AdamW" else 1,
        "biasCorrection": True,
        "decouple": True,
    }


class _Recorder:
    """A base model that keeps what the step puts in."""

    def __init__(self, base: Any) -> None:
        self._base = base
        self.seen: dict[str, Tensor] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    @property
    def noising(self) -> Any:
        return _RecordedNoising(self._base.noising, self.seen)

    def encode_prompts(self, tokens: Any) -> Any:
        self.seen["tokens_BL"] = tokens["text_encoder"].detach().cpu().clone()
        return self._base.encode_prompts(tokens)


class _RecordedNoising:
    def __init__(self, noising: Any, seen: dict[str, Tensor]) -> None:
        self._noising, self._seen = noising, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._noising, name)

    def add_noise(self, latents_BCHW: Tensor, noise_BCHW: Tensor, times_B: Tensor) -> Tensor:
        given = {"latents_BCHW": latents_BCHW, "noise_BCHW": noise_BCHW, "times_B": times_B}
        self._seen |= {name: tensor.cpu().contiguous() for name, tensor in given.items()}
        return self._noising.add_noise(latents_BCHW, noise_BCHW, times_B)


# ---------------------------------------------------------------------------- what a user writes


class Photos(Dataset[dict[str, Tensor]]):
    """Every time it is asked: open, resize, turn into numbers, tokenize the caption."""

    def __init__(self, folder: Path, tokenizer: Any, side: int) -> None:
        self._files = sorted(folder.glob("*.png"))
        self._tokenizer, self._side = tokenizer, side

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        file = self._files[index]
        picture = Image.open(file).convert("RGB").resize((self._side, self._side))
        pixels_3HW = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 127.5 - 1
        tokens_BL = self._tokenizer(
            [file.with_suffix(".txt").read_text()],
            max_length=self._tokenizer.model_max_length,
            padding="max_length",
            truncation=True,
            return_tensors="pt",
        ).input_ids
        return {"pixels": pixels_3HW, "tokens": tokens_BL[0]}


class Cached(Dataset[dict[str, Tensor]]):
    """The same, made once: the moments of the latents, and the tokens."""

    def __init__(self, photos: Photos, vae: Any, device: str) -> None:
        self._kept: list[dict[str, Tensor]] = []
        with torch.no_grad():
            for index in range(len(photos)):
                photo = photos[index]
                posterior = vae.encode(photo["pixels"][None].to(device, vae.dtype)).latent_dist
                moments = posterior.parameters[0]
                self._kept.append({"moments": moments, "tokens": photo["tokens"].to(device)})

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self._kept[index]


def script(case: Case) -> tuple[int, float, Iterator[float]]:  # noqa: PLR0915, C901  as a user has it
    """As `ours`."""
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from diffusers.optimization import get_scheduler
    from peft import LoraConfig
    from transformers import CLIPTextModel, CLIPTokenizer

    from modelgenerator.diffusion import hub

    folder, device = hub.look_at(case.base).folder, case.device
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[case.dtype]
    noising = DDPMScheduler.from_pretrained(folder, subfolder="scheduler")
    tokenizer = CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer")
    text_encoder: Any = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", dtype=dtype)
    vae: Any = AutoencoderKL.from_pretrained(folder, subfolder="vae", dtype=dtype)
    unet: Any = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", dtype=dtype)
    for part in (vae, text_encoder, unet):
        part.requires_grad_(False).to(device)
    given = {"r": case.rank, "lora_alpha": case.rank, "init_lora_weights": "gaussian"}
    targets = ATTENTION + (CONVOLUTIONS if "convolutions" in case.targets else ())
    unet.add_adapter(LoraConfig(**given, target_modules=list(targets)))
    text_encoder.add_adapter(LoraConfig(**given, target_modules=list(TEXT)))
    parameters = [p for m in (unet, text_encoder) for p in m.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.data = parameter.data.float()
    optimizer = _optimizer(case.optimizer, parameters)

    @torch.autocast(device, dtype, enabled=dtype is not torch.float32)
    def loss_of(latents_BCHW: Tensor, noise_BCHW: Tensor, times_B: Tensor, tokens_BL: Tensor):
        noised_BCHW = noising.add_noise(latents_BCHW, noise_BCHW, times_B)
        states_BLD = text_encoder(tokens_BL, return_dict=False)[0]
        if noising.config.prediction_type == "epsilon":
            target_BCHW = noise_BCHW
        else:
            target_BCHW = noising.get_velocity(latents_BCHW, noise_BCHW, times_B)
        predicted_BCHW = unet(noised_BCHW, times_B, states_BLD, return_dict=False)[0]
        return functional.mse_loss(predicted_BCHW.float(), target_BCHW.float(), reduction="mean")

    seen = {name: tensor.to(device) for name, tensor in load_file(case.first_step).items()}
    with torch.no_grad():
        first_loss = loss_of(**seen).item()

    photos = Photos(Path(case.photos), tokenizer, case.resolution)
    is_cached = case.contender == "script, cached"
    dataset = Cached(photos, vae, device) if is_cached else photos
    scale = vae.config.scaling_factor
    if is_cached:
        vae = None
    loader = DataLoader(dataset, shuffle=True, batch_size=case.batch)
    total_steps = ENDLESS * len(loader)
    schedule = get_scheduler(
        "cosine", optimizer=optimizer, num_warmup_steps=0, num_training_steps=total_steps
    )

    def latents_of(batch: dict[str, Tensor]) -> Tensor:
        if is_cached:
            mean, logvar = batch["moments"].chunk(2, dim=1)
            deviation = torch.exp(0.5 * logvar.clamp(-30.0, 20.0))
            return (mean + deviation * torch.randn_like(mean)) * scale
        pixels_B3HW = batch["pixels"].to(device, vae.dtype)
        return vae.encode(pixels_B3HW).latent_dist.sample() * scale

    def steps() -> Iterator[float]:
        unet.train()
        text_encoder.train()
        for _ in range(ENDLESS):
            for batch in loader:
                latents_BCHW = latents_of(batch)
                noise_BCHW = torch.randn_like(latents_BCHW)
                times_B = torch.randint(
                    0, noising.config.num_train_timesteps, (len(latents_BCHW),), device=device
                )
                loss = loss_of(latents_BCHW, noise_BCHW, times_B, batch["tokens"].to(device))
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
                yield loss.detach().item()  # for the progress bar

    return sum(p.numel() for p in parameters), first_loss, steps()


def _optimizer(name: str, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    if name == "AdamW":
        return torch.optim.AdamW(parameters, **AS_ADAMW)
    from prodigyopt import Prodigy

    return Prodigy(parameters, lr=1.0, use_bias_correction=True, decouple=True)


# ------------------------------------------------------------------------------------- the floor


def frozen(case: Case) -> tuple[int, float, Iterator[float]]:
    """As `ours`, with the step that recorded itself, over and over, and a way back to the prompt.

    A LoRA's way back goes through the same layers: the first that it corrects reads the prompt.
    """
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

    from modelgenerator.diffusion import hub

    folder = hub.look_at(case.base).folder
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[case.dtype]
    text_encoder: Any = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", dtype=dtype)
    unet: Any = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", dtype=dtype)
    for part in (text_encoder, unet):
        part.requires_grad_(False).to(case.device)
    seen = {name: tensor.to(case.device) for name, tensor in load_file(case.first_step).items()}

    def steps() -> Iterator[float]:
        while True:
            states_BLD = text_encoder(seen["tokens_BL"], return_dict=False)[0].requires_grad_()
            latents_BCHW = seen["latents_BCHW"].to(dtype)
            predicted_BCHW = unet(latents_BCHW, seen["times_B"], states_BLD, return_dict=False)[0]
            loss = predicted_BCHW.float().square().mean()
            loss.backward()
            yield loss.item()

    return 0, 0.0, steps()


CONTENDERS = {"ours": ours, "script": script, "script, cached": script, "frozen": frozen}


if __name__ == "__main__":
    main()

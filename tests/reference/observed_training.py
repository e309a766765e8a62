"""A real training of a tiny base model, with all that its parts are handed written down.

In: settings as a person writes them.  Out: what was observed at the ends of the chain: what the
base model was asked, what the optimizer was built with and told, what the file holds.  Nothing of
the training is replaced: the base model and the optimizer do their work and are listened to.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import Preparation, prepare
from modelgenerator.datasets.segmentation import Segmenter
from modelgenerator.diffusion import hub
from modelgenerator.diffusion.family import LatentPosterior, ModelFamily
from modelgenerator.diffusion.load import load
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.lora import files
from modelgenerator.settings import TrainingSettings
from modelgenerator.training import latents, loop
from modelgenerator.training.events import Event, StepFinished, Validated
from modelgenerator.training.plan import DeviceFacts, TrainingPlan
from modelgenerator.training.planning.objective import mask_shades
from modelgenerator.training.planning.resolve import resolve
from modelgenerator.training.teach import teach

CPU = DeviceFacts(kind="cpu", has_bf16=False)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the base model was asked in one forward pass of a training."""

    times_B: Tensor
    conditioning: Mapping[str, Tensor]
    answer_BCHW: Tensor


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What one batch was made of."""

    latents_BCHW: Tensor
    noise_BCHW: Tensor


@dataclass(kw_only=True)
class Training:
    """All that was observed of one."""

    plan: TrainingPlan
    events: list[Event] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    pixels_B3HW: list[Tensor] = field(default_factory=list)
    posteriors: list[LatentPosterior] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    empty_caption: Mapping[str, Tensor] = field(default_factory=dict)
    """What the base model's text encoders say of no words, before the training."""
    requests: list[PictureRequest] = field(default_factory=list)
    optimizer: str = ""
    optimizer_arguments: dict[str, Any] = field(default_factory=dict)
    first_factor: float = 0.0
    """What the optimizer multiplies the learning rate by before its first step."""
    first_values_N: Tensor = field(default_factory=lambda: torch.zeros(0))
    rates: list[float] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    told_guidance: list[Tensor | None] = field(default_factory=list)

    @property
    def losses(self) -> list[float]:
        return [event.loss for event in self.events if isinstance(event, StepFinished)]

    @property
    def validations(self) -> int:
        return sum(isinstance(event, Validated) for event in self.events)

    @property
    def noise(self) -> Tensor:
        """Of the first batch."""
        return self.shown[0].noise_BCHW


class _Listener:
    """Something that goes on being what it is, but for the methods that are given here."""

    def __init__(self, listened_to: object, **methods: Any) -> None:
        self._listened_to = listened_to
        vars(self).update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listened_to, name)


def _listening(base: ModelFamily, seen: Training) -> Any:
    def add_noise(latents_BCHW: Tensor, noise_BCHW: Tensor, times_B: Tensor) -> Tensor:
        seen.shown.append(Shown(latents_BCHW=latents_BCHW, noise_BCHW=noise_BCHW))
        return base.noising.add_noise(latents_BCHW, noise_BCHW, times_B)

    def predict(
        noised_BCHW: Tensor, times_B: Tensor, prompts: Any, framing_B6: Tensor, *, guidance: float
    ) -> Tensor:
        answer_BCHW = base.predict(noised_BCHW, times_B, prompts, framing_B6, guidance=guidance)
        kept = {name: tensor.detach().clone() for name, tensor in prompts.items()}
        asked = Question(
            times_B=times_B, conditioning=kept, answer_BCHW=answer_BCHW.detach().clone()
        )
        seen.questions.append(asked)
        return answer_BCHW

    def encode_pictures(pixels_B3HW: Tensor) -> Any:
        posterior = base.encode_pictures(pixels_B3HW)
        seen.pixels_B3HW.append(pixels_B3HW)
        seen.posteriors.append(posterior)
        return posterior

    def tokenize(captions: list[str]) -> Any:
        seen.captions += captions
        return base.tokenize(captions)

    def draw(requests: list[PictureRequest]) -> Any:
        seen.requests += requests
        return base.draw(requests)

    return _Listener(
        base,
        noising=_Listener(base.noising, add_noise=add_noise),
        predict=predict,
        encode_pictures=encode_pictures,
        tokenize=tokenize,
        draw=draw,
    )


def _listened_optimizer(kind: Callable[..., Any], seen: Training) -> Callable[..., Any]:
    def make(values_N: Tensor, *others: Any, **arguments: Any) -> Any:
        seen.first_values_N = values_N.detach().clone()
        optimizer = kind(values_N, *others, **arguments)
        seen.optimizer = type(optimizer).__name__
        seen.optimizer_arguments = arguments
        seen.first_factor = optimizer.effective_rate_factor.item()

        def step(learning_rate: float) -> None:
            seen.rates.append(learning_rate)
            optimizer.step(learning_rate)

        return _Listener(optimizer, step=step)

    return make


class Trainer:
    """Trains on the pictures of one folder; the same settings are trained only once."""

    def __init__(self, photos: Path, output: Path, segmenter: Segmenter | None = None) -> None:
        self._photos, self._output, self._segmenter = photos, output, segmenter
        self._done: dict[str, Training] = {}
        self._bases: dict[str, ModelFamily] = {}

    def plan(self, settings: Mapping[str, Any], device: DeviceFacts = CPU) -> TrainingPlan:
        return self._resolved(settings, device)[1]

    def __call__(self, settings: Mapping[str, Any]) -> Training:
        key = repr(sorted(settings.items()))
        if key not in self._done:
            self._done[key] = self._train(settings, self._output / str(len(self._done)))
        return self._done[key]

    def _resolved(self, settings: Mapping[str, Any], device: DeviceFacts) -> Any:
        written = TrainingSettings.from_written(settings)
        how = Preparation(
            caption_prefix=written.caption_prefix,
            normalize=written.normalize_dataset,
            shades=mask_shades(written),
            segmenter=self._segmenter,
        )
        dataset = prepare(self._photos, how)
        plan = resolve(written, dataset, hub.look_at(written.base_model), device)
        return dataset, dataclasses.replace(plan, sample_steps=1)

    def base(self, plan: TrainingPlan) -> ModelFamily:
        """As the command line loads it."""
        key = plan.base_model
        if key not in self._bases:
            found = hub.look_at(plan.base_model)
            assert found.folder is not None
            self._bases[key] = load(
                found.folder,
                found.family,
                variant=found.variant,
                device=torch.device("cpu"),
                dtype=torch.float32,
            )
        return self._bases[key]

    def _train(self, settings: Mapping[str, Any], folder: Path) -> Training:
        folder.mkdir()
        dataset, plan = self._resolved(settings, CPU)
        seen, base = Training(plan=plan), self.base(plan)
        with torch.no_grad():
            seen.empty_caption = base.encode_prompts(base.tokenize([""]))
        kind = loop.OPTIMIZERS[plan.optimizer]
        hook = base.lora_parts[plan.denoiser].register_forward_pre_hook(
            lambda _module, _args, told: seen.told_guidance.append(told.get("guidance")),
            with_kwargs=True,
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(loop.OPTIMIZERS, plan.optimizer, _listened_optimizer(kind, seen))
            patch.setattr(latents, "PRIOR_PICTURES", 1)
            heard = _listening(base, seen)
            seen.events = list(teach(plan, dataset, heard, folder, cache=ContentCache(None)))
        hook.remove()
        lora_file = folder / "lora.safetensors"
        seen.tensors, seen.metadata = load_file(lora_file), dict(files.load(lora_file).metadata)
        seen.files = sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*.*"))
        return seen

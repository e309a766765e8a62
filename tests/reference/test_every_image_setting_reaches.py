"""Every wish for a picture is proved where it ends: in what the networks are asked, in pixels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler
from tests.tiny import clip_tokenizer
from torch import Tensor, nn

from modelgenerator.diffusion import hub
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.load import load
from modelgenerator.generation.generate import GeneratedImage, generate
from modelgenerator.generation.wishes import plan_images
from modelgenerator.lora import files
from modelgenerator.lora.files import LoraFile
from modelgenerator.lora.inject import LoraNetwork, choose_targets
from modelgenerator.settings import ImageSettings, Sampler

SMALL = {"prompt": "lvff", "steps": 1, "width": 64, "height": 64, "seed": 5, "guidanceScale": 2.0}


@dataclass(kw_only=True)
class Drawing:
    """What was observed while wishes were drawn."""

    images: list[GeneratedImage] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    """What the text encoder read."""
    noise_BCHW: list[Tensor] = field(default_factory=list)
    """What the denoiser was asked about, call by call."""
    answers_BCHW: list[Tensor] = field(default_factory=list)
    guided_BCHW: list[Tensor] = field(default_factory=list)
    """What the scheduler took for its answers."""
    corrected: list[Tensor] = field(default_factory=list)
    """What the first layer that has a LoRA answered."""


Draw = Callable[..., Drawing]


@pytest.fixture(scope="module")
def found(base_models: Mapping[str, str]) -> BaseModelFiles:
    return hub.look_at(base_models["sd"])


@pytest.fixture(scope="module")
def base(found: BaseModelFiles) -> ModelFamily:
    assert found.folder is not None
    cpu = torch.device("cpu")
    return load(found.folder, found.family, variant=None, device=cpu, dtype=torch.float32)


@pytest.fixture(scope="module")
def lora(base: ModelFamily, tmp_path_factory: pytest.TempPathFactory) -> LoraFile:
    """Random numbers, strong enough to be seen."""
    unet = {"unet": base.lora_parts["unet"]}
    rules = base.lora_targets(("attention",))
    network = LoraNetwork(choose_targets(unet, rules=rules, rank=4, alpha=4))
    chance = torch.Generator().manual_seed(6)
    state = {k: 0.3 * torch.randn(v.shape, generator=chance) for k, v in network.state().items()}
    network.load_state(state)
    file = tmp_path_factory.mktemp("lora") / "lora.safetensors"
    files.save(file, network, names=base.lora_names, metadata={})
    return files.load(file)


@pytest.fixture
def draw(
    base: ModelFamily, found: BaseModelFiles, lora: LoraFile, monkeypatch: pytest.MonkeyPatch
) -> Draw:
    """Draws one wish with the LoRA; `SMALL` says what is not given, None takes that away."""

    def draw_it(lora: LoraFile | None = lora, **wish: Any) -> Drawing:
        seen = Drawing()
        hooks = _listen(base.lora_parts, seen)
        with monkeypatch.context() as patch:
            patch.setattr(DDIMScheduler, "step", _listened_step(DDIMScheduler.step, seen))
            asked = {k: v for k, v in {**SMALL, **wish}.items() if v is not None}
            planned = plan_images([ImageSettings.from_written(asked)], found)
            seen.images = list(generate(planned, base, lora))
        for hook in hooks:
            hook.remove()
        return seen

    return draw_it


def _listen(parts: Mapping[str, nn.Module], seen: Drawing) -> list[Any]:
    tokenizer, unet = clip_tokenizer(), parts["unet"]

    def read(_module: nn.Module, words: Sequence[Tensor], named: Mapping[str, Tensor]) -> None:
        tokens_BL = words[0] if words else named["input_ids"]
        seen.texts |= {tokenizer.decode(t, skip_special_tokens=True).strip() for t in tokens_BL}

    def answered(_module: nn.Module, asked: Sequence[Tensor], answer: Any) -> None:
        seen.noise_BCHW.append(asked[0])
        seen.answers_BCHW.append(answer[0])

    first = next(m for name, m in unet.named_modules() if name.endswith("proj_in"))
    return [
        parts["text_encoder"].register_forward_pre_hook(read, with_kwargs=True),
        unet.register_forward_hook(answered),
        first.register_forward_hook(lambda _module, _asked, answer: seen.corrected.append(answer)),
    ]


def _listened_step(step: Callable[..., Any], seen: Drawing) -> Callable[..., Any]:
    def listened(self: DDIMScheduler, guided_BCHW: Tensor, *others: Any, **more: Any) -> Any:
        seen.guided_BCHW.append(guided_BCHW)
        return step(self, guided_BCHW, *others, **more)

    return listened


def pixels(drawing: Drawing) -> list[bytes]:
    return [one.image.tobytes() for one in drawing.images]


def test_every_wish_has_a_test_that_it_reaches():
    tested = {name[5:].partition("_reaches")[0] for name in globals() if "_reaches_" in name}
    assert tested == {*ImageSettings.model_fields, "width_or_height"} - {"width", "height"}


def test_prompt_reaches_the_text_encoder_and_the_picture(draw: Draw):
    one, other = draw(prompt="lvff"), draw(prompt="a tree")
    assert "lvff" in one.texts
    assert "a tree" in other.texts - one.texts
    assert pixels(one) != pixels(other)


def test_negative_prompt_reaches_the_text_encoder_and_the_denoiser(draw: Draw):
    without, with_it = draw(), draw(negativePrompt="rain")
    assert with_it.texts - without.texts == {"rain"}
    (unlike, asked), (plain, same) = with_it.answers_BCHW[0], without.answers_BCHW[0]
    assert torch.equal(asked, same)
    assert not torch.equal(unlike, plain)


@pytest.mark.parametrize("steps", [1, 3])
def test_steps_reaches_the_denoiser(draw: Draw, steps: int):
    assert len(draw(steps=steps).answers_BCHW) == steps


def test_width_or_height_reaches_the_noise_and_the_picture(draw: Draw):
    for width, height in ((64, 128), (128, 64)):
        drawing = draw(width=width, height=height)
        assert drawing.images[0].image.size == (width, height)
        assert drawing.noise_BCHW[0].shape[2:] == (height // 8, width // 8)


@pytest.mark.parametrize("scale", [1.5, 4.0])
def test_guidance_scale_reaches_what_the_scheduler_is_given(draw: Draw, scale: float):
    drawing = draw(guidanceScale=scale, negativePrompt="rain")
    unlike_CHW, like_CHW = drawing.answers_BCHW[0]
    guided_CHW = unlike_CHW + scale * (like_CHW - unlike_CHW)
    torch.testing.assert_close(drawing.guided_BCHW[0][0], guided_CHW)


def test_seed_reaches_the_noise(draw: Draw):
    one, again, other = draw(seed=5), draw(seed=5), draw(seed=6)
    assert torch.equal(one.noise_BCHW[0], again.noise_BCHW[0])
    assert not torch.equal(one.noise_BCHW[0], other.noise_BCHW[0])
    assert pixels(one) == pixels(again)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_lora_scale_reaches_the_layers(draw: Draw, scale: float):
    none, whole, scaled = (draw(loraScale=strength).corrected[0] for strength in (0.0, 1.0, scale))
    assert not torch.equal(none, whole)
    torch.testing.assert_close(scaled, none + scale * (whole - none), rtol=1e-4, atol=1e-4)
    assert pixels(draw(loraScale=0.0)) == pixels(draw(lora=None))


def test_count_reaches_the_number_of_pictures(draw: Draw):
    drawing = draw(count=3)
    assert len(set(pixels(drawing))) == 3
    assert [one.planned.request.seed for one in drawing.images] == [5, 6, 7]


def test_scheduler_reaches_the_way_to_the_picture_and_leaves_the_next_one_alone(
    base: ModelFamily, found: BaseModelFiles
):
    def drawn(**wish: Any) -> bytes:
        asked = ImageSettings.from_written({**SMALL, "steps": 3, **wish})
        (image,) = generate(plan_images([asked], found), base, None)
        return image.image.tobytes()

    own = drawn()
    ways = {name: drawn(scheduler=name) for name in Sampler}
    assert ways[Sampler.EULER] == drawn(scheduler="Euler")
    assert len(set(ways.values())) == len(Sampler)
    assert drawn() == own


def test_pictures_with_other_schedulers_are_not_drawn_in_one_batch(
    base: ModelFamily, found: BaseModelFiles
):
    wishes = [
        ImageSettings.from_written({**SMALL, "steps": 2, "scheduler": name})
        for name in ("Euler", "Heun", "Euler")
    ]
    first, other, again = (one.image for one in generate(plan_images(wishes, found), base, None))
    assert first.tobytes() == again.tobytes() != other.tobytes()

"""Pictures of a tiny pipeline: every seed means one picture, whoever draws beside it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.tiny import save_tiny_stable_diffusion

from modelgenerator.diffusion import hub
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.errors import BaseModelUnsupported
from modelgenerator.generation.generate import generate
from modelgenerator.generation.wishes import plan_images
from modelgenerator.lora import files
from modelgenerator.lora.files import LoraFile
from modelgenerator.lora.inject import LoraNetwork, choose_targets
from modelgenerator.lora.key_names import STABLE_DIFFUSION_NAMES as NAMES
from modelgenerator.settings import ImageSettings

Loader = Callable[[BaseModelFiles], ModelFamily]


def pixels(image: Image.Image) -> NDArray[np.int16]:
    return np.asarray(image).astype(np.int16)


def difference(one: Image.Image, other: Image.Image) -> int:
    return int(np.abs(pixels(one) - pixels(other)).max())


def request(seed: int = 5, prompt: str = "lvff at sea", **changes: object) -> PictureRequest:
    usual = {"width": 64, "height": 64, "steps": 3, "guidance_scale": 5.0, "negative_prompt": ""}
    return PictureRequest(prompt=prompt, seed=seed, **{**usual, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def lora(tiny_base: ModelFamily, tmp_path_factory: pytest.TempPathFactory) -> LoraFile:
    """Random numbers, strong enough to be seen."""
    rules = tiny_base.lora_targets(("attention",))
    network = LoraNetwork(choose_targets(tiny_base.lora_parts, rules=rules, rank=4, alpha=4))
    chance = torch.Generator().manual_seed(6)
    network.load_state(
        {k: 0.3 * torch.randn(v.shape, generator=chance) for k, v in network.state().items()}
    )
    file = tmp_path_factory.mktemp("lora") / "lora.safetensors"
    files.save(file, network, names=NAMES, metadata={})
    return files.load(file)


@pytest.fixture
def changed(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny base model for a test to change."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "changed"))


def set_scheduler(folder: Path, **changes: object) -> BaseModelFiles:
    file = folder / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    return hub.look_at(str(folder))


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_a_picture_is_the_one_that_diffusers_draws(
    tmp_path: Path, load_files: Loader, prediction_type: str
):
    folder = save_tiny_stable_diffusion(tmp_path / "base", prediction_type=prediction_type)
    wish = request(negative_prompt="rain", width=96)
    (ours,) = load_files(hub.look_at(str(folder))).draw([wish])
    theirs = StableDiffusionPipeline.from_pretrained(folder)
    theirs.set_progress_bar_config(disable=True)
    noise_1CHW = torch.randn(1, 4, 8, 12, generator=torch.Generator().manual_seed(5))
    expected = theirs(
        wish.prompt,
        negative_prompt="rain",
        width=96,
        height=64,
        num_inference_steps=3,
        guidance_scale=5.0,
        latents=noise_1CHW,
    ).images[0]
    assert ours.size == (96, 64)
    assert difference(ours, expected) <= 1


def test_the_same_seed_draws_the_same_picture(tiny_base: ModelFamily):
    (one,), (again,) = tiny_base.draw([request()]), tiny_base.draw([request()])
    assert difference(one, again) == 0
    assert difference(one, tiny_base.draw([request(seed=6)])[0]) > 1


# kernels may add up in another order for another batch size: at most one step of 255
@pytest.mark.parametrize(
    "scheduler", ["DDIMScheduler", "DDPMScheduler", "LCMScheduler", "PNDMScheduler"]
)
def test_a_picture_does_not_depend_on_the_others_of_its_batch(
    changed: Path, load_files: Loader, scheduler: str
):
    base = load_files(set_scheduler(changed, _class_name=scheduler, skip_prk_steps=True))
    (alone,) = base.draw([request()])
    torch.manual_seed(0)
    batch = base.draw([request(seed=1), request(seed=2, prompt="a tree"), request()])
    assert difference(alone, batch[2]) <= 1
    assert difference(batch[0], batch[2]) > 1


def test_drawing_leaves_the_global_generator_alone(changed: Path, load_files: Loader):
    base = load_files(set_scheduler(changed, _class_name="DDPMScheduler"))
    before = torch.get_rng_state()
    base.draw([request()])
    assert torch.equal(torch.get_rng_state(), before)


def test_an_old_scheduler_configuration_is_mended_without_a_warning(
    changed: Path, load_files: Loader
):
    base = load_files(set_scheduler(changed, steps_offset=0, clip_sample=True))
    assert base.draw([request()])[0].size == (64, 64)


def test_a_negative_prompt_changes_the_picture(tiny_base: ModelFamily):
    (without,), (with_it,) = (
        tiny_base.draw([request(guidance_scale=20.0, negative_prompt=words)])
        for words in ("", "a very dark and rainy night")
    )
    assert difference(without, with_it) > 0


def test_count_draws_consecutive_seeds(tiny_base: ModelFamily, tiny_files: BaseModelFiles):
    wish = ImageSettings(prompt="lvff", count=3, seed=7, steps=2)
    drawn = list(generate(plan_images([wish], tiny_files), tiny_base, None))
    alone = ImageSettings(prompt="lvff", seed=9, steps=2)
    (last,) = generate(plan_images([alone], tiny_files), tiny_base, None)
    assert [one.planned.request.seed for one in drawn] == [7, 8, 9]
    assert difference(drawn[2].image, last.image) <= 1


def test_pictures_come_in_the_order_of_their_wishes(
    tiny_base: ModelFamily, tiny_files: BaseModelFiles, lora: LoraFile
):
    wishes = [
        ImageSettings(prompt="one", seed=1, steps=1, width=96),
        ImageSettings(prompt="two", seed=1, steps=1),
        ImageSettings(prompt="three", seed=1, steps=1, lora_scale=0.5),
        ImageSettings(prompt="four", seed=1, steps=2, lora_scale=0.5),
    ]
    drawn = list(generate(plan_images(wishes, tiny_files), tiny_base, lora))
    assert [one.planned.request.prompt for one in drawn] == ["one", "two", "three", "four"]
    assert [one.image.width for one in drawn] == [96, 64, 64, 64]


def test_a_lora_at_scale_zero_is_the_base_model_exactly(
    tiny_base: ModelFamily, tiny_files: BaseModelFiles, lora: LoraFile
):
    def drawn(scale: float, lora: LoraFile | None) -> Image.Image:
        wish = ImageSettings(prompt="lvff", seed=1, steps=2, lora_scale=scale)
        (one,) = generate(plan_images([wish], tiny_files), tiny_base, lora)
        return one.image

    base = drawn(1.0, None)
    assert difference(drawn(0.0, lora), base) == 0
    assert difference(drawn(1.0, lora), base) > 1
    assert difference(drawn(1.0, None), base) == 0


# --- loading


def test_an_unknown_scheduler_is_refused_on_loading(changed: Path, load_files: Loader):
    looked_at = set_scheduler(changed, _class_name="NoSuchScheduler")
    with pytest.raises(BaseModelUnsupported, match="no scheduler NoSuchScheduler"):
        load_files(looked_at)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_base_model_with_a_gap_is_refused_by_the_part_that_has_it(
    changed: Path, load_files: Loader, part: str
):
    (file,) = (changed / part).glob("*.safetensors")
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    lost = min(tensors)
    del tensors[lost]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(BaseModelUnsupported, match=f"{part} lacks .*Download it again"):
        load_files(hub.look_at(str(changed)))


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_weights_cut_short_after_the_look_are_refused(changed: Path, load_files: Loader, part: str):
    looked_at = hub.look_at(str(changed))
    (file,) = (changed / part).glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BaseModelUnsupported, match="cannot be loaded"):
        load_files(looked_at)


def test_fingerprints_do_not_say_where_the_files_lie(
    changed: Path, load_files: Loader, tiny_base: ModelFamily
):
    moved = load_files(hub.look_at(str(changed)))
    assert moved.autoencoder_fingerprint == tiny_base.autoencoder_fingerprint
    assert moved.text_fingerprint == tiny_base.text_fingerprint


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [("vae", "scaling_factor", 0.2), ("text_encoder", "hidden_act", "gelu")],
)
def test_a_fingerprint_changes_with_the_configuration(
    changed: Path, load_files: Loader, tiny_base: ModelFamily, part: str, name: str, value: object
):
    file = changed / part / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), name: value}))
    other = load_files(hub.look_at(str(changed)))
    is_same = {
        "vae": other.autoencoder_fingerprint == tiny_base.autoencoder_fingerprint,
        "text_encoder": other.text_fingerprint == tiny_base.text_fingerprint,
    }
    assert is_same == {"vae": part != "vae", "text_encoder": part != "text_encoder"}

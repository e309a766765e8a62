"""Base models in a single file: loaded without a hub, and the same as diffusers' own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from safetensors.torch import load_file, save_file
from tests.examples import plan_for
from tests.tiny_single_file import TinyFile, original_unet, save_tiny_single_file

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion import hub
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.original_layout import unet_config
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.diffusion.tensor_files import Tensors
from modelgenerator.errors import BaseModelUnsupported
from modelgenerator.training.events import Finished
from modelgenerator.training.teach import teach

Loader = Callable[[BaseModelFiles], ModelFamily]
KINDS = ("1", "2", "xl")


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module", params=KINDS)
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TinyFile:
    path = tmp_path_factory.mktemp("files") / f"version-{request.param}.safetensors"
    return save_tiny_single_file(path, request.param)


def test_every_weight_is_where_it_belongs(tiny: TinyFile, load_files: Loader):
    base = load_files(hub.look_at(str(tiny.path)))
    for part, ours in base.lora_parts.items():
        theirs = getattr(tiny.pipeline, part).state_dict()
        assert ours.state_dict().keys() == theirs.keys()
        assert all(torch.equal(ours.state_dict()[name], theirs[name]) for name in theirs), part


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_draws_what_diffusers_draws_with_the_same_weights(
    tmp_path: Path, load_files: Loader, kind: str, prediction_type: str
):
    tiny = save_tiny_single_file(
        tmp_path / "base.safetensors",
        kind,
        prediction_type=prediction_type,
        metadata={"modelspec.prediction_type": prediction_type},
    )
    wish = PictureRequest(
        prompt="a cat at sea",
        negative_prompt="rain",
        width=64,
        height=64,
        steps=3,
        guidance_scale=5.0,
        seed=7,
    )
    (ours,) = load_files(hub.look_at(str(tiny.path))).draw([wish])
    theirs = tiny.pipeline(
        prompt=wish.prompt,
        negative_prompt=wish.negative_prompt,
        width=64,
        height=64,
        num_inference_steps=3,
        guidance_scale=5.0,
        latents=torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(7)),
    ).images[0]
    assert np.abs(np.asarray(ours, int) - np.asarray(theirs, int)).max() <= 1


def test_it_learns(tiny: TinyFile, load_files: Loader, photos: PreparedDataset, tmp_path: Path):
    found = hub.look_at(str(tiny.path))
    planned = plan_for(photos, found, **{"resolution": 64, "maxSteps": 2, "networkDim": 4})
    assert planned.base_revision == found.revision
    base = load_files(found)
    *_, last = teach(planned, photos, base, tmp_path, cache=ContentCache(tmp_path / "cache"))
    assert isinstance(last, Finished)
    parts = {name.split("_")[1] for name in load_file(last.lora_file)}
    assert parts == ({"unet", "te1", "te2"} if "xl" in tiny.path.name else {"unet", "te"})


def test_noise_to_the_end_is_learnt_where_the_file_says_so(tmp_path: Path, load_files: Loader):
    marks = {"v_pred": torch.zeros(1), "ztsnr": torch.zeros(1)}
    tiny = save_tiny_single_file(tmp_path / "base.safetensors", "xl", more=marks)
    found = hub.look_at(str(tiny.path))
    assert found.prediction_type == "v_prediction"
    last = torch.tensor([999])
    picture_BCHW, noise_BCHW = torch.ones(1, 4, 2, 2), torch.zeros(1, 4, 2, 2)
    noised_BCHW = load_files(found).noising.add_noise(picture_BCHW, noise_BCHW, last)
    assert not noised_BCHW.any()


def test_a_file_that_leaves_one_level_of_names_out_loads(tmp_path: Path, load_files: Loader):
    """As old merging programs wrote version 1."""
    tiny = save_tiny_single_file(tmp_path / "base.safetensors", "1")
    tensors = load_file(tiny.path)
    short = {
        name.replace("transformer.text_model.", "transformer."): t for name, t in tensors.items()
    }
    assert short.keys() != tensors.keys()
    save_file(short, tiny.path)
    base = load_files(hub.look_at(str(tiny.path)))
    ours = base.lora_parts["text_encoder"].state_dict()
    theirs = tiny.pipeline.text_encoder.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("model.diffusion_model.middle_block.1.norm.weight", "mid_block.attentions.0.norm"),
        ("first_stage_model.decoder.norm_out.bias", "decoder.conv_norm_out.bias"),
        ("cond_stage_model.transformer.text_model.final_layer_norm.bias", "final_layer_norm.bias"),
    ],
)
def test_a_weight_that_is_missing_is_named(
    tmp_path: Path, load_files: Loader, name: str, told: str
):
    tiny = save_tiny_single_file(tmp_path / "base.safetensors", "1")
    tensors = load_file(tiny.path)
    del tensors[name]
    save_file(tensors, tiny.path)
    with pytest.raises(BaseModelUnsupported, match=told):
        load_files(hub.look_at(str(tiny.path)))


def test_a_weight_of_another_shape_is_named(tmp_path: Path, load_files: Loader):
    tiny = save_tiny_single_file(tmp_path / "base.safetensors", "1")
    tensors = load_file(tiny.path)
    tensors["model.diffusion_model.middle_block.1.norm.weight"] = torch.zeros(3)
    save_file(tensors, tiny.path)
    with pytest.raises(BaseModelUnsupported, match=r"mid_block\.attentions\.0\.norm\.weight has"):
        load_files(hub.look_at(str(tiny.path)))


# --- the real ones: their configurations come out of their shapes

FOUR_LEVELS = {
    "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
    "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
}
REAL = {
    "stable-diffusion-v1-5": {
        **FOUR_LEVELS,
        "sample_size": 64,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
        "use_linear_projection": False,
    },
    "stable-diffusion-2-1": {
        **FOUR_LEVELS,
        "sample_size": 96,
        "cross_attention_dim": 1024,
        "attention_head_dim": (5, 10, 20, 20),
        "use_linear_projection": True,
    },
    "stable-diffusion-xl-base-1.0": {
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", *("CrossAttnDownBlock2D",) * 2),
        "up_block_types": (*("CrossAttnUpBlock2D",) * 2, "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "sample_size": 128,
        "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
"""Source: unet/config.json of the repositories of these names."""


@pytest.fixture(scope="module", params=REAL)
def real(request: pytest.FixtureRequest) -> tuple[str, UNet2DConditionModel]:
    """A denoiser of real size without numbers."""
    with torch.device("meta"):
        return request.param, UNet2DConditionModel(layers_per_block=2, **REAL[request.param])


def shapes_of(unet: UNet2DConditionModel) -> Tensors:
    original = original_unet(unet).items()
    entries: dict[str, Any] = {name: {"shape": list(tensor.shape)} for name, tensor in original}
    return Tensors(entries, {}, 0, lambda *_: b"")


def test_the_shapes_of_a_real_denoiser_give_its_configuration(
    real: tuple[str, UNet2DConditionModel],
):
    name, unet = real
    found = unet_config(shapes_of(unet), native_size=8 * unet.config.sample_size)
    assert found["layers_per_block"] == 2
    for key, value in REAL[name].items():
        said = tuple(found[key]) if isinstance(found[key], list) else found[key]
        assert said == value, key


def test_the_layers_of_a_real_denoiser_come_to_their_places(
    real: tuple[str, UNet2DConditionModel],
):
    _, unet = real
    config = unet_config(shapes_of(unet), native_size=8 * unet.config.sample_size)
    converted = convert_ldm_unet_checkpoint(original_unet(unet), config)
    wanted = {name: tensor.shape for name, tensor in unet.state_dict().items()}
    assert {name: tensor.shape for name, tensor in converted.items()} == wanted

"""FLUX.1 and Stable Diffusion 3 in a single file: the same as the folder it was made from."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxTransformer2DModel, SD3Transformer2DModel
from diffusers.loaders import single_file_utils
from safetensors.torch import load_file, save_file
from tests.examples import plan_for
from tests.hub import LoopbackHub, Served, serve_hub
from tests.tiny_flow_file import (
    CLIPS,
    T5,
    VAE,
    TinyFlow,
    flux_transformer,
    original,
    save_tiny_flow,
    sd3_transformer,
)
from torch import Tensor

from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.downloads import DownloadFinished, download
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles, look_at
from modelgenerator.diffusion.original_transformers import TRANSFORMER_CONFIGS
from modelgenerator.diffusion.original_weights import transformer_weights
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.diffusion.remote import Hub
from modelgenerator.diffusion.tensor_files import Tensors
from modelgenerator.diffusion.weights import numbers_by_part
from modelgenerator.errors import BaseModelGated, BaseModelUnsupported, HubUnreachable
from modelgenerator.training.cache import ContentCache
from modelgenerator.training.events import Finished
from modelgenerator.training.teach import teach

Loader = Callable[[BaseModelFiles], ModelFamily]
REPOSITORIES = {
    "dev": "black-forest-labs/FLUX.1-schnell",
    "schnell": "black-forest-labs/FLUX.1-schnell",
    "3": "stabilityai/stable-diffusion-3-medium-diffusers",
    "3.5": "stabilityai/stable-diffusion-3.5-medium",
}
"""Where missing parts come from, by kind."""
PROMPT = "a cat at sea"


@pytest.fixture(scope="session", params=REPOSITORIES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TinyFlow]:
    kept: dict[str, TinyFlow] = {}

    def make(kind: str) -> TinyFlow:
        if kind not in kept:
            kept[kind] = save_tiny_flow(tmp_path_factory.mktemp("flow") / "base", kind)
        return kept[kind]

    return make


@pytest.fixture
def tiny(made: Callable[[str], TinyFlow], kind: str) -> TinyFlow:
    """Not to be changed: all tests share it."""
    return made(kind)


@pytest.fixture
def served(tiny: TinyFlow, kind: str) -> Iterator[LoopbackHub]:
    with serve_hub({REPOSITORIES[kind]: Served(tiny.folder, card={"license": "mit"})}) as running:
        yield running


@pytest.fixture
def hub(served: LoopbackHub, tmp_path: Path) -> Hub:
    return Hub(endpoint=served.address, cache=tmp_path / "cache")


@pytest.fixture
def no_hub(tmp_path: Path) -> Hub:
    return Hub(endpoint="http://127.0.0.1:1", cache=tmp_path / "nothing")


def brought(files: BaseModelFiles, hub: Hub) -> BaseModelFiles:
    """With all that it lacks on this machine."""
    assert files.companion is not None
    *_, last = download(files.companion, hub)
    assert isinstance(last, DownloadFinished)
    return replace(files, companion=replace(files.companion, folder=last.folder))


def assert_answers_alike(one: ModelFamily, other: ModelFamily) -> None:
    """Of pictures, prompts, and what the transformer makes of both."""
    chance = torch.Generator().manual_seed(1)
    pixels_B3HW = torch.rand(1, 3, 64, 64, generator=chance) * 2 - 1
    answers: list[Tensor] = []
    for base in (one, other):
        latents_BCHW = base.encode_pictures(pixels_B3HW).mean_BCHW
        prompts = base.encode_prompts(base.tokenize([PROMPT]))
        times_B = torch.full((1,), 600.0)
        with torch.no_grad():
            answer = base.predict(latents_BCHW, times_B, prompts, torch.zeros(1, 6), guidance=3.5)
        answers.append(answer)
    torch.testing.assert_close(*answers, atol=1e-5, rtol=1e-5)


def test_a_whole_file_answers_as_the_folder_that_it_was_made_from(
    tiny: TinyFlow, hub: Hub, served: LoopbackHub, tmp_path: Path, load_files: Loader
):
    """All but the tokenizer of T5 is in the file."""
    found = look_at(str(tiny.save(tmp_path / "all.safetensors", VAE, CLIPS, T5)), hub)
    (lacking,) = found.lacks
    assert lacking.startswith("tokenizer")
    base, folder = load_files(brought(found, hub)), load_files(look_at(str(tiny.folder)))
    assert_answers_alike(base, folder)
    assert not any(".safetensors" in request for request in served.requests)
    told = ("family", "edition", "native_size", "size_step", "takes_guidance", "prediction_type")
    whole = look_at(str(tiny.folder))
    assert [getattr(found, name) for name in told] == [getattr(whole, name) for name in told]


def test_a_transformer_alone_takes_the_rest_from_its_repository(
    tiny: TinyFlow, kind: str, hub: Hub, tmp_path: Path, load_files: Loader
):
    found = look_at(str(tiny.save(tmp_path / "bare.safetensors", prefix="")), hub)
    assert found.companion is not None
    assert (found.companion.repository, found.companion.licence) == (REPOSITORIES[kind], "mit")
    assert found.companion.folder is None
    names = {file.name.partition("/")[0] for file in found.companion.needed}
    assert names == {"model_index.json", *found.lacks}
    assert "transformer" not in names
    base, folder = load_files(brought(found, hub)), load_files(look_at(str(tiny.folder)))
    assert_answers_alike(base, folder)


def test_as_much_memory_is_planned_for_a_file_as_for_the_folder(
    tiny: TinyFlow, hub: Hub, tmp_path: Path
):
    path = tiny.save(tmp_path / "base.safetensors", VAE, T5)
    file = numbers_by_part(brought(look_at(str(path), hub), hub))
    folder = numbers_by_part(look_at(str(tiny.folder)))
    assert file.keys() == folder.keys()
    for part, count in folder.items():
        assert file[part] == pytest.approx(count, rel=0.15)


def test_what_was_brought_once_needs_no_hub(tiny: TinyFlow, hub: Hub, tmp_path: Path):
    path = str(tiny.save(tmp_path / "bare.safetensors"))
    found = look_at(path, hub)
    folder = brought(found, hub).companion
    again = look_at(path, replace(hub, endpoint="http://127.0.0.1:1"))
    assert again.companion is not None
    assert folder is not None
    assert again.companion.folder == folder.folder
    assert again.full_revision == found.full_revision


def test_without_a_hub_the_missing_parts_and_what_to_give_instead_are_named(
    tiny: TinyFlow, kind: str, no_hub: Hub, tmp_path: Path
):
    path = tiny.save(tmp_path / "bare.safetensors")
    with pytest.raises(HubUnreachable) as told:
        look_at(str(path), no_hub)
    assert f"{path} holds no autoencoder and no text encoders" in str(told.value)
    assert f"would come from {REPOSITORIES[kind]}" in str(told.value)
    assert "a folder in the diffusers form" in str(told.value)


def test_a_gated_repository_is_told_as_such(made: Callable[[str], TinyFlow], tmp_path: Path):
    tiny = made("3")
    repositories = {REPOSITORIES["3"]: Served(tiny.folder, token="hf_let_me_in")}
    with serve_hub(repositories) as running:
        hub = Hub(endpoint=running.address, cache=tmp_path / "cache")
        with pytest.raises(BaseModelGated, match="HF_TOKEN"):
            look_at(str(tiny.save(tmp_path / "bare.safetensors")), hub)


@pytest.mark.parametrize("kind", ["3", "3.5"])
def test_stable_diffusion_3_with_its_clips_needs_no_hub(
    made: Callable[[str], TinyFlow], kind: str, no_hub: Hub, tmp_path: Path, load_files: Loader
):
    tiny = made(kind)
    found = look_at(str(tiny.save(tmp_path / "incl_clips.safetensors", VAE, CLIPS)), no_hub)
    assert (found.lacks, found.companion) == ((), None)
    folder = Path(shutil.copytree(tiny.folder, tmp_path / "without-t5"))
    for part in ("text_encoder_3", "tokenizer_3"):
        shutil.rmtree(folder / part)
    index = json.loads((folder / "model_index.json").read_text())
    none = {"text_encoder_3": [None, None], "tokenizer_3": [None, None]}
    (folder / "model_index.json").write_text(json.dumps(index | none))
    assert_answers_alike(load_files(found), load_files(look_at(str(folder))))


def test_it_learns_and_draws(
    tiny: TinyFlow, hub: Hub, tmp_path: Path, load_files: Loader, photos: PreparedDataset
):
    found = brought(look_at(str(tiny.save(tmp_path / "bare.safetensors", VAE)), hub), hub)
    planned = plan_for(photos, found, **{"resolution": 64, "maxSteps": 2, "networkDim": 4})
    assert planned.base_revision == found.full_revision
    assert planned.memory_bytes > 0
    (said,) = [notice for notice in planned.notices if "are used" in notice.message]
    assert "holds no text encoders" in said.message
    assert "licence mit" in said.message
    base = load_files(found)
    out = tmp_path / "out"
    out.mkdir()
    *_, last = teach(planned, photos, base, out, cache=ContentCache(tmp_path / "photos"))
    assert isinstance(last, Finished)
    assert load_file(last.lora_file)
    wish = PictureRequest(
        prompt=PROMPT,
        negative_prompt="",
        width=64,
        height=64,
        steps=2,
        guidance_scale=3.5,
        seed=7,
    )
    (ours,) = base.draw([wish])
    (theirs,) = load_files(look_at(str(tiny.folder))).draw([wish])
    assert np.abs(np.asarray(ours, int) - np.asarray(theirs, int)).max() <= 1


# --- what is refused


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("model.diffusion_model.x.scale_weight", torch.ones(1), "is quantized"),
        ("model.diffusion_model.x.weight", torch.ones(4, dtype=torch.uint8), "is quantized"),
        ("model.diffusion_model.img_in.weight", torch.ones(128, 384), "inpainting"),
        ("model.diffusion_model.double_blocks.0.img_mod.lin.weight", None, "not built as FLUX"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    made: Callable[[str], TinyFlow],
    no_hub: Hub,
    tmp_path: Path,
    name: str,
    tensor: Tensor | None,
    said: str,
):
    path = made("dev").save(tmp_path / "base.safetensors", VAE, CLIPS, T5)
    tensors = load_file(path)
    tensors.pop(name, None)
    save_file(tensors if tensor is None else {**tensors, name: tensor}, path)
    with pytest.raises(BaseModelUnsupported, match=said):
        look_at(str(path), no_hub)


def test_plain_fp8_loads(
    made: Callable[[str], TinyFlow], tmp_path: Path, load_files: Loader, no_hub: Hub
):
    path = made("3").save(tmp_path / "base.safetensors", VAE, CLIPS)
    tensors = load_file(path)
    small = {n: t.to(torch.float8_e4m3fn) for n, t in tensors.items() if "joint_blocks" in n}
    save_file(tensors | small, path)
    transformer = load_files(look_at(str(path), no_hub)).lora_parts["transformer"]
    ours = transformer.get_submodule("transformer_blocks.0.attn.to_k").weight
    name = "model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight"
    assert torch.equal(ours, small[name].float().chunk(3)[1])


def test_a_weight_that_is_missing_is_named(
    made: Callable[[str], TinyFlow], tmp_path: Path, load_files: Loader, no_hub: Hub
):
    path = made("3").save(tmp_path / "base.safetensors", VAE, CLIPS)
    tensors = load_file(path)
    del tensors["model.diffusion_model.joint_blocks.1.x_block.mlp.fc1.bias"]
    save_file(tensors, path)
    with pytest.raises(
        BaseModelUnsupported, match=r"transformer_blocks\.1\.ff\.net\.0\.proj\.bias"
    ):
        load_files(look_at(str(path), no_hub))


# --- the real ones: their configurations come out of their shapes, their layers to their places


def real(name: str) -> FluxTransformer2DModel | SD3Transformer2DModel:
    """A transformer of real size, without numbers.

    Source: transformer/config.json of the repositories of these names.
    """
    flux: dict[str, Any] = {"num_layers": 19, "num_single_layers": 38, "pooled_projection_dim": 768}
    sd3: dict[str, Any] = {"pooled_projection_dim": 2048, "joint_attention_dim": 4096}
    with torch.device("meta"):
        if name.startswith("FLUX"):
            dev = name.endswith("dev")
            return flux_transformer(dev=dev, heads=24, joint_attention_dim=4096, **flux)
        if name.endswith("3-medium"):
            return sd3_transformer("3", heads=24, num_layers=24, pos_embed_max_size=192, **sd3)
        dual = {"dual_attention_layers": tuple(range(13))} if "medium" in name else {}
        many = 24 if "medium" in name else 38
        size = 384 if "medium" in name else 192
        return sd3_transformer(
            "3.5",
            heads=many,
            num_layers=many,
            pos_embed_max_size=size,
            **{**sd3, "dual_attention_layers": (), **dual},
        )


@pytest.mark.parametrize(
    "name",
    [
        "FLUX.1-dev",
        "FLUX.1-schnell",
        "stable-diffusion-3-medium",
        "stable-diffusion-3.5-medium",
        "stable-diffusion-3.5-large",
    ],
)
def test_a_real_transformer_is_understood_from_its_shapes(name: str):
    model = real(name)
    is_flux = name.startswith("FLUX")
    family = FamilyName.FLUX if is_flux else FamilyName.STABLE_DIFFUSION_3
    tensors = original(model)
    entries = {key: {"shape": list(tensor.shape)} for key, tensor in tensors.items()}
    found = TRANSFORMER_CONFIGS[family](Tensors(entries, {}, 0, lambda *_: b""))
    for key, value in found.items():
        said = model.config[key] if key != "out_channels" or not is_flux else model.out_channels
        assert value == (list(said) if isinstance(value, list) else said), key
    wanted = {key: tensor.shape for key, tensor in model.state_dict().items()}
    ours = transformer_weights(wanted, tensors, family)
    assert {key: tensor.shape for key, tensor in ours.items()} == wanted
    theirs = _converted_by_diffusers(dict(tensors), is_flux=is_flux)
    assert {key: tensor.shape for key, tensor in theirs.items()} == wanted


def _converted_by_diffusers(tensors: dict[str, Tensor], *, is_flux: bool) -> dict[str, Tensor]:
    flux: Any = single_file_utils.convert_flux_transformer_checkpoint_to_diffusers
    sd3: Any = single_file_utils.convert_sd3_transformer_checkpoint_to_diffusers
    return (flux if is_flux else sd3)(tensors)


def test_the_numbers_are_those_that_diffusers_makes_of_the_file(
    made: Callable[[str], TinyFlow],
):
    model = made("3.5").pipeline.transformer
    tensors = original(model)
    ours = transformer_weights(model.state_dict(), tensors, FamilyName.STABLE_DIFFUSION_3)
    theirs = _converted_by_diffusers(dict(tensors), is_flux=False)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)

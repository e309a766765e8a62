"""Florence-2 and BLIP from a hub on this machine: real folders, the real way of downloading."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.hub import LoopbackHub, Served, serve_hub
from tests.tiny_captioners import save_tiny_blip, save_tiny_florence2

from modelgenerator.captioning.choose import choose_captioner
from modelgenerator.captioning.hub_models import HUB_MODELS, HubCaptioner
from modelgenerator.datasets.images import Photo
from modelgenerator.diffusion.downloads import DownloadProgress
from modelgenerator.diffusion.remote import Hub
from modelgenerator.errors import CaptionerUnavailable, HubUnreachable

CHANCE = np.random.default_rng(0)
NOISE = Photo("noise.png", CHANCE.integers(0, 256, (48, 64, 3), dtype=np.uint8), "0" * 64)
GREY = Photo("grey.png", np.full((64, 40, 3), 90, np.uint8), "1" * 64)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Not to be changed: all tests share them."""
    place = tmp_path_factory.mktemp("captioners")
    folders = {
        "florence2": save_tiny_florence2(place / "florence2"),
        "blip": save_tiny_blip(place / "blip"),
    }
    for folder in folders.values():  # as the real ones have beside what is needed
        (folder / "pytorch_model.bin").write_bytes(b"\0" * 50)
        (folder / "others.py").write_text("raise SystemExit('code of others')")
        file = folder / "tokenizer_config.json"
        code = {"auto_map": {"AutoTokenizer": [None, "others.Tokenizer"]}}
        file.write_text(json.dumps(json.loads(file.read_text()) | code))
    return folders


@pytest.fixture
def served(tiny: Mapping[str, Path]) -> Iterator[LoopbackHub]:
    repositories = {
        model.repository: Served(tiny[model.name], model.commit) for model in HUB_MODELS.values()
    }
    with serve_hub(repositories) as hub:
        yield hub


@pytest.fixture
def hub(served: LoopbackHub, tmp_path: Path) -> Hub:
    return Hub(endpoint=served.address, cache=tmp_path / "cache")


def ready(name: str, hub: Hub) -> tuple[HubCaptioner, list[DownloadProgress]]:
    captioner = HubCaptioner(HUB_MODELS[name], hub)
    return captioner, list(captioner.prepare())


@pytest.mark.parametrize("name", HUB_MODELS)
def test_it_is_downloaded_once_and_says_what_it_sees(hub: Hub, served: LoopbackHub, name: str):
    captioner, progress = ready(name, hub)
    assert progress[-1].bytes_done == progress[-1].bytes_total > 0
    words = captioner.describe(NOISE)
    assert words
    assert "<" not in words
    assert words != captioner.describe(GREY)

    served.requests.clear()
    again, progress = ready(name, replace(hub, endpoint="http://127.0.0.1:1"))
    assert progress == []
    assert again.describe(NOISE) == words
    assert served.requests == []


@pytest.mark.parametrize("name", HUB_MODELS)
def test_only_safetensors_and_descriptions_are_downloaded(hub: Hub, name: str):
    ready(name, hub)
    endings = {path.suffix for path in hub.cache_folder.rglob("snapshots/*/*")}
    assert endings == {".json", ".safetensors"}


@pytest.mark.parametrize("name", HUB_MODELS)
def test_the_same_photo_gets_the_same_words_again_and_again(hub: Hub, name: str):
    captioner, _ = ready(name, hub)
    first = captioner.describe(NOISE)
    captioner.describe(GREY)
    assert captioner.describe(NOISE) == first
    captioner.close()
    list(captioner.prepare())
    assert captioner.describe(NOISE) == first


def test_auto_takes_it_from_then_on(hub: Hub):
    ready("florence2", hub)
    chosen = choose_captioner("auto", hub=hub, environment={}).captioner
    assert chosen is not None
    assert chosen.name == "florence2"


def test_a_hub_that_does_not_answer_is_told_with_what_needs_none(hub: Hub):
    with pytest.raises(HubUnreachable) as caught:
        ready("florence2", replace(hub, endpoint="http://127.0.0.1:1"))
    assert "florence-community/Florence-2-base at 00921df6" in str(caught.value)
    assert "--captioner template" in str(caught.value)


def test_a_cut_download_goes_on(hub: Hub, served: LoopbackHub):
    repository = served.repositories[HUB_MODELS["florence2"].repository]
    repository.cuts.extend([1000, 2000])
    captioner, _ = ready("florence2", hub)
    assert captioner.describe(NOISE)
    assert any("bytes=1000-" in request for request in served.requests)


def test_a_hub_without_it_is_told(tmp_path: Path):
    with serve_hub({}) as empty:
        hub = Hub(endpoint=empty.address, cache=tmp_path / "cache")
        with pytest.raises(CaptionerUnavailable, match=r"florence2 .* is not at http"):
            ready("florence2", hub)


def test_another_commit_is_not_taken_instead(tiny: Mapping[str, Path], tmp_path: Path):
    moved = Served(tiny["florence2"], commit="f" * 40)
    with serve_hub({HUB_MODELS["florence2"].repository: moved}) as other:
        hub = Hub(endpoint=other.address, cache=tmp_path / "cache")
        with pytest.raises(CaptionerUnavailable, match="is not at"):
            ready("florence2", hub)


def damaged(served: LoopbackHub, name: str, tmp_path: Path) -> Path:
    """A copy of what is served, served in its place."""
    repository = served.repositories[HUB_MODELS[name].repository]
    repository.folder = Path(shutil.copytree(repository.folder, tmp_path / "damaged"))
    return repository.folder


def test_pickled_weights_are_never_loaded(hub: Hub, served: LoopbackHub, tmp_path: Path):
    (damaged(served, "blip", tmp_path) / "model.safetensors").unlink()
    with pytest.raises(CaptionerUnavailable, match=r"it has no model\.safetensors"):
        ready("blip", hub)


def test_other_weights_than_were_promised_are_told(hub: Hub, served: LoopbackHub):
    served.repositories[HUB_MODELS["blip"].repository].lies = True
    with pytest.raises(CaptionerUnavailable, match="damaged on its way"):
        ready("blip", hub)


@pytest.mark.parametrize("name", HUB_MODELS)
@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "preprocessor_config.json"])
def test_files_that_cannot_be_used_are_told(
    hub: Hub, served: LoopbackHub, tmp_path: Path, name: str, file: str
):
    (damaged(served, name, tmp_path) / file).write_text("[")
    with pytest.raises(CaptionerUnavailable, match=r"cannot be loaded: .* Delete that folder"):
        ready(name, hub)


def test_weights_that_lack_some_are_told(hub: Hub, served: LoopbackHub, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    weights = damaged(served, "blip", tmp_path) / "model.safetensors"
    tensors = load_file(weights)
    del tensors["vision_model.post_layernorm.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(CaptionerUnavailable, match=r"lacks vision_model\.post_layernorm\.weight"):
        ready("blip", hub)

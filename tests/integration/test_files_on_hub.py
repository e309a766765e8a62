"""Repositories with base models in single files: looked at by their headers, then downloaded."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.hub import LoopbackHub, Served, serve_hub
from tests.tiny_flow_file import save_tiny_flow
from tests.tiny_single_file import save_tiny_single_file

from modelgenerator.cli.base_models import in_words
from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.downloads import DownloadFinished, download
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles, look_at
from modelgenerator.diffusion.remote import Hub
from modelgenerator.errors import (
    BaseModelGated,
    BaseModelNotFound,
    BaseModelUnsupported,
    HubUnreachable,
)

ONE, MANY = "studio/one", "studio/many"
COMMIT = Served(Path()).commit


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a base model and what lies beside it, and one with two base models."""
    folder = tmp_path_factory.mktemp("files")
    for name in ("one", "many/other"):
        (folder / name).mkdir(parents=True)
    save_tiny_single_file(folder / "one" / "realistic.safetensors", "1")
    save_file({"encoder.down.0.x": torch.zeros(1)}, folder / "one" / "vae.safetensors")
    save_file({"lora_unet_a.alpha": torch.zeros(1)}, folder / "one" / "detail_lora.safetensors")
    save_tiny_single_file(folder / "many" / "first.safetensors", "1")
    save_tiny_single_file(folder / "many" / "second.safetensors", "xl")
    save_tiny_single_file(folder / "many" / "other" / "deep.safetensors", "2")
    return folder


@pytest.fixture(scope="session")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As black-forest-labs publishes it: our form, and the transformer alone beside it."""
    folder = tmp_path_factory.mktemp("flux") / "base"
    tiny = save_tiny_flow(folder, "schnell")
    tiny.save(folder / "flux1-schnell.safetensors", prefix="")
    return folder


@pytest.fixture
def served(files: Path, flux: Path) -> Iterator[LoopbackHub]:
    repositories = {
        ONE: Served(files / "one"),
        MANY: Served(files / "many"),
        "studio/cut": Served(files / "one", cuts=[50_000, 1000]),
        "studio/no-ranges": Served(files / "one", knows_ranges=False),
        "studio/gated": Served(files / "one", token="hf_let_me_in"),
        "black-forest-labs/FLUX.1-schnell": Served(flux, card={"license": "apache-2.0"}),
    }
    with serve_hub(repositories) as running:
        yield running


@pytest.fixture
def hub(served: LoopbackHub, tmp_path: Path) -> Hub:
    return Hub(endpoint=served.address, cache=tmp_path / "cache")


def finished(files: BaseModelFiles, hub: Hub) -> Path:
    *_, last = download(files, hub)
    assert isinstance(last, DownloadFinished)
    return last.folder


def unplugged(hub: Hub) -> Hub:
    return replace(hub, endpoint="http://127.0.0.1:1")


def test_the_one_base_model_among_files_is_found_by_a_few_bytes_of_each(
    hub: Hub, served: LoopbackHub, files: Path
):
    found = look_at(ONE, hub)
    size = (files / "one" / "realistic.safetensors").stat().st_size
    assert (found.family, found.size_bytes) == (FamilyName.STABLE_DIFFUSION_1, size)
    assert (found.repository, found.revision, found.folder) == (ONE, COMMIT, None)
    asked = [request for request in served.requests if ".safetensors" in request]
    ranges = [request.rpartition("bytes=")[2] for request in asked]
    assert ranges
    assert all(int(stop) - int(start) < 100_000 for start, stop in (r.split("-") for r in ranges))
    told = in_words(found)
    assert "licence openrail" in told
    assert "MB to be downloaded" in told


def test_it_is_downloaded_loaded_and_found_again_without_the_hub(
    hub: Hub, files: Path, load_files: Callable[[BaseModelFiles], ModelFamily]
):
    found = look_at(ONE, hub)
    path = finished(found, hub)
    assert path.read_bytes() == (files / "one" / "realistic.safetensors").read_bytes()
    assert {file.name for file in path.parent.iterdir()} == {"realistic.safetensors"}
    again = look_at(ONE, unplugged(hub))
    assert (again.folder, again.revision, again.needed) == (path, COMMIT, found.needed)
    assert look_at(ONE, hub).folder == path
    assert "text_encoder" in load_files(again).lora_parts


@pytest.mark.parametrize("name", ["studio/cut", "studio/no-ranges"])
def test_a_bad_network_brings_the_same_file(hub: Hub, files: Path, name: str):
    path = finished(replace(look_at(ONE, hub), repository=name, reference=name), hub)
    assert path.read_bytes() == (files / "one" / "realistic.safetensors").read_bytes()
    assert not list((hub.cache_folder).rglob("*.partial"))


def test_a_hub_without_ranges_is_looked_at_too(hub: Hub):
    assert look_at("studio/no-ranges", hub).family is FamilyName.STABLE_DIFFUSION_1


def test_of_several_base_models_the_person_chooses(hub: Hub):
    with pytest.raises(BaseModelUnsupported) as told:
        look_at(MANY, hub)
    assert "first.safetensors (" in str(told.value)
    assert "second.safetensors (" in str(told.value)
    assert f"{MANY}/first.safetensors" in str(told.value)


@pytest.mark.parametrize(
    "reference",
    [
        f"{MANY}/second.safetensors",
        f"{MANY}/second.safetensors@{COMMIT}",
        f"https://huggingface.co/{MANY}/blob/main/second.safetensors",
        f"https://huggingface.co/{MANY}/resolve/main/second.safetensors?download=true",
    ],
)
def test_a_file_is_chosen_by_its_name(hub: Hub, reference: str):
    found = look_at(reference, hub)
    assert found.family is FamilyName.STABLE_DIFFUSION_XL
    path = finished(found, hub)
    assert path.name == "second.safetensors"
    assert look_at(reference, unplugged(hub)).folder == path


def test_a_file_in_a_folder_of_the_repository_is_chosen_by_its_path(hub: Hub):
    reference = f"{MANY}/other/deep.safetensors"
    found = look_at(reference, hub)
    assert found.family is FamilyName.STABLE_DIFFUSION_2
    path = finished(found, hub)
    again = look_at(reference, unplugged(hub))
    assert (again.folder, again.needed) == (path, found.needed)


def test_a_file_that_is_not_there_is_told_with_those_that_are(hub: Hub):
    with pytest.raises(BaseModelNotFound, match=r"It has: first\.safetensors, second\.safetensors"):
        look_at(f"{MANY}/third.safetensors", hub)


def test_what_was_only_looked_at_does_not_do_without_the_hub(hub: Hub):
    look_at(ONE, hub)
    with pytest.raises(HubUnreachable):
        look_at(ONE, unplugged(hub))


def test_a_gated_file_is_told_before_it_is_downloaded(hub: Hub):
    with pytest.raises(BaseModelGated, match="HF_TOKEN"):
        look_at("studio/gated", hub)


def test_a_transformer_beside_the_other_parts_takes_them_from_where_they_are(
    hub: Hub, load_files: Callable[[BaseModelFiles], ModelFamily]
):
    found = look_at("flux-schnell", hub)
    assert not found.is_single_file
    found = look_at("black-forest-labs/FLUX.1-schnell/flux1-schnell.safetensors", hub)
    assert found.is_single_file
    companion = found.companion
    assert companion is not None
    assert companion.repository == found.repository
    here = replace(companion, folder=finished(companion, hub))
    base = load_files(replace(found, folder=finished(found, hub), companion=here))
    assert "transformer" in base.lora_parts

"""The whole way from a name to files, through huggingface_hub, against a hub on this machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.hub import LoopbackHub, Served, serve_hub
from tests.tiny import save_tiny_stable_diffusion

from modelgenerator.diffusion import downloads
from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.downloads import DownloadFinished, DownloadProgress, download
from modelgenerator.diffusion.hub import BaseModelFiles, look_at
from modelgenerator.diffusion.remote import Hub, cached_repositories, check_reachable
from modelgenerator.errors import (
    BaseModelGated,
    BaseModelNotFound,
    BaseModelUnsupported,
    HubUnreachable,
    OutputNotWritable,
)

NAME = "studio/tiny"
WEIGHTS = 50_000
"""Bytes that the smallest file of weights has at least."""


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "tiny"
    save_tiny_stable_diffusion(folder)
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker" / "model.safetensors").write_bytes(b"\0" * 50)
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"\0" * 50)
    (folder / "v1-5.ckpt").write_bytes(b"\0" * 50)
    return folder


@pytest.fixture
def served(tiny: Path, tmp_path: Path) -> Iterator[LoopbackHub]:
    pickled = Path(shutil.copytree(tiny, tmp_path / "pickled"))
    (pickled / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    (pickled / "vae" / "diffusion_pytorch_model.bin").write_bytes(b"\0")
    damaged = Path(shutil.copytree(tiny, tmp_path / "damaged"))
    (damaged / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"\xff" * 99)
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "pytorch_lora_weights.safetensors").write_bytes(b"\0")
    repositories = {
        NAME: Served(tiny),
        "studio/gated": Served(tiny, token="hf_let_me_in"),
        "studio/pickled": Served(pickled),
        "studio/damaged": Served(damaged),
        "studio/lora": Served(tmp_path / "lora"),
        "studio/cut": Served(tiny, cuts=[WEIGHTS // 2, 1000]),
        "studio/always-cut": Served(tiny, cuts=[1000] + [0] * 20),
        "studio/no-ranges": Served(tiny, cuts=[WEIGHTS // 2], knows_ranges=False),
        "studio/liar": Served(tiny, lies=True),
        "studio/slow": Served(tiny, silence=0.05),
        "studio/silent": Served(tiny, silence=2),
        "SG161222/Realistic_Vision_V6.0_B1_noVAE": Served(tiny),
        "black-forest-labs/FLUX.1-dev": Served(
            tiny, card={"license": "other", "license_name": "flux-1-dev-non-commercial-license"}
        ),
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


def test_a_repository_is_told_for_what_it_is_without_its_weights(hub: Hub, served: LoopbackHub):
    files = look_at(NAME, hub)
    assert files.family is FamilyName.STABLE_DIFFUSION_1
    assert (files.repository, files.revision) == (NAME, Served(Path()).commit)
    assert (files.folder, files.licence) == (None, "openrail")
    assert not any("safetensors" in request for request in served.requests)


def test_only_the_needed_files_are_downloaded(hub: Hub):
    folder = finished(look_at(NAME, hub), hub)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {file.name for file in look_at(NAME, hub).needed}
    assert not any(name.endswith((".bin", ".ckpt")) or "safety" in name for name in names)


def test_progress_goes_up_to_the_whole_size(hub: Hub):
    files = look_at(NAME, hub)
    *steps, last = download(files, hub)
    assert [step.files_done for step in steps if isinstance(step, DownloadProgress)] == list(
        range(1, len(files.needed) + 1)
    )
    assert steps[-1] == DownloadProgress(
        len(files.needed), len(files.needed), files.size_bytes, files.size_bytes
    )
    assert isinstance(last, DownloadFinished)


def test_diffusers_loads_what_was_downloaded(hub: Hub):
    from diffusers import UNet2DConditionModel

    folder = finished(look_at(NAME, hub), hub)
    unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", use_safetensors=True)
    assert unet.config["cross_attention_dim"] == 32


def test_a_download_that_stopped_goes_on(hub: Hub, served: LoopbackHub):
    files = look_at(NAME, hub)
    started = download(files, hub)
    for _ in range(len(files.needed) - 1):
        next(started)
    started.close()
    served.requests.clear()
    finished(files, hub)
    assert sum(request.startswith("GET") for request in served.requests) == 1


def test_what_is_cached_works_without_the_hub(hub: Hub):
    files = look_at(NAME, hub)
    folder = finished(files, hub)
    again = look_at(NAME, unplugged(hub))
    assert (again.folder, again.revision, again.repository) == (folder, files.revision, NAME)
    assert again.needed == files.needed
    assert finished(again, unplugged(hub)) == folder


def test_a_cached_commit_is_not_asked_for(hub: Hub, served: LoopbackHub):
    files = look_at(NAME, hub)
    finished(files, hub)
    served.requests.clear()
    assert look_at(f"{NAME}@{files.revision}", hub).folder is not None
    assert served.requests == []


def test_a_part_in_the_cache_does_not_do_without_the_hub(hub: Hub):
    look_at(NAME, hub)
    with pytest.raises(HubUnreachable):
        look_at(NAME, unplugged(hub))


def test_a_repository_is_found_by_its_address_in_a_browser(hub: Hub):
    assert look_at(f"https://huggingface.co/{NAME}/tree/main", hub).repository == NAME


def test_an_unreachable_hub_is_named_with_what_is_cached(hub: Hub):
    finished(look_at(NAME, hub), hub)
    with pytest.raises(HubUnreachable) as caught:
        look_at("studio/other", unplugged(hub))
    assert "http://127.0.0.1:1" in str(caught.value)
    assert NAME in str(caught.value)


def test_a_missing_repository_gets_the_nearest_names(hub: Hub):
    finished(look_at(NAME, hub), hub)
    with pytest.raises(BaseModelNotFound) as caught:
        look_at("studio/tinny", hub)
    assert "Check the spelling" in str(caught.value)
    assert NAME in str(caught.value)


def test_a_missing_revision_is_named(hub: Hub):
    with pytest.raises(BaseModelNotFound, match="no revision v9"):
        look_at(f"{NAME}@v9", hub)


def test_a_gated_repository_says_where_to_accept_and_how_to_give_the_token(hub: Hub):
    with pytest.raises(BaseModelGated) as caught:
        look_at("studio/gated", hub)
    assert f"{hub.endpoint}/studio/gated" in str(caught.value)
    assert "HF_TOKEN" in str(caught.value)


def test_with_the_token_a_gated_repository_opens(hub: Hub):
    allowed = replace(hub, token="hf_let_me_in")
    assert finished(look_at("studio/gated", allowed), allowed).is_dir()


def test_pickled_weights_on_the_hub_are_refused_before_they_are_downloaded(hub: Hub):
    with pytest.raises(BaseModelUnsupported, match="pickle files"):
        look_at("studio/pickled", hub)


def test_a_lora_on_the_hub_is_not_a_base_model(hub: Hub):
    with pytest.raises(BaseModelUnsupported, match="is a LoRA"):
        look_at("studio/lora", hub)


def test_a_damaged_file_from_the_hub_is_named(hub: Hub):
    files = look_at("studio/damaged", hub)
    with pytest.raises(BaseModelUnsupported, match="is damaged"):
        finished(files, hub)


def test_a_full_disk_is_told_before_the_download(hub: Hub):
    files = look_at(NAME, hub)
    huge = tuple(replace(file, size=10**18) for file in files.needed)
    with pytest.raises(OutputNotWritable, match="Make room"):
        finished(replace(files, needed=huge), hub)


def test_a_cache_that_cannot_be_written_is_told(hub: Hub, tmp_path: Path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputNotWritable, match="HF_HOME"):
        look_at(NAME, replace(hub, cache=tmp_path / "file" / "cache"))


def test_a_server_that_is_not_a_hub_is_told(hub: Hub):
    with pytest.raises(HubUnreachable, match="not as a hub"):
        look_at(NAME, replace(hub, endpoint=f"{hub.endpoint}/login"))


def test_what_is_cached_is_listed(hub: Hub):
    files = look_at(NAME, hub)
    assert cached_repositories(hub) == []
    finished(files, hub)
    assert cached_repositories(hub) == [NAME]


def test_reachability_is_asked(hub: Hub):
    check_reachable(hub)
    with pytest.raises(HubUnreachable):
        check_reachable(unplugged(hub))


def test_the_environment_names_hub_token_and_cache(served: LoopbackHub, tmp_path: Path):
    program = (
        "from modelgenerator.diffusion.downloads import download\n"
        "from modelgenerator.diffusion.hub import look_at\n"
        "for event in download(look_at('studio/gated')): print(event)"
    )
    environment = {
        **os.environ,
        "HF_ENDPOINT": served.address,
        "HF_TOKEN": "hf_let_me_in",
        "HF_HOME": str(tmp_path / "home"),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"DownloadFinished(folder={Path(tmp_path / 'home' / 'hub')!r}"[:-2] in done.stdout
    assert done.stderr == ""


def test_the_hubs_own_progress_bars_come_back(hub: Hub):
    from huggingface_hub.utils import are_progress_bars_disabled

    before = are_progress_bars_disabled()
    finished(look_at(NAME, hub), hub)
    assert are_progress_bars_disabled() == before


# --- downloads over bad networks


def blobs(hub: Hub, name: str) -> Path:
    return hub.cache_folder / f"models--{name.replace('/', '--')}" / "blobs"


def same_files(folder: Path, other: Path) -> bool:
    names = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return all((folder / name).read_bytes() == (other / name).read_bytes() for name in names)


@pytest.mark.parametrize("name", ["studio/cut", "studio/no-ranges", "studio/slow"])
def test_a_bad_network_brings_the_same_files(hub: Hub, tiny: Path, name: str):
    assert same_files(finished(look_at(name, hub), hub), tiny)
    assert not list(blobs(hub, name).glob("*partial"))


def test_after_a_cut_only_the_rest_is_asked_for(hub: Hub, served: LoopbackHub):
    finished(look_at("studio/cut", hub), hub)
    ranges = [request for request in served.requests if "bytes=" in request]
    assert ranges[0].endswith(f"bytes={WEIGHTS // 2}-")
    assert len(ranges) == 2


def test_a_connection_that_is_always_cut_is_told_and_the_next_call_goes_on(
    hub: Hub, served: LoopbackHub, tiny: Path
):
    files = look_at("studio/always-cut", hub)
    with pytest.raises(HubUnreachable, match=r"was cut in .*safetensors after .* goes on from"):
        finished(files, hub)
    (partial,) = blobs(hub, "studio/always-cut").glob("*partial")
    assert partial.stat().st_size == 1000
    served.repositories["studio/always-cut"].cuts.clear()
    served.requests.clear()
    assert same_files(finished(files, hub), tiny)
    assert next(request for request in served.requests if "bytes=" in request).endswith("=1000-")


def test_other_bytes_than_were_promised_are_refused_and_not_kept(hub: Hub):
    with pytest.raises(BaseModelUnsupported, match="damaged on its way"):
        finished(look_at("studio/liar", hub), hub)
    assert not list(blobs(hub, "studio/liar").glob("*partial"))


def test_large_files_report_their_bytes(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(downloads, "PIECE_BYTES", 1000)
    files = look_at("studio/cut", hub)
    here = [step.bytes_done for step in download(files, hub) if isinstance(step, DownloadProgress)]
    assert len(here) > len(files.needed)
    assert here == sorted(here)
    assert here[-1] == files.size_bytes


def test_a_silent_hub_is_unreachable(hub: Hub):
    with pytest.raises(HubUnreachable, match="does not answer"):
        look_at("studio/silent", replace(hub, patience=0.2))


# --- names


def test_the_alias_of_the_published_example_is_found(hub: Hub):
    files = look_at("Realistic_Vision_V6.0_B1", hub)
    assert files.repository == "SG161222/Realistic_Vision_V6.0_B1_noVAE"
    assert files.reference == "Realistic_Vision_V6.0_B1"


def test_a_licence_without_a_common_name_is_told_by_its_own(hub: Hub):
    assert look_at("flux-dev", hub).licence == "flux-1-dev-non-commercial-license"


def test_the_hub_is_searched_for_a_name_that_is_not_there(hub: Hub):
    with pytest.raises(BaseModelNotFound, match="Do you mean studio/always-cut"):
        look_at("someone/always-cutt", hub)


def test_a_name_without_its_organisation_is_found_by_searching(hub: Hub):
    with pytest.raises(BaseModelNotFound, match="Do you mean studio/always-cut"):
        look_at("always-cut", hub)


def test_the_commit_that_was_looked_at_is_found_again_when_the_branch_moved_on(hub: Hub):
    files = look_at(NAME, hub)
    finished(files, hub)
    again = look_at(NAME, unplugged(hub), pinned=files.revision)
    assert (again.revision, again.reference) == (files.revision, NAME)


def test_an_operators_alias_may_carry_a_revision(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    table = tmp_path / "aliases.json5"
    table.write_text(f"{{house: '{NAME}@v9'}} // ours")
    monkeypatch.setenv("MODELGENERATOR_BASE_MODELS", str(table))
    with pytest.raises(BaseModelNotFound, match="no revision v9"):
        look_at("house", hub)
    assert look_at(f"house@{Served(Path()).commit}", hub).repository == NAME

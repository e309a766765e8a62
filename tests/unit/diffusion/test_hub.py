"""Base models in folders; `tests/integration/test_hub_on_loopback.py` has the hub."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.tiny import NATIVE_SIDE, save_tiny_stable_diffusion

from modelgenerator.diffusion import hub
from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.downloads import DownloadFinished, download
from modelgenerator.diffusion.hub import look_at
from modelgenerator.diffusion.remote import Hub
from modelgenerator.errors import BaseModelNotFound, BaseModelUnsupported


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_stable_diffusion(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture
def base(tiny: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(tiny, tmp_path / "base"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def refusal(reference: Path | str) -> str:
    with pytest.raises(BaseModelUnsupported) as caught:
        look_at(str(reference))
    return str(caught.value)


def safetensors(path: Path, *names: str) -> Path:
    """A valid file of one-byte tensors."""
    entries = {
        name: {"dtype": "U8", "shape": [1], "data_offsets": [at, at + 1]}
        for at, name in enumerate(names)
    }
    header = json.dumps(entries).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * len(names))
    return path


def test_a_folder_is_told_for_what_it_is(tiny: Path):
    files = look_at(str(tiny))
    assert files.family is FamilyName.STABLE_DIFFUSION_1
    assert files.pipeline_class == "StableDiffusionPipeline"
    assert files.prediction_type == "epsilon"
    assert files.native_size == NATIVE_SIDE
    assert (files.folder, files.repository) == (tiny, None)
    assert (files.variant, files.is_builtin, files.licence) == (None, False, None)


def test_the_size_is_that_of_the_needed_files(tiny: Path):
    everything = sum(path.stat().st_size for path in tiny.rglob("*") if path.is_file())
    assert look_at(str(tiny)).size_bytes == everything


def test_version_2_with_v_prediction_is_told(tmp_path: Path):
    save_tiny_stable_diffusion(tmp_path, prediction_type="v_prediction", sd2=True)
    files = look_at(str(tmp_path))
    assert files.family is FamilyName.STABLE_DIFFUSION_2
    assert files.prediction_type == "v_prediction"


def test_without_a_prediction_type_it_is_epsilon(base: Path):
    (base / "scheduler" / "scheduler_config.json").write_text("{}")
    assert look_at(str(base)).prediction_type == "epsilon"


def test_an_unknown_prediction_type_is_refused(base: Path):
    change(base / "scheduler" / "scheduler_config.json", prediction_type="sample")
    assert "`sample`" in refusal(base)


def test_the_licence_is_read_from_the_readme(base: Path):
    (base / "README.md").write_text("---\ntags:\n- a\nlicense: openrail\n---\n# Base\n")
    assert look_at(str(base)).licence == "openrail"


def test_an_unknown_pipeline_is_refused_by_name(base: Path):
    change(base / "model_index.json", _class_name="KandinskyPipeline")
    assert "KandinskyPipeline" in refusal(base)


def test_an_inpainting_base_model_is_refused(base: Path):
    change(base / "unet" / "config.json", in_channels=9)
    assert "inpainting" in refusal(base)


@pytest.mark.parametrize(
    "changed", [{"_class_name": ["pipeline", "MyPipeline"]}, {"unet": ["my_unet", "MyUnet"]}]
)
def test_a_base_model_with_code_of_its_own_is_refused(base: Path, changed: dict[str, Any]):
    change(base / "model_index.json", **changed)
    assert "never run" in refusal(base)


def test_pickled_weights_are_refused(base: Path):
    weights = base / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    assert "pickle files" in refusal(base)


def test_missing_weights_are_named(base: Path):
    (base / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    assert "no .safetensors weights for unet" in refusal(base)


def test_half_precision_weights_are_used_when_there_are_no_others(base: Path):
    for path in base.glob("*/*.safetensors"):
        path.rename(path.with_suffix(".fp16.safetensors"))
    assert look_at(str(base)).variant == "fp16"


def test_what_is_not_needed_is_left_out(base: Path):
    wanted = look_at(str(base)).needed
    (base / "safety_checker").mkdir()
    for name in ("unet/diffusion_pytorch_model.fp16.safetensors", "unet/other.bin", "v1-5.ckpt"):
        (base / name).write_bytes(b"\0")
    safetensors(base / "safety_checker" / "model.safetensors", "a")
    safetensors(base / "v1-5.safetensors", "a")
    (base / "unet" / "diffusion_pytorch_model.safetensors.index.fp16.json").write_text("{}")
    change(base / "model_index.json", safety_checker=["stable_diffusion", "SafetyChecker"])
    assert [file.name for file in look_at(str(base)).needed] == [file.name for file in wanted]


@pytest.mark.parametrize("kept", [4, 100, -1])
def test_a_truncated_weight_file_is_named(base: Path, kept: int):
    path = base / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    assert f"{path} is damaged" in refusal(base)


def test_a_weight_file_that_is_something_else_is_named(base: Path):
    path = base / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert f"{path} is damaged" in refusal(base)


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_damaged_configuration_is_named(base: Path, content: str):
    (base / "unet" / "config.json").write_text(content)
    assert "unet/config.json is not" in refusal(base)


def test_a_missing_configuration_is_named(base: Path):
    (base / "vae" / "config.json").unlink()
    assert "vae/config.json is missing" in refusal(base)


def test_a_folder_without_an_index_is_refused(tmp_path: Path):
    assert "model_index.json is missing" in refusal(tmp_path)


def test_a_folder_of_pickles_is_refused(tmp_path: Path):
    (tmp_path / "v1-5.ckpt").write_bytes(b"\0")
    assert "pickle files" in refusal(tmp_path)


def test_the_folder_of_a_lora_is_refused(tmp_path: Path):
    safetensors(tmp_path / "pytorch_lora_weights.safetensors", "a")
    assert "is a LoRA" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("tensor", "title"),
    [
        ("model.diffusion_model.joint_blocks.0.x", "not built as Stable Diffusion 3 is"),
        ("double_blocks.0.x", "not built as FLUX is"),
        ("weight", "unknown kind"),
    ],
)
def test_a_single_file_that_is_no_base_model_is_told(tmp_path: Path, tensor: str, title: str):
    assert title in refusal(safetensors(tmp_path / "base.safetensors", tensor))


def test_a_lora_in_place_of_a_base_model_is_told(tmp_path: Path):
    assert "is a LoRA" in refusal(safetensors(tmp_path / "a.safetensors", "lora_unet_a.alpha"))


def test_a_pickle_in_place_of_a_base_model_is_refused(tmp_path: Path):
    (tmp_path / "base.ckpt").write_bytes(b"\0")
    assert "pickle" in refusal(tmp_path / "base.ckpt")


def test_downloading_a_folder_is_finding_it(tiny: Path):
    assert list(download(look_at(str(tiny)))) == [DownloadFinished(tiny)]


def test_the_builtin_name_means_the_folder_in_the_package(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hub, "_builtin_folder", lambda: tiny)
    for name in (BUILTIN, "creatures"):
        files = look_at(name)
        assert files.is_builtin
        assert files.folder == tiny


@pytest.mark.parametrize(
    "reference", ["", " ", "nonsense", "a/b/c", "./missing", "a/b@../../c", "~nobody/x", "x" * 5000]
)
def test_what_cannot_be_a_name_is_not_found(reference: str, tmp_path: Path):
    with pytest.raises(BaseModelNotFound, match="Check the spelling"):
        look_at(reference, Hub(endpoint="http://127.0.0.1:1", cache=tmp_path))


def test_a_misspelt_name_gets_the_nearest_ones(tmp_path: Path):
    with pytest.raises(BaseModelNotFound, match=f"Do you mean {BUILTIN}"):
        look_at("creature", Hub(endpoint="http://127.0.0.1:1", cache=tmp_path))


def test_looking_at_a_folder_loads_neither_torch_nor_the_hubs_library(tiny: Path):
    program = (
        "import sys; from modelgenerator.diffusion.hub import look_at; look_at(sys.argv[1]); "
        "print({'torch', 'diffusers', 'transformers', 'huggingface_hub'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tiny], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_the_embedded_base_model_says_its_licence():
    assert look_at(BUILTIN).licence == "apache-2.0"

"""What the header of a single file tells, on files with next to nothing in them."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.hub import look_at
from modelgenerator.diffusion.tensor_files import read_tensors
from modelgenerator.errors import BaseModelUnsupported

TEXT = {
    FamilyName.STABLE_DIFFUSION_1: "cond_stage_model.transformer.text_model.x",
    FamilyName.STABLE_DIFFUSION_2: "cond_stage_model.model.x",
    FamilyName.STABLE_DIFFUSION_XL: "conditioner.embedders.1.model.x",
}
XL = FamilyName.STABLE_DIFFUSION_XL
NORM = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"
ENTRANCE = "model.diffusion_model.input_blocks.0.0.weight"


def written(
    folder: Path,
    family: FamilyName,
    metadata: Mapping[str, str] | None = None,
    more: Mapping[str, torch.Tensor] | None = None,
    without: str | None = None,
) -> Path:
    """A file with the names of a base model, an autoencoder of four levels, a U-Net of three."""
    names = [TEXT[family]]
    names += [f"first_stage_model.encoder.down.{level}.x" for level in range(4)]
    names += [f"model.diffusion_model.input_blocks.{block}.0.op.weight" for block in (3, 6)]
    tensors = {name: torch.zeros(1) for name in names}
    tensors |= {ENTRANCE: torch.zeros(2, 4, 3, 3), **(more or {})}
    kept = {n: t for n, t in tensors.items() if not (without and n.startswith(without))}
    path = folder / "base.safetensors"
    save_file(kept, path, dict(metadata or {}))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(BaseModelUnsupported) as told:
        look_at(str(path))
    return str(told.value)


@pytest.mark.parametrize("family", TEXT)
def test_a_base_model_is_told_by_its_text_encoder(tmp_path: Path, family: FamilyName):
    found = look_at(str(written(tmp_path, family)))
    assert (found.family, found.prediction_type) == (family, "epsilon")
    assert found.size_step == 32
    assert found.native_size == (1024 if family is XL else 512)
    assert found.size_bytes == found.folder.stat().st_size  # type: ignore[union-attr]


@pytest.mark.parametrize("key", ["modelspec.prediction_type", "modelspec.predict_key"])
@pytest.mark.parametrize(("word", "meant"), [("v", "v_prediction"), ("epsilon", "epsilon")])
def test_the_metadata_says_what_is_predicted(tmp_path: Path, key: str, word: str, meant: str):
    assert look_at(str(written(tmp_path, XL, {key: word}))).prediction_type == meant


def test_a_tensor_says_that_v_is_predicted_whatever_the_metadata_say(tmp_path: Path):
    said = {"modelspec.prediction_type": "epsilon"}
    path = written(tmp_path, XL, said, {"v_pred": torch.zeros(1)})
    assert look_at(str(path)).prediction_type == "v_prediction"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("spread", "meant"), [(0.15, "v_prediction"), (0.03, "epsilon")])
def test_the_two_kinds_of_version_2_are_told_by_a_norm(
    tmp_path: Path, dtype: torch.dtype, spread: float, meant: str
):
    bias = torch.tensor([-spread, spread], dtype=dtype)
    found = look_at(str(written(tmp_path, FamilyName.STABLE_DIFFUSION_2, more={NORM: bias})))
    assert found.prediction_type == meant
    assert found.native_size == (768 if meant == "v_prediction" else 512)
    one = look_at(str(written(tmp_path, FamilyName.STABLE_DIFFUSION_1, more={NORM: bias})))
    assert one.prediction_type == "epsilon"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_numbers_of_a_small_tensor_are_read(tmp_path: Path, dtype: torch.dtype):
    path = written(tmp_path, XL, more={"small": torch.tensor([0.5, -2.0], dtype=dtype)})
    assert read_tensors(path).numbers("small") == [0.5, -2.0]


def test_the_metadata_say_the_native_size(tmp_path: Path):
    path = written(tmp_path, XL, {"modelspec.resolution": "512x768"})
    assert look_at(str(path)).native_size == 768


def test_noise_of_another_kind_is_refused(tmp_path: Path):
    assert "EDM" in refusal(written(tmp_path, XL, more={"edm_mean": torch.zeros(4)}))


@pytest.mark.parametrize(
    ("prefix", "part"), [("first_stage_model", "autoencoder"), ("model.", "denoiser")]
)
def test_a_file_without_a_part_is_refused_by_its_name(tmp_path: Path, prefix: str, part: str):
    assert f"it has no {part}" in refusal(written(tmp_path, XL, without=prefix))


def test_a_base_model_for_inpainting_is_refused(tmp_path: Path):
    assert "inpainting" in refusal(written(tmp_path, XL, more={ENTRANCE: torch.zeros(2, 9, 3, 3)}))


def test_a_copy_of_a_file_is_the_same_base_model_and_a_changed_one_is_not(tmp_path: Path):
    def weights(changed: int | None = None) -> dict[str, torch.Tensor]:
        numbers_N: NDArray[np.float32] = np.zeros(1_000_000, np.float32)
        if changed is not None:
            numbers_N[changed:] += 1
        return {"weights": torch.from_numpy(numbers_N)}

    one = written(tmp_path, XL, more=weights())
    first = look_at(str(one)).revision
    (tmp_path / "copy").mkdir()
    copy = shutil.copy(one, tmp_path / "copy" / "other-name.safetensors")
    assert look_at(str(copy)).revision == first
    assert first is not None
    assert look_at(str(written(tmp_path, XL, more=weights(500_000)))).revision != first
    assert look_at(str(written(tmp_path, XL, {"a": "b"}, weights()))).revision != first

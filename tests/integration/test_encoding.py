"""What is computed once: found again by what it was made of, and by nothing else."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.examples import plan_for

from modelgenerator.datasets.prepare import PreparedDataset, prepare
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.training.cache import ContentCache
from modelgenerator.training.events import PictureEncoded
from modelgenerator.training.latents import EncodedDataset, encode


@pytest.fixture
def folder(photos: PreparedDataset, tmp_path: Path) -> Path:
    """The photos, to be changed."""
    copy = tmp_path / "photos"
    shutil.copytree(photos.pictures[0].path.parent, copy)
    return copy


@pytest.fixture
def cache(tmp_path: Path) -> ContentCache:
    return ContentCache(tmp_path / "cache")


Encoder = Callable[..., tuple[EncodedDataset, list[bool]]]


@pytest.fixture
def encoded(tiny_files: BaseModelFiles, tiny_base: ModelFamily, cache: ContentCache) -> Encoder:
    """The dataset, and which of its pictures were found."""

    def encode_it(folder: Path, base: ModelFamily = tiny_base, **settings: Any):
        dataset = prepare(folder, caption_prefix="lvff")
        planned = plan_for(dataset, tiny_files, **{"resolution": 64, **settings})
        events = encode(planned, dataset.pictures, base, cache)
        found: list[bool] = []
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                return end.value, found
            assert isinstance(event, PictureEncoded)
            found.append(event.from_cache)

    return encode_it


def test_pictures_are_encoded_once(encoded: Encoder, folder: Path):
    first, found = encoded(folder)
    assert found == [False] * 5
    again, found = encoded(folder)
    assert found == [True] * 5
    for one, other in zip(first.pictures, again.pictures, strict=True):
        assert torch.equal(one.mean_MCHW, other.mean_MCHW)
        assert torch.equal(one.deviation_MCHW, other.deviation_MCHW)


def test_pictures_are_found_under_other_names(encoded: Encoder, folder: Path):
    encoded(folder)
    for picture in folder.glob("*.png"):
        picture.rename(picture.with_stem(f"renamed {picture.stem}"))
    assert encoded(folder)[1] == [True] * 5


def test_a_changed_picture_under_its_old_name_is_encoded_anew(encoded: Encoder, folder: Path):
    encoded(folder)
    Image.new("RGB", (64, 64), (1, 2, 3)).save(folder / "1.png")
    assert encoded(folder)[1] == [True, False, True, True, True]


@pytest.mark.parametrize("change", [{"resolution": 128}, {"flipAug": True}])
def test_other_pixels_of_the_same_file_are_encoded_anew(
    encoded: Encoder, folder: Path, change: dict[str, object]
):
    encoded(folder)
    assert encoded(folder, **change)[1] == [False] * 5


def test_another_autoencoder_encodes_anew(
    encoded: Encoder,
    folder: Path,
    tiny_files: BaseModelFiles,
    load_files: Callable[[BaseModelFiles], ModelFamily],
):
    encoded(folder)
    base = load_files(tiny_files)
    with torch.no_grad():
        next(base._vae.parameters()).flatten()[0].add_(1e-3)  # type: ignore[attr-defined]
    assert encoded(folder, base)[1] == [False] * 5


def test_the_same_base_model_loaded_again_finds_everything(
    encoded: Encoder,
    folder: Path,
    tiny_files: BaseModelFiles,
    load_files: Callable[[BaseModelFiles], ModelFamily],
):
    encoded(folder)
    assert encoded(folder, load_files(tiny_files))[1] == [True] * 5


def test_the_mirror_image_is_encoded_and_not_the_latents_mirrored(
    encoded: Encoder, folder: Path, tiny_base: ModelFamily
):
    first = encoded(folder, flipAug=True)[0].pictures[0]
    pixels_HW3 = np.asarray(Image.open(folder / "0.png"))[:, ::-1].copy()
    mirrored_13HW = torch.from_numpy(pixels_HW3).float().permute(2, 0, 1)[None] / 127.5 - 1
    posterior = tiny_base.encode_pictures(mirrored_13HW)
    assert len(first.mean_MCHW) == 2
    torch.testing.assert_close(first.mean_MCHW[1], posterior.mean_BCHW[0])
    assert not torch.allclose(first.mean_MCHW[1], first.mean_MCHW[0].flip(-1), atol=1e-3)


def test_conditioning_is_kept_only_for_a_text_encoder_that_stays_as_it_is(
    encoded: Encoder, folder: Path
):
    assert encoded(folder)[0].pictures[0].prompt.conditioning is None
    assert encoded(folder, trainUnetOnly=True)[0].pictures[0].prompt.conditioning is not None


def test_a_damaged_file_of_the_cache_is_made_again(encoded: Encoder, folder: Path, tmp_path: Path):
    first, _ = encoded(folder)
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(file.read_bytes()[:-3])
    again, found = encoded(folder)
    assert found == [False] * 5
    assert torch.equal(first.pictures[4].mean_MCHW, again.pictures[4].mean_MCHW)
    assert all(load_file(file) for file in (tmp_path / "cache").iterdir())

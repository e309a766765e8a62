"""What is computed once: found again by what it was made of, and by nothing else."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.examples import plan_for

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.masks import MaskShades
from modelgenerator.datasets.prepare import Preparation, PreparedDataset, prepare
from modelgenerator.datasets.sources import FolderFile
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import BaseModelUnsupported, UnusableMask
from modelgenerator.notices import Notice
from modelgenerator.training.events import Noticed, PictureEncoded
from modelgenerator.training.latents import EncodedDataset, encode


@pytest.fixture
def folder(photos: PreparedDataset, tmp_path: Path) -> Path:
    """The photos, to be changed."""
    copy = tmp_path / "photos"
    first = photos.pictures[0].file
    assert isinstance(first, FolderFile)
    shutil.copytree(first.path.parent, copy)
    return copy


@pytest.fixture
def cache(tmp_path: Path) -> ContentCache:
    return ContentCache(tmp_path / "cache")


Encoder = Callable[..., tuple[EncodedDataset, list[bool]]]


@pytest.fixture
def encoded(tiny_files: BaseModelFiles, tiny_base: ModelFamily, cache: ContentCache) -> Encoder:
    """The dataset, and which of its pictures were found."""

    def encode_it(folder: Path, base: ModelFamily = tiny_base, **settings: Any):
        shades = MaskShades() if settings.get("maskedLoss") else None
        dataset = prepare(folder, Preparation(caption_prefix="lvff", shades=shades))
        planned = plan_for(dataset, tiny_files, **{"resolution": 64, **settings})
        events = encode(planned, dataset.pictures, base, cache)
        found: list[bool] = []
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                return end.value, found
            if isinstance(event, PictureEncoded):
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
    assert encoded(folder)[1] == [True] * 5


# --- masks


def half_white(folder: Path, name: str, size: tuple[int, int]) -> None:
    """White to the left."""
    shades_HW = np.zeros((size[1], size[0]), np.uint8)
    shades_HW[:, : size[0] // 2] = 255
    Image.fromarray(shades_HW).save(folder / name)


def test_a_mask_comes_on_the_latent_grid_and_mirrored_with_its_picture(
    encoded: Encoder, folder: Path
):
    half_white(folder, "0.mask.png", (64, 64))
    first, second = encoded(folder, maskedLoss=True, flipAug=True)[0].pictures[:2]
    left_HW = torch.zeros(8, 8)
    left_HW[:, :4] = 1
    assert torch.equal(first.mask_MHW, torch.stack([left_HW, left_HW.flip(-1)]))
    assert torch.equal(second.mask_MHW, torch.ones(2, 8, 8))


def test_a_mask_is_averaged_over_each_place_of_the_latent_grid(encoded: Encoder, folder: Path):
    shades_HW = np.zeros((64, 64), np.uint8)
    shades_HW[:2, :8], shades_HW[8:10, 8:10] = 200, 255
    Image.fromarray(shades_HW).save(folder / "0.mask.png")
    (mask_HW,) = encoded(folder, maskedLoss=True)[0].pictures[0].mask_MHW
    assert mask_HW[0, 0].item() == pytest.approx(200 / 255 / 4)
    assert mask_HW[1, 1].item() == pytest.approx(4 / 64)
    assert mask_HW.sum() == mask_HW[0, 0] + mask_HW[1, 1]


def test_without_masked_loss_no_picture_has_a_mask(encoded: Encoder, folder: Path):
    half_white(folder, "0.mask.png", (64, 64))
    assert encoded(folder)[0].pictures[0].mask_MHW is None


def test_masks_do_not_change_what_is_found_in_the_cache(encoded: Encoder, folder: Path):
    encoded(folder)
    half_white(folder, "0.mask.png", (64, 64))
    assert encoded(folder, maskedLoss=True)[1] == [True] * 5


def test_a_mask_of_which_nothing_is_left_is_refused(encoded: Encoder, folder: Path):
    shades_HW = np.zeros((64, 640), np.uint8)
    shades_HW[:, :4] = 255
    Image.fromarray(shades_HW).save(folder / "0.mask.png")
    Image.new("RGB", (640, 64)).save(folder / "0.png")
    with pytest.raises(UnusableMask, match=r"Nothing of 0\.png would be learnt"):
        encoded(folder, maskedLoss=True)


# --- validation


def test_what_is_kept_out_is_encoded_apart_and_not_mirrored(encoded: Encoder, folder: Path):
    dataset, found = encoded(folder, validationSplit=0.4, flipAug=True)
    assert (len(dataset.pictures), len(dataset.validation), len(found)) == (3, 2, 5)
    assert {len(picture.mean_MCHW) for picture in dataset.pictures} == {2}
    assert {len(picture.mean_MCHW) for picture in dataset.validation} == {1}
    names = {picture.name for picture in (*dataset.pictures, *dataset.validation)}
    assert names == {f"{number}.png" for number in range(5)}


# --- what is wrong, or will not be seen


def told(base: ModelFamily, files: BaseModelFiles, folder: Path) -> list[Notice]:
    dataset = prepare(folder)
    planned = plan_for(dataset, files, resolution=64)
    events = list(encode(planned, dataset.pictures, base, ContentCache(None)))
    return [event.notice for event in events if isinstance(event, Noticed)]


def test_a_caption_that_is_too_long_is_told_with_what_is_not_seen(
    folder: Path, tiny_files: BaseModelFiles, tiny_base: ModelFamily
):
    # the tiny tokenizer makes a token of each letter, and two of 77 are marks
    (folder / "3.txt").write_text("a" * 75 + "Unseen")
    (notice,) = told(tiny_base, tiny_files, folder)
    assert notice.level == "warning"
    assert notice.message == (
        "The caption of 3.png is too long: the base model reads 75 tokens of it. "
        "The last 6 are cut off, so it never sees: Unseen"
    )


def test_a_caption_that_just_fits_is_no_reason_to_speak(
    folder: Path, tiny_files: BaseModelFiles, tiny_base: ModelFamily
):
    (folder / "3.txt").write_text("a" * 75)
    assert told(tiny_base, tiny_files, folder) == []


def test_of_a_caption_of_ten_thousand_letters_only_the_beginning_of_the_rest_is_quoted(
    folder: Path, tiny_files: BaseModelFiles, tiny_base: ModelFamily
):
    (folder / "3.txt").write_text("a" * 10_000)
    (notice,) = told(tiny_base, tiny_files, folder)
    assert "The last 9925 are cut off" in notice.message
    assert notice.message.endswith(f"{'a' * 80} ...")


def test_latents_that_are_no_numbers_are_refused_with_the_name_of_the_picture(
    encoded: Encoder,
    folder: Path,
    tiny_files: BaseModelFiles,
    load_files: Callable[[BaseModelFiles], ModelFamily],
    tmp_path: Path,
):
    base = load_files(tiny_files)
    with torch.no_grad():
        next(base._vae.parameters()).fill_(torch.nan)  # type: ignore[attr-defined]
    with pytest.raises(BaseModelUnsupported, match=r"0\.png into what is not a number"):
        encoded(folder, base)
    assert not list((tmp_path / "cache").glob("*"))

"""The arithmetic of drawing, at the sizes of real files."""

import dataclasses

import pytest
from tests.examples import SD15, base_files, flux_files

from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.diffusion.detection import NeededFile
from modelgenerator.diffusion.hub import look_at
from modelgenerator.generation.memory import drawing_bytes

FLUX = dataclasses.replace(
    flux_files(),
    needed=(
        NeededFile("transformer/diffusion_pytorch_model.safetensors", 23_800_000_000),
        NeededFile("text_encoder/model.safetensors", 246_000_000),
        NeededFile("text_encoder_2/model.safetensors", 9_520_000_000),
        NeededFile("vae/diffusion_pytorch_model.safetensors", 168_000_000),
    ),
)


def test_flux_draws_on_forty_gigabytes_and_not_on_twenty_four():
    assert 24e9 < drawing_bytes(FLUX, "bf16", width=1024, height=1024) < 40e9


def test_stable_diffusion_draws_on_six():
    assert 3e9 < drawing_bytes(SD15, "fp16", width=512, height=512) < 6e9


def test_a_larger_picture_needs_more_to_be_decoded():
    at_512, at_1024 = (drawing_bytes(SD15, "fp16", width=side, height=side) for side in (512, 1024))
    decoding = (at_1024 - at_512) / 3
    assert decoding == pytest.approx(10 * 4 * 128 * 512 * 512, rel=0.01)


def test_half_precision_halves_all_but_the_autoencoder():
    half, whole = (drawing_bytes(SD15, dtype, width=64, height=64) for dtype in ("fp16", "fp32"))
    assert whole - half == pytest.approx((3_438_000_000 + 492_000_000) / 2, rel=0.01)


def test_the_embedded_base_model_hardly_needs_any():
    assert 0 < drawing_bytes(look_at(BUILTIN), "fp16", width=64, height=64) < 1e9


def test_of_files_that_nobody_knows_nothing_is_said():
    assert drawing_bytes(base_files(), "fp16", width=512, height=512) == 0

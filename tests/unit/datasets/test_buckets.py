import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data as photographs

from modelgenerator.datasets.buckets import bucket_sizes, fit, is_upscaled, nearest_bucket

steps = st.sampled_from([8, 16, 32, 64])
resolutions = st.integers(64, 2048)
sides = st.integers(16, 5000)


@given(resolutions, steps)
def test_every_bucket_keeps_step_area_and_sides(resolution: int, step: int):
    for width, height in bucket_sizes(resolution, step):
        assert width % step == 0
        assert height % step == 0
        assert width * height <= resolution**2
        assert max(width, height) <= 2 * resolution


@given(resolutions, steps)
def test_buckets_are_distinct_sorted_and_mirrored(resolution: int, step: int):
    sizes = bucket_sizes(resolution, step)
    assert sizes == sorted(set(sizes))
    assert {(height, width) for width, height in sizes} == set(sizes)


@given(resolutions, steps)
def test_the_square_is_always_a_bucket(resolution: int, step: int):
    side = resolution // step * step
    assert (side, side) in bucket_sizes(resolution, step)


def test_the_buckets_of_512_are_the_known_ones():
    sizes = bucket_sizes(512, 64)
    assert {(256, 1024), (384, 640), (512, 512), (640, 384), (1024, 256)} <= set(sizes)


def test_a_resolution_of_one_step_has_one_bucket():
    assert bucket_sizes(32, 32) == [(32, 32)]


@given(sides, sides, resolutions, steps)
def test_the_nearest_bucket_is_nearest_in_shape(
    width: int, height: int, resolution: int, step: int
):
    buckets = bucket_sizes(resolution, step)
    chosen = nearest_bucket(width, height, buckets)

    def distance(size: tuple[int, int]) -> float:
        return abs(math.log(width / height) - math.log(size[0] / size[1]))

    assert distance(chosen) <= min(map(distance, buckets)) + 1e-6


@given(sides, sides, st.randoms())
def test_the_order_of_buckets_does_not_matter(width: int, height: int, random):
    buckets = bucket_sizes(512, 64)
    shuffled = random.sample(buckets, len(buckets))
    assert nearest_bucket(width, height, shuffled) == nearest_bucket(width, height, buckets)


@given(st.integers(16, 300), st.integers(16, 300), st.sampled_from(bucket_sizes(128, 16)))
def test_a_fitted_picture_has_the_size_of_its_bucket(
    width: int, height: int, size: tuple[int, int]
):
    fitted_HW3 = fit(np.zeros((height, width, 3), np.uint8), size)
    assert fitted_HW3.shape == (size[1], size[0], 3)
    assert fitted_HW3.dtype == np.uint8


@pytest.mark.slow
@given(st.integers(16, 200), st.integers(16, 200), st.sampled_from(bucket_sizes(128, 16)))
def test_one_colour_stays_that_colour(width: int, height: int, size: tuple[int, int]):
    plain_HW3 = np.full((height, width, 3), (3, 250, 127), np.uint8)
    assert np.unique(fit(plain_HW3, size).reshape(-1, 3), axis=0).tolist() == [[3, 250, 127]]


def pixel_art(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_a_picture_of_the_buckets_size_comes_through_bit_for_bit():
    art_HW3 = pixel_art(48, 32)
    assert np.array_equal(fit(art_HW3, (48, 32)), art_HW3)


@pytest.mark.parametrize("times", [2, 3, 7, 10, 16, 24])
def test_enlarged_pixel_art_comes_back_as_it_was_drawn(times: int):
    art_HW3 = pixel_art(32, 32)
    enlarged_HW3 = art_HW3.repeat(times, axis=0).repeat(times, axis=1)
    assert np.array_equal(fit(enlarged_HW3, (32, 32)), art_HW3)


@pytest.mark.parametrize(("width", "height"), [(41, 32), (40, 32), (32, 45)])
def test_enlarged_pixel_art_is_cut_between_its_pixels(width: int, height: int):
    art_HW3 = pixel_art(width, height)
    enlarged_HW3 = art_HW3.repeat(10, axis=0).repeat(10, axis=1)
    left, top = (width - 32) // 2, (height - 32) // 2
    assert np.array_equal(fit(enlarged_HW3, (32, 32)), art_HW3[top : top + 32, left : left + 32])


def test_the_centre_is_kept():
    wide_HW3 = np.zeros((64, 192, 3), np.uint8)
    wide_HW3[:, 64:128] = 255
    assert fit(wide_HW3, (32, 32)).min() == 255


def test_a_photograph_keeps_its_brightness_when_reduced():
    astronaut_HW3 = photographs.astronaut()
    reduced_HW3 = fit(astronaut_HW3, (200, 200))
    assert abs(reduced_HW3.mean() - astronaut_HW3.mean()) < 0.5


def test_a_long_strip_is_enlarged_without_enlarging_what_is_cut_off():
    strip_HW3 = np.zeros((16, 1_000_000, 3), np.uint8)
    assert fit(strip_HW3, (1024, 256)).shape == (256, 1024, 3)


def test_upscaling_is_told():
    assert is_upscaled(100, 400, (128, 256))
    assert not is_upscaled(128, 400, (128, 256))

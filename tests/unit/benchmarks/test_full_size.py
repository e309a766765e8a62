import pytest
import torch
from full_size import DENOISERS, RESOLUTIONS
from train_step import FAMILIES


@pytest.mark.parametrize(
    ("family", "parameters"),
    [("sd15", 859_520_964), ("sdxl", 2_567_463_684), ("flux", 11_901_408_320)],
)
def test_a_denoiser_has_as_many_numbers_as_the_published_one(family: str, parameters: int):
    with torch.device("meta"):
        denoiser = DENOISERS[family]()
    assert sum(p.numel() for p in denoiser.parameters()) == parameters


def test_every_family_that_can_be_chosen_can_be_made():
    assert set(FAMILIES) == set(DENOISERS) == set(RESOLUTIONS)

import pytest

from modelgenerator.training.findings import (
    PATIENCE,
    cut_rank,
    no_room_for_samples,
    stuck_step_size,
)


@pytest.mark.parametrize(
    ("optimizer", "cure"),
    [("Prodigy", "d0 or dCoef"), ("DAdaptation", "d0"), ("DAdaptAdam", "d0")],
)
def test_a_step_size_that_did_not_grow_is_told_with_the_cure(optimizer: str, cure: str):
    notice = stuck_step_size(optimizer, step=PATIENCE, d=1e-6, first_d=1e-6)
    assert notice is not None
    assert (notice.level, notice.setting) == ("warning", "d0")
    assert f"raise {cure}, and" in notice.message
    assert "1e-06" in notice.message


def test_a_step_size_that_grew_is_no_news():
    assert stuck_step_size("Prodigy", step=PATIENCE, d=2e-6, first_d=1e-6) is None


@pytest.mark.parametrize("step", [1, PATIENCE - 1, PATIENCE + 1])
def test_it_is_told_once(step: int):
    assert stuck_step_size("Prodigy", step=step, d=1e-6, first_d=1e-6) is None


@pytest.mark.parametrize("optimizer", ["AdamW", "AdamW8bit", "AdaFactor"])
def test_an_optimizer_that_finds_no_step_size_is_never_stuck(optimizer: str):
    assert stuck_step_size(optimizer, step=PATIENCE, d=1.0, first_d=1.0) is None


def test_layers_with_a_side_below_the_rank_are_counted():
    notice = cut_rank(64, {"conv_in": 4, "conv_out": 4}, layers=30)
    assert notice is not None
    assert (notice.level, notice.setting) == ("info", "networkDim")
    assert notice.message.startswith("2 of 30 layers have a side smaller than 64")


def test_a_rank_that_fits_everywhere_is_no_news():
    assert cut_rank(4, {}, layers=30) is None


def test_samples_without_room_are_told_with_the_cure():
    notice = no_room_for_samples(3, 512)
    assert (notice.level, notice.setting) == ("warning", "sampleEvery")
    for words in ("epoch 3 at 512 x 512", "goes on", "lower resolution", "saveEvery"):
        assert words in notice.message

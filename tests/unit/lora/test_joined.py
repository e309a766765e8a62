"""Taking layers apart and putting them together changes no answer, and often not a bit."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from modelgenerator.lora.joined import (
    ALONE,
    QUERY_KEY_VALUE,
    QUERY_KEY_VALUE_AND_MLP,
    SHIFT_AND_SCALE,
    Correction,
    Joint,
    join,
    split,
)

WIDTH = 6
SIZES: dict[str, tuple[Joint, tuple[int, ...]]] = {
    "query, key, value": (QUERY_KEY_VALUE, (4, 4, 4)),
    "and feed-forward": (QUERY_KEY_VALUE_AND_MLP, (WIDTH, WIDTH, WIDTH, 4 * WIDTH)),
    "shift and scale": (SHIFT_AND_SCALE, (2 * WIDTH,)),
    "alone": (ALONE, (5,)),
}
ranks = st.integers(1, 5)
alphas = st.sampled_from([0.5, 1.0, 3.0, 4.0, 7.25])


def drawn(outputs: int, rank: int, alpha: float, seed: int, inputs: int = WIDTH) -> Correction:
    g = torch.Generator().manual_seed(seed)
    return Correction(
        down_RI=torch.randn(rank, inputs, generator=g),
        up_OR=torch.randn(outputs, rank, generator=g),
        kernel=(),
        alpha=alpha,
    )


def delta(correction: Correction | None, outputs: int) -> Tensor:
    if correction is None:
        return torch.zeros(outputs, WIDTH)
    return correction.scale * correction.up_OR.double() @ correction.down_RI.double()


@pytest.mark.parametrize("kind", SIZES)
@given(rank=ranks, alpha=alphas, seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_pieces_of_a_layer_do_together_what_it_did(
    kind: str, rank: int, alpha: float, seed: int
):
    joint, sizes = SIZES[kind]
    joined = drawn(sum(sizes), rank, alpha, seed)
    pieces = split(joined, joint)
    whole = delta(joined, sum(sizes))
    for piece, rows in zip(pieces, joint.rows(sum(sizes), WIDTH), strict=True):
        assert piece is not None
        assert piece.rank == rank
        assert torch.equal(delta(piece, len(rows)), whole[rows])
    again = join(pieces, joint)
    assert torch.equal(again.down_RI, joined.down_RI)
    assert torch.equal(again.up_OR, joined.up_OR)
    assert again.alpha == joined.alpha


@pytest.mark.parametrize("kind", ["query, key, value", "and feed-forward"])
@given(
    numbers=st.lists(st.none() | st.tuples(ranks, alphas), min_size=4, max_size=4).filter(
        lambda numbers: any(numbers[:3])
    ),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_joined_pieces_of_any_rank_and_alpha_do_what_they_did(
    kind: str, numbers: list[tuple[int, float] | None], seed: int
):
    joint, sizes = SIZES[kind]
    pieces = [
        drawn(size, one[0], one[1], seed + place) if one else None
        for place, (size, one) in enumerate(zip(sizes, numbers, strict=False))
    ]
    joined = join(pieces, joint)
    there = [delta(piece, size) for piece, size in zip(pieces, sizes, strict=True)]
    torch.testing.assert_close(delta(joined, sum(sizes)), torch.cat(there), rtol=1e-6, atol=1e-6)
    again = [delta(p, size) for p, size in zip(split(joined, joint), sizes, strict=True)]
    torch.testing.assert_close(torch.cat(again), torch.cat(there), rtol=1e-6, atol=1e-6)


@given(rank=ranks, alpha=alphas, seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_pieces_of_one_rank_come_back_bit_for_bit(rank: int, alpha: float, seed: int):
    pieces = [drawn(4, rank, alpha, seed + place) for place in range(3)]
    joined = join(pieces, QUERY_KEY_VALUE)
    assert joined.rank == 3 * rank
    for piece, again in zip(pieces, split(joined, QUERY_KEY_VALUE), strict=True):
        assert again is not None
        assert torch.equal(again.down_RI, piece.down_RI)
        assert torch.equal(again.up_OR, piece.up_OR)
        assert again.alpha == pytest.approx(piece.alpha, rel=1e-15)


def test_a_layer_of_which_one_piece_was_trained_gives_that_piece_back():
    piece = drawn(4, 3, 3, 0)
    joined = join([None, piece, None], QUERY_KEY_VALUE)
    assert joined.up_OR.shape == (12, 3)
    query, key, value = split(joined, QUERY_KEY_VALUE)
    assert query is None
    assert value is None
    assert key is not None
    assert torch.equal(key.up_OR, piece.up_OR)


def test_a_layer_that_learned_nothing_keeps_all_its_pieces():
    joined = Correction(down_RI=torch.randn(3, WIDTH), up_OR=torch.zeros(12, 3), kernel=(), alpha=3)
    assert [p is not None and p.rank for p in split(joined, QUERY_KEY_VALUE)] == [3, 3, 3]


def test_a_norm_with_more_than_shift_and_scale_stays_as_it_is():
    joined = drawn(6 * WIDTH, 2, 2, 0)
    (same,) = split(joined, SHIFT_AND_SCALE)
    assert same is not None
    assert torch.equal(same.up_OR, joined.up_OR)


def test_sizes_that_fit_no_joint_are_refused():
    with pytest.raises(ValueError, match="not query, key and value"):
        split(drawn(10, 2, 2, 0), QUERY_KEY_VALUE)
    with pytest.raises(ValueError, match="not query, key, value and more"):
        split(drawn(3 * WIDTH, 2, 2, 0), QUERY_KEY_VALUE_AND_MLP)
    with pytest.raises(ValueError, match="inputs of different sizes"):
        join([drawn(4, 2, 2, 0), drawn(4, 2, 2, 0, inputs=7), None], QUERY_KEY_VALUE)
    with pytest.raises(ValueError, match="no layer together"):
        join([drawn(4, 2, 2, 0), drawn(5, 2, 2, 0), None], QUERY_KEY_VALUE)

"""Layers that one program joins and another keeps apart, and their corrections, exactly.

In: the correction of a joined layer, or those of its pieces.  Out: the other.  Where a program has
one layer for query, key and value, its output is theirs one below the other; so is its `up`.  Which
layers are joined is not known here, and no file.

Shapes: `down_RI` and `up_OR` with R the rank, I inputs, O outputs; see `layers.py`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One layer's matrices in fp32: delta W = alpha / rank * up * down."""

    down_RI: Tensor
    up_OR: Tensor
    kernel: tuple[int, ...]
    """Pixels that down sees, as (height, width); empty for what a file holds as plain matrices."""
    alpha: float
    precision: torch.dtype = torch.float32
    """In which a file holds the numbers, or shall hold them."""

    @property
    def rank(self) -> int:
        return self.down_RI.shape[0]

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


@dataclass(frozen=True, slots=True)
class Joint:
    """How the outputs of pieces make up those of one layer."""

    rows: Callable[[int, int], Sequence[Tensor]]
    """(outputs, inputs) of the joined layer -> which of its outputs are each piece's."""
    outputs: Callable[[Sequence[int], int], int]
    """(outputs of each piece, 0 where unknown; inputs) -> outputs of the joined layer."""


def split(joined: Correction, joint: Joint) -> list[Correction | None]:
    """The correction of each piece; `None` where it is zero and another piece's is not.

    All pieces share the rank and the down of `joined`, unless its up is block-diagonal: then each
    has its own block, as it had before `join`.

    Raises:
        ValueError: the outputs cannot be shared out so.
    """
    rows = joint.rows(joined.up_OR.shape[0], joined.down_RI.shape[1])
    blocks = _blocks(joined.up_OR, rows) or [slice(None)] * len(rows)
    pieces = [_piece(joined, own, block) for own, block in zip(rows, blocks, strict=True)]
    if not any(piece.up_OR.any() for piece in pieces):
        return list(pieces)
    return [piece if piece.up_OR.any() else None for piece in pieces]


def join(pieces: Sequence[Correction | None], joint: Joint) -> Correction:
    """The correction of the joined layer; where a piece has none it is zero.

    Pieces with the same down keep it, and the rank.  Others get the ranks of all together: their
    downs one below the other, and an up that is block-diagonal.

    Raises:
        ValueError: the pieces are of sizes that make no layer together.
    """
    there = [piece for piece in pieces if piece is not None]
    if len({(piece.down_RI.shape[1], piece.kernel) for piece in there}) > 1:
        raise ValueError("the pieces look at inputs of different sizes")
    outputs = [0 if piece is None else piece.up_OR.shape[0] for piece in pieces]
    inputs = there[0].down_RI.shape[1]
    rows = joint.rows(joint.outputs(outputs, inputs), inputs)
    own = [rows for rows, piece in zip(rows, pieces, strict=True) if piece is not None]
    if any(len(rows) != len(piece.up_OR) for rows, piece in zip(own, there, strict=True)):
        raise ValueError(f"outputs of {outputs} numbers make no layer together")
    total = sum(len(one) for one in rows)
    joined = _sharing(there, own, total) if _share_down(there) else _stacked(there, own, total)
    return replace(joined, precision=_widest(there))


def _piece(joined: Correction, rows: Tensor, block: slice) -> Correction:
    down_RI = joined.down_RI[block].clone()  # a safetensors file holds no tensor twice
    return replace(
        joined,
        down_RI=down_RI,
        up_OR=joined.up_OR[rows][:, block].clone(),
        alpha=joined.alpha * len(down_RI) / joined.rank,
    )


def _blocks(up_OR: Tensor, rows: Sequence[Tensor]) -> list[slice] | None:
    """The ranks of each piece when those are equally many and nobody else's; or else `None`."""
    ranks = up_OR.shape[1]
    if len(rows) == 1 or ranks % len(rows) or not up_OR.any():
        return None
    size = ranks // len(rows)
    blocks = [slice(start, start + size) for start in range(0, ranks, size)]
    for own, block in zip(rows, blocks, strict=True):
        others_OR = up_OR[own].clone()
        others_OR[:, block] = 0
        if others_OR.any():
            return None
    return blocks


def _share_down(pieces: Sequence[Correction]) -> bool:
    first = pieces[0]
    return all(
        piece.alpha == first.alpha
        and piece.down_RI.shape == first.down_RI.shape
        and torch.equal(piece.down_RI, first.down_RI)
        for piece in pieces[1:]
    )


def _sharing(pieces: Sequence[Correction], rows: Sequence[Tensor], outputs: int) -> Correction:
    first = pieces[0]
    up_OR = torch.zeros(outputs, first.rank)
    for piece, own in zip(pieces, rows, strict=True):
        up_OR[own] = piece.up_OR
    return replace(first, up_OR=up_OR)


def _stacked(pieces: Sequence[Correction], rows: Sequence[Tensor], outputs: int) -> Correction:
    rank = sum(piece.rank for piece in pieces)
    # the same scale for all as a rule; where not, what differs goes into the ups
    scale = max((piece.scale for piece in pieces), key=abs)
    up_OR = torch.zeros(outputs, rank)
    start = 0
    for piece, own in zip(pieces, rows, strict=True):
        factor = 1.0 if math.isclose(piece.scale, scale, rel_tol=1e-12) else piece.scale / scale
        up_OR[own, start : start + piece.rank] = piece.up_OR * factor
        start += piece.rank
    down_RI = torch.cat([piece.down_RI for piece in pieces])
    return replace(pieces[0], down_RI=down_RI, up_OR=up_OR, alpha=scale * rank)


def _widest(pieces: Sequence[Correction]) -> torch.dtype:
    precisions = {piece.precision for piece in pieces}
    return precisions.pop() if len(precisions) == 1 else torch.float32


def _all_rows(outputs: int, inputs: int) -> list[Tensor]:  # noqa: ARG001
    return [torch.arange(outputs)]


def _thirds(outputs: int, inputs: int) -> list[Tensor]:  # noqa: ARG001
    if outputs % 3:
        raise ValueError(f"{outputs} outputs are not query, key and value")
    return list(torch.arange(outputs).chunk(3))


def _stream(outputs: int, inputs: int) -> list[Tensor]:
    if outputs <= 3 * inputs:
        raise ValueError(f"{outputs} outputs are not query, key, value and more")
    return list(torch.arange(outputs).split([inputs] * 3 + [outputs - 3 * inputs]))


def _halves_swapped(outputs: int, inputs: int) -> list[Tensor]:
    if outputs != 2 * inputs:
        return _all_rows(outputs, inputs)
    first, second = torch.arange(outputs).chunk(2)
    return [torch.cat([second, first])]


ALONE = Joint(_all_rows, lambda pieces, _: pieces[0])
QUERY_KEY_VALUE = Joint(_thirds, lambda pieces, _: 3 * max(pieces))
QUERY_KEY_VALUE_AND_MLP = Joint(
    _stream, lambda pieces, inputs: 3 * inputs + (pieces[3] or 4 * inputs)
)
"""FLUX's single blocks: as wide as the input each, the feed-forward part four times as a rule."""
SHIFT_AND_SCALE = Joint(_halves_swapped, lambda pieces, _: pieces[0])
"""Of a norm that ends a stream, diffusers has the scale before the shift, others after it.

One with more than these two outputs is the same for all.
Source: diffusers, loaders/single_file_utils.py, `swap_scale_shift`.
"""

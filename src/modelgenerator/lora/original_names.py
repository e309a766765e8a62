"""What the authors of a base model call its layers, where diffusers calls them otherwise.

In: a name with underscores, without the part.  Out: diffusers' name or names for the same layer,
and how they are joined; and the way back.  It knows no prefixes, no tensors and no files.

Source: the layers' names in generative-models (`input_blocks`), black-forest-labs/flux
(`double_blocks`), Stability-AI/sd3.5 (`joint_blocks`), and in diffusers' own classes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from modelgenerator.lora.joined import (
    ALONE,
    QUERY_KEY_VALUE,
    QUERY_KEY_VALUE_AND_MLP,
    SHIFT_AND_SCALE,
    Joint,
)


@dataclass(frozen=True, slots=True)
class Renaming:
    """`{n}` stands for a number, `{rest}` for everything that follows."""

    original: str
    diffusers: tuple[str, ...]
    joint: Joint = ALONE


@dataclass(frozen=True, slots=True)
class Place:
    """One layer as the authors call it, and which pieces of it diffusers has."""

    original: str
    pieces: tuple[str, ...]
    joint: Joint


@dataclass(frozen=True)
class OriginalNames:
    """All renamings of one architecture; the first that fits counts."""

    renamings: Sequence[Renaming]
    _read: list[tuple[re.Pattern[str], Renaming]] = field(init=False, repr=False, compare=False)
    _written: list[tuple[re.Pattern[str], Renaming]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_read", [(_pattern(r.original), r) for r in self.renamings])
        written = [(_pattern(name), r) for r in self.renamings for name in r.diffusers]
        object.__setattr__(self, "_written", written)

    def place_of_original(self, name: str) -> Place | None:
        """Where the authors' `name` belongs; `None` if they have no such layer."""
        return _place(name, self._read)

    def place_of(self, name: str) -> Place | None:
        """Where diffusers' `name` belongs; `None` if the authors call it so too."""
        return _place(name, self._written)


def _place(name: str, table: Sequence[tuple[re.Pattern[str], Renaming]]) -> Place | None:
    for pattern, renaming in table:
        if match := pattern.fullmatch(name):
            words = match.groupdict()
            pieces = tuple(_underscored(piece).format(**words) for piece in renaming.diffusers)
            return Place(_underscored(renaming.original).format(**words), pieces, renaming.joint)
    return None


@cache
def _pattern(template: str) -> re.Pattern[str]:
    text = re.escape(_underscored(template)).replace(r"\{n\}", r"(?P<n>\d+)")
    return re.compile(text.replace(r"\{rest\}", "(?P<rest>.+)"))


def _underscored(name: str) -> str:
    return name.replace(".", "_")


def _qkv(original: str, *pieces: str) -> Renaming:
    return Renaming(original, pieces, QUERY_KEY_VALUE)


def _one(original: str, diffusers: str, joint: Joint = ALONE) -> Renaming:
    return Renaming(original, (diffusers,), joint)


def _flux_stream(
    stream: str, attention: Renaming, out: str, feed_forward: str, norm: str
) -> list[Renaming]:
    block, ours = f"double_blocks.{{n}}.{stream}", "transformer_blocks.{n}"
    return [
        attention,
        _one(f"{block}_attn.proj", f"{ours}.attn.{out}"),
        _one(f"{block}_mlp.0", f"{ours}.{feed_forward}.net.0.proj"),
        _one(f"{block}_mlp.2", f"{ours}.{feed_forward}.net.2"),
        _one(f"{block}_mod.lin", f"{ours}.{norm}.linear"),
    ]


_TRIPLE = ("to_q", "to_k", "to_v")
_ADDED = ("add_q_proj", "add_k_proj", "add_v_proj")


def _attention(block: str, attention: str, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{block}.{attention}.{name}" for name in names)


FLUX = OriginalNames(
    [
        *_flux_stream(
            "img",
            _qkv(
                "double_blocks.{n}.img_attn.qkv",
                *_attention("transformer_blocks.{n}", "attn", _TRIPLE),
            ),
            "to_out.0",
            "ff",
            "norm1",
        ),
        *_flux_stream(
            "txt",
            _qkv(
                "double_blocks.{n}.txt_attn.qkv",
                *_attention("transformer_blocks.{n}", "attn", _ADDED),
            ),
            "to_add_out",
            "ff_context",
            "norm1_context",
        ),
        Renaming(
            "single_blocks.{n}.linear1",
            (
                *_attention("single_transformer_blocks.{n}", "attn", _TRIPLE),
                "single_transformer_blocks.{n}.proj_mlp",
            ),
            QUERY_KEY_VALUE_AND_MLP,
        ),
        _one("single_blocks.{n}.linear2", "single_transformer_blocks.{n}.proj_out"),
        _one("single_blocks.{n}.modulation.lin", "single_transformer_blocks.{n}.norm.linear"),
        _one("img_in", "x_embedder"),
        _one("txt_in", "context_embedder"),
        _one("time_in.in_layer", "time_text_embed.timestep_embedder.linear_1"),
        _one("time_in.out_layer", "time_text_embed.timestep_embedder.linear_2"),
        _one("vector_in.in_layer", "time_text_embed.text_embedder.linear_1"),
        _one("vector_in.out_layer", "time_text_embed.text_embedder.linear_2"),
        _one("guidance_in.in_layer", "time_text_embed.guidance_embedder.linear_1"),
        _one("guidance_in.out_layer", "time_text_embed.guidance_embedder.linear_2"),
        _one("final_layer.linear", "proj_out"),
        _one("final_layer.adaLN_modulation.1", "norm_out.linear", SHIFT_AND_SCALE),
    ]
)


def _joint_stream(
    stream: str, names: Sequence[str], out: str, feed_forward: str, norm: str
) -> list[Renaming]:
    block, ours = f"joint_blocks.{{n}}.{stream}", "transformer_blocks.{n}"
    return [
        _qkv(f"{block}.attn.qkv", *_attention(ours, "attn", names)),
        _one(f"{block}.attn.proj", f"{ours}.attn.{out}"),
        _one(f"{block}.mlp.fc1", f"{ours}.{feed_forward}.net.0.proj"),
        _one(f"{block}.mlp.fc2", f"{ours}.{feed_forward}.net.2"),
        _one(f"{block}.adaLN_modulation.1", f"{ours}.{norm}.linear", SHIFT_AND_SCALE),
    ]


STABLE_DIFFUSION_3 = OriginalNames(
    [
        *_joint_stream("x_block", _TRIPLE, "to_out.0", "ff", "norm1"),
        *_joint_stream("context_block", _ADDED, "to_add_out", "ff_context", "norm1_context"),
        _qkv(
            "joint_blocks.{n}.x_block.attn2.qkv",
            *_attention("transformer_blocks.{n}", "attn2", _TRIPLE),
        ),
        _one("joint_blocks.{n}.x_block.attn2.proj", "transformer_blocks.{n}.attn2.to_out.0"),
        _one("x_embedder.proj", "pos_embed.proj"),
        _one("t_embedder.mlp.0", "time_text_embed.timestep_embedder.linear_1"),
        _one("t_embedder.mlp.2", "time_text_embed.timestep_embedder.linear_2"),
        _one("y_embedder.mlp.0", "time_text_embed.text_embedder.linear_1"),
        _one("y_embedder.mlp.2", "time_text_embed.text_embedder.linear_2"),
        _one("final_layer.linear", "proj_out"),
        _one("final_layer.adaLN_modulation.1", "norm_out.linear", SHIFT_AND_SCALE),
    ]
)

_RESNET = {
    "in_layers.2": "conv1",
    "out_layers.3": "conv2",
    "emb_layers.1": "time_emb_proj",
    "skip_connection": "conv_shortcut",
}
_LEVELS = 4  # of a U-Net; more than any has


@cache
def unet(layers_per_block: int) -> OriginalNames:
    """A U-Net with `layers_per_block` resnets a level on the way down, one more on the way up."""
    return OriginalNames(
        [
            *_way_down(layers_per_block),
            *_resnet("middle_block.0", "mid_block.resnets.0"),
            _one("middle_block.1.{rest}", "mid_block.attentions.0.{rest}"),
            *_resnet("middle_block.2", "mid_block.resnets.1"),
            *_way_up(layers_per_block + 1),
            _one("input_blocks.0.0", "conv_in"),
            _one("out.2", "conv_out"),
            _one("time_embed.0", "time_embedding.linear_1"),
            _one("time_embed.2", "time_embedding.linear_2"),
            _one("label_emb.0.0", "add_embedding.linear_1"),
            _one("label_emb.0.2", "add_embedding.linear_2"),
        ]
    )


def _way_down(layers: int) -> list[Renaming]:
    table: list[Renaming] = []
    for level in range(_LEVELS):
        first = 1 + level * (layers + 1)
        sampler = f"down_blocks.{level}.downsamplers.0.conv"
        table.append(_one(f"input_blocks.{first + layers}.0.op", sampler))
        for layer in range(layers):
            table += _layer(f"input_blocks.{first + layer}", f"down_blocks.{level}", layer)
    return table


def _way_up(layers: int) -> list[Renaming]:
    table: list[Renaming] = []
    for level in range(_LEVELS):
        last = f"output_blocks.{(level + 1) * layers - 1}"
        sampler = f"up_blocks.{level}.upsamplers.0.conv"
        # after the attention, or in its place where a level has none
        table += [_one(f"{last}.2.conv", sampler), _one(f"{last}.1.conv", sampler)]
        for layer in range(layers):
            original = f"output_blocks.{level * layers + layer}"
            table += _layer(original, f"up_blocks.{level}", layer)
    return table


def _layer(original: str, level: str, layer: int) -> list[Renaming]:
    attention = _one(f"{original}.1.{{rest}}", f"{level}.attentions.{layer}.{{rest}}")
    return [attention, *_resnet(f"{original}.0", f"{level}.resnets.{layer}")]


def _resnet(original: str, ours: str) -> list[Renaming]:
    return [_one(f"{original}.{theirs}", f"{ours}.{name}") for theirs, name in _RESNET.items()]

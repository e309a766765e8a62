"""FLUX.1 and Stable Diffusion 3 in one file, as they were first published, with random weights.

In goes an empty folder, out come a diffusers folder and the tensors of a file with the same
weights under their authors' names: what is loaded from the file must answer as the folder does.
Sizes that leave no trace in the file, such as the width of an attention head, are the real ones.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from safetensors.torch import save_file
from tests.tiny_flux import flow_vae, t5_encoder, t5_tokenizer
from tests.tiny_single_file import original_vae
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from modelgenerator.diffusion.clip.tokenizer import clip_tokenizer

WIDTH, TOKENS, T5_WIDTH = 64, 600, 160
CLIPS, T5, VAE = "clips", "t5", "vae"
"""What a file may hold beside the transformer."""


@dataclass(frozen=True)
class TinyFlow:
    folder: Path
    pipeline: Any
    """diffusers' own, with the same weights."""

    def save(self, path: Path, *parts: str, prefix: str = "model.diffusion_model.") -> Path:
        """A file with the transformer and these `parts`."""
        tensors = {prefix + name: t for name, t in original(self.pipeline.transformer).items()}
        makers = {VAE: _vae, CLIPS: _clips, T5: _t5}
        for part in parts:
            tensors |= makers[part](self.pipeline)
        save_file({name: t.contiguous().clone() for name, t in tensors.items()}, path)
        return path


def save_tiny_flow(folder: Path, kind: str) -> TinyFlow:
    """`kind` is "dev", "schnell", "3" or "3.5"."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipeline = _flux(kind) if kind in ("dev", "schnell") else _sd3(kind)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(folder, safe_serialization=True)
    return TinyFlow(folder, pipeline)


def flux_transformer(*, dev: bool, heads: int = 1, **more: Any) -> FluxTransformer2DModel:
    usual = {"num_layers": 1, "num_single_layers": 2, "joint_attention_dim": T5_WIDTH}
    return FluxTransformer2DModel(
        num_attention_heads=heads,
        guidance_embeds=dev,
        **{**usual, "pooled_projection_dim": WIDTH, **more},
    ).eval()


def sd3_transformer(kind: str, *, heads: int = 1, **more: Any) -> SD3Transformer2DModel:
    usual = {
        "num_layers": 2,
        "joint_attention_dim": T5_WIDTH,
        "pooled_projection_dim": 2 * WIDTH,
        "pos_embed_max_size": 16,
        "dual_attention_layers": (0,) if kind == "3.5" else (),
    }
    return SD3Transformer2DModel(
        num_attention_heads=heads,
        caption_projection_dim=64 * heads,
        qk_norm="rms_norm" if kind == "3.5" else None,
        **{**usual, **more},
    ).eval()


def _flux(kind: str) -> FluxPipeline:
    moving = {"base_shift": 0.5, "max_shift": 1.15, "use_dynamic_shifting": True, "shift": 3.0}
    return FluxPipeline(
        vae=flow_vae(shift=0.1159, scale=0.3611, groups=32),
        text_encoder=CLIPTextModel(_text_config("quick_gelu")).eval(),
        tokenizer=clip_tokenizer(TOKENS, pad="<|endoftext|>"),
        text_encoder_2=t5_encoder(T5_WIDTH),
        tokenizer_2=t5_tokenizer(),
        transformer=flux_transformer(dev=kind == "dev"),
        scheduler=FlowMatchEulerDiscreteScheduler(**(moving if kind == "dev" else {"shift": 1.0})),
    )


def _sd3(kind: str) -> StableDiffusion3Pipeline:
    first = CLIPTextModelWithProjection(_text_config("quick_gelu")).eval()
    first.text_projection.weight.data = torch.eye(WIDTH)  # the file is published without
    return StableDiffusion3Pipeline(
        vae=flow_vae(shift=0.0609, scale=1.5305, groups=32),
        text_encoder=first,
        tokenizer=clip_tokenizer(TOKENS, pad="<|endoftext|>"),
        text_encoder_2=CLIPTextModelWithProjection(_text_config("gelu")).eval(),
        tokenizer_2=clip_tokenizer(TOKENS, pad="!"),
        text_encoder_3=t5_encoder(T5_WIDTH),
        tokenizer_3=t5_tokenizer(),
        transformer=sd3_transformer(kind),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )


def _text_config(activation: str) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=TOKENS,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=1,
        projection_dim=WIDTH,
        bos_token_id=TOKENS - 2,
        eos_token_id=TOKENS - 1,
        pad_token_id=TOKENS - 1,
        hidden_act=activation,
    )


# --- the way back to the original names


def original(transformer: Any) -> dict[str, Tensor]:
    """The transformer's weights as its authors call them."""
    weights = transformer.state_dict()
    is_flux = isinstance(transformer, FluxTransformer2DModel)
    return dict(_original_flux(weights) if is_flux else _original_sd3(weights))


def _original_flux(weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    plain = {
        "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
        "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
        "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
        "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
        "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
        "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
        "txt_in": "context_embedder",
        "img_in": "x_embedder",
        "final_layer.linear": "proj_out",
    }
    for theirs, ours in plain.items():
        yield from _layer(weights, theirs, ours)
    yield from _layer(weights, "final_layer.adaLN_modulation.1", "norm_out.linear", swapped=True)
    for block in range(_blocks(weights, "transformer_blocks")):
        at, ours = f"double_blocks.{block}", f"transformer_blocks.{block}"
        triples = {"img": ("to_q", "to_k", "to_v"), "txt": _ADDED}
        for stream, names in triples.items():
            yield from _layer(
                weights, f"{at}.{stream}_attn.qkv", *(f"{ours}.attn.{n}" for n in names)
            )
        norms = {"img": "norm_{}", "txt": "norm_added_{}"}
        for stream, norm in norms.items():
            for long in ("query", "key"):
                name = f"{ours}.attn.{norm.format(long[0])}.weight"
                yield f"{at}.{stream}_attn.norm.{long}_norm.scale", weights[name]
        plain = {
            "img_mod.lin": "norm1.linear",
            "txt_mod.lin": "norm1_context.linear",
            "img_attn.proj": "attn.to_out.0",
            "txt_attn.proj": "attn.to_add_out",
            "img_mlp.0": "ff.net.0.proj",
            "img_mlp.2": "ff.net.2",
            "txt_mlp.0": "ff_context.net.0.proj",
            "txt_mlp.2": "ff_context.net.2",
        }
        for theirs, name in plain.items():
            yield from _layer(weights, f"{at}.{theirs}", f"{ours}.{name}")
    for block in range(_blocks(weights, "single_transformer_blocks")):
        at, ours = f"single_blocks.{block}", f"single_transformer_blocks.{block}"
        joined = ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")
        yield from _layer(weights, f"{at}.linear1", *(f"{ours}.{name}" for name in joined))
        yield from _layer(weights, f"{at}.linear2", f"{ours}.proj_out")
        yield from _layer(weights, f"{at}.modulation.lin", f"{ours}.norm.linear")
        for long in ("query", "key"):
            yield f"{at}.norm.{long}_norm.scale", weights[f"{ours}.attn.norm_{long[0]}.weight"]


_ADDED = ("add_q_proj", "add_k_proj", "add_v_proj")


def _original_sd3(weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    yield "pos_embed", weights["pos_embed.pos_embed"]
    plain = {
        "x_embedder.proj": "pos_embed.proj",
        "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
        "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
        "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
        "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
        "context_embedder": "context_embedder",
        "final_layer.linear": "proj_out",
    }
    for theirs, ours in plain.items():
        yield from _layer(weights, theirs, ours)
    yield from _layer(weights, "final_layer.adaLN_modulation.1", "norm_out.linear", swapped=True)
    count = _blocks(weights, "transformer_blocks")
    for block in range(count):
        at, ours = f"joint_blocks.{block}", f"transformer_blocks.{block}"
        for kind in ("attn", "attn2"):
            yield from _attention(
                weights, f"{at}.x_block.{kind}", f"{ours}.{kind}", "to_{}", "norm_{}"
            )
            yield from _layer(weights, f"{at}.x_block.{kind}.proj", f"{ours}.{kind}.to_out.0")
        context = f"{at}.context_block"
        yield from _attention(
            weights, f"{context}.attn", f"{ours}.attn", "add_{}_proj", "norm_added_{}"
        )
        plain = {
            f"{at}.x_block.adaLN_modulation.1": "norm1.linear",
            f"{at}.x_block.mlp.fc1": "ff.net.0.proj",
            f"{at}.x_block.mlp.fc2": "ff.net.2",
            f"{context}.attn.proj": "attn.to_add_out",
            f"{context}.mlp.fc1": "ff_context.net.0.proj",
            f"{context}.mlp.fc2": "ff_context.net.2",
        }
        for theirs, name in plain.items():
            yield from _layer(weights, theirs, f"{ours}.{name}")
        norm, is_last = f"{ours}.norm1_context.linear", block == count - 1
        yield from _layer(weights, f"{context}.adaLN_modulation.1", norm, swapped=is_last)


def _attention(
    weights: Mapping[str, Tensor], theirs: str, ours: str, layer: str, norm: str
) -> Iterator[tuple[str, Tensor]]:
    yield from _layer(weights, f"{theirs}.qkv", *(f"{ours}.{layer.format(n)}" for n in "qkv"))
    for name in "qk":
        if (found := f"{ours}.{norm.format(name)}.weight") in weights:
            yield f"{theirs}.ln_{name}.weight", weights[found]


def _layer(
    weights: Mapping[str, Tensor], theirs: str, *ours: str, swapped: bool = False
) -> Iterator[tuple[str, Tensor]]:
    """Several of ours are one of theirs; nothing where the first is not there."""
    for kind in ("weight", "bias"):
        if f"{ours[0]}.{kind}" in weights:
            joined = torch.cat([weights[f"{name}.{kind}"] for name in ours])
            first, second = joined.chunk(2) if swapped else (None, None)
            yield f"{theirs}.{kind}", joined if first is None else torch.cat([second, first])


def _blocks(weights: Mapping[str, Tensor], name: str) -> int:
    return len({key.split(".")[1] for key in weights if key.startswith(f"{name}.")})


def _vae(pipeline: Any) -> dict[str, Tensor]:
    return original_vae(pipeline.vae, "first_stage_model.")


def _clips(pipeline: Any) -> dict[str, Tensor]:
    tensors = _clip(pipeline.text_encoder, "text_encoders.clip_l.transformer.")
    if isinstance(pipeline, StableDiffusion3Pipeline):
        del tensors["text_encoders.clip_l.transformer.text_projection.weight"]
        tensors |= _clip(pipeline.text_encoder_2, "text_encoders.clip_g.transformer.")
    return tensors


def _clip(encoder: Any, prefix: str) -> dict[str, Tensor]:
    bare = {n.removeprefix("text_model."): t for n, t in encoder.state_dict().items()}
    return {
        f"{prefix}{'' if name.startswith('text_projection') else 'text_model.'}{name}": tensor
        for name, tensor in bare.items()
    }


def _t5(pipeline: Any) -> dict[str, Tensor]:
    is_flux = isinstance(pipeline, FluxPipeline)
    encoder = pipeline.text_encoder_2 if is_flux else pipeline.text_encoder_3
    weights = {n: t for n, t in encoder.state_dict().items() if n != "encoder.embed_tokens.weight"}
    return {f"text_encoders.t5xxl.transformer.{name}": tensor for name, tensor in weights.items()}

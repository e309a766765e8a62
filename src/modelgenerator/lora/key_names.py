"""How layers are called in LoRA files: by kohya's tools, by diffusers, by the models' authors.

In: a part ("unet", "text_encoder") and a dotted layer name, or what a file calls a layer.  Out: the
other.  Each layer has one key, kohya's with diffusers' layer names, to which all ways of writing
lead: `unet.mid_block.attentions.0.proj_in` is `lora_unet_mid_block_attentions_0_proj_in`.  Which
base model is of which family is not known here, and no tensors.

Source: kohya-ss/sd-scripts, networks/lora.py, sdxl_lora.py, lora_flux.py and lora_sd3.py;
diffusers, loaders/lora_pipeline.py.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from torch import nn

from modelgenerator.lora import original_names
from modelgenerator.lora.joined import ALONE
from modelgenerator.lora.layers import can_be_corrected
from modelgenerator.lora.original_names import OriginalNames, Place

TEXT_MODEL = "text_model"
KOHYA, DIFFUSERS = "kohya", "diffusers"

_DENOISER = "denoiser"
_PARTS = {
    "lora_unet_": _DENOISER,
    "lora_transformer_": _DENOISER,  # OneTrainer
    "lora_te_": "text_encoder",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
    "lora_te3_": "text_encoder_3",
    "unet.": _DENOISER,
    "transformer.": _DENOISER,
    "diffusion_model.": _DENOISER,  # ComfyUI, and ai-toolkit for newer families
    "model.diffusion_model.": _DENOISER,
    "text_encoder.": "text_encoder",
    "text_encoder_2.": "text_encoder_2",
    "text_encoder_3.": "text_encoder_3",
}
"""Beginnings of names in files; what has none of them is the denoiser's."""
_WRAPPER = "base_model.model."  # peft's own
_OLD_ATTENTION = {
    True: {"to_out": "to_out.0"},
    False: {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"},
}
"""How old diffusers wrote attention: in the denoiser, and in text encoders."""


@dataclass(frozen=True, slots=True)
class LayerNames:
    """What the layers of one family are called, and how its LoRA files are written."""

    prefixes: Mapping[str, str]
    """kohya's, by part: the denoiser first, then text encoders."""
    family: str = "Stable Diffusion"
    originals: OriginalNames | None = None
    """The authors' names, where they are not diffusers'."""
    kohya_has_originals: bool = True
    """Whether kohya's tools write those."""
    layout: str = KOHYA
    """Of a finished training."""
    other_parts: Mapping[str, str] | None = None
    """Parts that files of this family call by another's name, by that name."""

    @property
    def denoiser(self) -> str:
        return next(iter(self.prefixes))

    def key(self, name: str) -> str:
        """The key of the layer `part.dotted name`."""
        part, _, layer = name.partition(".")
        return f"{self.prefixes[part]}_{_in_files(part, layer.replace('.', '_'))}"

    def name(self, key: str) -> str:
        """`part.dotted name` of a key, as diffusers calls it."""
        for part, prefix in self.prefixes.items():
            if key.startswith(f"{prefix}_"):
                return f"{part}.{dotted(key.removeprefix(f'{prefix}_'))}"
        raise AssertionError(key)

    def layers_by_key(self, parts: Mapping[str, nn.Module]) -> dict[str, tuple[str, nn.Module]]:
        """Every layer of `parts` that can be corrected, as (`part.dotted name`, layer), by its key.

        The way back from a key to a name needs the tree: `to_q` has an underscore of its own.
        """
        return {
            self.key(f"{part}.{layer}"): (f"{part}.{layer}", module)
            for part, model in parts.items()
            for layer, module in model.named_modules()
            if can_be_corrected(module)
        }

    def place_of_written(self, written: str) -> Place | None:
        """Where the layer that a file calls `written` belongs, in keys.

        `None` if no part of this family has layers that are called so.
        """
        part, layer = _part_and_layer(written)
        part = (self.other_parts or {}).get(part, part)
        part = self.denoiser if part == _DENOISER else part
        if part not in self.prefixes:
            return None
        layer = _in_files(part, layer)
        place = None
        if part == self.denoiser and self.originals:
            place = self.originals.place_of_original(layer)
        return self._with_prefix(part, place or Place(layer, (layer,), ALONE))

    def place_of_key(self, key: str) -> Place:
        """Where the layer with `key` is in a file with the authors' names."""
        prefix = self.prefixes[self.denoiser] + "_"
        originals = self.originals if self.kohya_has_originals else None
        if not originals or not key.startswith(prefix):
            return Place(key, (key,), ALONE)
        layer = key.removeprefix(prefix)
        place = originals.place_of(layer) or Place(layer, (layer,), ALONE)
        return self._with_prefix(self.denoiser, place)

    def _with_prefix(self, part: str, place: Place) -> Place:
        prefix = self.prefixes[part]
        pieces = tuple(f"{prefix}_{piece}" for piece in place.pieces)
        return Place(f"{prefix}_{place.original}", pieces, place.joint)


def _in_files(part: str, layer: str) -> str:
    # transformers 5.6 took this level out of CLIP's tree; files have kept it
    bare = layer.startswith((TEXT_MODEL, "text_projection", "encoder_block_"))
    return f"{TEXT_MODEL}_{layer}" if part.startswith("text_encoder") and not bare else layer


def _part_and_layer(written: str) -> tuple[str, str]:
    """The part, and the layer with underscores."""
    written = written.removeprefix(_WRAPPER)
    beginning = max((b for b in _PARTS if written.startswith(b)), key=len, default="")
    part = _PARTS.get(beginning, _DENOISER)
    layer = written.removeprefix(beginning).removeprefix(_WRAPPER).replace(".processor.", ".")
    head, dot, last = layer.rpartition(".")
    layer = head + dot + _OLD_ATTENTION[part == _DENOISER].get(last, last)
    return part, layer.replace(".", "_")


_WORDS = (
    "down_blocks",
    "up_blocks",
    "mid_block",
    "transformer_blocks",
    "single_transformer_blocks",
    "to_q",
    "to_k",
    "to_v",
    "to_out",
    "to_add_out",
    "add_q_proj",
    "add_k_proj",
    "add_v_proj",
    "proj_in",
    "proj_out",
    "proj_mlp",
    "time_emb_proj",
    "conv_shortcut",
    "conv_in",
    "conv_out",
    "time_embedding",
    "add_embedding",
    "linear_1",
    "linear_2",
    "ff_context",
    "norm1_context",
    "norm_out",
    "time_text_embed",
    "timestep_embedder",
    "text_embedder",
    "guidance_embedder",
    "context_embedder",
    "x_embedder",
    "pos_embed",
    "text_model",
    "self_attn",
    "q_proj",
    "k_proj",
    "v_proj",
    "out_proj",
    "text_projection",
    "wi_0",
    "wi_1",
)
"""Words with underscores of their own in the layer names of all families."""


@cache
def _word() -> re.Pattern[str]:
    longest_first = sorted(_WORDS, key=lambda word: -len(word))
    return re.compile(rf"(?:{'|'.join(longest_first)}|[^_]+)(?=_|$)")


_BEGINNINGS = frozenset(
    {
        "down_blocks",
        "up_blocks",
        "mid_block",
        "conv_in",
        "conv_out",
        "time_embedding",
        "add_embedding",
        "transformer_blocks",
        "single_transformer_blocks",
        "x_embedder",
        "context_embedder",
        "pos_embed",
        "time_text_embed",
        "norm_out",
        "proj_out",
        "text_model",
        "text_projection",
        "encoder",
    }
)
"""What the dotted names of all families begin with, behind the part."""


def is_known(name: str) -> bool:
    """Whether the layer `part.dotted name` can be one of diffusers' or transformers' models."""
    return name.split(".")[1] in _BEGINNINGS


def dotted(underscored: str) -> str:
    """diffusers' name of a layer from its name with underscores."""
    return ".".join(_word().findall(underscored))


STABLE_DIFFUSION_NAMES = LayerNames(
    {"unet": "lora_unet", "text_encoder": "lora_te"},
    family="Stable Diffusion",
    originals=original_names.unet(2),
    kohya_has_originals=False,
)


@cache
def stable_diffusion_xl_names(layers_per_block: int = 2) -> LayerNames:
    """SDXL's, with the U-Net's `layers_per_block`; 2 but in tests."""
    return LayerNames(
        {"unet": "lora_unet", "text_encoder": "lora_te1", "text_encoder_2": "lora_te2"},
        family="Stable Diffusion XL",
        originals=original_names.unet(layers_per_block),
    )


STABLE_DIFFUSION_XL_NAMES = stable_diffusion_xl_names()
STABLE_DIFFUSION_3_NAMES = LayerNames(
    {
        "transformer": "lora_unet",
        "text_encoder": "lora_te1",
        "text_encoder_2": "lora_te2",
        "text_encoder_3": "lora_te3",
    },
    family="Stable Diffusion 3",
    originals=original_names.STABLE_DIFFUSION_3,
    layout=DIFFUSERS,
)
FLUX_NAMES = LayerNames(
    {"transformer": "lora_unet", "text_encoder": "lora_te1", "text_encoder_2": "lora_te3"},
    family="FLUX",
    originals=original_names.FLUX,
    layout=DIFFUSERS,
    # T5 is kohya's third text encoder and diffusers' second
    other_parts={"text_encoder_3": "text_encoder_2"},
)

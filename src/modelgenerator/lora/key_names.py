"""How layers are called in LoRA files: kohya's names, which every tool reads.

In: a part ("unet", "text_encoder") and a dotted layer name, or a module tree.  Out: the key in the
file, or the layers by key.  Which base model is of which family is not known here, and no tensors.

`unet.mid_block.attentions.0.proj_in` is `lora_unet_mid_block_attentions_0_proj_in`.
Source: kohya-ss/sd-scripts, networks/lora.py and networks/sdxl_lora.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from modelgenerator.lora.layers import can_be_corrected

TEXT_MODEL = "text_model."


@dataclass(frozen=True, slots=True)
class LayerNames:
    """What the layers of one family are called."""

    prefixes: Mapping[str, str]
    """By part; the parts that are not the denoiser are CLIP text encoders."""
    folds_alpha: ClassVar[bool] = False
    """Whether alpha / rank is multiplied into the ups: the layout has no place for alpha."""

    def key(self, name: str) -> str:
        """The key of the layer `part.dotted name`."""
        part, _, layer = name.partition(".")
        # transformers 5.6 took this level out of its tree; files have kept it
        if part.startswith("text_encoder") and not layer.startswith(
            (TEXT_MODEL, "text_projection")
        ):
            layer = TEXT_MODEL + layer
        return f"{self.prefixes[part]}_{layer.replace('.', '_')}"

    def stored(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`tensors` under the names that the file gets."""
        return dict(tensors)

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


STABLE_DIFFUSION_NAMES = LayerNames({"unet": "lora_unet", "text_encoder": "lora_te"})
STABLE_DIFFUSION_XL_NAMES = LayerNames(
    {"unet": "lora_unet", "text_encoder": "lora_te1", "text_encoder_2": "lora_te2"}
)

"""For which family of base models a LoRA is, told by its layers alone.

In: what a file calls its layers, their matrices, and its header.  Out: the family's name, and how
its layers are called.  Nothing of the base model is needed.
"""

import re
from collections.abc import Mapping

from modelgenerator.errors import UnusableLora
from modelgenerator.lora.joined import Correction
from modelgenerator.lora.key_names import (
    FLUX_NAMES,
    STABLE_DIFFUSION_3_NAMES,
    STABLE_DIFFUSION_NAMES,
    STABLE_DIFFUSION_XL_NAMES,
    LayerNames,
)

SD, SD1, SD2 = "Stable Diffusion", "Stable Diffusion 1", "Stable Diffusion 2"
SDXL, SD3, FLUX = "Stable Diffusion XL", "Stable Diffusion 3", "FLUX"
FAMILIES = {
    SD: STABLE_DIFFUSION_NAMES,
    SD1: STABLE_DIFFUSION_NAMES,
    SD2: STABLE_DIFFUSION_NAMES,
    SDXL: STABLE_DIFFUSION_XL_NAMES,
    SD3: STABLE_DIFFUSION_3_NAMES,
    FLUX: FLUX_NAMES,
}

_UNET = re.compile("(?:down|up|input|output)_blocks_|mid(?:dle)?_block_")
_TEXT = re.compile("lora_te|text_encoder")
_TEXT_WIDTHS = {768: SD1, 1024: SD2, 2048: SDXL}
"""Of the text that the U-Net looks at."""
_WIDTHS = {1536: SD3, 2432: SD3, 3072: FLUX}
"""Of a transformer's stream."""
_VERSIONS = {"sd_v1": SD1, "sd_v2": SD2, "sdxl": SDXL, "sd3": SD3, "flux": FLUX}
"""By how kohya's names for versions begin."""


def family_of(
    corrections: Mapping[str, Correction], metadata: Mapping[str, str] | None = None
) -> str | None:
    """The name of the family, by what files call its layers; `None` if these are unknown."""
    layers = {name.replace(".", "_"): correction for name, correction in corrections.items()}
    text = {name for name in layers if _TEXT.match(name)}
    denoiser = {name: layers[name] for name in layers.keys() - text}
    if _any(r"double_blocks_\d|single_blocks_\d|single_transformer_blocks_\d", denoiser):
        return FLUX
    if _any(r"joint_blocks_\d", denoiser):
        return SD3
    if any(_UNET.search(name) for name in denoiser):
        return _of_unet(denoiser, text, metadata or {})
    if _any(r"transformer_blocks_\d", denoiser):
        return _of_transformer(denoiser, metadata or {})
    return _of_text(text, metadata or {})


def names_of(
    corrections: Mapping[str, Correction], metadata: Mapping[str, str]
) -> tuple[str, LayerNames]:
    """The name of the family, and how its layers are called.

    Raises:
        UnusableLora: the layers are of no family that we know; the message lacks the file's name.
    """
    family = family_of(corrections, metadata)
    if family is None:
        raise UnusableLora(
            f"is for no base model that is known here: {min(corrections)} is not in any. Known are "
            f"{', '.join((SD1, SD2, SDXL, SD3))} and {FLUX}."
        )
    return family, FAMILIES[family]


def _any(pattern: str, names: Mapping[str, Correction] | set[str]) -> bool:
    return any(re.search(pattern, name) for name in names)


def _of_unet(
    denoiser: Mapping[str, Correction], text: set[str], metadata: Mapping[str, str]
) -> str:
    for name, correction in denoiser.items():
        if re.search("attn2_(processor_)?to_[kv]", name):
            width = correction.down_RI.shape[1]
            if width in _TEXT_WIDTHS:
                return _TEXT_WIDTHS[width]
    stated = _stated(metadata)
    if stated in (SD1, SD2, SDXL):
        return stated
    two_texts = _any("lora_te[12]_|text_encoder_2_", text)
    # only SDXL has more than one transformer block at a place
    names_of_xl = r"(input|output)_blocks_|middle_block_|attentions_\d_transformer_blocks_[1-9]"
    return SDXL if two_texts or _any(names_of_xl, denoiser) else SD


def _of_transformer(denoiser: Mapping[str, Correction], metadata: Mapping[str, str]) -> str | None:
    if not _any("attn_(to_|add_)|norm1_|ff_", denoiser):
        return None
    for name, correction in denoiser.items():
        if re.search("attn_(processor_)?(to_q|add_q_proj)|norm1_|ff_net_0", name):
            width = correction.down_RI.shape[1]
            if width in _WIDTHS:
                return _WIDTHS[width]
    stated = _stated(metadata)
    return stated if stated in (SD3, FLUX) else SD3


def _of_text(text: set[str], metadata: Mapping[str, str]) -> str | None:
    if not text:
        return None
    if stated := _stated(metadata):
        return stated
    if _any("lora_te3_|text_encoder_3_", text):
        return SD3 if _any("lora_te2_|text_encoder_2_", text) else FLUX
    return SDXL if _any("lora_te[12]_|text_encoder_2_", text) else SD


def _stated(metadata: Mapping[str, str]) -> str | None:
    version = metadata.get("ss_base_model_version", "").lower()
    found = (family for start, family in _VERSIONS.items() if version.startswith(start))
    return next(found, None)

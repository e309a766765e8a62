"""What is told of FLUX.1 and Stable Diffusion 3 from the configurations of the real ones."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from modelgenerator.diffusion.detection import Detected, FamilyName, detect

FLUX = {"attention_head_dim": 128, "in_channels": 64, "num_layers": 19, "patch_size": 1}
SD3 = {"sample_size": 128, "patch_size": 2, "in_channels": 16, "num_layers": 24}
KINDS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "FLUX.1-dev": ("FluxPipeline", {**FLUX, "guidance_embeds": True}),
    "FLUX.1-schnell": ("FluxPipeline", {**FLUX, "guidance_embeds": False}),
    "3-medium": ("StableDiffusion3Pipeline", {**SD3, "pos_embed_max_size": 192}),
    "3.5-medium": (
        "StableDiffusion3Pipeline",
        {
            **SD3,
            "pos_embed_max_size": 384,
            "qk_norm": "rms_norm",
            "dual_attention_layers": list(range(13)),
        },
    ),
    "3.5-large": (
        "StableDiffusion3Pipeline",
        {
            **SD3,
            "num_layers": 38,
            "pos_embed_max_size": 192,
            "qk_norm": "rms_norm",
            "dual_attention_layers": [],
        },
    ),
}
PARTS = {
    "transformer": "Transformer",
    "vae": "AutoencoderKL",
    "text_encoder": "CLIPTextModel",
    "text_encoder_2": "T5EncoderModel",
}


class Described:
    """The files of a base model of which only the small ones are there."""

    def __init__(self, pipeline: str, transformer: dict[str, Any]) -> None:
        index: dict[str, Any] = {name: ["diffusers", kind] for name, kind in PARTS.items()}
        # as in a folder without T5
        index |= {"_class_name": pipeline, "text_encoder_3": [None, None]}
        vae = {"block_out_channels": [128, 256, 512, 512], "latent_channels": 16}
        self._texts = {
            "model_index.json": json.dumps(index),
            "transformer/config.json": json.dumps(transformer),
            "vae/config.json": json.dumps(vae),
        }

    @property
    def sizes(self) -> dict[str, int]:
        weights = dict.fromkeys((f"{part}/model.safetensors" for part in PARTS), 10)
        return {**dict.fromkeys(self._texts, 1), **weights}

    def read(self, name: str) -> bytes:
        return self._texts[name].encode()


def detected(kind: str) -> Detected:
    return detect(Described(*KINDS[kind]), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_made_for_1024_pixels_in_steps_of_16(kind: str):
    found = detected(kind)
    is_flux = kind.startswith("FLUX")
    assert found.family is (FamilyName.FLUX if is_flux else FamilyName.STABLE_DIFFUSION_3)
    assert (found.native_size, found.size_step) == (1024, 16)
    assert found.prediction_type == "flow"


@pytest.mark.parametrize(
    ("kind", "edition", "takes_guidance", "longest_side"),
    [
        ("FLUX.1-dev", "dev", True, None),
        ("FLUX.1-schnell", "schnell", False, None),
        ("3-medium", "m", False, 3072),
        ("3.5-medium", "5-medium", False, 6144),
        ("3.5-large", "5-large", False, 3072),
    ],
)
def test_editions_are_told_apart(
    kind: str, edition: str, takes_guidance: bool, longest_side: int | None
):
    found = detected(kind)
    assert (found.edition, found.takes_guidance) == (edition, takes_guidance)
    assert found.longest_side == longest_side

"""FLUX's and Stable Diffusion 3's transformers with random weights, a few thousand numbers each.

Out: real diffusers classes, and an answer of theirs to some fixed input.
"""

import torch
from diffusers import FluxTransformer2DModel, SD3Transformer2DModel
from torch import Tensor, nn

WIDTH = 32


def flux(*, width: int = WIDTH, double: int = 2, single: int = 2) -> FluxTransformer2DModel:
    torch.manual_seed(0)
    model = FluxTransformer2DModel(
        in_channels=16,
        num_layers=double,
        num_single_layers=single,
        attention_head_dim=16,
        num_attention_heads=width // 16,
        joint_attention_dim=24,
        pooled_projection_dim=20,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=True,
    )
    return model.requires_grad_(False).eval()


def stable_diffusion_3() -> SD3Transformer2DModel:
    """The first block with two attentions, as in 3.5 medium."""
    torch.manual_seed(0)
    model = SD3Transformer2DModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        num_layers=3,
        attention_head_dim=16,
        num_attention_heads=WIDTH // 16,
        joint_attention_dim=24,
        caption_projection_dim=WIDTH,
        pooled_projection_dim=20,
        pos_embed_max_size=8,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )
    return model.requires_grad_(False).eval()


def answer(model: nn.Module) -> Tensor:
    """What `model` says to some input that is always the same."""
    g = torch.Generator().manual_seed(1)
    prompt = {
        "encoder_hidden_states": torch.randn(2, 5, 24, generator=g),
        "pooled_projections": torch.randn(2, 20, generator=g),
    }
    if isinstance(model, FluxTransformer2DModel):
        return model(
            torch.randn(2, 6, 16, generator=g),
            timestep=torch.tensor([0.3, 0.8]),
            guidance=torch.tensor([1.0, 3.5]),
            img_ids=torch.zeros(6, 3),
            txt_ids=torch.zeros(5, 3),
            return_dict=False,
            **prompt,
        )[0]
    latents = torch.randn(2, 4, 8, 8, generator=g)
    return model(latents, timestep=torch.tensor([300, 800]), return_dict=False, **prompt)[0]

"""From files to a loaded base model: the one place that knows which family is loaded by what.

In: a diffusers folder or a single file, its family, the device.  Out: a `ModelFamily`.
"""

from pathlib import Path

import torch

from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.family import CompanionFolder, ModelFamily


def numbers_of(compute_dtype: str) -> torch.dtype:
    """The dtype of a plan's `compute_dtype`."""
    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[compute_dtype]


def this_device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load(
    folder: Path,
    family: FamilyName,
    *,
    variant: str | None,
    device: torch.device,
    dtype: torch.dtype,
    companion: CompanionFolder | None = None,
) -> ModelFamily:
    """Load the base model in a diffusers `folder`; `variant` is what its weights' names carry.

    A single file takes the folder's place; what it lacks is in its `companion`.

    Raises:
        BaseModelUnsupported: a part is missing or does not fit the others.
    """
    _silence_libraries()
    # imported here, because it imports diffusers, which says much while it is imported
    from modelgenerator.diffusion.flux import Flux
    from modelgenerator.diffusion.stable_diffusion import StableDiffusion
    from modelgenerator.diffusion.stable_diffusion_3 import StableDiffusion3
    from modelgenerator.diffusion.stable_diffusion_xl import StableDiffusionXL

    if folder.is_file():
        from modelgenerator.diffusion.single_file_loading import load_single_file

        return load_single_file(folder, family, device=device, dtype=dtype, companion=companion)
    loaders = {
        FamilyName.STABLE_DIFFUSION_1: StableDiffusion.load,
        FamilyName.STABLE_DIFFUSION_2: StableDiffusion.load,
        FamilyName.STABLE_DIFFUSION_XL: StableDiffusionXL.load,
        FamilyName.STABLE_DIFFUSION_3: StableDiffusion3.load,
        FamilyName.FLUX: Flux.load,
    }
    return loaders[family](folder, variant=variant, device=device, dtype=dtype)


def _silence_libraries() -> None:
    """Their notes on optional packages and their progress bars are not for our users."""
    import diffusers.utils.logging as diffusers_logging
    import transformers.utils.logging as transformers_logging

    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity_error()
        logging.disable_progress_bar()

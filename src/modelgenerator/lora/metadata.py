"""What a LoRA file says about itself: a flat table of strings in its header.

In: plain facts about a finished training.  Out: the `ss_*` keys that picture programs show, the
`modelspec.*` keys of the model metadata standard, and our own plan.  Knows no tensors and no
files; file and folder names of the dataset stay out of it, and so does the time: the same training
gives the same bytes.

Source: https://github.com/Stability-AI/ModelSpec 1.0.1; kohya-ss/sd-scripts, train_network.py.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFacts:
    """All that the header tells about a training."""

    title: str
    trigger_phrase: str
    base_model: str
    architecture: str
    """As ModelSpec calls the base model's kind: `stable-diffusion-v1`."""
    base_model_version: str
    """As kohya calls it: `sd_v1`, `sd_v2`, `sd_v2_v`."""
    prediction_type: str
    """As diffusers calls it: `epsilon`, `v_prediction`."""
    resolution: tuple[int, int]  # width, height in pixels
    rank: int
    alpha: float
    text_encoder_trained: bool
    convolutions_trained: bool
    optimizer: str
    learning_rate: float
    scheduler: str
    loss_type: str
    noise_offset: float
    precision: str  # fp32, fp16, bf16
    seed: int
    pictures: int
    repeats: int
    batch_size: int
    steps_per_epoch: int
    epochs: int
    steps: int
    plan: Mapping[str, object]
    """The resolved plan, as JSON values."""
    version: str
    """Of this package."""


def build_metadata(facts: TrainingFacts) -> dict[str, str]:
    """The header of the file that comes out of a training; the hashes are added on writing."""
    return {
        **_kohya(facts),
        **_modelspec(facts),
        "modelgenerator.plan": json.dumps(facts.plan, ensure_ascii=False, sort_keys=True),
        "modelgenerator.version": facts.version,
    }


def _kohya(facts: TrainingFacts) -> dict[str, str]:
    seen = facts.pictures * facts.repeats
    values: dict[str, object] = {
        "ss_output_name": facts.title,
        "ss_sd_model_name": facts.base_model,
        "ss_base_model_version": facts.base_model_version,
        "ss_v2": facts.base_model_version.startswith("sd_v2"),
        "ss_network_module": "networks.lora",
        "ss_network_dim": facts.rank,
        "ss_network_alpha": facts.alpha,
        # kohya's way of saying that convolutions were trained too
        "ss_network_args": json.dumps(
            {"conv_dim": str(facts.rank), "conv_alpha": str(facts.alpha)}
            if facts.convolutions_trained
            else {}
        ),
        "ss_optimizer": facts.optimizer,
        "ss_learning_rate": facts.learning_rate,
        "ss_unet_lr": facts.learning_rate,
        "ss_text_encoder_lr": facts.learning_rate if facts.text_encoder_trained else None,
        "ss_lr_scheduler": facts.scheduler,
        "ss_loss_type": facts.loss_type,
        "ss_noise_offset": facts.noise_offset,
        "ss_max_grad_norm": 1.0,
        "ss_mixed_precision": "no" if facts.precision == "fp32" else facts.precision,
        "ss_resolution": str(facts.resolution),
        "ss_clip_skip": None,
        "ss_seed": facts.seed,
        "ss_num_train_images": seen,
        "ss_num_reg_images": 0,
        "ss_num_batches_per_epoch": facts.steps_per_epoch,
        "ss_num_epochs": facts.epochs,
        "ss_epoch": facts.epochs,
        "ss_max_train_steps": facts.steps,
        "ss_steps": facts.steps,
        "ss_total_batch_size": facts.batch_size,
    }
    # programs suggest these words to the person who writes a prompt
    tags = {"dataset": {facts.trigger_phrase: seen}} if facts.trigger_phrase else {}
    return {
        **{key: str(value) for key, value in values.items()},
        "ss_tag_frequency": json.dumps(tags, ensure_ascii=False),
        "ss_dataset_dirs": json.dumps(
            {"dataset": {"n_repeats": facts.repeats, "img_count": facts.pictures}}
        ),
    }


def _modelspec(facts: TrainingFacts) -> dict[str, str]:
    width, height = facts.resolution
    prediction = "v" if facts.prediction_type == "v_prediction" else facts.prediction_type
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{facts.architecture}/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": facts.title,
        "modelspec.resolution": f"{width}x{height}",
        "modelspec.prediction_type": prediction,
        "modelspec.trigger_phrase": facts.trigger_phrase,
    }


NEEDED = (
    "ss_v2",
    "ss_base_model_version",
    "ss_network_module",
    "ss_network_dim",
    "ss_network_alpha",
    "modelspec.sai_model_spec",
    "modelspec.architecture",
    "modelspec.implementation",
    "modelspec.prediction_type",
)
"""What programs look at to load a LoRA; nothing of how it was made.

Source: kohya-ss/sd-scripts, library/train_util.py, SS_METADATA_MINIMUM_KEYS.
"""


def minimal(metadata: Mapping[str, str]) -> dict[str, str]:
    """What is left of a header when it shall tell nothing: no plan, no prompts, no names."""
    return {key: metadata[key] for key in NEEDED if key in metadata}

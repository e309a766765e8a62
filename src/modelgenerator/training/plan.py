"""Settings with every question answered.

A `TrainingPlan` holds names and numbers, without a single "not given", and the notices that say
what was decided, ignored or advised.  `planning.resolve` makes it; the loop binds its names to
functions.  It loads no torch: the web process plans and prices.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import cast

from modelgenerator.datasets.buckets import Size
from modelgenerator.notices import Notice

SAYS_NOTHING_OF_THE_LORA = ("notices", "gradient_checkpointing", "memory_bytes", "processes")
"""Parts of a plan that may differ when a training goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What decides in which number format the base model computes."""

    kind: str
    """`cpu` or `cuda`."""
    has_bf16: bool
    free_bytes: int | None = None
    """Memory that a process of a training can have; none where the system does not tell."""
    count: int = 1
    """GPUs that are here; 1 on a CPU."""
    name: str = ""
    """Of the GPU, where somebody said which it is."""

    @property
    def kind_of_machine(self) -> str:
        """What machines have in common that are as fast: the name of their GPU, or `cpu`."""
        return self.name or self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPicture:
    """One picture, and the size it is trained in."""

    name: str
    sha256: str
    caption: str
    bucket: Size
    crop: tuple[int, int, int, int]
    """Left, top, right and bottom of what is cut out of the upright photo, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """All that a training does, in names and numbers."""

    base_model: str
    base_revision: str
    family: str
    edition: str
    """Which of its family the base model is; empty where that makes no difference."""
    prediction_type: str
    seed: int
    pictures: tuple[PlannedPicture, ...]
    """What is trained on."""
    validation_pictures: tuple[PlannedPicture, ...]
    """What is kept out, to measure the loss on after every epoch."""
    dataset_fingerprint: str
    caption_prefix: str
    resolution: int
    epochs: int
    repeats: int
    batch_size: int
    gradient_accumulation: int
    """Batches before one optimizer step."""
    steps_per_epoch: int
    """Optimizer steps."""
    total_steps: int
    normalize_dataset: bool
    """Whether a square around the subject is cut out of each photo."""
    flip: bool
    caption_dropout: float
    denoiser: str
    """The part that predicts, and is always trained."""
    text_encoders: tuple[str, ...]
    """Those that are trained too."""
    network_targets: tuple[str, ...]
    network_dim: int
    network_alpha: float
    optimizer: str
    learning_rate: float
    optimizer_arguments: tuple[tuple[str, float | bool], ...]
    scheduler: str
    loss: str
    huber_c: float
    """1 where `loss` has no threshold."""
    min_snr_gamma: float
    """0 counts every noise level alike."""
    masked_loss: bool
    head_mask_shade: int
    """How much each region of a photo counts, 0 to 255; all 255 without masks."""
    body_mask_shade: int
    bounding_mask_shade: int
    background_mask_shade: int
    mask_normalization: bool
    """Whether a small subject counts as much as a large one; true without masks."""
    noise_offset: float
    multires_noise_iterations: int
    multires_noise_discount: float
    """0 without iterations."""
    timestep_sampling: str
    guidance_scale: float
    """What a base model that was distilled with guidance is told; others are told nothing."""
    prior_preservation: float
    prior_prompts: tuple[str, ...]
    """What the base model is asked for before the training; empty without preservation."""
    compute_dtype: str
    sample_every: int
    """Epochs between samples; 0 is never."""
    sample_prompts: tuple[str, ...]
    sample_size: int
    """Side in pixels of the square samples."""
    sample_steps: int
    sample_guidance_scale: float
    save_every: int
    """Epochs between LoRA files; 0 is only the last."""
    gradient_checkpointing: bool
    """Whether memory is saved at the cost of speed; the LoRA is the same."""
    memory_bytes: int
    """The estimated peak of each process; 0 where the base model does not tell."""
    processes: int
    """Among which the pictures of every step are divided, each on a GPU of its own."""
    notices: tuple[Notice, ...]

    def as_json(self) -> dict[str, object]:
        """The plan as JSON values, notices among them."""
        return cast(dict[str, object], json.loads(json.dumps(dataclasses.asdict(self))))

    @property
    def parts(self) -> tuple[str, ...]:
        """What a LoRA is trained for."""
        return (*self.text_encoders, self.denoiser)

    @property
    def trains_text(self) -> bool:
        """Whether the answer to a caption changes with every step."""
        return bool(self.text_encoders)

    @property
    def digest(self) -> str:
        """The same for two plans that make the same LoRA; what is only said does not count."""
        facts = self.as_json()
        for said in SAYS_NOTHING_OF_THE_LORA:
            del facts[said]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

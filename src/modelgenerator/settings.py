"""What a person writes: the hyperparameters of a training and the wishes for a picture.

These classes are the only place where a setting has a name, a range, a default and a sentence.
The API, the Flow step, the command line and `docs/reference/settings.md` are made from them.
Comes in: values by name.  Goes out: frozen settings, or `InvalidSettings` with every fault at
once.  They do not know what a dataset or a base model makes of them: that is `training.planning`.
Nothing here loads torch.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from modelgenerator.errors import InvalidSettings
from modelgenerator.setting_faults import describe_faults

CORE: JsonDict = {"group": "Core"}
DATASET: JsonDict = {"group": "Dataset processing"}
OPTIMIZER: JsonDict = {"group": "Optimizer"}
NETWORK: JsonDict = {"group": "Network"}
ADVANCED: JsonDict = {"group": "Advanced"}
EXTENSION: JsonDict = {"group": "Extensions"}

WholeNumber = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Shade = Annotated[int, Field(strict=True, ge=0, le=255)]
HIGHEST_SEED = 2**63 - 1
Seed = Annotated[int, Field(strict=True, ge=0, le=HIGHEST_SEED)]
Side = Annotated[int, Field(strict=True, ge=8, le=2048, multiple_of=8)]


class OptimizerName(StrEnum):
    """The algorithm that changes the LoRA's weights."""

    PRODIGY = "Prodigy"
    ADAFACTOR = "AdaFactor"
    ADAMW = "AdamW"
    ADAMW_8BIT = "AdamW8bit"
    DADAPTATION = "DAdaptation"
    DADAPT_ADAM = "DAdaptAdam"


class Precision(StrEnum):
    """The number format in which the frozen base model computes on a GPU."""

    FP16 = "fp16"
    BF16 = "bf16"


class SchedulerName(StrEnum):
    """How the learning rate changes from the first step to the last."""

    COSINE = "Cosine"
    CONSTANT = "Constant"
    COSINE_ANNEALING = "CosineAnnealing"


class LossType(StrEnum):
    """How a difference between prediction and target is counted."""

    L2 = "L2"
    SMOOTH_L1 = "SmoothL1"
    HUBER = "Huber"


class TimestepSampling(StrEnum):
    """How flow models choose the noise level of a training sample."""

    SIGMA = "sigma"
    UNIFORM = "uniform"
    SIGMOID = "sigmoid"
    SHIFT = "shift"
    FLUX_SHIFT = "flux_shift"


class NetworkTarget(StrEnum):
    """Which blocks of the base model a LoRA corrects."""

    ATTENTION = "attention"
    CONVOLUTIONS = "convolutions"


class _Settings(BaseModel):
    """Frozen, camelCase at the border, unknown names refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )

    @classmethod
    def from_written(cls, values: Mapping[str, object]) -> Self:
        """The settings in `values`, whose names are camelCase as a person writes them.

        Raises:
            InvalidSettings: with one line for every unknown name and every value out of range.
        """
        try:
            return cls.model_validate(dict(values), by_alias=True, by_name=False)
        except ValidationError as error:
            raise invalid_settings(error, cls) from None

    def overridden_by(self, changes: Mapping[str, object]) -> Self:
        """These settings with `changes` (camelCase names) on top, checked again as a whole.

        Raises:
            InvalidSettings: as `from_written`.
        """
        return self.from_written({**self.given(), **changes})

    def given(self) -> dict[str, object]:
        """What the person wrote, and nothing that is a default: JSON values by camelCase name."""
        written = self.model_dump(by_alias=True, exclude_unset=True, mode="json")
        return {name: value for name, value in written.items() if value is not None}

    def is_given(self, name: str) -> bool:
        """Whether the person wrote this setting; `name` is the attribute, as `learning_rate`."""
        assert name in type(self).model_fields, f"no setting has the attribute {name}"
        return name in self.model_fields_set and getattr(self, name) is not None

    @classmethod
    def written_name(cls, name: str) -> str:
        """`learningRate` for the attribute `learning_rate`."""
        return cls.model_fields[name].alias or name


class TrainingSettings(_Settings):
    """Every hyperparameter of a training."""

    base_model: StrictStr = Field(
        min_length=1,
        description="What to train on top of: a Hugging Face repository (org/name or "
        "org/name@revision), a diffusers folder, a .safetensors file, or a built-in name.",
        json_schema_extra=CORE,
    )
    epochs: WholeNumber | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Passes over the dataset; estimated from base model and dataset if left out.",
        json_schema_extra=CORE,
    )
    repeats: WholeNumber = Field(
        1,
        ge=1,
        le=10_000,
        description="How many times each picture is seen in one epoch.",
        json_schema_extra=CORE,
    )
    resolution: WholeNumber = Field(
        1024,
        ge=32,
        le=2048,
        description="Side of the square whose area every training picture gets, in pixels; "
        "left out on a built-in base model, its own size is taken.",
        json_schema_extra=CORE,
    )
    batch_size: WholeNumber = Field(
        1,
        ge=1,
        le=6,
        description="Pictures in one training step.",
        json_schema_extra=CORE,
    )
    seed: Seed | None = Field(
        None,
        description="Where all randomness comes from: the same seed gives the same LoRA; "
        "drawn and shown if left out.",
        json_schema_extra=CORE,
    )

    normalize_dataset: StrictBool = Field(
        False,
        description="Find the main subject of each picture and cut out the smallest square around "
        "it, with a margin of 10 %.",
        json_schema_extra=DATASET,
    )
    masked_loss: StrictBool = Field(
        False,
        description="Let head, body, the rectangle around the subject and the background count by "
        "their shades; a grey portrait.mask.png beside portrait.jpg says it instead; works best "
        "with normalizeDataset.",
        json_schema_extra=DATASET,
    )
    head_mask_shade: Shade = Field(
        255,
        description="How strongly the head counts, 255 is full; only with maskedLoss.",
        json_schema_extra=DATASET,
    )
    body_mask_shade: Shade = Field(
        200,
        description="How strongly the body counts; only with maskedLoss.",
        json_schema_extra=DATASET,
    )
    bounding_mask_shade: Shade = Field(
        40,
        description="How strongly the rectangle around the subject counts; only with maskedLoss.",
        json_schema_extra=DATASET,
    )
    background_mask_shade: Shade = Field(
        40,
        description="How strongly the background counts, lower means less attention to it; "
        "only with maskedLoss.",
        json_schema_extra=DATASET,
    )
    flip_aug: StrictBool = Field(
        False,
        description="Show each picture mirrored half of the time; only for symmetrical subjects.",
        json_schema_extra=DATASET,
    )

    optimizer: OptimizerName = Field(
        OptimizerName.PRODIGY,
        description="The algorithm that changes the LoRA's weights; Prodigy finds its own "
        "step size.",
        json_schema_extra=OPTIMIZER,
    )
    learning_rate: Number = Field(
        1.0,
        gt=0,
        description="Main learning rate: 1 suits Prodigy and D-Adaptation; left out with AdamW, "
        "1e-4 is used.",
        json_schema_extra=OPTIMIZER,
    )
    bias_correction: StrictBool = Field(
        False,
        description="Correct Adam's averages for their start at zero; recommended for Prodigy.",
        json_schema_extra=OPTIMIZER,
    )
    weight_decay: Number | None = Field(
        None,
        ge=0,
        description="Pull of the weights towards zero; the optimizer's own default if left out.",
        json_schema_extra=OPTIMIZER,
    )
    d0: Number | None = Field(
        None,
        gt=0,
        description="First guess of the step size by Prodigy and D-Adaptation; raise it when d "
        "does not grow.",
        json_schema_extra=OPTIMIZER,
    )
    decouple: StrictBool = Field(
        False,
        description="Apply weight decay to the weights instead of the gradient, as AdamW does; "
        "recommended for Prodigy.",
        json_schema_extra=OPTIMIZER,
    )
    d_coef: Number | None = Field(
        None,
        gt=0,
        description="Factor on the step size that Prodigy finds: 2 learns harder, 0.5 softer.",
        json_schema_extra=OPTIMIZER,
    )

    network_dim: WholeNumber = Field(
        64,
        ge=0,
        le=256,
        description="Rank of the LoRA: higher holds more detail in a larger file.",
        json_schema_extra=NETWORK,
    )
    alpha_dim: Number | None = Field(
        None,
        gt=0,
        description="LoRA alpha: the update is scaled by alphaDim / networkDim; networkDim if "
        "left out.",
        json_schema_extra=NETWORK,
    )
    train_unet_only: StrictBool = Field(
        False,
        description="Leave the text encoder as it is and train the denoiser alone.",
        json_schema_extra=NETWORK,
    )
    caption_prefix: StrictStr | None = Field(
        None,
        description="Trigger word put before every caption, for example lvff: the word that "
        "later calls the subject.",
        json_schema_extra=NETWORK,
    )

    precision: Precision = Field(
        Precision.FP16,
        description="Number format of the frozen base model on a GPU; a CPU computes in fp32.",
        json_schema_extra=ADVANCED,
    )
    scheduler: SchedulerName = Field(
        SchedulerName.COSINE,
        description="How the learning rate falls: Cosine to zero, CosineAnnealing to one percent "
        "of it, Constant not at all.",
        json_schema_extra=ADVANCED,
    )
    loss_type: LossType = Field(
        LossType.L2,
        description="How differences count: L2 by their square; Huber and SmoothL1 forgive "
        "outliers.",
        json_schema_extra=ADVANCED,
    )
    noise_offset: Number = Field(
        0.0,
        ge=0,
        le=1,
        description="Extra noise that shifts whole pictures, so that dark and bright ones are "
        "learnt; 0 adds none.",
        json_schema_extra=ADVANCED,
    )
    multires_noise_iterations: WholeNumber = Field(
        0,
        ge=0,
        description="How many coarser noise grids are added to the noise; 0 adds none.",
        json_schema_extra=ADVANCED,
    )
    multires_noise_discount: Number = Field(
        0.3,
        ge=0,
        le=1,
        description="How much weaker each coarser noise grid is than the one before it.",
        json_schema_extra=ADVANCED,
    )
    timestep_sampling: TimestepSampling | None = Field(
        None,
        description="How flow models choose noise levels; the base model's own way if left out.",
        json_schema_extra=ADVANCED,
    )
    guidance_scale: Number = Field(
        1.0,
        ge=0,
        description="Guidance shown to base models that were distilled with it, as FLUX.1-dev.",
        json_schema_extra=ADVANCED,
    )
    huber_c: Number = Field(
        1.0,
        gt=0,
        description="Where Huber and SmoothL1 turn from square to straight; 0.1 is a good start.",
        json_schema_extra=ADVANCED,
    )

    mask_normalization: StrictBool = Field(
        True,
        description="Let a small subject count as much as a large one under maskedLoss.",
        json_schema_extra=EXTENSION,
    )
    min_snr_gamma: Number | None = Field(
        None,
        gt=0,
        description="Weigh easy noise levels down (min-SNR weighting); 5 is the usual value.",
        json_schema_extra=EXTENSION,
    )
    caption_dropout: Number = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of visits in which a picture is shown without its caption.",
        json_schema_extra=EXTENSION,
    )
    sample_every: WholeNumber | None = Field(
        None,
        ge=1,
        description="Draw samplePrompts after every so many epochs.",
        json_schema_extra=EXTENSION,
    )
    sample_prompts: tuple[StrictStr, ...] = Field(
        (),
        description="The prompts that sampleEvery draws.",
        json_schema_extra=EXTENSION,
    )
    save_every: WholeNumber | None = Field(
        None,
        ge=1,
        description="Keep a LoRA file after every so many epochs.",
        json_schema_extra=EXTENSION,
    )
    gradient_accumulation: WholeNumber = Field(
        1,
        ge=1,
        description="Batches whose gradients are added up before one optimizer step.",
        json_schema_extra=EXTENSION,
    )
    max_steps: WholeNumber | None = Field(
        None,
        ge=1,
        description="Stop after so many optimizer steps, whatever epochs says.",
        json_schema_extra=EXTENSION,
    )
    network_targets: tuple[NetworkTarget, ...] = Field(
        (NetworkTarget.ATTENTION,),
        min_length=1,
        description="What gets a LoRA: the attention blocks, and with convolutions the rest of "
        "the denoiser too (LoCon), which learns fine texture better and makes a larger file.",
        json_schema_extra=EXTENSION,
    )
    prior_preservation: Number = Field(
        0.0,
        ge=0,
        le=10,
        description="How strongly the base model's answers to priorPrompts are kept, so that other "
        "subjects stay themselves; 1 is usual and more than doubles the work.",
        json_schema_extra=EXTENSION,
    )
    prior_prompts: tuple[StrictStr, ...] = Field(
        (),
        description="What the base model shall go on drawing as before, as 'a photo of a woman'; "
        "the captions without captionPrefix if left out. Only with priorPreservation.",
        json_schema_extra=EXTENSION,
    )
    validation_split: Number = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the pictures kept out of training, on which the loss is measured "
        "after every epoch.",
        json_schema_extra=EXTENSION,
    )


class Sampler(StrEnum):
    """The way from noise to a picture."""

    DDIM = "DDIM"
    EULER = "Euler"
    EULER_ANCESTRAL = "EulerAncestral"
    HEUN = "Heun"
    DPM_2M = "DPM2M"
    DPM_2M_KARRAS = "DPM2MKarras"
    UNIPC = "UniPC"


class ImageSettings(_Settings):
    """What a person wishes of generated pictures."""

    prompt: StrictStr = Field(
        min_length=1, description="What the picture shows; write the LoRA's trigger word into it."
    )
    negative_prompt: StrictStr = Field("", description="What the picture must not show.")
    steps: WholeNumber = Field(
        25,
        ge=1,
        le=60,
        description="Denoising steps; left out, as many as suit the base model: 4 for FLUX.1 "
        "schnell.",
    )
    width: Side | None = Field(
        None, description="Pixels across; the base model's own size if left out."
    )
    height: Side | None = Field(
        None, description="Pixels down; the base model's own size if left out."
    )
    guidance_scale: Number | None = Field(
        None,
        ge=0,
        description="How closely the prompt is followed; the base model's own value if left out.",
    )
    scheduler: Sampler | None = Field(
        None,
        description="The way from noise to the picture; the base model's own if left out. Stable "
        "Diffusion 3 and FLUX know Euler alone.",
    )
    seed: Seed | None = Field(
        None, description="The same seed gives the same picture; drawn and shown if left out."
    )
    lora_scale: Number = Field(
        1.0, ge=0, le=2, description="Strength of the LoRA: 0 is the base model alone."
    )
    count: WholeNumber = Field(1, ge=1, le=16, description="How many pictures.")


def invalid_settings(error: ValidationError, settings: type[BaseModel]) -> InvalidSettings:
    """`error`, met while checking `settings`, in the user's words: one line for every fault."""
    faults = describe_faults(error.errors(), settings)
    if len(faults) == 1:
        return InvalidSettings(faults[0])
    listed = "".join(f"\n  {fault}" for fault in faults)
    return InvalidSettings(f"{len(faults)} settings cannot be used:{listed}")

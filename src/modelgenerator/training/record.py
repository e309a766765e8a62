"""What a LoRA file says of the training that made it.

In: the plan.  Out: the metadata of the file.  No time, no caption and no name of a photo goes in:
the same training gives the same bytes on any day.  The base model is named as the person named it,
so that pictures can be drawn without naming it again; of one in a folder that is the folder.
"""

from importlib.metadata import version

from modelgenerator.lora.metadata import TrainingFacts, build_metadata
from modelgenerator.training.plan import SAYS_NOTHING_OF_THE_LORA, TrainingPlan

_KOHYA_VERSIONS = {
    ("stable-diffusion-1", "epsilon"): "sd_v1",
    ("stable-diffusion-1", "v_prediction"): "sd_v1",
    ("stable-diffusion-2", "epsilon"): "sd_v2",
    ("stable-diffusion-2", "v_prediction"): "sd_v2_v",
    ("stable-diffusion-xl", "epsilon"): "sdxl_base_v1-0",
    ("stable-diffusion-xl", "v_prediction"): "sdxl_base_v1-0",
    ("stable-diffusion-3", "flow"): "sd3",
    ("flux", "flow"): "flux1",
}
_ARCHITECTURES = {
    ("stable-diffusion-1", "epsilon"): "stable-diffusion-v1",
    ("stable-diffusion-1", "v_prediction"): "stable-diffusion-v1",
    ("stable-diffusion-2", "epsilon"): "stable-diffusion-v2-512",
    ("stable-diffusion-2", "v_prediction"): "stable-diffusion-v2-768-v",
    ("stable-diffusion-xl", "epsilon"): "stable-diffusion-xl-v1-base",
    ("stable-diffusion-xl", "v_prediction"): "stable-diffusion-xl-v1-base",
    ("stable-diffusion-3", "flow"): "stable-diffusion-3",
    ("flux", "flow"): "flux-1",
}
"""Source: kohya-ss/sd-scripts, library/sai_model_spec.py."""


def lora_metadata(plan: TrainingPlan, *, steps: int) -> dict[str, str]:
    """The header of a LoRA that was trained for `steps` steps of `plan`."""
    facts = plan.as_json()
    for private in (
        "pictures",
        "validation_pictures",
        "sample_prompts",
        "prior_prompts",
        *SAYS_NOTHING_OF_THE_LORA,
    ):
        del facts[private]
    return build_metadata(
        TrainingFacts(
            title=plan.caption_prefix or "lora",
            trigger_phrase=plan.caption_prefix,
            base_model=plan.base_model,
            architecture=_architecture(plan),
            base_model_version=_KOHYA_VERSIONS[plan.family, plan.prediction_type],
            prediction_type=plan.prediction_type,
            resolution=(plan.resolution, plan.resolution),
            rank=plan.network_dim,
            alpha=plan.network_alpha,
            text_encoder_trained=plan.trains_text,
            convolutions_trained="convolutions" in plan.network_targets,
            optimizer=plan.optimizer,
            learning_rate=plan.learning_rate,
            scheduler=plan.scheduler,
            loss_type=plan.loss,
            noise_offset=plan.noise_offset,
            precision=plan.compute_dtype,
            seed=plan.seed,
            pictures=len(plan.pictures),
            repeats=plan.repeats,
            batch_size=plan.batch_size,
            steps_per_epoch=plan.steps_per_epoch,
            epochs=plan.epochs,
            steps=steps,
            plan=facts,
            version=version("modelgenerator"),
        )
    )


def _architecture(plan: TrainingPlan) -> str:
    """FLUX.1 and Stable Diffusion 3 come in editions, which belong to the name."""
    name = _ARCHITECTURES[plan.family, plan.prediction_type]
    return f"{name}-{plan.edition}" if plan.edition else name

"""Every question that settings leave open, answered.

In: what a person wrote, the pictures that can be used, what is known of the base model and the
device.  Out: a `TrainingPlan`.  What is decided about each thing stands in its own module beside
this one; here it is put in order.  Loads no torch.
"""

import secrets

from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.provenance import provenance_notices
from modelgenerator.diffusion.recommended import image_defaults, steps_notices
from modelgenerator.notices import Notice
from modelgenerator.settings import TrainingSettings
from modelgenerator.training.plan import DeviceFacts, TrainingPlan
from modelgenerator.training.planning.advice import advice_on_samples, advice_on_training
from modelgenerator.training.planning.fit import fitted
from modelgenerator.training.planning.length import choose_length
from modelgenerator.training.planning.network import choose_network
from modelgenerator.training.planning.objective import EVEN_SHADES, choose_objective, mask_shades
from modelgenerator.training.planning.optimizer import choose_optimizer
from modelgenerator.training.planning.pictures import choose_pictures
from modelgenerator.training.planning.precision import choose_precision
from modelgenerator.training.planning.processes import refuse_idle_processes
from modelgenerator.training.planning.refusals import refuse_impossible
from modelgenerator.training.planning.unused import warnings_of_unused


def resolve(
    settings: TrainingSettings,
    dataset: PreparedDataset,
    base: BaseModelFiles,
    device: DeviceFacts,
    *,
    processes: int = 1,
) -> TrainingPlan:
    """Answer every question that `settings` leave open, for a training in so many processes.

    Raises:
        InvalidSettings: a setting cannot be honoured.
        NotEnoughMemory: nothing makes it fit into the device.
    """
    refuse_impossible(settings)
    refuse_idle_processes(processes, settings, device)
    notices: list[Notice] = []
    seed = _seed(settings, notices)
    pictures = choose_pictures(settings, dataset, base, seed, notices)
    length = choose_length(settings, pictures.buckets, base, notices)
    optimizer = choose_optimizer(settings, notices)
    network = choose_network(settings, base, notices)
    objective = choose_objective(settings, dataset, base)
    compute_dtype = choose_precision(settings, base, device, notices)
    images = image_defaults(base)
    shades = mask_shades(settings) or EVEN_SHADES
    notices += provenance_notices(base)
    notices += steps_notices(base) if settings.sample_every else ()
    notices += warnings_of_unused(settings, base)
    notices += advice_on_samples(settings, dataset, base)
    count = len(pictures.trained)
    notices += advice_on_training(settings, count, length.total_steps, network.alpha)
    plan = TrainingPlan(
        base_model=base.reference,
        base_revision=base.full_revision,
        family=base.family.value,
        edition=base.edition,
        prediction_type=base.prediction_type,
        seed=seed,
        pictures=pictures.trained,
        validation_pictures=pictures.kept_out,
        dataset_fingerprint=dataset.fingerprint,
        caption_prefix=settings.caption_prefix or "",
        resolution=pictures.resolution,
        epochs=length.epochs,
        repeats=settings.repeats,
        batch_size=settings.batch_size,
        gradient_accumulation=settings.gradient_accumulation,
        steps_per_epoch=length.steps_per_epoch,
        total_steps=length.total_steps,
        normalize_dataset=settings.normalize_dataset,
        flip=settings.flip_aug,
        caption_dropout=settings.caption_dropout,
        denoiser=network.denoiser,
        text_encoders=network.text_encoders,
        network_targets=network.targets,
        network_dim=network.dim,
        network_alpha=network.alpha,
        optimizer=optimizer.name,
        learning_rate=optimizer.learning_rate,
        optimizer_arguments=optimizer.arguments,
        scheduler=optimizer.scheduler,
        loss=settings.loss_type.value,
        huber_c=objective.huber_c,
        min_snr_gamma=objective.min_snr_gamma,
        masked_loss=settings.masked_loss,
        head_mask_shade=shades.head,
        body_mask_shade=shades.body,
        bounding_mask_shade=shades.bounding,
        background_mask_shade=shades.background,
        mask_normalization=objective.mask_normalization,
        noise_offset=settings.noise_offset,
        multires_noise_iterations=settings.multires_noise_iterations,
        multires_noise_discount=objective.multires_noise_discount,
        timestep_sampling=objective.timestep_sampling,
        guidance_scale=objective.guidance_scale,
        prior_preservation=settings.prior_preservation,
        prior_prompts=objective.prior_prompts,
        compute_dtype=compute_dtype,
        sample_every=settings.sample_every or 0,
        sample_prompts=settings.sample_prompts,
        sample_size=pictures.resolution // base.size_step * base.size_step,
        sample_steps=images.steps,
        sample_guidance_scale=images.guidance_scale,
        save_every=settings.save_every or 0,
        gradient_checkpointing=False,
        memory_bytes=0,
        processes=processes,
        notices=tuple(notices),
    )
    return fitted(plan, base, device)


def _seed(settings: TrainingSettings, notices: list[Notice]) -> int:
    if settings.seed is not None:
        return settings.seed
    seed = secrets.randbits(31)
    notices.append(Notice("info", "seed", f"{seed} was drawn: give it to repeat this training."))
    return seed

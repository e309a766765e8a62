"""Every page.

`/trainings/new`, `/trainings/compare` and `/trainings/sweep` come before `/trainings/{id}`.
"""

from fastapi import APIRouter

from modelgenerator.service.dashboard import (
    api_keys,
    assets,
    billing,
    compare,
    flows,
    generate,
    home,
    logs,
    members,
    models,
    new_training,
    packs,
    public_flow,
    runs,
    sessions,
    storage,
    subject_captions,
    subject_masks,
    subject_page,
    subject_photos,
    subject_uploads,
    subjects,
    sweeps,
    training_templates,
    trainings,
    webhooks,
)

ROUTERS: tuple[APIRouter, ...] = (
    home.router,
    subjects.router,
    subject_page.router,
    subject_uploads.router,
    subject_captions.router,
    subject_masks.router,
    subject_photos.router,
    new_training.router,
    sweeps.router,
    compare.router,
    trainings.router,
    generate.router,
    packs.router,
    flows.router,
    runs.router,
    public_flow.router,
    models.router,
    training_templates.router,
    billing.router,
    members.router,
    api_keys.router,
    webhooks.router,
    storage.router,
    logs.router,
    sessions.router,
    assets.router,
)

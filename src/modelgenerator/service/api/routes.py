"""Every resource, in the order in which /docs shows them."""

from fastapi import APIRouter

from modelgenerator.service.api import (
    api_keys,
    base_models,
    cluster,
    datasets,
    flows,
    health,
    inference_packs,
    inferences,
    members,
    organization,
    public_flows,
    receipts,
    runs,
    schemas,
    sessions,
    stored_files,
    subjects,
    templates,
    trainings,
    webhooks,
)

ROUTERS: tuple[APIRouter, ...] = (
    subjects.router,
    datasets.router,
    templates.router,
    base_models.router,
    trainings.router,
    inferences.router,
    inference_packs.router,
    flows.router,
    runs.router,
    public_flows.router,
    cluster.router,
    organization.router,
    members.router,
    api_keys.router,
    webhooks.router,
    receipts.router,
    sessions.router,
    schemas.router,
    stored_files.router,
    health.router,
)

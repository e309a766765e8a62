"""The service over HTTP: parse, call an operation, answer."""

from fastapi import APIRouter

from modelgenerator.service.api import (
    flows,
    health,
    inference_packs,
    inferences,
    organization,
    runs,
    schemas,
    stored_files,
    trainings,
    webhooks,
)

ROUTERS: tuple[APIRouter, ...] = (
    trainings.router,
    inferences.router,
    inference_packs.router,
    flows.router,
    runs.router,
    organization.router,
    webhooks.router,
    health.router,
    schemas.router,
    stored_files.router,
)
"""Every resource, in the order in which /docs shows them."""

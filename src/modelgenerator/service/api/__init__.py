"""The service over HTTP: parse, call an operation, answer."""

from fastapi import APIRouter

from modelgenerator.service.api import (
    api_keys,
    datasets,
    health,
    members,
    receipts,
    schemas,
    sessions,
    stored_files,
    subjects,
    templates,
)

ROUTERS: tuple[APIRouter, ...] = (
    subjects.router,
    datasets.router,
    templates.router,
    receipts.router,
    members.router,
    api_keys.router,
    sessions.router,
    schemas.router,
    stored_files.router,
    health.router,
)
"""Every resource, in the order in which /docs shows them."""

"""The service over HTTP: parse, call an operation, answer."""

from fastapi import APIRouter

from modelgenerator.service.api import health, schemas, stored_files

ROUTERS: tuple[APIRouter, ...] = (health.router, schemas.router, stored_files.router)
"""Every resource, in the order in which /docs shows them."""

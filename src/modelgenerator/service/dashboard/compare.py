"""Trainings side by side."""

from fastapi import APIRouter

from modelgenerator.service.dashboard.page_errors import PageRoute

router = APIRouter(route_class=PageRoute, include_in_schema=False)

"""The web application: every route, behind limits, with a log line and a number for each request.

In: an opened service.  Out: an ASGI application.  Jobs are not run here.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from modelgenerator.service.api import problems
from modelgenerator.service.api.routes import ROUTERS
from modelgenerator.service.app.limits import LimitedRequests, RequestLimits
from modelgenerator.service.app.logs import REQUEST_ID
from modelgenerator.service.app.metrics import MEDIA_TYPE, Metrics
from modelgenerator.service.dashboard.page_errors import problem_page
from modelgenerator.service.dashboard.routes import ROUTERS as PAGES
from modelgenerator.service.operations.service import Service

_log = logging.getLogger(__name__)
Next = Callable[[Request], Awaitable[Response]]
_DESCRIPTION = """
Teaches a diffusion model a subject: photos in, a LoRA out, pictures of that subject in any scene.

Send `Authorization: Bearer KEY`. Errors are `application/problem+json`. Money is in microdollars.
A POST that is sent again with the same `Idempotency-Key` makes nothing twice.
"""


def create_app(service: Service, limits: RequestLimits | None = None) -> FastAPI:
    """The application for one opened service."""
    app = FastAPIOffline(
        title="ModelGenerator",
        version=version("modelgenerator"),
        description=_DESCRIPTION,
        generate_unique_id_function=_name_of,
        middleware=[Middleware(LimitedRequests, limits=limits or RequestLimits())],
        redoc_url=None,
        static_url="/docs-assets",
    )
    app.state.service = service
    metrics = Metrics(service)
    problems.install(app)
    for router in (*ROUTERS, *PAGES):
        app.include_router(router)
    app.add_exception_handler(HTTPException, _no_such_address)

    @app.get("/metrics", tags=["operating"], response_class=Response)
    def metrics_text() -> Response:  # pyright: ignore[reportUnusedFunction]
        """Numbers for Prometheus."""
        return Response(metrics.text(), media_type=MEDIA_TYPE)

    @app.middleware("http")
    async def watched(  # pyright: ignore[reportUnusedFunction]
        request: Request, call_next: Next
    ) -> Response:
        return await _watched(request, call_next, metrics)

    return app


def _no_such_address(request: Request, error: Exception) -> Response:
    """A page for whoever looks at pages, a problem for whoever asks the API."""
    is_page = "text/html" in request.headers.get("accept", "")
    if is_page and not request.url.path.startswith("/v1"):
        return problem_page(request, error)
    return problems.by_the_framework(request, error)


async def _watched(request: Request, call_next: Next, metrics: Metrics) -> Response:
    request_id = uuid4().hex[:16]
    token = REQUEST_ID.set(request_id)
    began = time.perf_counter()
    try:
        response = await call_next(request)
        seconds = time.perf_counter() - began
        _count(request, response.status_code, seconds, metrics)
    finally:
        REQUEST_ID.reset(token)
    response.headers["X-Request-Id"] = request_id
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _count(request: Request, status: int, seconds: float, metrics: Metrics) -> None:
    """By the route's pattern: an address with an id in it would be a number of its own."""
    route = getattr(request.scope.get("route"), "path", "none")
    metrics.requests.labels(request.method, route, status).inc()
    metrics.seconds.labels(request.method, route).observe(seconds)
    facts = {
        "method": request.method,
        "path": request.url.path,
        "status": status,
        "seconds": round(seconds, 4),
    }
    _log.info("answered", extra={"facts": facts})


def _name_of(route: APIRoute) -> str:
    """A route's name for generated clients: its function's, which is one of a kind."""
    return route.name

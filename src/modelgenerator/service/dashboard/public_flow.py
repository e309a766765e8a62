"""The page of a public flow, for visitors without an account, and the page of their run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from modelgenerator.datasets.sources import FolderFile
from modelgenerator.errors import InvalidFlowInput
from modelgenerator.service.dashboard.flow_colours import colour_rules
from modelgenerator.service.dashboard.flow_form import Form, all_controls, form_of
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.result_widgets import widgets_of
from modelgenerator.service.dashboard.run_forms import (
    Added,
    filled_in,
    refused_form,
    stored,
)
from modelgenerator.service.dashboard.run_steps import (
    filenames_of,
    is_over,
    mark_of,
    part_done,
    timeline,
)
from modelgenerator.service.dashboard.visits import REQUEST_KEY, Visitor, VisitorHere, form_request
from modelgenerator.service.http.received_files import ReceivedForm, received_form
from modelgenerator.service.operations import flows, public_runs
from modelgenerator.service.operations.flows import PublicPage
from modelgenerator.service.operations.form_uploads import UPLOADS_WAIT
from modelgenerator.service.operations.public_runs import RUNS_ARE_SHOWN, PublicRun
from modelgenerator.service.operations.service import Service

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class VisitorsRoom:
    """Datasets that somebody without an account fills, each known by a ticket."""

    service: Service
    slug: str
    address: str

    def add(self, before: str | None, files: list[FolderFile], folder: Path) -> Added:
        """To what a ticket opens, or to a new dataset."""
        if before is not None and public_runs.count_public_upload(self.service, self.slug, before):
            given = (self.service, self.slug, before, self.address)
            upload = public_runs.open_public_upload(*given)
        else:
            upload = public_runs.start_public_upload(self.service, self.slug, self.address)
        left_out = stored(self.service, upload.caller, upload.dataset_id, files, folder)
        return Added(upload.ticket, left_out)


@router.get("/f/{slug}")
def public_page(visitor: VisitorHere, slug: str) -> Response:
    """The form, for anybody."""
    page = flows.public_page(visitor.service, slug)
    return _form_page(visitor, page, form_of(page.input))


@router.post("/f/{slug}")
async def start_public_run(visitor: VisitorHere, slug: str, request: Request) -> Response:
    """Run it with what was filled in, or say what is wrong at its place."""
    service, address = visitor.service, _address(request)
    page = await run_in_threadpool(flows.public_page, service, slug)
    await run_in_threadpool(public_runs.admit_public_form, service, slug, address)
    async with received_form(request, service) as form:
        return await run_in_threadpool(_start, visitor, page, form, address)


@router.get("/f/{slug}/runs/{ticket}")
def public_run(visitor: VisitorHere, slug: str, ticket: str) -> Response:
    """How far the visitor's run is, and what came of it."""
    return visitor.page("public/run.html", **_run_values(visitor, slug, ticket))


@router.get("/f/{slug}/runs/{ticket}/status")
def public_run_status(visitor: VisitorHere, slug: str, ticket: str, seen: str = "") -> Response:
    """The part that changes; it says when there is more to see than that."""
    values = _run_values(visitor, slug, ticket)
    answer = visitor.page("public/status.html", **values)
    if seen != values["mark"]:
        answer.headers["HX-Trigger"] = "more-to-see"
    return answer


@router.get("/f/{slug}/runs/{ticket}/results")
def public_run_results(visitor: VisitorHere, slug: str, ticket: str) -> Response:
    """The results that the flow shows."""
    return visitor.page("public/results.html", **_run_values(visitor, slug, ticket))


def _start(visitor: Visitor, page: PublicPage, form: ReceivedForm, address: str) -> Response:
    service, slug = visitor.service, page.slug
    key = form.value(REQUEST_KEY)
    request = form_request(key, visitor.request.url.path, form.sent) if key else None
    filled = None
    try:
        filled = filled_in(page.input, form, VisitorsRoom(service, slug, address))
        run = public_runs.start_public_run(service, slug, filled.values, address, request)
    except InvalidFlowInput as error:
        assert filled is not None, "it was read before it was refused"
        return _form_page(visitor, page, refused_form(page.input, filled, error), status=422)
    return visitor.go(f"/f/{slug}/runs/{run.ticket}")


def _form_page(visitor: Visitor, page: PublicPage, form: Form, *, status: int = 200) -> Response:
    counts = {
        str(each.value): public_runs.count_public_upload(
            visitor.service, page.slug, str(each.value)
        )
        for each in all_controls(form.controls)
        if each.kind == "pictures" and each.value
    }
    # a part that htmx puts in must be a success for it, as errors of other pages are
    template = "public/form.html" if visitor.is_partial else "public/show.html"
    return visitor.page(
        template,
        status=200 if visitor.is_partial else status,
        page=page,
        form=form,
        photos_wait=UPLOADS_WAIT,
        shown_for=RUNS_ARE_SHOWN,
        picture_counts=counts,
        colours=colour_rules(page.ui),
    )


def _run_values(visitor: Visitor, slug: str, ticket: str) -> dict[str, Any]:
    run = public_runs.read_public_run(visitor.service, slug, ticket)
    page = flows.public_page(visitor.service, slug)
    lines = timeline(run.seen, visitor.service.clock())
    return {
        "page": page,
        "ticket": ticket,
        "state": run.seen.run.status.value,
        "started": run.seen.run.created_at,
        "shown_for": RUNS_ARE_SHOWN,
        "lines": lines,
        "part": part_done(lines),
        "mark": mark_of(run.seen),
        "is_over": is_over(run.seen),
        "failure": _failure(run),
        "widgets": widgets_of(run.seen.ui, run.results, filenames_of(run.seen)),
        "colours": colour_rules(page.ui),
    }


def _failure(run: PublicRun) -> str | None:
    """Why there is nothing to see, without what is nobody else's business."""
    if run.error is None:
        return None
    if run.error == "Insufficient Funds":
        return (
            "Whoever offers this page has no credit left, so that it stopped. It is nothing that "
            "you did: ask them, and try again later."
        )
    return (
        "It did not work this time. Other photos may help; if it happens again, tell whoever gave "
        "you the link."
    )


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"

"""Runs of flows: started by a member's form, watched step by step, gone on with, cancelled."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from modelgenerator.errors import InvalidFlowInput
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.flows import flow_values
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.result_widgets import everything, widgets_of
from modelgenerator.service.dashboard.run_forms import (
    MembersRoom,
    filled_in,
    members_counts,
    refused_form,
)
from modelgenerator.service.dashboard.run_steps import (
    filenames_of,
    is_over,
    mark_of,
    part_done,
    timeline,
)
from modelgenerator.service.dashboard.visits import (
    REQUEST_KEY,
    UploadingVisitHere,
    Visit,
    VisitHere,
    form_request,
)
from modelgenerator.service.http.received_files import ReceivedForm, received_form
from modelgenerator.service.operations import flows, run_cancelling, runs
from modelgenerator.service.operations.runs import SeenRun
from modelgenerator.service.records.flows import RunStatus
from modelgenerator.service.records.organizations import Role

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.post("/flows/{id}/runs")
async def start_run(visit: UploadingVisitHere, id: UUID, request: Request) -> Response:
    """Run the flow with what was filled in, or say what is wrong at its place."""
    visit.caller.require(Role.MEMBER)
    await run_in_threadpool(flows.read_flow, visit.service, visit.caller, id)
    async with received_form(request, visit.service) as form:
        return await run_in_threadpool(_start, visit, id, form)


@router.get("/runs/{id}")
def show_run(visit: VisitHere, id: UUID) -> Response:
    """How far it is, and what it has so far."""
    return visit.page("runs/show.html", **_values(visit, id))


@router.get("/runs/{id}/status")
def run_status(visit: VisitHere, id: UUID, seen: str = "") -> Response:
    """The part that changes; it says when there is more to see than that."""
    values = _values(visit, id)
    answer = visit.page("runs/status.html", **values)
    if seen != values["mark"]:
        answer.headers["HX-Trigger"] = "more-to-see"
    return answer


@router.get("/runs/{id}/results")
def run_results(visit: VisitHere, id: UUID) -> Response:
    """Results and what each step was told."""
    return visit.page("runs/results.html", **_values(visit, id))


@router.post("/runs/{id}/cancel")
def cancel_run(visit: VisitHere, id: UUID) -> Response:
    """End it."""
    run_cancelling.cancel_run(visit.service, visit.caller, id)
    return visit.go(f"/runs/{id}", "The run ends as soon as its step has stopped.")


@router.post("/runs/{id}/resume")
def resume_run(visit: VisitHere, id: UUID) -> Response:
    """Go on where it failed."""
    runs.resume_run(visit.service, visit.caller, id)
    return visit.go(f"/runs/{id}", "It goes on at the step that failed.")


def _start(visit: Visit, id: UUID, form: ReceivedForm) -> Response:
    caller = visit.caller
    if key := form.value(REQUEST_KEY):
        caller = replace(caller, request=form_request(key, visit.request.url.path, form.sent))
    saved = flows.read_flow(visit.service, caller, id)
    schema = saved.definition.input
    filled = filled_in(schema, form, MembersRoom(visit.service, caller, id))
    try:
        run_id = runs.start_run(visit.service, caller, id, filled.values)
    except InvalidFlowInput as error:
        again = refused_form(schema, filled, error)
        values = flow_values(visit, saved) | {"picture_counts": members_counts(visit, again)}
        return visit.page("flows/show.html", status=422, form=again, **values)
    return visit.go(f"/runs/{run_id}")


def _values(visit: Visit, id: UUID) -> dict[str, Any]:
    seen = runs.read_run(visit.service, visit.caller, id)
    lines = timeline(seen, visit.service.clock())
    results = {each.step.step_id: each.result for each in seen.steps if each.result is not None}
    names = filenames_of(seen)
    return {
        "seen": seen,
        "flow": flows.flow_of_run(visit.service, visit.caller, seen.run.flow_id),
        "lines": lines,
        "part": part_done(lines),
        "mark": mark_of(seen),
        "is_over": is_over(seen),
        "failure": _failure(seen) if seen.run.status is RunStatus.FAILED else None,
        "widgets": widgets_of(seen.ui, results, names) or everything(results, names),
        "calls": _calls(seen),
    }


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a run stopped."""

    title: str
    happened: str
    is_unpaid: bool


def _failure(seen: SeenRun) -> _Failure:
    error = seen.run.error or {}
    is_unpaid = error.get("code") == "insufficientFunds"
    title = "The balance is used up" if is_unpaid else "A step failed"
    return _Failure(title, str(error.get("message") or "See the step above."), is_unpaid)


def _calls(seen: SeenRun) -> list[Call]:
    path, name = f"/v1/runs/{seen.run.id}", f"client.run({str(seen.run.id)!r})"
    calls = [Call("GET", path, python=f"run = {name}\nprint(run.results)\nrun.download('results')")]
    if seen.run.status == "failed":
        calls.append(Call("POST", f"{path}/resume", python=f"{name}.resume()"))
    return calls

"""Flows: the list, the editor with what is wrong and what a run costs, versions, who may run it."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Response
from fastapi.responses import JSONResponse

from modelgenerator.errors import InvalidFlow
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.flow_examples import EXAMPLES, example_named
from modelgenerator.service.dashboard.flow_form import form_of
from modelgenerator.service.dashboard.flow_words import (
    is_open_ended,
    marks_in,
    price_lines,
    sentence,
)
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.run_forms import run_calls, subject_choices
from modelgenerator.service.dashboard.step_graph import graph_of
from modelgenerator.service.dashboard.text_places import with_plain_breaks
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.errors import AlreadyExists
from modelgenerator.service.operations import flows, runs
from modelgenerator.service.operations.flows import CheckedText, SavedFlow

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_AT_ONCE = 25
_RUNS_SHOWN = 10
DefinitionHere = Annotated[str, Form(alias="definition")]


@dataclass(frozen=True, slots=True)
class Written:
    """A definition in the editor, and what is to be said about it."""

    text: str
    checked: CheckedText
    refused: str | None = None
    """Why it could not be saved, where that is nothing in the text alone."""


@router.get("/flows")
def list_flows(visit: VisitHere, cursor: str | None = None) -> Response:
    """All flows, the newest first."""
    page = flows.list_with_runs(visit.service, visit.caller, cursor, _AT_ONCE)
    return visit.page("flows/list.html", page=page)


@router.get("/flows/new")
def new_flow(visit: VisitHere, start: str = "") -> Response:
    """What to start from, and the editor with it."""
    chosen = example_named(start)
    return visit.page(
        "flows/new.html",
        examples=EXAMPLES,
        chosen=chosen,
        written=_written(visit, chosen.text),
        **_CALLED_BY_TEMPLATES,
    )


@router.post("/flows/check")
def check_flow(visit: VisitHere, text: Annotated[str, Form()] = "") -> Response:
    """What is wrong with a text, for the editor."""
    checked = flows.check_text(visit.service, visit.caller, text)
    return JSONResponse({"faults": marks_in(text, checked.faults)})


@router.post("/flows/preview")
def preview_flow(visit: VisitHere, definition: DefinitionHere = "") -> Response:
    """What is wrong, what runs after what, and what a run costs, while somebody writes."""
    return visit.page(
        "flows/preview.html", written=_written(visit, definition), **_CALLED_BY_TEMPLATES
    )


@router.post("/flows")
def create_flow(visit: VisitHere, definition: DefinitionHere = "") -> Response:
    """Save a new flow, or show what is wrong with it."""
    text = with_plain_breaks(definition)
    try:
        saved = flows.create_flow(visit.service, visit.caller, text)
    except (InvalidFlow, AlreadyExists) as error:
        chosen = example_named("")
        values = {"examples": EXAMPLES, "chosen": chosen, "written": _refused(visit, text, error)}
        return visit.page("flows/new.html", status=_status(error), **values, **_CALLED_BY_TEMPLATES)
    return visit.go(f"/flows/{saved.flow.id}", "Saved. Run it here.")


@router.get("/flows/{id}")
def show_flow(visit: VisitHere, id: UUID, cursor: str | None = None) -> Response:
    """Run it, see its runs, and who may run it."""
    saved = flows.read_flow(visit.service, visit.caller, id)
    values = flow_values(visit, saved, cursor)
    return visit.page("flows/show.html", form=form_of(saved.definition.input), **values)


@router.get("/flows/{id}/definition")
def edit_flow(visit: VisitHere, id: UUID, version: int | None = None) -> Response:
    """The editor; with a `version`, what that one said."""
    saved = flows.read_flow(visit.service, visit.caller, id)
    text = saved.version.source
    if version is not None:
        text = flows.read_version(visit.service, visit.caller, id, version).source
    return visit.page(
        "flows/definition.html", **_editing(saved, _written(visit, text)), shown=version
    )


@router.post("/flows/{id}/definition")
def save_flow(visit: VisitHere, id: UUID, definition: DefinitionHere = "") -> Response:
    """Save the next version, or show what is wrong with it."""
    text = with_plain_breaks(definition)
    try:
        saved = flows.update_flow(visit.service, visit.caller, id, text)
    except (InvalidFlow, AlreadyExists) as error:
        saved = flows.read_flow(visit.service, visit.caller, id)
        values = _editing(saved, _refused(visit, text, error))
        return visit.page("flows/definition.html", status=_status(error), **values, shown=None)
    said = f"Saved as version {saved.version.number}. Runs that have begun go on with theirs."
    return visit.go(f"/flows/{id}/definition", said)


@router.get("/flows/{id}/versions")
def list_versions(visit: VisitHere, id: UUID, cursor: str | None = None) -> Response:
    """Everything that the flow ever was."""
    saved = flows.read_flow(visit.service, visit.caller, id)
    page = flows.list_versions(visit.service, visit.caller, id, cursor, _AT_ONCE)
    return visit.page("flows/versions.html", saved=saved, page=page)


@router.post("/flows/{id}/public")
def publish_flow(visit: VisitHere, id: UUID, on: Annotated[str, Form()] = "") -> Response:
    """Let anybody with the link run it, or nobody."""
    saved = flows.publish_flow(visit.service, visit.caller, id, is_public=on == "yes")
    words = "Anybody with the link can run it now." if saved.flow.is_public else "It is private."
    return visit.go(f"/flows/{id}", words)


@router.post("/flows/{id}/delete")
def delete_flow(visit: VisitHere, id: UUID) -> Response:
    """Take it away."""
    flows.delete_flow(visit.service, visit.caller, id)
    return visit.go("/flows", "The flow is deleted. Its runs and their results stay.")


def flow_values(visit: Visit, saved: SavedFlow, cursor: str | None = None) -> dict[str, Any]:
    """What the flow's own page shows beside the form."""
    service, caller, id = visit.service, visit.caller, saved.flow.id
    return {
        "saved": saved,
        "graph": graph_of(saved.definition),
        "estimate": flows.estimate_of(service, saved, is_public=False),
        "runs": runs.list_runs(service, caller, cursor, _RUNS_SHOWN, flow_id=id),
        "subjects": subject_choices(visit, saved.definition),
        "calls": run_calls(saved),
        "picture_counts": {},
        "visitor_price": service.config.prices.public_run,
        "visitors_runs": service.public_runs,
        **_CALLED_BY_TEMPLATES,
    }


def _editing(saved: SavedFlow, written: Written) -> dict[str, Any]:
    body = {"definition": written.text}
    python = 'print(client.save_flow("flow.json5").id)  # of the same title or slug: a version'
    calls = [Call("PUT", f"/v1/flows/{saved.flow.id}", body, python=python)]
    return {"saved": saved, "written": written, "calls": calls, **_CALLED_BY_TEMPLATES}


def _written(visit: Visit, definition: str) -> Written:
    text = with_plain_breaks(definition)
    return Written(text, flows.check_text(visit.service, visit.caller, text))


def _refused(visit: Visit, text: str, error: InvalidFlow | AlreadyExists) -> Written:
    words = str(error) if isinstance(error, AlreadyExists) else None
    return Written(text, flows.check_text(visit.service, visit.caller, text), words)


def _status(error: InvalidFlow | AlreadyExists) -> int:
    return error.status if isinstance(error, AlreadyExists) else 422


_CALLED_BY_TEMPLATES: dict[str, Any] = {
    "sentence": sentence,
    "price_lines": price_lines,
    "is_open_ended": is_open_ended,
    "graph_of": graph_of,
}
"""What the templates call."""

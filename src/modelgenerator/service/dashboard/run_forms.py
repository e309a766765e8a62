"""A flow's form as it was filled in: its pictures are stored, its values are read.

In: a sent form, and where its pictures go.  Out: the input of a run, in which the value of a
dataset property names the pictures.  What the values may be is decided where the run starts.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, cast
from uuid import UUID

from modelgenerator.datasets.sources import FolderFile
from modelgenerator.errors import InvalidFlowInput
from modelgenerator.flows.definition import Flow
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.flow_form import (
    Control,
    ControlKind,
    Form,
    Schema,
    all_controls,
    form_of,
    form_with,
)
from modelgenerator.service.dashboard.flow_form_sent import read_form
from modelgenerator.service.dashboard.visits import Visit
from modelgenerator.service.errors import NotFound, NothingUsable
from modelgenerator.service.http.received_files import ReceivedForm
from modelgenerator.service.operations import datasets, form_uploads, subjects, uploads
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.flows import SavedFlow
from modelgenerator.service.operations.form_inputs import id_of
from modelgenerator.service.operations.service import Service

_SUBJECTS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class SubjectChoice:
    """A dataset that may be chosen instead of uploading."""

    dataset_id: str
    words: str


@dataclass(frozen=True, slots=True)
class FilledIn:
    """A form that was sent, with its pictures stored."""

    values: dict[str, object]
    left_out: tuple[str, ...]
    """Files that could not be used, each with the reason."""


class PictureRoom(Protocol):
    """Where the pictures of a form go."""

    def add(self, before: str | None, files: list[FolderFile], folder: Path) -> "Added":
        """Pictures to what the value `before` names, or to a new dataset."""
        ...


@dataclass(frozen=True, slots=True)
class Added:
    """What became of the pictures."""

    value: str
    """Names them in the form."""
    left_out: list[str]


@dataclass(frozen=True, slots=True)
class MembersRoom:
    """Datasets that a member of the flow's organization fills."""

    service: Service
    caller: Caller
    flow_id: UUID

    def add(self, before: str | None, files: list[FolderFile], folder: Path) -> Added:
        """To what was uploaded with this form before, or to a new dataset."""
        caller = replace(self.caller, request=None)
        id = id_of(before or "")
        if id is None or not form_uploads.is_waiting_upload(self.service, caller, id):
            id = form_uploads.start_upload(self.service, caller, self.flow_id).id
        return Added(str(id), stored(self.service, caller, id, files, folder))


def stored(
    service: Service, caller: Caller, dataset_id: UUID, files: list[FolderFile], folder: Path
) -> list[str]:
    """Add the pictures; which could not be used, and why."""
    try:
        results = uploads.add_files(service, caller, dataset_id, files, folder)
    except NothingUsable as error:
        refused = cast(Sequence[Mapping[str, object]], error.facts["files"])
        return [f"{each['name']}: {each['reason']}" for each in refused]
    return [f"{each.name}: {each.reason}" for each in results if each.reason]


def filled_in(schema: Schema, form: ReceivedForm, room: PictureRoom) -> FilledIn:
    """What was sent, with the pictures stored."""
    sent, left_out = list(form.values), list[str]()
    for control in picture_controls(schema):
        files = [file for field, file in form.files if field == control.name]
        before = next((text for name, text in sent if name == control.name and text), None)
        if files:
            added = room.add(before, files, form.folder)
            sent = [each for each in sent if each[0] != control.name]
            sent.append((control.name, added.value))
            left_out += added.left_out
    return FilledIn(read_form(schema, sent), tuple(left_out))


def refused_form(schema: Schema, filled: FilledIn, error: InvalidFlowInput) -> Form:
    """The form as it was filled in, with what is wrong at its controls."""
    form = form_with(schema, filled.values, error.faults_as_json)
    return replace(form, faults=(*form.faults, *filled.left_out))


def subject_choices(visit: Visit, flow: Flow) -> list[SubjectChoice]:
    """The subjects' datasets, where the form takes one."""
    if not picture_controls(flow.input):
        return []
    page = subjects.list_subjects(visit.service, visit.caller, None, limit=_SUBJECTS_SHOWN)
    return [
        SubjectChoice(str(each.subject.dataset_id), f"{each.subject.name}: {each.picture_count}")
        for each in page.items
        if each.picture_count
    ]


def members_counts(visit: Visit, form: Form) -> dict[str, int]:
    """How many pictures the datasets have that a form names, as far as they are there."""
    named = [str(each.value) for each in _of_pictures(form.controls) if each.value]
    counts: dict[str, int] = {}
    for value in named:
        if (id := id_of(value)) is not None:
            with suppress(NotFound):
                seen = datasets.read_dataset(visit.service, visit.caller, id)
                counts[value] = len(seen.pictures)
    return counts


def run_calls(saved: SavedFlow) -> list[Call]:
    """A run by the API, with the form's defaults."""
    schema = saved.definition.input
    form = form_of(schema)
    given = [(each.name, each.text) for each in all_controls(form.controls) if each.text]
    values = read_form(schema, given)
    photos = [each.name.removeprefix("/") for each in _of_pictures(form.controls)]
    told = f", photos={dict.fromkeys(photos, 'photos/')!r}" if photos else ""
    python = (
        f"run = client.run_flow({saved.flow.slug!r}, {values!r}{told})\n"
        'run.wait()\nrun.download("results")'
    )
    body = {"input": {**values, **dict.fromkeys(photos, "DATASET_ID")}}
    return [Call("POST", f"/v1/flows/{saved.flow.id}/runs", body, python=python)]


def picture_controls(schema: Schema) -> list[Control]:
    """Those that take photos."""
    return _of_pictures(form_with(schema, {}).controls)


def _of_pictures(controls: Iterable[Control]) -> list[Control]:
    return [each for each in all_controls(controls) if each.kind is ControlKind.PICTURES]

"""`modelgenerator flow run`: a flow from a file to its results in a folder.

Comes in: a flow, what its form asks for, and a server or none.  Goes out: how far it is, and the
results as files.  The server does the work; this only asks it.
"""

import json
import os
import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from modelgenerator.cli.embedded_server import embedded_server
from modelgenerator.cli.flow import refuse_faults
from modelgenerator.client import Client, FlowHandle, RunHandle, ServerEvent, WorkFailed
from modelgenerator.client.client import URL_VARIABLE
from modelgenerator.client.progress import shown
from modelgenerator.errors import InvalidFlowInput
from modelgenerator.settings_files import parse_assignment

_PLAIN = {"stepStarted", "stepFinished", "finished"}


def run(
    flow: str, *, inputs: list[str], server: str | None, output: Path | None, as_json: bool
) -> None:
    """Run `flow`, a file or the slug of one that the server has, and download its results.

    Raises:
        InvalidFlow, InvalidFlowInput: the flow, or what it was given, has faults.
        WorkFailed: the run failed; the results so far are downloaded nevertheless.
    """
    if Path(flow).is_file():
        refuse_faults(Path(flow))
    with _client(server) as (client, is_ours):
        handle = client.save_flow(flow) if Path(flow).is_file() else client.flow(flow)
        values, photos = given(handle, inputs)
        started = client.run_flow(handle, values, photos)
        try:
            _follow(started, as_json=as_json)
        except KeyboardInterrupt:
            _interrupted(started, is_ours=is_ours)
            raise
        _conclude(started, output or Path("results") / handle.slug, as_json=as_json)


@contextmanager
def _client(server: str | None) -> Generator[tuple[Client, bool], None, None]:
    """A client, and whether its server is the command's own."""
    if server or os.environ.get(URL_VARIABLE):
        with Client(server) as client:
            yield client, False
        return
    with embedded_server() as own, Client(own.url, own.key) as client:
        yield client, True


def given(
    handle: FlowHandle, inputs: Iterable[str]
) -> tuple[dict[str, object], dict[str, str | Path]]:
    """Values and folders of photos by the names of the form."""
    form = cast(Mapping[str, Any], handle.read()["definition"].get("input", {}))
    properties = cast(Mapping[str, Any], form.get("properties", {}))
    values: dict[str, object] = {}
    photos: dict[str, str | Path] = {}
    for written in inputs:
        name, value = parse_assignment(written)
        text = written.partition("=")[2].strip()
        kind = cast(Mapping[str, Any], properties.get(name) or {})
        if text.startswith("@"):
            if kind.get("dataset") is not True:
                raise InvalidFlowInput(_no_photos(name, handle.dataset_properties()))
            photos[name] = Path(text[1:]).expanduser()
        else:
            # what is asked for as text is text, also where it looks like a number
            values[name] = text if kind.get("type") == "string" and value != text[1:-1] else value
    return values, photos


def _no_photos(name: str, takes: list[str]) -> str:
    known = f" There are: {', '.join(takes)}." if takes else " It takes none."
    return f"{name} takes no pictures in this flow's form.{known}"


def _follow(started: RunHandle, *, as_json: bool) -> None:
    events = started.events()
    if not as_json and sys.stderr.isatty():
        events = shown(events, "run")
    for event in events:
        if as_json:
            _line({"event": event.name, **event.data})
        elif not sys.stderr.isatty() and event.name in _PLAIN:
            sys.stdout.write(_words(event) + "\n")
            sys.stdout.flush()


def _words(event: ServerEvent) -> str:
    told = event.data
    if event.name == "stepStarted":
        return f"step {told['number']} of {told['of']}: {told['stepId']} ({told['type']})"
    if event.name == "stepFinished":
        return f"{told['stepId']} {told['status']}"
    return f"run {told['status']}"


def _conclude(started: RunHandle, folder: Path, *, as_json: bool) -> None:
    saved = started.download(folder)
    record = started.read()
    if as_json:
        told = {"id": started.id, "status": record["status"], "cost": record["cost"]}
        _line({"event": "result", **told, "files": [str(path) for path in saved]})
    else:
        sys.stdout.write("".join(f"{path}\n" for path in saved))
    if record["status"] != "succeeded":
        raise WorkFailed("run", record)


def _interrupted(started: RunHandle, *, is_ours: bool) -> None:
    if is_ours:
        started.cancel()
        sys.stderr.write("The run is cancelled.\n")
    else:
        sys.stderr.write(f"The run {started.id} goes on at the server.\n")


def _line(value: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()

"""A person's or a program's way to a server: `Client(base_url, api_key)`.

In: folders of photos, prompts, flows.  Out: handles of what the server does, and files.  It knows
the server's HTTP interface and nothing of how the server works.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast
from uuid import UUID

import httpx
import pyjson5
from pydantic.alias_generators import to_camel

from modelgenerator.client.connection import Connection
from modelgenerator.client.errors import NotThere
from modelgenerator.client.flow_runs import FlowHandle, RunHandle
from modelgenerator.client.pictures import PicturesHandle
from modelgenerator.client.trainings import TrainingHandle
from modelgenerator.client.uploads import upload_photos
from modelgenerator.errors import InvalidFlow, InvalidSettings

URL_VARIABLE = "MODELGENERATOR_URL"
KEY_VARIABLE = "MODELGENERATOR_API_KEY"
LOCAL = "http://127.0.0.1:8080"


class Client:
    """One server, asked with one key; to be closed, or used in a `with` block."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Absent, they are MODELGENERATOR_URL and MODELGENERATOR_API_KEY of the environment."""
        url = base_url or os.environ.get(URL_VARIABLE) or LOCAL
        key = api_key or os.environ.get(KEY_VARIABLE) or ""
        self._connection = Connection(url, key, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back; work that has begun goes on."""
        self._connection.close()

    # --- trainings

    def train(
        self,
        photos: str | Path,
        *,
        settings: Mapping[str, object] | None = None,
        template: str | None = None,
        name: str | None = None,
        kind: str | None = None,
        class_name: str | None = None,
        priority: str | None = None,
    ) -> TrainingHandle:
        """Make a subject of a folder or zip of photos, and train it.

        `settings` are by camelCase name; `template` is the id or the name of one; `priority` is
        low, normal or high.

        Raises:
            UnusableDataset: there is nothing to send.
            RequestRefused, InsufficientFunds: the server does not train this.
        """
        subject: dict[str, object] = {"name": name or Path(photos).stem}
        subject |= {"kind": kind} if kind else {}
        subject |= {"className": class_name} if class_name else {}
        dataset_id = str(self._connection.post("/v1/subjects", subject)["datasetId"])
        self.upload(dataset_id, photos)
        return self.train_dataset(
            dataset_id, settings=settings, template=template, name=name, priority=priority
        )

    def upload(self, dataset_id: str, photos: str | Path) -> list[dict[str, Any]]:
        """Add a folder or zip of photos to a dataset; what became of each file."""
        return upload_photos(self._connection, f"/v1/datasets/{dataset_id}", Path(photos))

    def train_dataset(
        self,
        dataset_id: str,
        *,
        settings: Mapping[str, object] | None = None,
        template: str | None = None,
        name: str | None = None,
        priority: str | None = None,
    ) -> TrainingHandle:
        """Train a dataset that the server has."""
        asked: dict[str, object] = {"datasetId": dataset_id, "settings": dict(settings or {})}
        asked |= {"name": name} if name else {}
        asked |= {"priority": priority} if priority else {}
        if template is not None:
            asked["trainingSettingsId"] = self._template_id(template)
        return self.training(str(self._connection.post("/v1/trainings", asked)["id"]))

    def training(self, id: str) -> TrainingHandle:
        """A training that the server has."""
        return TrainingHandle(self._connection, id)

    # --- pictures

    def generate(
        self,
        prompts: str | Sequence[str],
        *,
        training: TrainingHandle | str | None = None,
        base_model: str | None = None,
        output: str | Path = "samples",
        progress: bool = False,
        priority: str | None = None,
        **image_settings: object,
    ) -> list[Path]:
        """Draw, and save the pictures into a folder; where they are.

        `image_settings` by their names, as `negative_prompt="blurry", count=4`.

        Raises:
            WorkFailed: they could not be drawn.
        """
        handle = self.draw(
            prompts, training=training, base_model=base_model, priority=priority, **image_settings
        )
        return handle.wait(progress=progress).save(output)

    def draw(
        self,
        prompts: str | Sequence[str],
        *,
        training: TrainingHandle | str | None = None,
        base_model: str | None = None,
        priority: str | None = None,
        **image_settings: object,
    ) -> PicturesHandle:
        """Ask for pictures, without waiting for them."""
        wanted = {to_camel(name): value for name, value in image_settings.items()}
        each = [prompts] if isinstance(prompts, str) else prompts
        asked: dict[str, object] = {"images": [{"prompt": one, **wanted} for one in each]}
        if training is not None:
            asked["trainingId"] = training if isinstance(training, str) else training.id
        if base_model is not None:
            asked["baseModel"] = base_model
        asked |= {"priority": priority} if priority else {}
        return self.pictures(str(self._connection.post("/v1/inferences", asked)["id"]))

    def pictures(self, id: str) -> PicturesHandle:
        """A request for pictures that the server has."""
        return PicturesHandle(self._connection, id)

    # --- flows

    def save_flow(self, definition: str | Path | Mapping[str, object]) -> FlowHandle:
        """Save a flow from a JSON5 file, or from its values.

        A flow of yours with the same slug, or without one the same title, becomes a new version.

        Raises:
            RequestRefused: with every fault, in `problem["faults"]`.
        """
        is_file = isinstance(definition, str | Path)
        text = _text_of(Path(definition)) if is_file else None
        body = {"definition": text if text is not None else dict(cast(Any, definition))}
        title, slug = self._names(body)
        earlier = self._earlier(title, slug)
        if earlier is None:
            return FlowHandle(self._connection, self._connection.post("/v1/flows", body))
        saved = self._connection.put(f"/v1/flows/{earlier['id']}", body)
        return FlowHandle(self._connection, saved)

    def flow(self, slug: str) -> FlowHandle:
        """A flow that the server has.

        Raises:
            NotThere: there is none of yours with this slug.
        """
        found = self._connection.get("/v1/flows", slug=slug)["items"]
        if not found:
            raise NotThere(404, {"code": "notFound", "detail": f"There is no flow {slug}."})
        return FlowHandle(self._connection, found[0])

    def run_flow(
        self,
        flow: FlowHandle | str | Path,
        input: Mapping[str, object] | None = None,
        photos: Mapping[str, str | Path] | None = None,
    ) -> RunHandle:
        """Run a flow: a handle, a file that is saved first, or a slug.

        `photos` are folders or zips by the names of the form's dataset properties.

        Raises:
            RequestRefused: with every fault of the input, in `problem["faults"]`.
            InsufficientFunds: the balance does not cover the run.
        """
        handle = flow if isinstance(flow, FlowHandle) else self._flow_named(flow)
        given = dict(input or {})
        for name, folder in (photos or {}).items():
            upload = self._connection.post(f"/v1/flows/{handle.id}/uploads")
            given[name] = upload["datasetId"]
            self.upload(str(upload["datasetId"]), folder)
        run = self._connection.post(f"/v1/flows/{handle.id}/runs", {"input": given})
        return self.run(str(run["id"]))

    def run(self, id: str) -> RunHandle:
        """A run that the server has."""
        return RunHandle(self._connection, id)

    def ask(
        self,
        method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
        path: str,
        body: object = None,
    ) -> dict[str, Any]:
        """Any other call of the API, as `/docs` shows it: its path with the query, and its body."""
        return self._connection.ask(method, path, body)

    def _flow_named(self, flow: str | Path) -> FlowHandle:
        path = Path(flow)
        return self.save_flow(path) if path.is_file() else self.flow(str(flow))

    def _names(self, body: Mapping[str, object]) -> tuple[str, str | None]:
        """Title and slug of a definition, whichever way it is written."""
        definition = body["definition"]
        if isinstance(definition, str):
            definition = _read_json5(definition)
        known = cast(dict[str, Any], definition if isinstance(definition, dict) else {})
        slug = known.get("slug")
        return str(known.get("title", "")), None if slug is None else str(slug)

    def _earlier(self, title: str, slug: str | None) -> dict[str, Any] | None:
        if slug is not None:
            found = self._connection.get("/v1/flows", slug=slug)["items"]
            return found[0] if found else None
        listed = self._all("/v1/flows")
        return next((flow for flow in listed if flow["title"] == title), None)

    def _template_id(self, template: str) -> str:
        try:
            return str(UUID(template))
        except ValueError:
            named = [
                each for each in self._all("/v1/training-templates") if each["name"] == template
            ]
        if not named:
            raise InvalidSettings(f"The server has no template {template}.")
        return str(named[0]["id"])

    def _all(self, path: str) -> Iterable[dict[str, Any]]:
        cursor: str | None = None
        while True:
            page = self._connection.get(path, cursor=cursor, limit=200)
            yield from page["items"]
            cursor = page["nextCursor"]
            if cursor is None:
                return


def _read_json5(text: str) -> object:
    """What the text holds; nothing where it is not JSON5, which the server will say better."""
    try:
        return pyjson5.decode(text)
    except (pyjson5.Json5DecoderException, ValueError):
        return None


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFlow(f"Cannot read the flow {file}: {error}.") from None

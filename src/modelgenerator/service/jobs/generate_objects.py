"""Objects that a language model writes, as a job.

In: a description, a JSON Schema, whatever they are about.  Out: messages, and objects that fit the
schema.  The model is behind any OpenAI-compatible address that the operator configured.
"""

import json
import math
import time
from collections.abc import Generator, Mapping
from typing import Any, cast

import httpx

from modelgenerator.captioning.cleaning import without_thoughts
from modelgenerator.flows.validation import Held
from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs.bodies import Tools
from modelgenerator.service.jobs.faults import (
    ObjectGeneratorRefused,
    ObjectGeneratorUnavailable,
    ObjectsUnusable,
    failed,
)
from modelgenerator.service.jobs.messages import (
    Assignment,
    Message,
    Phase,
    PhaseBegun,
    Stopped,
    Succeeded,
    Told,
)
from modelgenerator.service.records.job_specs import GenerateObjectsResult, GenerateObjectsSpec

TRIES = 2
"""To get something that fits."""
CALLS = 3
"""To get an answer at all."""
PAUSE = 1.0
"""Seconds before the second call; doubled for the next."""
PATIENCE = httpx.Timeout(120, connect=10)
LONGEST_ANSWER = 10_000_000
"""Bytes."""
_BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_CHARACTERS_PER_TOKEN = 4
"""Where the server does not count: usual for English."""


def run(assignment: Assignment, tools: Tools) -> Generator[Message, None, None]:
    """One attempt at objects."""
    try:
        yield from _steps(GenerateObjectsSpec.from_json(assignment.spec), tools)
    except Exception as error:  # noqa: BLE001  whatever it is, the job ends with it
        yield failed(error)


def _steps(spec: GenerateObjectsSpec, tools: Tools) -> Generator[Message, None, None]:
    yield PhaseBegun(Phase.WRITING)
    wanted = _schema_of_all(spec)
    conversation = [_task(spec, wanted)]
    tokens, misfit = 0, ""
    with _client(tools.config) as client:
        for number in range(1, TRIES + 1):
            if tools.stop.is_set():
                yield Stopped()
                return
            words, used = _answer(client, _request(tools.config, spec, conversation, wanted))
            tokens += used
            try:
                result = _fitting(words, spec)
            except ObjectsUnusable as error:
                misfit = str(error)
                yield Told("objectsDidNotFit", {"attempt": number, "reason": misfit})
                conversation += [_said(words), _again(misfit)]
                continue
            yield Succeeded(GenerateObjectsResult(result=result, tokens=tokens).as_json())
            return
    raise ObjectsUnusable(f"The language model was asked {TRIES} times. {misfit}")


# --- the question


def _task(spec: GenerateObjectsSpec, wanted: Mapping[str, object]) -> dict[str, str]:
    parts = [f"Write JSON that fits the schema: {spec.description}"]
    if spec.amount > 1:
        parts.append(f"Write {spec.amount} different objects, as the member list.")
    if spec.input is not None:
        parts.append(f"Input:\n{_text(spec.input)}")
    if spec.context is not None:
        parts.append(f"Context:\n{_text(spec.context)}")
    parts.append(f"JSON Schema:\n{_text(wanted)}")
    parts.append("Answer with the JSON alone.")
    return {"role": "user", "content": "\n\n".join(parts)}


def _said(words: str) -> dict[str, str]:
    return {"role": "assistant", "content": words}


def _again(misfit: str) -> dict[str, str]:
    return {"role": "user", "content": f"{misfit} Write all of it again, so that it fits."}


def _request(
    config: ServiceConfig,
    spec: GenerateObjectsSpec,
    conversation: list[dict[str, str]],
    wanted: Mapping[str, object],
) -> dict[str, object]:
    return {
        "model": config.object_generator_model,
        "messages": conversation,
        "temperature": 1.0 if spec.creativity is None else spec.creativity / 10,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "result", "schema": wanted},
        },
    }


def _schema_of_all(spec: GenerateObjectsSpec) -> Mapping[str, object]:
    """Of one object, or of `{list: [...]}`."""
    if spec.amount == 1:
        return spec.object_schema
    items = _moved(spec.object_schema, "#/properties/list/items")
    count = {"minItems": spec.amount, "maxItems": spec.amount}
    return {
        "type": "object",
        "properties": {"list": {"type": "array", "items": items, **count}},
        "required": ["list"],
        "additionalProperties": False,
    }


def _moved(schema: object, to: str) -> object:
    """`schema` with its references as they must be where it stands below `to`."""
    if isinstance(schema, list):
        return [_moved(one, to) for one in cast(list[object], schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        name: f"{to}{value[1:]}"
        if name == "$ref" and isinstance(value, str) and value.startswith("#")
        else _moved(value, to)
        for name, value in cast(dict[str, object], schema).items()
    }


# --- the answer


def _fitting(words: str, spec: GenerateObjectsSpec) -> object:
    """What was written, if it is what was asked for.

    Raises:
        ObjectsUnusable: it is not.
    """
    value = _read(words)
    objects = [value] if spec.amount == 1 else _listed(value, spec.amount)
    held = Held(spec.object_schema)
    for one in objects:
        for fault in held.misfits(one):
            place = fault.pointer or "the object"
            raise ObjectsUnusable(
                f"What it wrote does not fit the schema: {place} {fault.message}."
            )
    return value


def _read(words: str) -> object:
    text = without_thoughts(words).strip()
    if text.startswith("```"):
        text = text.strip("`").removeprefix("json")
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ObjectsUnusable("What it wrote is not JSON.") from None


def _refuse(constant: str) -> object:
    raise ValueError(constant)


def _listed(value: object, amount: int) -> list[object]:
    found = cast(dict[str, object], value).get("list") if isinstance(value, dict) else None
    if not isinstance(found, list):
        raise ObjectsUnusable("What it wrote has no member list.")
    objects = cast(list[object], found)
    if len(objects) != amount:
        raise ObjectsUnusable(f"It wrote {len(objects)} objects instead of {amount}.")
    return objects


# --- the server


def _client(config: ServiceConfig) -> httpx.Client:
    """Raises ObjectGeneratorRefused: none is configured."""
    if not config.object_generator_endpoint:
        raise ObjectGeneratorRefused("No language model is set up on this server.")
    key = config.object_generator_key
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    address = config.object_generator_endpoint.rstrip("/")
    return httpx.Client(base_url=f"{address}/", headers=headers, timeout=PATIENCE)


def _answer(client: httpx.Client, request: Mapping[str, object]) -> tuple[str, int]:
    """Its words, and the tokens that they cost.

    Raises:
        ObjectGeneratorUnavailable: it does not answer.
        ObjectGeneratorRefused: it does not accept the request.
    """
    problem = ""
    for number in range(CALLS):
        if number:
            time.sleep(PAUSE * 2 ** (number - 1))
        try:
            response = client.post("chat/completions", json=request)
        except httpx.HTTPError as error:
            problem = type(error).__name__
            continue
        if response.is_success:
            return _words_in(response, request)
        problem = f"it answered with status {response.status_code}"
        if response.status_code not in _BUSY:
            raise ObjectGeneratorRefused(
                f"The language model's server does not accept the request: {problem}."
            )
    raise ObjectGeneratorUnavailable(
        f"The language model was called {CALLS} times and does not answer: {problem}."
    )


def _words_in(response: httpx.Response, request: Mapping[str, object]) -> tuple[str, int]:
    if len(response.content) > LONGEST_ANSWER:
        raise ObjectsUnusable("What it wrote is too long.")
    try:
        answer: Any = response.json()
        words = answer["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        raise ObjectGeneratorRefused(
            "The language model's server answers something else than a chat completion."
        ) from None
    words = words if isinstance(words, str) else ""
    usage = answer.get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    if isinstance(total, int) and total > 0:
        return words, total
    characters = len(_text(request["messages"])) + len(words)
    return words, math.ceil(characters / _CHARACTERS_PER_TOKEN)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)

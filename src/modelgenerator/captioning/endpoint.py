"""A captioner behind an address: any server that speaks OpenAI's chat completions with pictures.

In: a photo.  Out: the words of a vision model that runs elsewhere, on this machine or far away.
What leaves this machine is a small copy of the photo without its metadata.  Only the operator's own
variables name a server: one that was set up for something else is never sent a photo.
"""

import base64
import http.client
import io
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from PIL import Image

from modelgenerator.captioning.captioner import PhotoRefused
from modelgenerator.captioning.cleaning import on_one_line, without_thoughts
from modelgenerator.captioning.subject_words import with_article
from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.subject import Subject, SubjectKind
from modelgenerator.diffusion.downloads import DownloadProgress
from modelgenerator.errors import CaptionerUnavailable

ENDPOINT = "endpoint"
URL, MODEL, KEY = (
    "MODELGENERATOR_CAPTIONER_URL",
    "MODELGENERATOR_CAPTIONER_MODEL",
    "MODELGENERATOR_CAPTIONER_KEY",
)
LONGEST_SIDE = 1024
"""Pixels of the copy that is sent: vision models look at less."""
LONGEST_ANSWER = 1_000_000
"""Bytes; what is longer is no caption."""
TRIES = 4
LONGEST_PAUSE = 60.0
"""Seconds, however long the server asks to wait."""


@dataclass(frozen=True)
class Endpoint:
    """Where to ask, and for whom."""

    url: str
    """Of the API: `http://127.0.0.1:11434/v1`."""
    model: str
    key: str | None = field(default=None, repr=False)
    patience: float = 120.0
    """Seconds for one answer."""
    pause: float = 1.0
    """Seconds before the second try; doubled for each further one."""

    @property
    def address(self) -> str:
        """The URL without what may be secret in it."""
        parts = urllib.parse.urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def endpoint_from(environment: Mapping[str, str]) -> Endpoint | None:
    """The one that the environment names; none when it names none.

    Raises:
        CaptionerUnavailable: what it names is no address, or the model is missing.
    """
    url = environment.get(URL, "").strip()
    if not url:
        return None
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CaptionerUnavailable(f"{URL} is {url!r}, which is no address: {_EXAMPLE}")
    model = environment.get(MODEL, "").strip()
    if not model:
        raise CaptionerUnavailable(
            f"{URL} is set and {MODEL} is not: set it to the name of a vision model there."
        )
    return Endpoint(url, model, environment.get(KEY, "").strip() or None)


_EXAMPLE = f"set {URL} to one such as http://127.0.0.1:11434/v1, and {MODEL} to a model's name."
NOT_SET_UP = f"The captioner endpoint does not know whom to ask: {_EXAMPLE}"


class EndpointCaptioner:
    """Asks a server, one photo at a time, with temperature 0 and always the same seed."""

    name = ENDPOINT

    def __init__(self, endpoint: Endpoint, subject: Subject) -> None:
        self._endpoint = endpoint
        self.prompt = _question(subject)

    @property
    def revision(self) -> str:
        return f"{self._endpoint.model} at {self._endpoint.address}"

    def prepare(self) -> Generator[DownloadProgress, None, None]:
        yield from ()

    def describe(self, photo: Photo) -> str:
        return _words_in(self._answer(_request(self._endpoint, self.prompt, photo)), self._endpoint)

    def close(self) -> None:
        """Nothing was taken."""

    def _answer(self, request: urllib.request.Request) -> Any:
        """Of the server, after a few tries where another one may help."""
        problem = _TryAgain("")
        for number in range(TRIES):
            if number:
                pause = max(problem.seconds, self._endpoint.pause * 2 ** (number - 1))
                time.sleep(min(LONGEST_PAUSE, pause))
            try:
                return _asked(request, self._endpoint)
            except _TryAgain as again:
                problem = again
        raise CaptionerUnavailable(f"{problem} It was asked {TRIES} times. {_INSTEAD}")


_INSTEAD = "Try again later; captions that were made are kept. Or use another: --captioner template"


# --- the question


def _question(subject: Subject) -> str:
    name = " ".join(subject.class_name.split())
    about = ""
    if name and subject.kind is not SubjectKind.STYLE:
        about = f" Call the main subject {with_article(name)}."
    return (
        "Describe this photo in one sentence of at most 50 words, as a caption to train a "
        f"text-to-image model with.{about} Say what can be seen: clothing, pose, action, place, "
        "light, framing. Begin with what is shown, not with a phrase such as 'The image shows'. "
        "Give no names and no guesses. Answer with the caption alone."
    )


def _request(endpoint: Endpoint, prompt: str, photo: Photo) -> urllib.request.Request:
    picture = base64.b64encode(small_copy(photo)).decode()
    parts = [
        {"type": "text", "text": prompt},
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{picture}"}},
    ]
    body = {
        "model": endpoint.model,
        "messages": [{"role": "user", "content": parts}],
        "temperature": 0,
        "seed": 0,
        "max_tokens": 500,
    }
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if endpoint.key:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    address = f"{endpoint.url.rstrip('/')}/chat/completions"
    return urllib.request.Request(address, json.dumps(body).encode(), headers, method="POST")


def small_copy(photo: Photo) -> bytes:
    """A JPEG of the pixels alone, no side longer than `LONGEST_SIDE`."""
    image = Image.fromarray(photo.pixels_HW3)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


# --- the answer


class _TryAgain(Exception):
    """What went wrong may not go wrong again, `seconds` later at the earliest."""

    def __init__(self, message: str, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.seconds = seconds


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Another host must see neither the photo nor the key."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_StayHere)


def _asked(request: urllib.request.Request, endpoint: Endpoint) -> Any:
    """The answer's JSON."""
    try:
        with _OPENER.open(request, timeout=endpoint.patience) as response:
            return json.loads(_read(response, time.monotonic() + endpoint.patience))
    except urllib.error.HTTPError as answer:
        with answer:
            raise _from_status(answer, endpoint) from answer
    except (OSError, http.client.HTTPException) as problem:
        reason = getattr(problem, "reason", problem)
        if isinstance(reason, TimeoutError):
            raise CaptionerUnavailable(
                f"{endpoint.address} did not answer within {endpoint.patience:g} seconds. Is "
                f"{endpoint.model} too large for its machine? {_INSTEAD}"
            ) from problem
        said = getattr(reason, "strerror", None) or reason
        raise _TryAgain(f"{endpoint.address} cannot be reached: {said}.") from problem
    except (ValueError, RecursionError) as problem:
        raise _not_understood(endpoint) from problem


def _read(response: http.client.HTTPResponse, end: float) -> bytes:
    """All of it, unless it comes drop by drop or does not end.

    Raises:
        TimeoutError: it took too long.
        ValueError: it is too long.
    """
    pieces: list[bytes] = []
    while piece := response.read1(65_536):
        pieces.append(piece)
        if time.monotonic() > end:
            raise TimeoutError
        if sum(map(len, pieces)) > LONGEST_ANSWER:
            raise ValueError("too long")
    return b"".join(pieces)


def _from_status(answer: urllib.error.HTTPError, endpoint: Endpoint) -> Exception:
    status, said = answer.code, _said(answer)
    if status in (408, 409, 425, 429) or status >= 500:
        wait = str(answer.headers.get("Retry-After", ""))
        busy = "has too much to do" if status == 429 else f"answers with status {status}"
        seconds = float(wait) if wait.isdecimal() else 0.0
        return _TryAgain(f"{endpoint.address} {busy}.{said}", seconds)
    if status in (401, 403):
        hint = "Set it to a valid key" if endpoint.key else "It is not set: set it to your key"
        return CaptionerUnavailable(f"{endpoint.address} does not accept {KEY}. {hint}.{said}")
    if status == 404:
        return CaptionerUnavailable(
            f"{endpoint.address} knows no model {endpoint.model}, or is not the address of an "
            f"OpenAI-compatible API, which mostly ends in /v1. Check {MODEL} and {URL}.{said}"
        )
    if status in range(300, 400):
        return CaptionerUnavailable(
            f"{endpoint.address} sends its callers elsewhere. Set {URL} to the address there."
        )
    return CaptionerUnavailable(
        f"{endpoint.address} does not take the question (status {status}). Can {endpoint.model} "
        f"see pictures?{said}"
    )


def _said(answer: urllib.error.HTTPError) -> str:
    """The server's own sentence, where it has one."""
    try:
        error: Any = json.loads(answer.read(10_000))["error"]
        message = error if isinstance(error, str) else error["message"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return ""
    return f' It says: "{on_one_line(str(message))[:200]}"'


def _not_understood(endpoint: Endpoint) -> CaptionerUnavailable:
    return CaptionerUnavailable(
        f"{endpoint.address} answers, but not as an OpenAI-compatible API does. Check {URL}: it "
        "mostly ends in /v1."
    )


_REFUSAL = re.compile(
    r"(?:i['’]?m (?:very )?sorry|sorry|i apologi[sz]e|unfortunately)\b.{0,40}\b"  # noqa: RUF001
    r"(?:can(?:['’]?t|not)|unable|not able)"  # noqa: RUF001
    r"|i (?:can(?:['’]?t|not)|am unable|am not able|won['’]?t)\b"  # noqa: RUF001
    r"|i['’]?m (?:unable|not able)\b"  # noqa: RUF001
    r"|as an ai\b",
    re.IGNORECASE,
)


def _words_in(answer: Any, endpoint: Endpoint) -> str:
    """Raises PhotoRefused for an answer without a caption."""
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        content, refusal = message.get("content"), message.get("refusal")
        filtered = choice.get("finish_reason") == "content_filter"
    except (KeyError, IndexError, TypeError, AttributeError) as problem:
        raise _not_understood(endpoint) from problem
    words = on_one_line(without_thoughts(_text_of(content)))
    if filtered or refusal or _REFUSAL.match(words):
        said = on_one_line(str(refusal or words))[:100]
        raise PhotoRefused(f'{endpoint.model} refuses it: "{said}"')
    if not words:
        raise PhotoRefused(f"{endpoint.model} has no words for it")
    return words


def _text_of(content: object) -> str:
    """Some servers answer in parts, as they are asked."""
    if isinstance(content, list):
        parts = cast(list[Any], content)
        return " ".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
    return content if isinstance(content, str) else ""

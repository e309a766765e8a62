"""From pictures without captions to captions, each made once.

In: pictures, a captioner, a cache.  Out: events, and at the end the captions by the pictures'
names.  Where the pictures came from, and where the captions go, is not known here.
"""

import hashlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from modelgenerator.captioning.captioner import Captioner, PhotoRefused
from modelgenerator.captioning.cleaning import Count, capped, cleaned
from modelgenerator.captioning.template import TemplateCaptioner
from modelgenerator.captioning.tokens import CLIP_ROOM, clip_tokens
from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.subject import Subject
from modelgenerator.diffusion.downloads import DownloadProgress
from modelgenerator.notices import Notice

CODE_VERSION = 1
"""Raised whenever the same captioner would be asked in another way."""


class Readable(Protocol):
    """A picture by reference; `datasets.prepare.Picture` is one such."""

    @property
    def name(self) -> str: ...

    def read(self) -> Photo: ...


class Cache(Protocol):
    """What was made once; `content_cache.ContentCache` is one such."""

    def find(self, facts: Mapping[str, object]) -> bytes | None: ...

    def keep(self, facts: Mapping[str, object], content: bytes) -> None: ...


@dataclass(frozen=True)
class Length:
    """How long a caption may be."""

    tokens: int = CLIP_ROOM
    count: Count = clip_tokens

    def beside(self, prefix: str | None) -> "Length":
        """What is left when `prefix` is put in front."""
        taken = self.count(prefix) if prefix else 0
        return Length(max(0, self.tokens - taken), self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureCaptioned:
    """One more picture has words."""

    name: str
    caption: str
    """Clean, short enough, without the prefix; empty when there are no words for it."""
    original: str
    """As the captioner said it."""
    captioner: str
    revision: str
    done: int
    total: int
    from_cache: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptioningNoticed:
    """Something that the person should know of one picture."""

    notice: Notice


CaptioningEvent = DownloadProgress | PictureCaptioned | CaptioningNoticed


def caption_pictures(
    pictures: Sequence[Readable],
    captioner: Captioner,
    *,
    cache: Cache,
    subject: Subject | None = None,
    length: Length | None = None,
) -> Generator[CaptioningEvent, None, dict[str, str]]:
    """Caption all `pictures`; returns the captions by name, without those that have no words.

    The captioner is prepared only for a picture whose words are not kept.  A picture that it
    refuses gets the words of `subject`.  `Length().beside(prefix)` leaves room for a prefix.

    Raises:
        CaptionerUnavailable, HubUnreachable, OutputNotWritable: see `Captioner`.
        UnusablePhoto: a picture was changed or is gone.
    """
    length, subject = length or Length(), subject or Subject()
    captions: dict[str, str] = {}
    try:
        for number, picture in enumerate(pictures, start=1):
            said = yield from _said_of(picture, captioner, cache, subject)
            caption = capped(cleaned(said.words), length.tokens, length.count)
            if caption:
                captions[picture.name] = caption
            yield PictureCaptioned(
                name=picture.name,
                caption=caption,
                original=said.words,
                captioner=said.captioner,
                revision=said.revision,
                done=number,
                total=len(pictures),
                from_cache=said.from_cache,
            )
    finally:
        captioner.close()
    return captions


@dataclass(frozen=True)
class _Said:
    """Words about a picture, and whose they are."""

    words: str
    captioner: str
    revision: str
    from_cache: bool = False


def _said_of(
    picture: Readable, captioner: Captioner, cache: Cache, subject: Subject
) -> Generator[CaptioningEvent, None, _Said]:
    photo = picture.read()
    facts = _facts(photo, captioner)
    kept = cache.find(facts)
    if kept is not None:
        return _Said(kept.decode(), captioner.name, captioner.revision, from_cache=True)
    yield from captioner.prepare()
    try:
        words = captioner.describe(photo)
    except PhotoRefused as problem:
        instead = TemplateCaptioner(subject)
        yield CaptioningNoticed(notice=_about_refusal(picture.name, problem, instead))
        return _Said(instead.describe(photo), instead.name, instead.revision)
    cache.keep(facts, words.encode())
    return _Said(words, captioner.name, captioner.revision)


def _facts(photo: Photo, captioner: Captioner) -> dict[str, object]:
    """By the pixels, not the file: a crop of a photo may show something else."""
    pixels_HW3 = photo.pixels_HW3
    digest = hashlib.sha256(repr(pixels_HW3.shape).encode() + pixels_HW3.tobytes())
    return {
        "what": "caption",
        "pixels": digest.hexdigest(),
        "captioner": captioner.name,
        "revision": captioner.revision,
        "prompt": captioner.prompt,
        "code": CODE_VERSION,
    }


def _about_refusal(name: str, problem: PhotoRefused, instead: TemplateCaptioner) -> Notice:
    words = f'gets "{instead.prompt}" instead' if instead.prompt else "is left without a caption"
    return Notice("warning", None, f"{name} {words}: {problem}.")

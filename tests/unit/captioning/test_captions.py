from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from modelgenerator.captioning.captioner import PhotoRefused
from modelgenerator.captioning.captions import (
    CaptioningEvent,
    CaptioningNoticed,
    Length,
    PictureCaptioned,
    Readable,
    caption_pictures,
)
from modelgenerator.captioning.template import TemplateCaptioner
from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.subject import Subject, SubjectKind
from modelgenerator.diffusion.downloads import DownloadProgress
from modelgenerator.errors import CaptionerUnavailable

WOMAN = Subject(SubjectKind.PERSON, "woman")


@dataclass(frozen=True)
class Grey:
    """A picture of one shade."""

    name: str
    shade: int

    def read(self) -> Photo:
        return Photo(self.name, np.full((20, 30, 3), self.shade, np.uint8), "0" * 64)


@dataclass
class ShadeTeller:
    """A captioner that looks: it says how bright a photo is, and nothing of black ones."""

    name: str = "teller"
    revision: str = "1"
    prompt: str = "how bright?"
    steps: list[str] = field(default_factory=list[str])
    breaks_at: int | None = None

    def prepare(self) -> Generator[DownloadProgress, None, None]:
        self.steps.append("prepare")
        yield DownloadProgress(1, 1, 5, 5)

    def describe(self, photo: Photo) -> str:
        shade = int(photo.pixels_HW3[0, 0, 0])
        if shade == self.breaks_at:
            raise CaptionerUnavailable("gone")
        if shade == 0:
            raise PhotoRefused("it is black")
        self.steps.append(f"describe {shade}")
        return f"The image shows a wall of shade {shade}. It has no windows."

    def close(self) -> None:
        self.steps.append("close")


def run(
    pictures: Sequence[Readable],
    captioner: ShadeTeller | TemplateCaptioner,
    cache: ContentCache,
    length: Length | None = None,
) -> tuple[list[CaptioningEvent], dict[str, str]]:
    events: list[CaptioningEvent] = []
    generator = caption_pictures(pictures, captioner, cache=cache, subject=WOMAN, length=length)
    while True:
        try:
            events.append(next(generator))
        except StopIteration as end:
            return events, end.value


PICTURES = [Grey("a.png", 10), Grey("b.png", 20)]


@pytest.fixture
def cache(tmp_path: Path) -> ContentCache:
    return ContentCache(tmp_path / "cache")


def test_every_picture_gets_clean_words_and_the_original_is_told(cache: ContentCache):
    events, captions = run(PICTURES, ShadeTeller(), cache)
    assert captions == {
        "a.png": "a wall of shade 10. It has no windows.",
        "b.png": "a wall of shade 20. It has no windows.",
    }
    last = events[-1]
    assert last == PictureCaptioned(
        name="b.png",
        caption=captions["b.png"],
        original="The image shows a wall of shade 20. It has no windows.",
        captioner="teller",
        revision="1",
        done=2,
        total=2,
        from_cache=False,
    )
    assert DownloadProgress(1, 1, 5, 5) in events


def test_a_second_time_nothing_is_prepared_and_nothing_described(cache: ContentCache):
    _, first = run(PICTURES, ShadeTeller(), cache)
    again = ShadeTeller()
    events, second = run(PICTURES, again, cache)
    assert second == first
    assert again.steps == ["close"]
    assert all(isinstance(event, PictureCaptioned) and event.from_cache for event in events)


@pytest.mark.parametrize("other", [{"name": "x"}, {"revision": "2"}, {"prompt": "how dark?"}])
def test_another_captioner_revision_or_question_is_asked(
    cache: ContentCache, other: dict[str, str]
):
    run(PICTURES, ShadeTeller(), cache)
    asked = ShadeTeller(**other)  # pyright: ignore[reportArgumentType]
    run(PICTURES, asked, cache)
    assert "describe 10" in asked.steps


def test_pixels_count_and_neither_names_nor_files(cache: ContentCache):
    run(PICTURES, ShadeTeller(), cache)
    asked = ShadeTeller()
    run([Grey("renamed.png", 10), Grey("a.png", 30)], asked, cache)
    assert [step for step in asked.steps if "describe" in step] == ["describe 30"]


def test_a_shorter_length_needs_no_new_words(cache: ContentCache):
    run(PICTURES, ShadeTeller(), cache)
    again = ShadeTeller()
    _, captions = run(PICTURES, again, cache, Length(7))
    assert captions["a.png"] == "a wall of shade 10."
    assert again.steps == ["close"]


def test_a_refused_picture_gets_the_subjects_words_and_a_warning(cache: ContentCache):
    events, captions = run([Grey("dark.png", 0), *PICTURES], ShadeTeller(), cache)
    assert captions["dark.png"] == "a photo of a woman"
    assert "a.png" in captions
    (noticed,) = [event for event in events if isinstance(event, CaptioningNoticed)]
    assert noticed.notice.level == "warning"
    assert noticed.notice.message == 'dark.png gets "a photo of a woman" instead: it is black.'
    told = next(event for event in events if isinstance(event, PictureCaptioned))
    assert told.captioner == "template"


def test_a_refusal_is_not_kept(cache: ContentCache):
    run([Grey("dark.png", 0)], ShadeTeller(), cache)
    again = ShadeTeller()
    run([Grey("dark.png", 0)], again, cache)
    assert "prepare" in again.steps


def test_words_that_were_made_before_a_failure_are_kept(cache: ContentCache):
    with pytest.raises(CaptionerUnavailable):
        run(PICTURES, broken := ShadeTeller(breaks_at=20), cache)
    assert broken.steps[-1] == "close"
    asked = ShadeTeller()
    run(PICTURES, asked, cache)
    assert "describe 10" not in asked.steps


def test_to_stop_iterating_closes_the_captioner(cache: ContentCache):
    captioner = ShadeTeller()
    events = caption_pictures(PICTURES, captioner, cache=cache)
    next(events)
    events.close()
    assert captioner.steps[-1] == "close"


def test_a_template_without_words_leaves_pictures_without_captions(cache: ContentCache):
    events, captions = run(PICTURES, TemplateCaptioner(Subject()), cache)
    assert captions == {}
    assert len(events) == 2

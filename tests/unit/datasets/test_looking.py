"""One look at one photo, and no second one."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.images import Photo, PhotoLimits
from modelgenerator.datasets.looking import Look, Looker, look_at_all, regions_of
from modelgenerator.datasets.regions import SubjectRegions
from modelgenerator.datasets.sources import SourceFile, open_source
from modelgenerator.datasets.workers import Workers
from modelgenerator.errors import UnusablePhoto


@dataclass
class TopHalf:
    """A segmenter that counts how often it is asked."""

    version: str = "top half 1"
    asked: list[str] = field(default_factory=list)

    def find(self, photo: Photo) -> SubjectRegions | None:
        self.asked.append(photo.name)
        subject_HW = np.zeros((photo.height, photo.width), np.bool_)
        subject_HW[: photo.height // 2] = True
        return SubjectRegions(
            subject_HW=subject_HW, head_HW=np.zeros_like(subject_HW), found_by="a test"
        )


@pytest.fixture
def files(tmp_path: Path) -> list[SourceFile]:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        Image.new("RGB", (24, 16), (number, 90, 60)).save(folder / f"{number}.png")
    (folder / "2.png").write_bytes(b"no picture")
    return list(open_source(folder).files)


def looks(files: list[SourceFile], segmenter: TopHalf, cache: ContentCache) -> list[object]:
    looker = Looker(PhotoLimits(), segmenter)
    return list(look_at_all(files, looker, cache, Workers(0)))


def test_answers_come_in_the_order_of_the_files(files: list[SourceFile]):
    first, second, broken, last = looks(files, TopHalf(), ContentCache(None))
    assert isinstance(first, Look)
    assert isinstance(second, Look)
    assert isinstance(last, Look)
    assert first.size == (24, 16)
    assert len({first.sha256, second.sha256, last.sha256}) == 3
    assert isinstance(broken, UnusablePhoto)


def test_what_was_looked_at_once_is_not_looked_at_again(files: list[SourceFile], tmp_path: Path):
    segmenter, cache = TopHalf(), ContentCache(tmp_path / "cache")
    before = looks(files, segmenter, cache)
    assert segmenter.asked == ["0.png", "1.png", "3.png"]
    after = looks(files, segmenter, cache)
    assert segmenter.asked == ["0.png", "1.png", "3.png"]
    assert after[:2] == before[:2]


def test_only_what_is_new_is_looked_at(files: list[SourceFile], tmp_path: Path):
    segmenter, cache = TopHalf(), ContentCache(tmp_path / "cache")
    looks(files[1:], segmenter, cache)
    segmenter.asked.clear()
    answers = looks(files, segmenter, cache)
    assert segmenter.asked == ["0.png"]
    assert [isinstance(answer, Look) for answer in answers] == [True, True, False, True]


def test_another_segmenter_looks_again(files: list[SourceFile], tmp_path: Path):
    cache, other = ContentCache(tmp_path / "cache"), TopHalf("top half 2")
    looks(files, TopHalf(), cache)
    looks(files, other, cache)
    assert other.asked


def test_a_look_is_kept_whole(files: list[SourceFile]):
    look = Looker(PhotoLimits(), TopHalf())(files[0])
    again = Look.from_bytes(look.as_bytes())
    assert again == look
    regions = regions_of(again)
    assert regions is not None
    assert regions.share == 0.5


def test_nobody_looks_for_a_subject_without_a_segmenter(files: list[SourceFile]):
    look = Looker(PhotoLimits(), None)(files[0])
    assert Look.from_bytes(look.as_bytes()) == look
    assert regions_of(look) is None

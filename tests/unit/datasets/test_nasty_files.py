"""Every file of `tests/nasty.py` ends as its line there says, in a worker and in little memory."""

import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import heic_photos
from tests.nasty import ARCHIVES, PHOTOS, Nasty, avif, jpg, png, webp

from modelgenerator.datasets.images import encode_photo, read_photo
from modelgenerator.datasets.prepare import prepare
from modelgenerator.datasets.sources import SourceFile, open_source
from modelgenerator.datasets.workers import Workers
from modelgenerator.errors import UnusableDataset, UnusablePhoto


def remarks_on(file: SourceFile) -> tuple[str, ...]:
    photo = read_photo(file.read(10**8), name=file.name)
    again = read_photo(encode_photo(photo), name=file.name)
    assert (again.pixels_HW3 == photo.pixels_HW3).all()
    return photo.remarks


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(1, seconds_each=60, bytes_each=200_000_000) as workers:
        yield workers


@pytest.mark.parametrize("nasty", PHOTOS, ids=[nasty.name[:20] for nasty in PHOTOS])
def test_each_photo_ends_as_it_should(nasty: Nasty, workers: Workers, tmp_path: Path):
    (tmp_path / nasty.name).write_bytes(nasty.make())
    assert (tmp_path / nasty.name).stat().st_size < 5_000_000
    [outcome] = workers.map(remarks_on, open_source(tmp_path).files)
    if nasty.outcome == "refused":
        assert isinstance(outcome, UnusablePhoto)
        assert nasty.says in outcome.reason
    else:
        assert not isinstance(outcome, Exception)
        assert (len(outcome), nasty.says in "".join(outcome)) == (nasty.outcome == "remarked", True)


@pytest.mark.parametrize("nasty", ARCHIVES, ids=[nasty.name for nasty in ARCHIVES])
def test_each_archive_ends_as_it_should(nasty: Nasty, tmp_path: Path):
    (tmp_path / nasty.name).write_bytes(nasty.make())
    if nasty.outcome == "refused":
        with pytest.raises(UnusableDataset) as caught:
            prepare(tmp_path / nasty.name)
        assert nasty.says in str(caught.value)
    else:
        dataset = prepare(tmp_path / nasty.name)
        notices = [n.message for n in dataset.notices if "No words to learn" not in n.message]
        said = [*notices, *(refused.reason for refused in dataset.refused)]
        assert dataset.pictures
        assert (len(said), nasty.says in "".join(said)) == (nasty.outcome == "remarked", True)
    assert [path.name for path in tmp_path.iterdir()] == [nasty.name]  # nothing was unpacked


def peak(file: SourceFile) -> int:
    """Bytes that this process had at most until now, after `file` was read."""
    with suppress(UnusablePhoto):
        remarks_on(file)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.slow
def test_no_bomb_goes_off(tmp_path: Path):
    (tmp_path / "0.png").write_bytes(png())
    for nasty in PHOTOS:
        if nasty.is_bomb:
            (tmp_path / nasty.name).write_bytes(nasty.make())
    files = list(open_source(tmp_path).files)
    for nasty in ARCHIVES:
        if nasty.is_bomb and nasty.outcome != "refused":
            (tmp_path / nasty.name).write_bytes(nasty.make())
            files += open_source(tmp_path / nasty.name).files
    with Workers(1) as workers:
        at_first, *later = workers.map(peak, files)
    assert not isinstance(at_first, Exception)
    assert len(later) > 8
    assert max(later) < at_first + 30_000_000


VALID = {
    "jpg": jpg(),
    "png": png(),
    "webp": webp(),
    "avif": avif(),
    "heic": heic_photos.PLAIN,
} | {
    nasty.name: nasty.make()
    for nasty in PHOTOS
    if nasty.name in ("moving.png", "moving.webp", "profile.png", "turned.jpg", "palette.png")
}


@pytest.mark.parametrize("kind", VALID)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_damage_escapes_as_another_error(kind: str, data: st.DataObject):
    broken = bytearray(VALID[kind])
    for _ in range(data.draw(st.integers(0, 4), label="flips")):
        bit = data.draw(st.integers(0, 8 * len(broken) - 1), label="bit")
        broken[bit // 8] ^= 1 << bit % 8
    kept = data.draw(st.integers(0, len(broken)) | st.just(len(broken)), label="kept")
    try:
        photo = read_photo(bytes(broken[:kept]), name="a")
    except UnusablePhoto:
        return
    assert photo.pixels_HW3.size > 0

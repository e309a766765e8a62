"""Archives that nobody would make by accident."""

import io
import pickle
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.nasty_zips import Member, zip_of

from modelgenerator.datasets.archives import ArchiveLimits, ZippedFile, read_directory
from modelgenerator.errors import UnusableDataset, UnusablePhoto

WORDS = b"a few words, " * 20


def members(path: Path, data: bytes, **limits: int) -> list[ZippedFile]:
    path.write_bytes(data)
    return read_directory(path, ArchiveLimits(**limits))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "photos.zip"


def names(files: list[ZippedFile]) -> list[str]:
    return [file.name for file in files]


def refused(path: Path, data: bytes, **limits: int) -> str:
    with pytest.raises(UnusableDataset) as caught:
        members(path, data, **limits)
    return str(caught.value)


def refused_member(file: ZippedFile, limit: int = 10**8) -> str:
    with pytest.raises(UnusablePhoto) as caught:
        file.read(limit)
    assert caught.value.name == file.name
    return caught.value.reason


def real_zip(compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("a.txt", WORDS)
        archive.writestr("b.txt", b"")
    return stream.getvalue()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_as_they_were_put_in(archive: Path, compression: int):
    a, b = members(archive, real_zip(compression))
    assert (a.name, a.size, a.read(1000), a.head(5)) == ("a.txt", len(WORDS), WORDS, b"a few")
    assert (b.name, b.size, b.read(1000), b.head(5)) == ("b.txt", 0, b"", b"")


def test_our_own_writer_of_odd_archives_writes_ordinary_ones_too(archive: Path):
    archive.write_bytes(zip_of([Member(b"a.txt", WORDS)]))
    with zipfile.ZipFile(archive) as known:
        assert known.testzip() is None
        assert known.read("a.txt") == WORDS


def test_a_member_can_be_pickled_and_read_again(archive: Path):
    a, _ = members(archive, real_zip())
    assert pickle.loads(pickle.dumps(a)).read(1000) == WORDS


def test_a_member_longer_than_the_limit_is_refused_unread(archive: Path):
    a, _ = members(archive, real_zip())
    assert "more than the" in refused_member(a, limit=len(WORDS) - 1)
    assert a.read(len(WORDS)) == WORDS


# --- names


@pytest.mark.parametrize(
    ("name", "label"),
    [
        (b"../../etc/cat.jpg", "etc - cat.jpg"),
        (b"/etc/cat.jpg", "etc - cat.jpg"),
        (b"C:\\pets\\cat.jpg", "pets - cat.jpg"),
        (b"\\\\server\\pets\\cat.jpg", "server - pets - cat.jpg"),
        (b"..\\..\\cat.jpg", "cat.jpg"),
        (b"./cat.jpg", "cat.jpg"),
        (b"cat.jpg\0.exe", "cat.jpg\\x00.exe"),
        (b"CON.jpg", "CON.jpg"),
        (b"-rf.jpg", "-rf.jpg"),
        ("café.jpg".encode(), "café.jpg"),  # without the mark for UTF-8, as macOS writes
        ("café.jpg".encode("cp437"), "café.jpg"),
        (b"x" * 60_000 + b".jpg", "x" * 100 + "….jpg"),
    ],
)
def test_a_name_is_a_label_and_never_a_path(archive: Path, name: bytes, label: str):
    data = zip_of([Member(name, WORDS), Member(b"other/dog.jpg", WORDS)])
    cat = members(archive, data)[0]
    assert cat.name == label
    assert cat.read(1000) == WORDS
    assert list(archive.parent.iterdir()) == [archive]


def test_a_name_that_says_it_is_utf_8_is_read_as_that(archive: Path):
    data = zip_of([Member("日本.jpg".encode(), WORDS, flags=0x800)])
    assert names(members(archive, data)) == ["日本.jpg"]


def test_the_folder_that_all_lie_in_is_looked_through(archive: Path):
    data = zip_of([Member(b"me/holidays/1.jpg", b""), Member(b"me/holidays/more/2.jpg", b"")])
    assert names(members(archive, data)) == ["1.jpg", "more - 2.jpg"]


def test_what_systems_put_in_and_folders_are_not_listed(archive: Path):
    junk = [b"__MACOSX/._1.jpg", b".DS_Store", b"a/Thumbs.db", b"a/", b"desktop.ini", b".git/x.jpg"]
    data = zip_of([Member(name, b"x") for name in [*junk, b"a/1.jpg"]])
    assert names(members(archive, data)) == ["1.jpg"]


def test_an_archive_in_the_archive_is_a_file_like_others(archive: Path):
    inner = members(archive, zip_of([Member(b"inner.zip", real_zip())]))[0]
    assert (inner.name, inner.head(4)) == ("inner.zip", b"PK\x03\x04")


def test_an_archive_with_nothing_in_it_has_no_members(archive: Path):
    assert members(archive, zip_of([])) == []


# --- members that are refused


def test_a_wrong_checksum_is_found(archive: Path):
    assert "damaged" in refused_member(members(archive, zip_of([Member(b"a", WORDS, crc=1)]))[0])


@pytest.mark.parametrize("promised", [0, 10, len(WORDS) - 1, len(WORDS) + 1, 9_000_000])
def test_a_directory_that_lies_about_a_size_is_found(archive: Path, promised: int):
    data = zip_of([Member(b"a", WORDS, promised=promised)])
    assert "damaged" in refused_member(members(archive, data)[0])


def test_a_bomb_with_a_small_promise_is_not_inflated(archive: Path):
    bomb = bytes(200_000_000)
    file = members(archive, zip_of([Member(b"a.jpg", bomb, promised=1000)]))[0]
    del bomb
    tracemalloc.start()
    try:
        assert "damaged" in refused_member(file)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_member_that_grows_like_a_bomb_is_refused_by_its_promise(archive: Path):
    file = members(archive, zip_of([Member(b"a.jpg", bytes(20_000_000))]))[0]
    assert "20 MB, as a zip bomb does" in refused_member(file)


def test_a_long_page_of_one_letter_is_no_bomb(archive: Path):
    file = members(archive, zip_of([Member(b"a.txt", b"a" * 1_000_000)]))[0]
    assert file.read(10**8) == b"a" * 1_000_000


def test_a_locked_member_is_refused_and_the_others_are_read(archive: Path):
    data = zip_of([Member(b"a.jpg", WORDS, flags=1), Member(b"b.jpg", WORDS)])
    locked, open_one = members(archive, data)
    assert "password" in refused_member(locked)
    assert open_one.read(1000) == WORDS


def test_a_link_is_refused(archive: Path):
    data = zip_of([Member(b"a.jpg", b"/etc/passwd", mode=0o120777)])
    assert "it is a link" in refused_member(members(archive, data)[0])


@pytest.mark.parametrize("method", [9, 12, 14, 93, 99])
def test_an_unusual_way_of_packing_is_refused(archive: Path, method: int):
    data = zip_of([Member(b"a.jpg", WORDS, method=method)])
    assert "ordinary method, Deflate" in refused_member(members(archive, data)[0])


def test_a_member_whose_archive_is_gone_is_refused(archive: Path):
    a, _ = members(archive, real_zip())
    archive.unlink()
    assert "No such file" in refused_member(a)


def test_a_member_whose_archive_was_replaced_is_refused(archive: Path):
    a, _ = members(archive, real_zip())
    archive.write_bytes(b"nothing like a zip archive, and not short either")
    assert "damaged" in refused_member(a)


# --- archives that are refused as a whole


def test_an_archive_that_is_locked_all_over_is_refused(archive: Path):
    data = zip_of([Member(b"a.jpg", WORDS, flags=1), Member(b"b.jpg", WORDS, flags=1)])
    assert "locked with a password" in refused(archive, data)


def test_members_that_share_their_bytes_are_refused(archive: Path):
    data = zip_of([Member(b"a.jpg", WORDS), Member(b"b.jpg", WORDS, same_place_as_first=True)])
    assert "lie over each other" in refused(archive, data)


def test_too_many_members_are_refused(archive: Path):
    data = zip_of([Member(b"%d.jpg" % number, b"") for number in range(11)])
    assert "more than the 10 files" in refused(archive, data, max_files=10)


def test_a_list_of_members_too_long_to_be_read_is_refused_unread(archive: Path):
    data = zip_of([Member(b"%d.jpg" % number, b"") for number in range(100)])
    assert "files allowed" in refused(archive, data, max_directory=1000)


def test_too_many_bytes_in_all_are_refused(archive: Path):
    data = zip_of([Member(b"a.jpg", b"", promised=3_000_000_000)] * 2)
    told = refused(archive, data, max_unpacked=5_000_000_000)
    assert "6 GB, more than the 5 GB allowed" in told


def test_one_part_of_several_is_refused(archive: Path):
    assert "one part of several" in refused(archive, zip_of([Member(b"a.jpg", WORDS, disk=1)]))


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_an_archive_that_breaks_off_is_refused(archive: Path, kept: float):
    data = real_zip()
    assert "Make the archive again" in refused(archive, data[: int(len(data) * kept)])


@given(st.data())
def test_no_damage_escapes_as_another_error(tmp_path_factory: pytest.TempPathFactory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.zip"
    broken = bytearray(real_zip())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(broken) - 1))
        broken[at] = data.draw(st.integers(0, 255))
    path.write_bytes(broken[: data.draw(st.integers(4, len(broken)))])
    try:
        files = read_directory(path, ArchiveLimits())
    except UnusableDataset:
        return
    for file in files:
        try:
            file.head(64)
            assert len(file.read(10**6)) == file.size
        except UnusablePhoto:
            continue


def test_a_deflated_bomb_is_told_by_its_promise_and_not_by_reading(archive: Path):
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packed.compress(bytes(10**6)) + packed.flush()
    assert len(body) * 500 < 10**6  # the premise: Deflate does shrink that much
    promised = struct.calcsize("<I") * 10**8
    file = members(archive, zip_of([Member(b"a.jpg", bytes(10**6), promised=promised)]))[0]
    assert "zip bomb" in refused_member(file, limit=10**9)

import os
import pickle
from pathlib import Path

import pytest
from tests.nasty_zips import Member, zip_of

from modelgenerator.datasets.sources import PhotoSource, open_source
from modelgenerator.errors import UnusableDataset, UnusablePhoto


def names(source: PhotoSource) -> list[str]:
    return [file.name for file in source.files]


def complaint(path: Path) -> str:
    with pytest.raises(UnusableDataset) as caught:
        open_source(path)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("10.jpg", "2.jpg", "1.txt", ".hidden.jpg", "Thumbs.db"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "more").mkdir()
    (tmp_path / ".git").mkdir()
    return tmp_path


def test_a_folder_lists_what_lies_right_inside_it_in_natural_order(folder: Path):
    source = open_source(folder)
    assert (source.kind, source.path) == ("folder", folder)
    assert names(source) == ["1.txt", "2.jpg", "10.jpg"]
    assert list(source.folders) == ["more"]


def test_an_archive_lists_the_files_of_its_folders_in_natural_order(tmp_path: Path):
    path = tmp_path / "photos"  # told by what it is, not by its name
    path.write_bytes(zip_of(Member(name, name) for name in (b"a/10.jpg", b"a/2.jpg", b"b/1.jpg")))
    source = open_source(path)
    assert (source.kind, source.path) == ("zip archive", path)
    assert names(source) == ["a - 2.jpg", "a - 10.jpg", "b - 1.jpg"]
    assert list(source.folders) == []


@pytest.mark.parametrize("kind", ["folder", "zip archive"])
def test_another_process_can_read_what_was_listed_here(folder: Path, tmp_path: Path, kind: str):
    if kind == "zip archive":
        (tmp_path / "x.zip").write_bytes(zip_of([Member(b"2.jpg", b"2.jpg")]))
    source = open_source(folder if kind == "folder" else tmp_path / "x.zip")
    again = pickle.loads(pickle.dumps(source))
    assert again == source
    file = next(file for file in again.files if file.name == "2.jpg")
    assert (file.read(100), file.head(2), file.size) == (b"2.jpg", b"2.", 5)


def test_a_file_of_a_folder_is_read_up_to_the_limit(folder: Path):
    file = open_source(folder).files[1]
    assert file.read(5) == b"2.jpg"
    with pytest.raises(UnusablePhoto, match="more than the"):
        file.read(4)


def test_a_file_too_long_is_refused_unread(tmp_path: Path):
    with (tmp_path / "long.png").open("wb") as stream:
        stream.truncate(10**12)  # sparse: takes no room on the disk, and would not fit into memory
    file = open_source(tmp_path).files[0]
    assert file.head(3) == b"\0\0\0"
    with pytest.raises(UnusablePhoto, match="1,000,000 MB"):
        file.read(10**8)


def test_a_link_to_nowhere_is_listed_and_refused_by_name(tmp_path: Path):
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    file = open_source(tmp_path).files[0]
    for read in (file.read, file.head):
        with pytest.raises(UnusablePhoto, match=r"gone\.jpg: the file cannot be opened: No such"):
            read(100)


def test_a_link_to_a_folder_is_a_folder(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/more").symlink_to(tmp_path)
    assert list(open_source(tmp_path / "photos").folders) == ["more"]


def test_a_pipe_is_neither_listed_nor_waited_for(folder: Path):
    os.mkfifo(folder / "pipe.jpg")
    source = open_source(folder)
    assert "pipe.jpg" not in names(source)
    (folder / "2.jpg").unlink()
    os.mkfifo(folder / "2.jpg")  # in place of what was listed
    assert source.files[1].read(100) == b""


def test_a_name_that_would_harm_a_message_is_a_label(tmp_path: Path):
    (tmp_path / "a\u202egpj.jpg").write_bytes(b"x")
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"x")
    source = open_source(tmp_path)
    assert names(source) == ["a\\u202egpj.jpg", "caf\\udce9.jpg"]
    assert [file.read(9) for file in source.files] == [b"x", b"x"]


def test_nothing_at_the_path_is_told(tmp_path: Path):
    assert f"There is no folder {tmp_path / 'photos'}" in complaint(tmp_path / "photos")


def test_a_picture_in_place_of_a_folder_is_told(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    told = complaint(tmp_path / "a.png")
    assert "a.png is a file" in told
    assert f"Give the folder that holds the pictures: {tmp_path}" in told
    assert "zip archive" in told


@pytest.mark.parametrize(
    ("start", "kind"), [(b"Rar!\x1a\x07\0", "RAR"), (b"7z\xbc\xaf\x27\x1c", "7-Zip")]
)
def test_another_kind_of_archive_is_told(tmp_path: Path, start: bytes, kind: str):
    (tmp_path / "a").write_bytes(start + bytes(100))
    assert f"is a {kind} archive" in complaint(tmp_path / "a")
    assert "make a zip archive of it" in complaint(tmp_path / "a")


def test_a_last_part_of_a_split_archive_is_told_by_its_name(tmp_path: Path):
    (tmp_path / "a.zip").write_bytes(b"the middle of a photo")
    assert "one part of several" in complaint(tmp_path / "a.zip")


def test_something_that_is_neither_folder_nor_file_is_told(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    assert "neither a folder nor a file" in complaint(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path):
    tmp_path.chmod(0)
    try:
        assert "cannot be read" in complaint(tmp_path)
    finally:
        tmp_path.chmod(0o700)

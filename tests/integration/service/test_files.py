"""Files in a folder and in a bucket: the same promises."""

import hashlib
import os
import resource
import subprocess
import sys
import textwrap
import threading
import tracemalloc
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from tests.remembered import SetClock

from modelgenerator.errors import InvalidSettings
from modelgenerator.service.config import read_config
from modelgenerator.service.errors import (
    AlreadyExists,
    FileDamaged,
    InvalidValue,
    LinkRefused,
    NotFound,
    StorageUnreachable,
    TooLarge,
)
from modelgenerator.service.jobs import bodies
from modelgenerator.service.store.bucket import BucketFiles
from modelgenerator.service.store.folder import FolderFiles, _give_name
from modelgenerator.service.store.keys import organization_key
from modelgenerator.service.store.links import LinkSigner
from modelgenerator.service.store.opening import open_files
from modelgenerator.service.store.patience import Patience

KEY = organization_key(UUID(int=1), "pictures", "a.png")
OTHER = organization_key(UUID(int=0x10), "pictures", "a.png")
ROOT = Path(__file__).parents[3]
MANY = 20


def megabytes(count=MANY):
    """More than goes in one request."""
    return (bytes([number]) * 1_000_000 for number in range(count))


CONTENTS = {
    "small": lambda: iter([b"ab", b"", b"c"]),
    "empty": lambda: iter([]),
    "large": megabytes,
}


@pytest.fixture(params=CONTENTS)
def content(request):
    return CONTENTS[request.param]


def test_a_file_comes_back_as_it_was(files, content):
    expected = b"".join(content())
    stored = files.put(KEY, content())
    assert stored.byte_count == len(expected) == files.size(KEY)
    assert stored.sha256 == hashlib.sha256(expected).hexdigest()
    assert files.read(KEY) == expected


def test_nobody_writes_over_a_file(files, content):
    files.put(KEY, content())
    for other in (b"other", reversed([*megabytes()])):
        with pytest.raises(AlreadyExists):
            files.put(KEY, other)
    assert files.read(KEY) == b"".join(content())


def test_who_asks_again_finds_what_he_has_put_there(files, content):
    stored = files.put(KEY, content())
    assert files.put(KEY, content(), again=True) == stored
    for other in (b"xyz", b"other"):
        with pytest.raises(AlreadyExists):
            files.put(KEY, other, again=True)


def test_a_folder_that_fails_after_a_file_has_its_name_is_asked_again(clock, tmp_path, monkeypatch):
    """As one on another machine, whose answer is lost: a job does not fail for its own file."""
    files = FolderFiles(tmp_path / "files", LinkSigner([b"s" * 32]), clock, base_url="")
    place = "modelgenerator.service.store.folder._give_name"

    def fails_once(*asked):
        _give_name(*asked)
        monkeypatch.setattr(place, _give_name)
        raise StorageUnreachable

    monkeypatch.setattr(place, fails_once)
    monkeypatch.setattr(bodies, "RESTARTING", Patience(pauses=(0.01,)))
    (tmp_path / "it").write_bytes(b"a picture")
    stored = bodies.kept(files, KEY, tmp_path / "it")
    assert files.read(KEY, sha256=stored.sha256) == b"a picture"
    with pytest.raises(AlreadyExists):
        bodies.kept(files, KEY, tmp_path / "it")


@pytest.mark.parametrize("before", [0, 1, 15])
def test_content_that_breaks_off_leaves_nothing(files, before):
    def broken():
        yield from megabytes(before)
        raise TooLarge

    with pytest.raises(TooLarge):
        files.put(KEY, broken())
    with pytest.raises(NotFound):
        files.size(KEY)
    assert list(files.keys("organizations")) == []
    files.put(KEY, b"whole")
    assert files.read(KEY) == b"whole"


def test_a_part_of_a_file_is_read_alone(files):
    files.put(KEY, b"0123456789")
    assert b"".join(files.stream(KEY, start=2, end=5)) == b"234"
    assert b"".join(files.stream(KEY, start=8)) == b"89"
    assert b"".join(files.stream(KEY, start=8, end=99)) == b"89"
    assert b"".join(files.stream(KEY, start=10)) == b""


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (5, 2), (11, None)])
def test_bytes_that_are_not_there_are_refused(files, start, end):
    files.put(KEY, b"0123456789")
    with pytest.raises(InvalidValue, match="10 bytes"):
        files.stream(KEY, start=start, end=end)


def test_a_file_that_is_not_there_is_not_found(files):
    for ask in (files.read, files.size, files.stream):
        with pytest.raises(NotFound):
            ask(KEY)
    files.delete(KEY)


def test_a_prefix_finds_what_is_below_it_and_nothing_beside_it(files):
    files.put(KEY, b"1")
    files.put(OTHER, b"2")
    assert list(files.keys(organization_key(UUID(int=1)))) == [KEY]
    assert list(files.keys(organization_key(UUID(int=2)))) == []
    assert set(files.keys("organizations")) == {KEY, OTHER}
    assert list(files.keys(KEY[:-6])) == [KEY]
    assert list(files.keys(KEY[:-8])) == []


def test_what_is_deleted_is_gone(files):
    keys = [organization_key(UUID(int=1), "pictures", f"{number}.png") for number in range(3)]
    for key in keys:
        files.put(key, b"1")
    files.put(OTHER, b"2")
    for key in keys * 2:  # a second time there is nothing to delete
        files.delete(key)
    assert list(files.keys("organizations")) == [OTHER]
    files.put(KEY, b"again")
    assert files.read(KEY) == b"again"


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a/../../x", "", "a b"])
def test_no_key_leads_elsewhere(files, key):
    for ask in (
        files.read,
        files.size,
        files.delete,
        files.stream,
        lambda it: list(files.keys(it)),
    ):
        with pytest.raises(InvalidValue):
            ask(key)
    with pytest.raises(InvalidValue):
        files.put(key, b"x")
    with pytest.raises(InvalidValue):
        files.link("GET", key, expires_in=timedelta(minutes=1))


def test_a_download_is_the_file_that_was_stored(files, tmp_path):
    stored = files.put(KEY, megabytes())
    files.download(KEY, tmp_path / "here", sha256=stored.sha256)
    assert (tmp_path / "here").read_bytes() == b"".join(megabytes())


def test_a_download_of_another_file_is_refused(files, tmp_path):
    files.put(KEY, b"damaged")
    with pytest.raises(FileDamaged):
        files.download(KEY, tmp_path / "here", sha256="0" * 64)
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("content", [lambda: iter([b"small"]), megabytes])
def test_of_a_file_that_is_another_one_the_last_piece_never_comes(files, content):
    stored = files.put(KEY, content())
    assert b"".join(files.whole(KEY, sha256=stored.sha256)) == b"".join(content())
    assert files.read(KEY, sha256=stored.sha256) == b"".join(content())
    sizes: list[int] = []
    with pytest.raises(FileDamaged):
        sizes.extend(map(len, files.whole(KEY, sha256="0" * 64)))
    assert sum(sizes) < stored.byte_count
    with pytest.raises(FileDamaged):
        files.read(KEY, sha256="0" * 64)


@pytest.mark.parametrize("size", [10, 12_000_000])
def test_of_many_who_write_one_file_one_does(files, size):
    if isinstance(files, BucketFiles):
        pytest.skip("a bucket promises it by If-None-Match; moto looks, and then writes")
    together = threading.Barrier(4)
    kept = []

    def write(letter):
        together.wait()
        try:
            kept.append(files.put(KEY, letter * size).sha256)
        except AlreadyExists:
            return

    threads = [threading.Thread(target=write, args=(bytes([65 + it]),)) for it in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [hashlib.sha256(files.read(KEY)).hexdigest()] == kept


def test_a_link_to_a_bucket_opens_one_file_for_one_method(s3_endpoint, files):
    if isinstance(files, FolderFiles):
        pytest.skip("a folder's links are opened by the service")
    assert s3_endpoint
    files.put(KEY, b"content")
    link = files.link("GET", KEY, expires_in=timedelta(minutes=1))
    with urllib.request.urlopen(link) as answer:
        assert answer.read() == b"content"


# a folder alone


@pytest.fixture
def folder(tmp_path):
    return FolderFiles(
        tmp_path / "files", LinkSigner([b"s" * 32]), SetClock(), base_url="https://x.org/"
    )


def test_a_link_to_a_folder_leads_to_the_service_and_carries_its_right(folder):
    clock = SetClock()
    link = urlsplit(folder.link("GET", KEY, expires_in=timedelta(minutes=5)))
    assert f"{link.scheme}://{link.netloc}{link.path}" == f"https://x.org/files/{KEY}"
    (token,) = parse_qs(link.query)["token"]
    signer = LinkSigner([b"s" * 32])
    signer.check(token, "GET", KEY, clock())
    with pytest.raises(LinkRefused):
        signer.check(token, "GET", OTHER, clock())
    clock.advance(301)
    with pytest.raises(LinkRefused):
        signer.check(token, "GET", KEY, clock())


def test_a_file_larger_than_what_is_held_in_memory_goes_through(folder):
    tracemalloc.start()
    try:
        folder.put(KEY, megabytes(100))
        for _ in folder.stream(KEY):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40_000_000


def test_a_file_and_its_name_are_flushed_before_it_counts(folder, monkeypatch):
    """Nothing has its name before its bytes are on the disk, and its folder is flushed after."""
    done = []
    fsync, link = os.fsync, Path.hardlink_to

    def flush(descriptor):
        done.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")  # noqa: PTH112
        fsync(descriptor)

    def name(path, target):
        done.append("name")
        link(path, target)

    folder.put(OTHER, b"makes the folders")
    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(Path, "hardlink_to", name)
    folder.put(OTHER.replace("a.png", "b.png"), b"content")
    assert done == ["file", "name", "folder"]


def test_a_process_that_is_killed_leaves_no_half_file(folder, tmp_path):
    program = textwrap.dedent(f"""
        from pathlib import Path
        from modelgenerator.service.records.clock import system_clock
        from modelgenerator.service.store.folder import FolderFiles
        from modelgenerator.service.store.links import LinkSigner
        def content():
            yield b"x" * 1_000_000
            print("begun", flush=True)
            input()
        files = FolderFiles(Path({str(tmp_path / "files")!r}), LinkSigner([b"s" * 32]),
            system_clock, base_url="")
        files.put({KEY!r}, content())
    """)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    writer = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "begun\n"
    writer.kill()
    writer.communicate()
    assert list(folder.keys("organizations")) == []
    assert len(list((tmp_path / "files" / "incoming").iterdir())) == 1
    assert folder.forget_partial(timedelta(days=40_000)) == 0
    assert folder.forget_partial(timedelta(days=-40_000)) == 1
    assert list((tmp_path / "files" / "incoming").iterdir()) == []


def test_a_full_disk_keeps_nothing(folder, tmp_path):
    """The process may write no file beyond a size: to it, the disk is full."""
    program = textwrap.dedent(f"""
        import resource
        from pathlib import Path
        from modelgenerator.service.errors import StorageFull
        from modelgenerator.service.records.clock import system_clock
        from modelgenerator.service.store.folder import FolderFiles
        from modelgenerator.service.store.links import LinkSigner
        files = FolderFiles(Path({str(tmp_path / "files")!r}), LinkSigner([b"s" * 32]),
            system_clock, base_url="")
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, {resource.RLIM_INFINITY}))
        try:
            files.put({KEY!r}, (b"x" * 1_000_000 for _ in range(3)))
        except StorageFull:
            print("full")
    """)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.stdout, done.stderr) == ("full\n", "")
    assert list(folder.keys("organizations")) == []
    assert list((tmp_path / "files" / "incoming").iterdir()) == []


def test_nothing_stays_of_folders_that_became_empty(folder, tmp_path):
    folder.put(KEY, b"1")
    folder.delete(KEY)
    assert list((tmp_path / "files" / "objects").iterdir()) == []


def test_a_folder_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageUnreachable, match="cannot be used"):
        FolderFiles(tmp_path / "file" / "x", LinkSigner([b"s" * 32]), SetClock(), base_url="")


# a bucket alone


def test_a_bucket_keeps_nothing_but_whole_files(s3_endpoint, files):
    if isinstance(files, FolderFiles):
        pytest.skip("a folder has a place of its own for what is not whole")
    assert s3_endpoint
    files.put(KEY, megabytes())
    with pytest.raises(AlreadyExists):
        files.put(KEY, reversed([*megabytes()]))
    assert list(files.keys("incoming")) == []


def test_a_storage_that_is_not_there_is_unreachable(s3_endpoint):
    assert s3_endpoint
    files = BucketFiles("s3://bucket", endpoint="http://127.0.0.1:9")
    with pytest.raises(StorageUnreachable):
        files.size(KEY)


@pytest.mark.parametrize(
    ("url", "kind"),
    [("s3://bucket/prefix", BucketFiles), ("{}/here", FolderFiles), ("file://{}/it", FolderFiles)],
)
def test_the_storage_url_says_which_it_is(url, kind, tmp_path):
    config = read_config({"STORAGE_URL": url.format(tmp_path)})
    assert type(open_files(config, LinkSigner([b"s" * 32]), SetClock())) is kind


def test_a_url_of_no_bucket_is_refused():
    with pytest.raises(InvalidSettings, match="STORAGE_URL"):
        BucketFiles("s3://", endpoint=None)

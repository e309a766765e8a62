"""A bucket that is not well: right bytes after all, or an error that says so, and nothing half."""

import hashlib
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.bucket import make_bucket
from tests.faulty_bucket import (
    Answers,
    CutsAnswer,
    CutsRequest,
    DamagesAnswer,
    Delays,
    EndsAnswer,
    FaultyBucket,
    Hangs,
    LosesAnswer,
    ShortensAnswer,
    first_time,
)

from modelgenerator.service.errors import (
    AlreadyExists,
    FileDamaged,
    NotFound,
    StorageRefused,
    StorageUnreachable,
)
from modelgenerator.service.store.bucket import BucketFiles
from modelgenerator.service.store.keys import organization_key
from modelgenerator.service.store.patience import Patience
from modelgenerator.service.store.ranges import RANGE, RANGES_AT_ONCE

SMALL_KEY = organization_key(UUID(int=1), "there", "small.png")
LARGE_KEY = organization_key(UUID(int=1), "there", "large.safetensors")
PREFIX = organization_key(UUID(int=2))
SMALL = bytes(range(256)) * 40
LARGE = b"".join(hashlib.sha256(bytes([number])).digest() * 32_768 for number in range(20))
"""Of 20 MiB: fetched in three ranges."""
HURRIED = Patience(
    connecting=timedelta(seconds=1),
    reading=timedelta(seconds=10),
    writing=timedelta(seconds=10),
    naming=timedelta(seconds=10),
    asking_again=timedelta(seconds=10),
    first_backoff=timedelta(milliseconds=5),
    pauses=(0.01, 0.02),
)
IMPATIENT = Patience(
    connecting=timedelta(seconds=1),
    reading=timedelta(milliseconds=150),
    writing=timedelta(milliseconds=150),
    naming=timedelta(milliseconds=150),
    asking_again=timedelta(milliseconds=100),
    pauses=(0.01,),
)


class Bucket:
    """A bucket of which all requests go through a proxy, and the way past it."""

    def __init__(self, proxy: FaultyBucket) -> None:
        self.proxy = proxy
        self.url = url = f"s3://b-{uuid4().hex}/prefix"
        make_bucket(proxy.upstream, url.split("/")[2])
        self.files = BucketFiles(url, endpoint=proxy.address, patience=HURRIED)
        self.impatient = BucketFiles(url, endpoint=proxy.address, patience=IMPATIENT)
        self.past_proxy = BucketFiles(url, endpoint=proxy.upstream)


@pytest.fixture(scope="module")
def proxied(s3_endpoint: str) -> Iterator[Bucket]:
    with FaultyBucket(s3_endpoint) as proxy:
        bucket = Bucket(proxy)
        bucket.past_proxy.put(SMALL_KEY, SMALL)
        bucket.past_proxy.put(LARGE_KEY, LARGE)
        yield bucket


@pytest.fixture
def bucket(proxied: Bucket) -> Iterator[Bucket]:
    proxied.proxy.is_well()
    yield proxied
    proxied.proxy.is_well()
    for key in proxied.past_proxy.keys(PREFIX):
        proxied.past_proxy.delete(key)


@dataclass(frozen=True)
class Operation:
    """Something that is asked of the files, with a folder for what comes of it."""

    do: Callable[[BucketFiles, Path], Any]
    is_right: Callable[[Any, BucketFiles, Path], bool]
    """After it succeeded."""
    is_undone: Callable[[BucketFiles, Path], bool] = lambda _, folder: not [*folder.iterdir()]
    """After it failed."""


def put(content: bytes) -> Operation:
    key, step = f"{PREFIX}/put.png", 1 << 20
    pieces = [content[at : at + step] for at in range(0, len(content), step)]
    sha256 = hashlib.sha256(content).hexdigest()
    return Operation(
        lambda files, _: files.put(key, iter(pieces)),
        lambda stored, files, _: stored.sha256 == sha256 and files.read(key) == content,
        # it may be there after all, when only the answer was lost: then it is whole
        lambda files, _: not files.has(key) or files.read(key) == content,
    )


def download(key: str, content: bytes) -> Operation:
    sha256 = hashlib.sha256(content).hexdigest()
    return Operation(
        lambda files, folder: files.download(key, folder / "it", sha256=sha256),
        lambda _, __, folder: [it.read_bytes() for it in folder.iterdir()] == [content],
    )


THERE, DELETED = organization_key(UUID(int=1)), f"{PREFIX}/delete.png"
OPERATIONS = {
    "put small": put(SMALL),
    "put in parts": put(LARGE[: 9 << 20]),
    "stream": Operation(
        lambda files, _: b"".join(files.stream(LARGE_KEY)), lambda got, *_: got == LARGE
    ),
    "download small": download(SMALL_KEY, SMALL),
    "download in ranges": download(LARGE_KEY, LARGE),
    "delete": Operation(
        lambda files, _: files.delete(DELETED), lambda _, files, __: not files.has(DELETED)
    ),
    "list": Operation(
        lambda files, _: sorted(files.keys(THERE)),
        lambda found, *_: found == sorted([SMALL_KEY, LARGE_KEY]),
    ),
    "head": Operation(lambda files, _: files.size(LARGE_KEY), lambda size, *_: size == len(LARGE)),
}
FAULTS = {
    "internal error": Answers(500),
    "slow down": Answers(503, "SlowDown"),
    "delay": Delays(0.05),
    "reset at once": CutsAnswer(0),
    "reset in the body": CutsAnswer(5_000),
    "end in the body": EndsAnswer(5_000),
    "shortened": ShortensAnswer(5_000),
    "reset in the request": CutsRequest(1_000),
    "lost answer": LosesAnswer(),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_happens_to_each_request_once_is_not_noticed(bucket, tmp_path, operation, fault):
    bucket.past_proxy.put(DELETED, b"x")
    bucket.proxy.does(fault, times=1_000, to=first_time())
    try:
        answer = operation.do(bucket.files, tmp_path)
    except StorageUnreachable:
        # the library begins no second upload where the answer to the beginning broke off
        assert (operation, fault) == (OPERATIONS["put in parts"], FAULTS["reset at once"])
        assert operation.is_undone(bucket.past_proxy, tmp_path)
    else:
        assert operation.is_right(answer, bucket.past_proxy, tmp_path)
        assert list(bucket.past_proxy.keys("incoming")) == []


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_does_not_end_is_told_and_leaves_nothing_half(bucket, tmp_path, operation, fault):
    bucket.past_proxy.put(DELETED, b"x")
    bucket.proxy.does(fault, times=1_000)
    try:
        answer = operation.do(bucket.files, tmp_path)
    except (StorageUnreachable, FileDamaged):
        assert operation.is_undone(bucket.past_proxy, tmp_path)
    else:
        assert operation.is_right(answer, bucket.past_proxy, tmp_path)
    bucket.proxy.is_well()
    answer = operation.do(bucket.files, tmp_path)
    assert operation.is_right(answer, bucket.past_proxy, tmp_path)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_a_bucket_that_refuses_is_told_from_one_that_does_not_answer(bucket, tmp_path, operation):
    """And nothing is asked again: it would be refused again."""
    bucket.past_proxy.put(DELETED, b"x")
    bucket.proxy.does(Answers(403, "AccessDenied"), times=1_000)
    with pytest.raises(StorageRefused, match="refuses"):
        operation.do(bucket.files, tmp_path)
    assert operation.is_undone(bucket.past_proxy, tmp_path)
    assert len(bucket.proxy.came) <= 4


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_a_bucket_that_hangs_is_given_up(bucket, tmp_path, operation):
    bucket.past_proxy.put(DELETED, b"x")
    bucket.proxy.does(Hangs(), times=1_000)
    with pytest.raises(StorageUnreachable):
        operation.do(bucket.impatient, tmp_path)
    assert operation.is_undone(bucket.past_proxy, tmp_path)


def test_a_byte_that_changed_on_the_way_is_a_damaged_file_and_no_file(bucket, tmp_path):
    digests = {SMALL_KEY: hashlib.sha256(SMALL), LARGE_KEY: hashlib.sha256(LARGE)}
    for key, digest in digests.items():
        bucket.proxy.is_well()
        bucket.proxy.does(DamagesAnswer(3_000), times=1_000)
        with pytest.raises(FileDamaged, match="not what was stored"):
            bucket.files.download(key, tmp_path / "it", sha256=digest.hexdigest())
        assert [*tmp_path.iterdir()] == []
        with pytest.raises(FileDamaged):
            bucket.files.read(key, sha256=digest.hexdigest())
        pieces = bucket.files.whole(key, sha256=digest.hexdigest())
        sizes = []
        with pytest.raises(FileDamaged):
            sizes.extend(map(len, pieces))
        assert sum(sizes) < bucket.files.size(key)


def test_a_damaged_download_leaves_what_was_there_before(bucket, tmp_path):
    (tmp_path / "it").write_bytes(b"before")
    with pytest.raises(FileDamaged):
        bucket.files.download(SMALL_KEY, tmp_path / "it", sha256="0" * 64)
    assert (tmp_path / "it").read_bytes() == b"before"


def test_a_file_that_is_another_one_halfway_is_damaged(bucket):
    """Nobody writes over files, but a bucket is not ours alone."""
    key = f"{PREFIX}/changed.safetensors"
    bucket.past_proxy.put(key, LARGE)
    pieces = bucket.files.stream(key)
    bucket.past_proxy.delete(key)
    bucket.past_proxy.put(key, LARGE[::-1])
    with pytest.raises(FileDamaged, match="changed"):
        list(pieces)


def test_ranges_are_fetched_together_and_only_so_many(bucket, tmp_path):
    key = f"{PREFIX}/ranges.safetensors"
    content = LARGE * 2
    bucket.past_proxy.put(key, content)
    bucket.proxy.does(Delays(0.1), times=1_000)
    bucket.files.download(key, tmp_path / "it", sha256=hashlib.sha256(content).hexdigest())
    assert (tmp_path / "it").read_bytes() == content
    assert bucket.proxy.most_at_once == RANGES_AT_ONCE
    assert len({it.range for it in bucket.proxy.came if it.range}) == -(-len(content) // RANGE)


def test_a_large_file_gets_its_name_however_long_other_requests_may_take(bucket):
    """The storage copies it within itself, and answers when that is done."""
    files = BucketFiles(
        bucket.url,
        endpoint=bucket.proxy.address,
        patience=replace(HURRIED, writing=timedelta(seconds=1), pauses=()),
    )
    bucket.proxy.does(Delays(1.5), to=lambda it: it.method == "PUT" and PREFIX in it.path)
    files.put(f"{PREFIX}/named.safetensors", iter([LARGE]))
    assert bucket.past_proxy.read(f"{PREFIX}/named.safetensors") == LARGE


def test_what_is_too_large_to_be_copied_is_written_where_it_belongs(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr("modelgenerator.service.store.bucket.MOST_COPIED", 16 << 20)
    key, file = f"{PREFIX}/huge.zip", tmp_path / "huge.zip"
    file.write_bytes(LARGE)
    stored = bucket.files.put(key, file)
    assert bucket.past_proxy.read(key, sha256=stored.sha256) == LARGE
    assert not [it for it in bucket.proxy.came if "incoming" in it.path]
    with urllib.request.urlopen(
        bucket.past_proxy.link("GET", key, expires_in=timedelta(minutes=1))
    ) as answer:
        assert answer.headers["Content-Type"] == "application/zip"
        assert answer.headers["Content-Disposition"].startswith("attachment")
    assert bucket.files.put(key, file) == stored
    file.write_bytes(LARGE[::-1])
    with pytest.raises(AlreadyExists):
        bucket.files.put(key, file)
    assert bucket.past_proxy.read(key) == LARGE


def test_a_small_file_is_one_request_after_a_look(bucket, tmp_path):
    bucket.files.download(SMALL_KEY, tmp_path / "it", sha256=hashlib.sha256(SMALL).hexdigest())
    assert [it.method for it in bucket.proxy.came] == ["HEAD", "GET"]


def test_a_bucket_that_starts_again_is_the_same_bucket(bucket):
    bucket.proxy.stop()
    with pytest.raises(StorageUnreachable):
        bucket.files.read(SMALL_KEY)
    assert not bucket.files.answers()
    bucket.proxy.start()
    assert bucket.files.answers()
    assert bucket.files.read(SMALL_KEY) == SMALL


def test_a_bucket_that_is_not_there_is_no_file_that_is_not_there(bucket):
    """Whoever writes has asked for nothing that could be missing."""
    nowhere = BucketFiles("s3://no-such-bucket", endpoint=bucket.proxy.address, patience=HURRIED)
    for content in (SMALL, LARGE):
        with pytest.raises(StorageUnreachable):
            nowhere.put(f"{PREFIX}/x.png", content)
    with pytest.raises(NotFound):
        nowhere.read(SMALL_KEY)

"""What a bucket alone does: links of its own, names that browsers keep, and nothing left behind."""

import os
import subprocess
import sys
import textwrap
import urllib.request
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from tests.bucket import KEYS, make_bucket
from tests.remembered import SetClock

from modelgenerator.service.records.clock import system_clock
from modelgenerator.service.store.bucket import BucketFiles
from modelgenerator.service.store.keys import organization_key

ROOT = Path(__file__).parents[3]
SMALL, LARGE = 10, 9 << 20


@pytest.fixture
def url(s3_endpoint: str) -> str:
    name = f"b-{uuid4().hex}"
    make_bucket(s3_endpoint, name)
    return f"s3://{name}/some/prefix"


@pytest.fixture
def bucket(s3_endpoint: str, url: str) -> BucketFiles:
    return BucketFiles(url, endpoint=s3_endpoint)


def key_of(name: str) -> str:
    return organization_key(UUID(int=1), "x", name)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_the_very_same_file_again_is_a_request_that_was_sent_again(bucket: BucketFiles, size: int):
    first, again = (bucket.put(key_of("a.png"), b"x" * size) for _ in range(2))
    assert first == again
    assert bucket.size(key_of("a.png")) == size


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize(
    ("name", "content_type", "placed"),
    [
        ("a.png", "image/png", "inline"),
        ("a.jpg", "image/jpeg", "inline"),
        ("a.webp", "image/webp", "inline"),
        ("a.zip", "application/zip", "attachment"),
        ("a.safetensors", "application/octet-stream", "attachment"),
        ("a.html", "application/octet-stream", "attachment"),
    ],
)
def test_a_link_says_what_a_browser_is_to_do(
    bucket: BucketFiles, size: int, name: str, content_type: str, placed: str
):
    bucket.put(key_of(name), b"x" * size)
    link = bucket.link("GET", key_of(name), expires_in=timedelta(minutes=1))
    assert f"/{name}?" in link  # the name under which it is kept
    with urllib.request.urlopen(link) as answer:
        assert len(answer.read()) == size
        assert answer.headers["Content-Type"] == content_type
        assert (answer.headers["Content-Disposition"] or "inline").startswith(placed)


def test_a_link_says_when_it_ends_and_its_signature_is_of_key_method_and_end(bucket: BucketFiles):
    hour = timedelta(hours=1)
    link = bucket.link("GET", key_of("a.png"), expires_in=hour)
    assert "X-Amz-Expires=3600" in link
    assert "X-Amz-SignedHeaders=host" in link
    signatures = {
        bucket.link(method, key_of(name), expires_in=end).partition("Signature=")[2]
        for method, name, end in (
            ("GET", "a.png", hour),
            ("GET", "b.png", hour),
            ("PUT", "a.png", hour),
            ("GET", "a.png", 2 * hour),
        )
    }
    assert len(signatures) == 4


def test_what_a_killed_upload_left_goes_after_a_day(s3_endpoint: str, url: str):
    clock = SetClock()
    clock.now = system_clock()
    bucket = BucketFiles(url, endpoint=s3_endpoint, clock=clock)
    bucket.put("incoming/0123", b"left")
    bucket.put(key_of("a.png"), b"kept")
    assert bucket.forget_partial(timedelta(days=1)) == 0
    clock.advance(86_400 + 60)
    assert bucket.forget_partial(timedelta(days=1)) == 1
    assert [*bucket.keys("incoming"), *bucket.keys("organizations")] == [key_of("a.png")]


def test_a_large_file_is_never_held_in_memory(s3_endpoint: str, url: str, tmp_path: Path):
    """Of 96 MiB, in a process of its own, by the most memory that it ever had."""
    program = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from modelgenerator.service.store.bucket import BucketFiles
        files = BucketFiles({url!r}, endpoint={s3_endpoint!r})
        def most():
            lines = Path("/proc/self/status").read_text().splitlines()
            return 1024 * next(int(it.split()[1]) for it in lines if it.startswith("VmHWM"))
        files.put("small/a.bin", b"x")
        before = most()
        block = bytes(range(256)) * 4096
        stored = files.put("large/a.bin", (block for _ in range(96)))
        print(most() - before)
        for chunk in files.stream("large/a.bin"):
            pass
        print(most() - before)
        files.download("large/a.bin", Path(sys.argv[1]), sha256=stored.sha256)
        print(most() - before)
    """)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "it")],
        capture_output=True,
        text=True,
        env={**os.environ, **KEYS, "PYTHONPATH": str(ROOT / "src")},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    put, streamed, downloaded = map(int, done.stdout.split())
    assert put < 48 << 20
    assert streamed < 48 << 20
    assert downloaded < 72 << 20
    assert (tmp_path / "it").stat().st_size == 96 << 20

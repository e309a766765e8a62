"""How much sooner is a large file here when its ranges are fetched together?

    python benchmarks/bucket.py [--megabytes 32] [--repeats 3]

A bucket on a real S3 server of this machine, behind a proxy that lets each connection wait and then
sends so many bytes in a second, as storages far away do.  The same file is read as one stream and
in ranges, in turns.  Out: seconds of each, and their ratio, which a busy machine changes less.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.bucket import KEYS, make_bucket, s3_server
from tests.faulty_bucket import FaultyBucket, Slows

from modelgenerator.service.store.bucket import BucketFiles

_KEY = "large/file.safetensors"


@contextmanager
def _here() -> Generator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "file"


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Prints one line for each way, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds before each answer")
    parser.add_argument("--speed", type=float, default=8.0, help="megabytes a second")
    asked = parser.parse_args()
    os.environ.update(KEYS)
    content = os.urandom(1 << 20) * asked.megabytes
    sha256 = hashlib.sha256(content).hexdigest()
    streamed: list[float] = []
    ranged: list[float] = []
    with s3_server() as endpoint, FaultyBucket(endpoint) as proxy, _here() as to:
        make_bucket(endpoint, "measured")
        files = BucketFiles("s3://measured/files", endpoint=proxy.address)
        files.put(_KEY, content)
        slow = Slows(asked.delay, asked.speed * 1e6)
        proxy.does(slow, times=10**6, to=lambda request: request.method == "GET")
        for _ in range(asked.repeats):
            streamed.append(seconds_of(lambda: [*files.stream(_KEY)]))
            ranged.append(seconds_of(lambda: files.download(_KEY, to, sha256=sha256)))
    print(f"one stream: {median(streamed):.2f} s")
    print(f"ranges, verified: {median(ranged):.2f} s")
    print(f"ratio: {median(streamed) / median(ranged):.2f}")


if __name__ == "__main__":
    main()

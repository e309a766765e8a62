"""Random work, random kills, and then what must hold whatever happened.

CHAOS_JOBS=200 CHAOS_SEED=1 pytest tests/acceptance/test_chaos.py
"""

import os
import random
import threading
import time
from pathlib import Path

import httpx
import pytest
from tests.chaos import Nemesis, Promises, ask_for_work
from tests.invariants import violations
from tests.server import Server, server

JOBS = int(os.environ.get("CHAOS_JOBS", "12"))
SEED = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randint(0, 10**6))
KILLS = max(4, JOBS // 4)
"""At least, unless everything has ended before."""
CLIENTS = 3
LEASE_SECONDS = "6"
SECONDS_FOR_A_JOB = 30


@pytest.mark.timeout(240 + JOBS * SECONDS_FOR_A_JOB)
def test_nothing_is_lost_doubled_or_half_done(tmp_path: Path):
    print(f"CHAOS_SEED={SEED}")  # noqa: T201  to play it again
    promises = Promises()
    with server(tmp_path, MODELGENERATOR_LEASE_SECONDS=LEASE_SECONDS) as it:
        with Nemesis(it, random.Random(SEED), seconds=(3, 9)) as nemesis:
            _ask_all(it, promises)
            while len(nemesis.done) < KILLS and not _is_quiet(it):
                time.sleep(0.5)
        _wait_until_quiet(it)
        deleted = list(promises.deleted_datasets)
        assert it.stop() == 0
    found = violations(tmp_path / "data", promises)
    counts = f"{promises.job_count} jobs, {len(nemesis.done)} kills, {len(deleted)} deletions"
    print(counts, nemesis.done)  # noqa: T201
    assert not found, f"seed {SEED}: {counts}: " + "; ".join(found)


def _ask_all(it: Server, promises: Promises) -> None:
    clients = [
        threading.Thread(
            target=ask_for_work, args=(it, promises, random.Random(SEED + number), JOBS)
        )
        for number in range(1, CLIENTS + 1)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()


def _wait_until_quiet(it: Server) -> None:
    """Until every job has ended; the nemesis is gone."""
    give_up = time.monotonic() + JOBS * SECONDS_FOR_A_JOB
    while not _is_quiet(it):
        assert time.monotonic() < give_up, f"seed {SEED}: something does not end"
        time.sleep(1)


def _is_quiet(it: Server) -> bool:
    """Whether nothing is left to be done; a server that is being killed does not say."""
    try:
        with it.http() as http:
            text = http.get("/metrics").text
            runs = http.get("/v1/runs?limit=200").json()["items"]
    except (httpx.TransportError, KeyError):
        return False
    jobs = [line for line in text.splitlines() if line.startswith("modelgenerator_jobs{")]
    left = [line for line in jobs if '"queued"' in line or '"running"' in line]
    return not left and all(run["status"] not in ("queued", "running") for run in runs)

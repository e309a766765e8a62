"""Random work, random kills, and then what must hold whatever happened.

CHAOS_JOBS=200 CHAOS_SEED=1 pytest tests/acceptance/test_chaos.py

With SERVICE_DEPLOYMENT=cluster two servers share Postgres, a bucket and a Ray cluster, and all of
that is lost from time to time.
"""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.chaos import Deed, Promises, ask_for_work, on_a_machine, rage
from tests.cluster_chaos import on_a_cluster, tend_cluster
from tests.deployments import is_cluster
from tests.invariants import survived, violations
from tests.server import Server, another, server
from tests.told import listening

from modelgenerator.service.records.webhooks import DeliveryStatus

JOBS = int(os.environ.get("CHAOS_JOBS", "12"))
SEED = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randint(0, 10**6))
KILLS = max(4, JOBS // 4)
"""At least, unless everything has ended before."""
CLIENTS = 3
ENVIRONMENT = {
    "MODELGENERATOR_LEASE_SECONDS": "6",
    "MODELGENERATOR_CHECKPOINT_SECONDS": "1",
    "MODELGENERATOR_WEBHOOK_PRIVATE_NETWORKS": "on",
    # two servers, and all machines of a cluster, on one machine: to begin takes longer than a kill
    "MODELGENERATOR_LOST_ATTEMPTS": "20" if is_cluster() else "3",
}
SECONDS_FOR_A_JOB = 60 if is_cluster() else 30
PAUSES = (6, 20) if is_cluster() else (3, 9)
"""Seconds between two kills: a job on a cluster takes longer to begin."""
SECONDS_TO_TELL = 240
"""A message whose sender was killed is sent again after two minutes."""


@pytest.mark.timeout(300 + SECONDS_TO_TELL + 2 * JOBS * SECONDS_FOR_A_JOB)
def test_nothing_is_lost_doubled_or_half_done(tmp_path: Path):
    print(f"CHAOS_SEED={SEED}")  # noqa: T201  to play it again
    promises, began = Promises(), time.monotonic()
    with _served(tmp_path) as servers, listening() as listener:
        _tell(servers[0], listener.url)
        deeds = _deeds(servers, random.Random(SEED + 1_000))
        clients = _asking(servers, promises)

        def is_over(kills: int) -> bool:
            asks = any(client.is_alive() for client in clients)
            return not asks and (kills >= KILLS or _is_quiet(servers))

        done = rage(deeds, random.Random(SEED), seconds=PAUSES, is_over=is_over, tend=_tend)
        _wait_until(lambda: _is_quiet(servers), JOBS * SECONDS_FOR_A_JOB)
        _wait_until(lambda: _is_told(servers), SECONDS_TO_TELL)
        promises.heard = [one.headers["webhook-id"] for one in listener.told]
        assert [one.stop() for one in servers] == [0] * len(servers)
    found = violations(servers, promises)
    minutes = (time.monotonic() - began) / 60
    counts = f"{promises.job_count} jobs, {len(done)} kills, {minutes:.1f} minutes"
    print(counts, dict(Counter(done)))  # noqa: T201
    print(f"{len(promises.deleted_datasets)} deletions, {len(promises.heard)} messages")  # noqa: T201
    print(survived(servers[0]))  # noqa: T201
    assert not found, f"seed {SEED}: {counts}: " + "; ".join(found)


@contextmanager
def _served(folder: Path) -> Iterator[Sequence[Server]]:
    with server(folder / "first", **ENVIRONMENT) as first:
        if not is_cluster():
            yield [first]
            return
        with another(first, folder / "second") as second:
            yield [first, second]


def _deeds(servers: Sequence[Server], chance: random.Random) -> list[Deed]:
    if is_cluster():
        return on_a_cluster(servers, chance)
    return on_a_machine(servers[0], chance)


def _tend() -> None:
    if is_cluster():
        tend_cluster()


def _tell(it: Server, url: str) -> None:
    with it.http() as http:
        made = http.post("/v1/webhooks", json={"url": url})
    assert made.status_code == 201, made.text


def _asking(servers: Sequence[Server], promises: Promises) -> list[threading.Thread]:
    clients = [
        threading.Thread(
            target=ask_for_work,
            args=(servers, promises, random.Random(SEED + number), JOBS),
            daemon=True,
        )
        for number in range(1, CLIENTS + 1)
    ]
    for client in clients:
        client.start()
    return clients


def _wait_until(holds: Callable[[], bool], seconds: float) -> None:
    """The nemesis is gone."""
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up, f"seed {SEED}: something does not end"
        _tend()
        time.sleep(1)


def _is_quiet(servers: Sequence[Server]) -> bool:
    """Whether nothing is left to be done; a server that is being killed does not say."""
    return any(_says_quiet(one) for one in servers)


def _says_quiet(it: Server) -> bool:
    try:
        with it.http() as http:
            text = http.get("/metrics").text
            runs = http.get("/v1/runs?limit=200").json()["items"]
    except (httpx.TransportError, KeyError):
        return False
    jobs = [line for line in text.splitlines() if line.startswith("modelgenerator_jobs{")]
    left = [line for line in jobs if '"queued"' in line or '"running"' in line]
    return not left and all(run["status"] not in ("queued", "running") for run in runs)


def _is_told(servers: Sequence[Server]) -> bool:
    """Whether no message waits to be sent."""
    with servers[0].opened() as service, service.database.reading() as transaction:
        (organization,) = transaction.identities.organizations()
        deliveries = transaction.of(organization.id).webhook_deliveries.all()
    return all(delivery.status is not DeliveryStatus.PENDING for delivery in deliveries)

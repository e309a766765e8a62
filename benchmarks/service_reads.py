"""Reads of a small and of a large organization, from two real servers that take turns.

In: how many trainings each has, and how many requests a turn has.  Out: a line for each address.
"""

import http.client
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit
from uuid import UUID

from served import Served, new_key, served
from service_records import write_trainings

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.operations.service import opened

THREADS = 4
GOAL = 1.5
HEAD = (
    "| address | reads/s, small | large | p50 ms, small | large | p99 ms, small | large | ratio |\n"
    "|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Size:
    """How long a measurement takes."""

    small: int
    large: int
    turns: int
    requests: int
    """Of one thread in one turn at one address."""


@dataclass(frozen=True)
class Turn:
    """What one server did in one turn."""

    seconds: float
    waits: Sequence[float]


def measure(folder: Path, size: Size) -> None:
    print(
        f"{size.small} and {size.large} trainings, {THREADS} threads, {size.turns} turns\n\n{HEAD}"
    )
    with ExitStack() as both:
        seeded = [_seeded(folder / f"reads-{n}", n) for n in (size.small, size.large)]
        servers = [(both.enter_context(served(*it[:2])), it[2]) for it in seeded]
        for address in _addresses():
            print(_line(address, servers, size), flush=True)


def _addresses() -> Sequence[str]:
    listed = [f"/v1/{it}?limit=50" for it in ("trainings", "inferences", "runs")]
    return [
        *listed,
        "/v1/trainings/{id}",
        "/v1/organization",
        "/v1/organization/ledger",
    ]


def _seeded(data_dir: Path, count: int) -> tuple[Path, str, UUID]:
    key = new_key(data_dir)
    with opened(ServiceConfig(data_dir=data_dir)) as service:
        return data_dir, key, write_trainings(service, count)


def _line(address: str, servers: Sequence[tuple[Served, UUID]], size: Size) -> str:
    turns: list[list[Turn]] = [[], []]
    for number in range(size.turns + 1):
        for which in (0, 1) if number % 2 else (1, 0):
            server, id = servers[which]
            turn = _turn(server, address.replace("{id}", str(id)), size.requests)
            if number:  # the first one warms what is kept in memory
                turns[which].append(turn)
    rates = [median(len(it.waits) / it.seconds for it in each) for each in turns]
    waits = [sorted(1e3 * wait for it in each for wait in it.waits) for each in turns]
    ratios = [large.seconds / small.seconds for small, large in zip(*turns, strict=True)]
    middle = [each[len(each) // 2] for each in waits]
    slow = [each[int(len(each) * 0.99)] for each in waits]
    told = f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
    cells = [f"{it:.0f}" for it in rates] + [f"{it:.1f}" for it in (*middle, *slow)]
    return f"| `{address}` | {' | '.join(cells)} | {told} |"


def _turn(server: Served, path: str, requests: int) -> Turn:
    waits: list[float] = []
    threads = [
        threading.Thread(target=_ask, args=(server, path, requests, waits)) for _ in range(THREADS)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waits) == THREADS * requests, f"{path} was not answered"
    return Turn(time.perf_counter() - began, waits)


def _ask(server: Served, path: str, requests: int, waits: list[float]) -> None:
    """By the plainest client there is: a second of its own work would hide the server's."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
    for _ in range(requests):
        began = time.perf_counter()
        connection.request("GET", path, headers=server.headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, (path, answer.status)
        waits.append(time.perf_counter() - began)
    connection.close()

"""Many who watch one training: what they cost while nothing happens, and when they hear its end.

In: how many.  Out: a line: the server's processor time while they wait, the seconds from the cancel
until the first and the last of them has the end.
"""

import asyncio
import time
from pathlib import Path

import httpx
from served import Served, new_key, served
from service_records import waiting_training

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.operations.service import opened

IDLE_SECONDS = 5.0


def measure(folder: Path, watchers: int) -> None:
    data_dir = folder / "events"
    key = new_key(data_dir)
    with opened(ServiceConfig(data_dir=data_dir)) as service:
        training = waiting_training(service)
    with served(data_dir, key) as server:
        asyncio.run(_watch(server, f"/v1/trainings/{training}", watchers))


async def _watch(server: Served, address: str, watchers: int) -> None:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=server.url, headers=server.headers, limits=limits, timeout=120
    ) as http:
        alone = await _idle(server)
        listening = [asyncio.Event() for _ in range(watchers)]
        watching = [asyncio.create_task(_until_the_end(http, address, one)) for one in listening]
        await asyncio.gather(*(one.wait() for one in listening))
        await asyncio.sleep(1)
        idle = await _idle(server)
        began = time.perf_counter()
        (await http.post(f"{address}/cancel")).raise_for_status()
        ends = [end - began for end in await asyncio.gather(*watching)]
    print("| watchers | CPU without them | CPU while they wait | first has the end | last |")
    print("|---|---|---|---|---|")
    shares = f"{100 * alone:.0f} % | {100 * idle:.0f} %"
    print(f"| {watchers} | {shares} | {min(ends):.2f} s | {max(ends):.2f} s |", flush=True)


async def _idle(server: Served) -> float:
    """Of one core, what the server takes while nothing happens."""
    before = server.processor_seconds()
    await asyncio.sleep(IDLE_SECONDS)
    return (server.processor_seconds() - before) / IDLE_SECONDS


async def _until_the_end(http: httpx.AsyncClient, address: str, listens: asyncio.Event) -> float:
    """When the last event came."""
    async with http.stream("GET", f"{address}/events") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("event: queued"):
                listens.set()
            if line.startswith("event: finished"):
                return time.perf_counter()
    raise SystemExit("A stream ended before the training did.")

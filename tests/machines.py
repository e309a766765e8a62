"""Servers and their machines, as they tell of themselves."""

from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version

from tests.serving import Serving

from modelgenerator.service.records.servers import Machine, Places, Server

GIGABYTE = 10**9
HEAVY = ("train", "generate")


def a_server(clock: Callable[[], datetime], id: str = "one-1-ab", **changes: object) -> Server:
    """With a machine that has two GPUs, each a place."""
    now = clock()
    values: dict[str, object] = {
        "id": id,
        "host": "one",
        "version": version("modelgenerator"),
        "executor": "ray",
        "machines": (a_machine("gpu-1"),),
        "places": (Places(kinds=HEAVY, count=2, gpus=1, gpu_memory=24 * GIGABYTE),),
        "started_at": now,
        "seen_at": now,
    }
    return Server(**{**values, **changes})  # type: ignore[arg-type]


def a_machine(name: str, gpus: int = 2) -> Machine:
    """With GPUs of one kind."""
    kind = {"gpu_kind": "L4", "gpu_memory": 24 * GIGABYTE} if gpus else {}
    return Machine(name=name, cpus=16, memory=64 * GIGABYTE, gpus=gpus, **kind)  # type: ignore[arg-type]


def tell(it: Serving, *servers: Server) -> None:
    """They live."""
    with it.service.database.transaction() as transaction:
        for server in servers:
            transaction.servers.saw(server)


def on_processors(it: Serving) -> Server:
    """One server with one machine without GPUs, which is told."""
    server = a_server(
        it.clock,
        executor="local",
        machines=(a_machine("one", gpus=0),),
        places=(
            Places(kinds=("zip", "generateObjects"), count=1),
            Places(kinds=("generate",), count=1),
            Places(kinds=HEAVY, count=1),
        ),
    )
    tell(it, server)
    return server

"""Where the servers of a test keep things and run jobs: the same tests hold for each.

`SERVICE_DEPLOYMENT=cluster pytest tests/acceptance/...` gives every server a database of its own in
Postgres, a folder of its own in a bucket, and a Ray cluster of a head and two machines that all of
them share; without it a server has a folder, as one that a person starts.  In: nothing.  Out: what
a server's environment says.  What they share is started when it is asked for first, once in a
process.
"""

import functools
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from benchmarks import postgres
from tests import bucket
from tests.clusters import Machines, ray_cluster
from tests.relays import Relay, relayed

BUCKET = "kept"
CPUS_OF_A_MACHINE = 3
"""One training or one request for pictures, and an archive beside it."""
_ENDS = ExitStack()


@dataclass(frozen=True)
class Stores:
    """A database server and a bucket, which several servers can share."""

    postgres: postgres.Postgres
    storage: Relay
    """Between everybody and the bucket."""

    def new(self) -> dict[str, str]:
        """An empty deployment: no tables, no files."""
        name = f"d{uuid4().hex}"
        with psycopg.connect(
            self.postgres.url.format(name="postgres"), autocommit=True
        ) as database:
            database.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        return {
            **bucket.KEYS,
            "DATABASE_URL": self.postgres.url.format(name=name),
            "STORAGE_URL": f"s3://{BUCKET}/{name}",
            "MODELGENERATOR_STORAGE_ENDPOINT": f"http://127.0.0.1:{self.storage.port}",
            "MODELGENERATOR_SECRET_KEY": "0123456789abcdef" * 4,
        }


def is_cluster() -> bool:
    """Whether more than one machine is played."""
    return _chosen() == "cluster"


def new_environment() -> Mapping[str, str]:
    """What a server of a new deployment is told."""
    return _DEPLOYMENTS[_chosen()]()


def shared_environment() -> dict[str, str]:
    """What the servers of a new deployment of several are told: jobs run where the others do."""
    return dict(_on_a_cluster() if is_cluster() else stores().new())


def storage_host() -> str:
    """Where links to pictures and weights lead, if not to the server itself."""
    return f"127.0.0.1:{stores().storage.port}" if is_cluster() else ""


@functools.cache
def stores() -> Stores:
    """Skips the test where Postgres is missing."""
    if (bin_ := postgres.programs()) is None:
        reason = "Postgres is not installed: no service of several servers is tried"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    database = _ENDS.enter_context(postgres.running(bin_))
    endpoint = _ENDS.enter_context(bucket.s3_server())
    bucket.make_bucket(endpoint, BUCKET)
    port = urlsplit(endpoint).port
    assert port is not None
    return Stores(database, _ENDS.enter_context(relayed(port)))


@functools.cache
def cluster_machines() -> Machines:
    """Skips the test where Ray is missing."""
    # the head runs nothing itself: it may lose any of the others
    return _ENDS.enter_context(ray_cluster(CPUS_OF_A_MACHINE, CPUS_OF_A_MACHINE, head_cpus=0))


def end() -> None:
    """Nothing of it is left."""
    _ENDS.close()
    stores.cache_clear()
    cluster_machines.cache_clear()


def _on_a_cluster() -> Mapping[str, str]:
    there = {"EXECUTOR": "ray", "RAY_ADDRESS": cluster_machines().address}
    return {**stores().new(), **there}


def _chosen() -> str:
    chosen = os.environ.get("SERVICE_DEPLOYMENT", "machine")
    assert chosen in _DEPLOYMENTS, f"SERVICE_DEPLOYMENT is one of {', '.join(_DEPLOYMENTS)}"
    return chosen


_DEPLOYMENTS: Mapping[str, Callable[[], Mapping[str, str]]] = {
    "machine": dict,
    "cluster": _on_a_cluster,
}

"""What can go wrong where several servers, a database, a bucket and other machines work together.

In: the servers.  Out: deeds for a nemesis; after each one, whoever looks
after such a deployment has done what he would: what ended is started again, as it was.
"""

import random
import signal
import time
from collections.abc import Sequence
from typing import Any

import psutil
from tests.chaos import SLEEP_SECONDS, Deed, kill_one
from tests.deployments import CPUS_OF_A_MACHINE, cluster_machines, stores
from tests.server import Server

LONGEST_ALONE = 10.0
"""Seconds that one server has to do without the other: longer than a lease."""
LONGEST_CUT = 6.0


def tend_cluster() -> None:
    """As whoever starts Ray on the machines does it."""
    cluster_machines().mend(CPUS_OF_A_MACHINE)


def on_a_cluster(servers: Sequence[Server], chance: random.Random) -> list[Deed]:
    """Everything that it is made of is lost some time."""
    machines, kept = cluster_machines(), stores()

    def a_server(end: str) -> None:
        server = chance.choice(servers)
        getattr(server, end)()
        time.sleep(chance.uniform(0, LONGEST_ALONE))
        server.start()

    def a_machine() -> Any:
        return chance.choice(sorted(machines.cluster.worker_nodes, key=lambda it: it.unique_id))

    def machine_lost() -> None:
        lost = a_machine()
        machines.signal(lost, signal.SIGKILL)
        machines.replace(lost, CPUS_OF_A_MACHINE)

    def machine_slept() -> None:
        lost = a_machine()
        sleepers = machines.processes_of(lost)
        machines.signal(lost, signal.SIGSTOP)
        time.sleep(SLEEP_SECONDS)
        machines.signal(lost, signal.SIGCONT)
        psutil.wait_procs(sleepers, timeout=SLEEP_SECONDS)
        machines.replace(lost, CPUS_OF_A_MACHINE)

    def head_lost() -> None:
        machines.kill_head()
        machines.replace_head(CPUS_OF_A_MACHINE)

    def children() -> list[psutil.Process]:
        return [child for server in servers for child in server.children()]

    return [
        Deed("server killed", 3, lambda: a_server("kill")),
        Deed("server ended", 1, lambda: a_server("stop")),
        Deed("server's child killed", 1, lambda: kill_one(children(), chance)),
        Deed("worker killed", 4, lambda: kill_one(machines.workers(), chance)),
        Deed("machine lost", 2, machine_lost),
        Deed("machine slept", 2, machine_slept),
        Deed("head lost", 1, head_lost),
        Deed("database restarted", 2, kept.postgres.restart),
        Deed("bucket cut off", 2, lambda: kept.storage.cut(chance.uniform(1, LONGEST_CUT))),
    ]

"""A Ray cluster on this machine: real processes, in a folder of their own, gone after the test.

In: machines with so many CPUs.  Out: its address; machines come, and go as in a power cut.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

HERE = "127.0.0.2"
"""Of the loopback; Ray takes 127.0.0.1 for another name of the network card."""
QUICKLY = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
"""A machine that is gone is missed after seconds instead of twenty."""


@dataclass
class Machines:
    """A cluster and its machines, the head first."""

    cluster: Any
    folder: Path
    """What its processes and those of its jobs write to."""

    @property
    def address(self) -> str:
        return self.cluster.address

    def add(self, cpus: int, **more: Any) -> Any:
        """Another machine."""
        return self.cluster.add_node(num_cpus=cpus, node_ip_address=HERE, wait=True, **more)

    def processes_of(self, machine: Any) -> list[psutil.Process]:
        """Ray's own, those that run jobs, and what they started."""
        raylet = psutil.Process(machine.all_processes["raylet"][0].process.pid)
        return [raylet, *raylet.children(recursive=True)]

    def signal(self, machine: Any, number: signal.Signals) -> None:
        """To all of it at once: SIGKILL is its power that is cut, SIGSTOP its sleep."""
        with suppress(psutil.NoSuchProcess):
            for process in self.processes_of(machine):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    def kill_head(self) -> None:
        """With what knows all the others."""
        head = self.cluster.head_node
        processes = self.processes_of(head)
        processes += [psutil.Process(head.all_processes["gcs_server"][0].process.pid)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def replace(self, machine: Any) -> None:
        """Another one in the place of one that is lost."""
        self.cluster.remove_node(machine, allow_graceful=False)
        self.add(2)


def needs_ray() -> None:
    """Skip where Ray is not installed; CI has it."""
    if os.environ.get("CI") == "true":
        return
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'modelgenerator[ray]'")


@contextmanager
def ray_cluster(*cpus: int, head_cpus: int = 2) -> Generator[Machines, None, None]:
    """A head with `head_cpus`, and a machine for each of `cpus`."""
    needs_ray()
    # names of sockets are short
    folder = Path(tempfile.mkdtemp(prefix="mg-"))
    (folder / "ray").mkdir()
    changes = {
        **QUICKLY,
        "RAY_TMPDIR": str(folder),
        "RAY_AUTH_TOKEN": "of-no-use-but-long-enough-for-a-token",
        "RAY_USAGE_STATS_ENABLED": "0",
        "TMPDIR": str(folder),
    }
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        with _started(folder, head_cpus) as machines:
            for count in cpus:
                machines.add(count)
            yield machines
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _started(folder: Path, head_cpus: int) -> Generator[Machines, None, None]:
    from ray.cluster_utils import Cluster

    head = {
        "num_cpus": head_cpus,
        "include_dashboard": False,
        "node_ip_address": HERE,
        "temp_dir": str(folder / "ray"),
    }
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield Machines(cluster, folder)
    finally:
        left = psutil.Process().children(recursive=True)
        with suppress(Exception):
            cluster.shutdown()
        for process in left:
            if process.is_running() and str(folder) in " ".join(_words(process)):
                process.kill()


def _words(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []

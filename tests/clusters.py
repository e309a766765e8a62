"""A Ray cluster on this machine: real processes, in a folder of their own, gone after the test.

In: machines with so many CPUs.  Out: its address; machines come, and go as in a power cut.
"""

import os
import shutil
import signal
import tempfile
import time
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
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
}
"""A machine that is gone is missed after seconds instead of twenty; one that misses its head ends
itself after seconds instead of a minute."""
ENDS_SECONDS = 10
"""That a machine which misses its head has to end itself; then it is ended."""
_WORKERS = ("child_process import serve", "ray::_OnRay")


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
        with suppress(psutil.NoSuchProcess):
            raylet = psutil.Process(machine.all_processes["raylet"][0].process.pid)
            return [raylet, *raylet.children(recursive=True)]
        return []

    def signal(self, machine: Any, number: signal.Signals) -> None:
        """To all of it at once: SIGKILL is its power that is cut, SIGSTOP its sleep."""
        for process in self.processes_of(machine):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def workers(self) -> list[psutil.Process]:
        """What runs jobs, on all machines: Ray's processes that were given one, and theirs."""
        nodes = self.cluster.list_all_nodes()
        processes = [process for machine in nodes for process in self.processes_of(machine)]
        return [
            process
            for process in processes
            if any(name in " ".join(_words(process)) for name in _WORKERS)
        ]

    def kill_head(self) -> None:
        """With what knows all the others."""
        head = self.cluster.head_node
        processes = self.processes_of(head)
        processes += [psutil.Process(head.all_processes["gcs_server"][0].process.pid)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def replace(self, machine: Any, cpus: int = 2) -> None:
        """Another one in the place of one that is lost."""
        self.cluster.remove_node(machine, allow_graceful=False)
        self.add(cpus)

    def replace_head(self, cpus: int) -> None:
        """Another one at the same address, which knows nothing, and new machines.

        Those of the old one miss it and end themselves: whatever starts them must do so again.
        """
        before, port = self.cluster, int(self.address.rpartition(":")[2])
        machines = list(before.worker_nodes)
        before.remove_node(before.head_node, allow_graceful=False)
        self.cluster = _with_head(self.folder, cpus=0, port=port)
        end = time.monotonic() + ENDS_SECONDS
        for machine in machines:
            while _is_up(machine) and time.monotonic() < end:
                time.sleep(0.1)
            before.remove_node(machine, allow_graceful=False)
            self.add(cpus)

    def mend(self, cpus: int) -> None:
        """Another one for each that has ended by itself, as one does whom its head missed."""
        for machine in list(self.cluster.worker_nodes):
            if not _is_up(machine):
                self.replace(machine, cpus)


def _is_up(machine: Any) -> bool:
    return machine.all_processes["raylet"][0].process.poll() is None


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
    machines = Machines(_with_head(folder, head_cpus), folder)
    try:
        yield machines
    finally:
        left = psutil.Process().children(recursive=True)
        with suppress(Exception):
            machines.cluster.shutdown()
        for process in left:
            if process.is_running() and str(folder) in " ".join(_words(process)):
                process.kill()


def _with_head(folder: Path, cpus: int, port: int | None = None) -> Any:
    """A cluster of one machine; any port that is free, where none is named."""
    from ray.cluster_utils import Cluster

    head = {
        "num_cpus": cpus,
        "include_dashboard": False,
        "node_ip_address": HERE,
        "temp_dir": str(folder / "ray"),
        "gcs_server_port": port,
    }
    return Cluster(initialize_head=True, head_node_args=head)


def _words(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []

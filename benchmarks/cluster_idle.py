"""What a cluster costs while nobody asks anything of it: memory and processor time.

In: seconds.  Out: a line for the server that runs jobs itself, for the one that gives them to Ray
with Ray's processes beside it, all looked at during the same seconds.  Memory
is what a process would give back if it ended: its own pages, and its share of those with others.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
from served import new_key, served
from tests.clusters import ray_cluster

SETTLING_SECONDS = 20


def measure(folder: Path, seconds: int) -> None:
    storage = folder / "files"
    storage.mkdir()
    with ray_cluster(head_cpus=2) as machines:
        of_ray = [*psutil.Process().children(recursive=True)]
        far = {
            "EXECUTOR": "ray",
            "RAY_ADDRESS": machines.address,
            "STORAGE_URL": str(storage),
        }
        keys = {name: new_key(folder / name) for name in ("local", "far")}
        with (
            served(folder / "local", keys["local"]) as local,
            served(folder / "far", keys["far"], far) as cluster,
        ):
            time.sleep(SETTLING_SECONDS)
            mine, theirs = (psutil.Process(one.process_id) for one in (local, cluster))
            groups = {
                "server with local jobs": [mine, *mine.children(recursive=True)],
                "server with Ray": [theirs],
                "its driver of the cluster": theirs.children(recursive=True),
                "Ray: what knows the cluster": _named(of_ray, "gcs_server"),
                "Ray: a machine": [
                    one for one in of_ray if one not in _named(of_ray, "gcs_server")
                ],
            }
            _print(groups, seconds)


def _named(processes: Sequence[psutil.Process], name: str) -> list[psutil.Process]:
    return [one for one in processes if name in one.name()]


def _print(groups: Mapping[str, Sequence[psutil.Process]], seconds: int) -> None:
    before = {name: _processor_seconds(group) for name, group in groups.items()}
    time.sleep(seconds)
    print("| what | processes | MB | % of one core |")
    print("|---|---|---|---|")
    for name, group in groups.items():
        used = (_processor_seconds(group) - before[name]) / seconds
        print(f"| {name} | {len(group)} | {_megabytes(group):.0f} | {100 * used:.2f} |")


def _processor_seconds(group: Sequence[psutil.Process]) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in group)


def _megabytes(group: Sequence[psutil.Process]) -> float:
    return sum(one.memory_full_info().pss for one in group) / 1e6

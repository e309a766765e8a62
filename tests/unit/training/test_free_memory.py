"""Files as the kernel writes them, in a folder."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from modelgenerator.training.free_memory import free_memory

GB = 10**9
MACHINE = {"proc/meminfo": "MemTotal: 99 kB\nMemAvailable: 20000000 kB\n"}


def free(folder: Path, files: Mapping[str, str]) -> int | None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return free_memory(folder / "proc", folder / "groups")


def v2(path: str, limit: object, used: int, old_files: int = 0) -> dict[str, str]:
    return {
        f"groups{path}/memory.max": f"{limit}\n",
        f"groups{path}/memory.current": f"{used}\n",
        f"groups{path}/memory.stat": f"anon 5\ninactive_file {old_files}\n",
    }


def v1(path: str, limit: int, used: int, old_files: int = 0) -> dict[str, str]:
    return {
        f"groups/memory{path}/memory.limit_in_bytes": f"{limit}\n",
        f"groups/memory{path}/memory.usage_in_bytes": f"{used}\n",
        f"groups/memory{path}/memory.stat": f"cache 5\ntotal_inactive_file {old_files}\n",
    }


def test_without_control_groups_the_machine_counts(tmp_path: Path):
    assert free(tmp_path, MACHINE) == 20_000_000 * 1024


def test_a_system_that_does_not_tell_is_unknown(tmp_path: Path):
    assert free(tmp_path, {}) is None


def test_a_container_has_what_its_limit_leaves(tmp_path: Path):
    group = {"proc/self/cgroup": "0::/\n", **v2("", 8 * GB, 3 * GB, GB)}
    assert free(tmp_path, {**MACHINE, **group}) == 6 * GB


def test_no_limit_leaves_what_the_machine_has(tmp_path: Path):
    group = {"proc/self/cgroup": "0::/user\n", **v2("/user", "max", 3 * GB)}
    assert free(tmp_path, {**MACHINE, **group}) == 20_000_000 * 1024


@pytest.mark.parametrize(("inner", "outer"), [(4, 9), (9, 4)])
def test_the_tightest_group_around_the_process_counts(tmp_path: Path, inner: int, outer: int):
    groups = {**v2("/a/b", inner * GB, GB), **v2("/a", outer * GB, GB)}
    assert free(tmp_path, {**MACHINE, "proc/self/cgroup": "0::/a/b\n", **groups}) == 3 * GB


@pytest.mark.parametrize("seen", ["/docker/1", ""], ids=["its own path", "only the root"])
def test_the_first_version_of_control_groups_is_read(tmp_path: Path, seen: str):
    line = {"proc/self/cgroup": "4:memory:/docker/1\n1:cpu:/docker/1\n0::/\n"}
    assert free(tmp_path, {**MACHINE, **line, **v1(seen, 5 * GB, 2 * GB, GB)}) == 4 * GB


def test_a_limit_that_is_used_up_leaves_nothing(tmp_path: Path):
    group = {"proc/self/cgroup": "0::/\n", **v2("", GB, 2 * GB)}
    assert free(tmp_path, {**MACHINE, **group}) == 0


def test_this_machine_tells():
    assert (free_memory() or 0) > 0

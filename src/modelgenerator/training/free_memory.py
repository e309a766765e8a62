"""How much memory this process can still have: the machine's, or less where a container limits it.

In: nothing, or another place where the kernel's files are.  Out: bytes.  What they are needed for
is not known here.

Source: Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst; that files which
nobody looks at any more count as free is Kubernetes' reckoning (`working_set_bytes` of cAdvisor).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class _Version:
    """What the files of one kind of control group are called."""

    limit: str
    used: str
    old_files: str
    """In memory.stat."""


_V1 = _Version("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = _Version("memory.max", "memory.current", "inactive_file")


def free_memory(
    processes: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """The least that the machine and the control groups around this process leave.

    None where the system does not tell.
    """
    left = [*_of_machine(processes), *_of_groups(processes, groups)]
    return max(0, min(left)) if left else None


def _of_machine(processes: Path) -> Iterator[int]:
    for line in _lines(processes / "meminfo"):
        name, _, amount = line.partition(":")
        if name == "MemAvailable":
            yield int(amount.split()[0]) * 1024


def _of_groups(processes: Path, groups: Path) -> Iterator[int]:
    """A group holds no more than the groups around it."""
    for line in _lines(processes / "self" / "cgroup"):
        _, kinds, path = line.split(":", 2)
        if kinds not in ("", "memory"):
            continue
        version, root = (_V1, groups / "memory") if kinds else (_V2, groups)
        # inside of a container the path may be one of the machine's, which is not seen from there
        place = root / path.lstrip("/")
        for folder in (place, *place.parents):
            yield from _left_in(folder, version)
            if folder == root:
                break


def _left_in(folder: Path, version: _Version) -> Iterator[int]:
    limit, used = _number(folder / version.limit), _number(folder / version.used)
    if limit is None or used is None:
        return
    stat = dict(line.split(" ", 1) for line in _lines(folder / "memory.stat"))
    yield limit - used + int(stat.get(version.old_files, 0))


def _number(file: Path) -> int | None:
    """None for `max`, too."""
    text = "".join(_lines(file)).strip()
    return int(text) if text.isdigit() else None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []

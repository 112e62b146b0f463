"""What Linux allows a process through its control groups: a share of the cores, an amount of memory.

A process is in a group, which is in others: the tightest limit counts. Version 1 has a tree for each
resource, version 2 has one for all; containers and batch schedulers use either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["cores_allowed", "memory_allowed"]

PROCESS = Path("/proc/self")
UNLIMITED = 2**60
"""Version 1 writes a number above all memory where there is no limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Mount:
    """A tree of groups that can be seen as folders."""

    folder: Path
    """Where it is seen."""
    root: PurePosixPath
    """Which group that folder is; in a container it is not the topmost."""
    controllers: frozenset[str]
    """Resources of the tree; empty for version 2, which has all."""


def cores_allowed(process: Path = PROCESS) -> int | None:
    """Return how many whole cores the quotas of a process are worth, at least 1; None without a quota."""
    return min(_limits(process, "cpu", _cores_v1, _cores_v2), default=None)


def memory_allowed(process: Path = PROCESS) -> int | None:
    """Return the memory that the groups of a process may use, in bytes; None without a limit."""
    return min(_limits(process, "memory", _memory_v1, _memory_v2), default=None)


_Reader = Callable[[Path], int | None]


def _limits(process: Path, controller: str, version_1: _Reader, version_2: _Reader) -> Iterator[int]:
    for mount, group in _groups(process):
        if mount.controllers and controller not in mount.controllers:
            continue
        read = version_1 if mount.controllers else version_2
        for folder in _with_parents(mount, group):
            limit = _read(read, folder)
            if limit is not None:
                yield limit


def _read(read: _Reader, folder: Path) -> int | None:
    try:
        return read(folder)
    except (OSError, ValueError):
        return None


def _groups(process: Path) -> Iterator[tuple[_Mount, PurePosixPath]]:
    """Give each tree with the group in it to which the process belongs."""
    try:
        lines = (process / "cgroup").read_text().splitlines()
        mounts = [
            mount for line in (process / "mountinfo").read_text().splitlines() if (mount := _mount(line))
        ]
    except OSError:
        return
    for line in lines:
        _, names, group = line.split(":", 2)
        controllers = frozenset(name for name in names.split(",") if name)
        for mount in mounts:
            if mount.controllers & controllers or (not controllers and not mount.controllers):
                yield mount, PurePosixPath(group)


def _mount(line: str) -> _Mount | None:
    """Read of mountinfo: ``ID PARENT DEV ROOT FOLDER OPTIONS ... - TYPE SOURCE SUPER``, as in proc(5)."""
    before, _, after = line.partition(" - ")
    words, kinds = before.split(), after.split()
    if len(words) < 5 or len(kinds) < 3 or kinds[0] not in ("cgroup", "cgroup2"):
        return None
    controllers = frozenset(kinds[2].split(",")) if kinds[0] == "cgroup" else frozenset()
    return _Mount(folder=Path(words[4]), root=PurePosixPath(words[3]), controllers=controllers)


def _with_parents(mount: _Mount, group: PurePosixPath) -> Iterator[Path]:
    """Give the folder of a group and those above it, as far as they can be seen."""
    inside = group.relative_to(mount.root) if group.is_relative_to(mount.root) else PurePosixPath()
    parts = [part for part in inside.parts if part not in ("/", "..")]
    for depth in range(len(parts), -1, -1):
        yield mount.folder.joinpath(*parts[:depth])


def _cores_v1(folder: Path) -> int | None:
    quota = int((folder / "cpu.cfs_quota_us").read_text())
    return max(1, quota // int((folder / "cpu.cfs_period_us").read_text())) if quota > 0 else None


def _cores_v2(folder: Path) -> int | None:
    quota, period = (folder / "cpu.max").read_text().split()
    return None if quota == "max" else max(1, int(quota) // int(period))


def _memory_v1(folder: Path) -> int | None:
    limit = int((folder / "memory.limit_in_bytes").read_text())
    return limit if limit < UNLIMITED else None


def _memory_v2(folder: Path) -> int | None:
    limits = [(folder / name).read_text().strip() for name in ("memory.max", "memory.high")]
    return min((int(limit) for limit in limits if limit != "max"), default=None)

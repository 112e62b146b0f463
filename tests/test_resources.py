"""What a process may really use: affinity, control groups, limits, the batch scheduler's variables."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from simherd import control_groups
from simherd.errors import ClusterOptionError
from simherd.resources import parse_job_memory, usable_cores, usable_memory

SCHEDULERS = ("SLURM_", "NSLOTS", "PBS_", "NCPUS", "LSB_")


@pytest.fixture(autouse=True)
def no_scheduler(monkeypatch):
    """Leave out what a job around the tests says."""
    for name in list(os.environ):
        if name.startswith(SCHEDULERS):
            monkeypatch.delenv(name)


def ask(*before: str, what: str = "usable_cores", **environment: str) -> int:
    """Return what a process finds that starts under a command."""
    code = f"from simherd.resources import {what}; print({what}())"
    found = subprocess.run(
        [*before, sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return int(found.stdout)


def test_cores_are_those_of_the_affinity():
    assert ask() == len(os.sched_getaffinity(0))
    assert ask("taskset", "-c", str(min(os.sched_getaffinity(0)))) == 1


@pytest.mark.parametrize(
    "given",
    [
        {"SLURM_CPUS_PER_TASK": "1"},
        {"SLURM_CPUS_ON_NODE": "1"},
        {"NSLOTS": "1"},
        {"PBS_NUM_PPN": "1"},
        {"NCPUS": "1", "PBS_JOBID": "7"},
    ],
)
def test_a_batch_scheduler_allows_fewer_cores(monkeypatch, given):
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert usable_cores() == 1


@pytest.mark.parametrize("given", [{"NCPUS": "1"}, {"NSLOTS": "0"}, {"NSLOTS": "many"}, {"NSLOTS": "999"}])
def test_other_variables_change_nothing(monkeypatch, given):
    before = usable_cores()
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert usable_cores() == before


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"SLURM_MEM_PER_NODE": "300"}, 300 * 1024**2),
        ({"SLURM_MEM_PER_CPU": "100", "SLURM_CPUS_ON_NODE": "3"}, 300 * 1024**2),
        ({"SLURM_MEM_PER_NODE": "0"}, None),
        ({"SLURM_MEM_PER_CPU": "100"}, None),
    ],
)
def test_memory_is_what_slurm_gives_on_the_node(monkeypatch, given, found):
    before = usable_memory()
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert usable_memory() == (before if found is None else found)


def test_memory_is_bound_by_the_limits_of_the_process():
    limited = 'ulimit -m 409600; exec "$@"'

    assert ask("bash", "-c", limited, "bash", what="usable_memory") == 400 * 1024**2


@pytest.fixture
def process(tmp_path):
    """Return a function that lays out control groups as Linux shows them, and a process in them."""

    def lay_out(membership: str, mounts: str, files: dict[str, str]) -> Path:
        (tmp_path / "cgroup").write_text(membership)
        (tmp_path / "mountinfo").write_text(mounts.replace("MOUNT", str(tmp_path)))
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return lay_out


V2 = "30 24 0:26 / MOUNT/v2 rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "30 24 0:26 / MOUNT/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
    "31 24 0:27 / MOUNT/memory rw - cgroup cgroup rw,memory\n"
)


def test_version_2_counts_the_tightest_of_a_group_and_those_above_it(process):
    found = process(
        "0::/slurm/job_7/step_0\n",
        V2,
        {
            "v2/slurm/job_7/step_0/cpu.max": "max 100000\n",
            "v2/slurm/job_7/cpu.max": "250000 100000\n",
            "v2/slurm/cpu.max": "800000 100000\n",
            "v2/slurm/job_7/step_0/memory.max": "4000\n",
            "v2/slurm/job_7/step_0/memory.high": "max\n",
            "v2/slurm/job_7/memory.max": "max\n",
            "v2/slurm/job_7/memory.high": "3000\n",
        },
    )

    assert control_groups.cores_allowed(found) == 2
    assert control_groups.memory_allowed(found) == 3000


def test_version_1_has_a_tree_for_each_resource(process):
    found = process(
        "4:memory:/uid_0/job_3\n2:cpu,cpuacct:/uid_0/job_3\n0::/\n",
        V1,
        {
            "cpu/uid_0/job_3/cpu.cfs_quota_us": "-1\n",
            "cpu/uid_0/job_3/cpu.cfs_period_us": "100000\n",
            "cpu/uid_0/cpu.cfs_quota_us": "50000\n",
            "cpu/uid_0/cpu.cfs_period_us": "100000\n",
            "memory/uid_0/job_3/memory.limit_in_bytes": "5000\n",
            "memory/uid_0/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )

    assert control_groups.cores_allowed(found) == 1
    assert control_groups.memory_allowed(found) == 5000


def test_a_container_sees_its_group_as_the_topmost(process):
    found = process(
        "0::/docker/abc/inner\n",
        V2.replace(" / MOUNT", " /docker/abc MOUNT"),
        {"v2/cpu.max": "300000 100000\n", "v2/inner/cpu.max": "max 100000\n"},
    )

    assert control_groups.cores_allowed(found) == 3


@pytest.mark.parametrize("membership", ["", "0::/\n", "1:cpu:/gone\n0::/also/gone\n"])
def test_without_limits_there_are_none(process, membership):
    found = process(membership, V1 + V2, {})

    assert control_groups.cores_allowed(found) is None
    assert control_groups.memory_allowed(found) is None


def test_a_machine_without_control_groups_has_no_limits(tmp_path):
    assert control_groups.cores_allowed(tmp_path) is None


@pytest.fixture
def group():
    """Make a real group of version 1 for cores and memory, inside another; skip where none can be made."""
    name = f"simherd-test-{uuid.uuid4().hex[:8]}"
    made: list[Path] = []
    try:
        for tree in ("cpu", "memory"):
            for folder in (name, f"{name}/inner"):
                made.append(Path("/sys/fs/cgroup", tree, folder))
                made[-1].mkdir()
        Path(f"/sys/fs/cgroup/cpu/{name}/cpu.cfs_quota_us").write_text("100000")
        Path(f"/sys/fs/cgroup/memory/{name}/memory.limit_in_bytes").write_text(str(512 * 1024**2))
        yield f"{name}/inner"
    except OSError as error:
        pytest.skip(f"no control groups can be made here: {error}")
    finally:
        for folder in reversed(made):
            if folder.exists():
                folder.rmdir()


def test_a_real_group_is_seen_from_a_group_inside_it(group):
    join = f'for t in cpu memory; do echo $$ > /sys/fs/cgroup/$t/{group}/cgroup.procs; done; exec "$@"'

    assert ask("bash", "-c", join, "bash") == 1
    assert ask("bash", "-c", join, "bash", what="usable_memory") == 512 * 1024**2


@pytest.mark.parametrize("memory", [16, "16", "4 MiB"])
def test_a_memory_in_which_no_worker_starts_lacks_its_unit(memory):
    with pytest.raises(ClusterOptionError, match=r"(?s)no worker starts with less than 64\.0 MiB.*'16 GiB'"):
        parse_job_memory(memory)

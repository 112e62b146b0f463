"""The job scripts of all kinds of clusters keep their contract, whether their scheduler is here or not."""

from __future__ import annotations

from typing import ClassVar

import pytest

from simherd.clusters import job_script
from simherd.errors import ClusterOptionError
from simherd.testing.scripts import ScriptContract

REQUEST = {
    "cores": 4,
    "processes": 2,
    "memory": "6 GiB",
    "walltime": "01:30:00",
    "queue": "long",
    "account": "ecology",
    "name": "fruit",
}
PBS = (
    "#PBS -N fruit",
    "#PBS -q long",
    "#PBS -A ecology",
    "#PBS -l select=1:ncpus=4:mem=6144MB",
    "#PBS -l walltime=01:30:00",
)


class TestSlurm(ScriptContract):
    kind = "slurm"
    options = REQUEST
    words = (
        "#SBATCH -J fruit",
        "#SBATCH -p long",
        "#SBATCH -A ecology",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --mem=6144M",
        "#SBATCH -t 01:30:00",
    )


class TestGridEngine(ScriptContract):
    kind = "sge"
    options: ClassVar = {**REQUEST, "parallel_environment": "smp", "resource_spec": "h_vmem=1536M"}
    words = (
        "#$ -N fruit",
        "#$ -q long",
        "#$ -P ecology",
        "#$ -l h_vmem=1536M",
        "#$ -l h_rt=01:30:00",
        "#$ -pe smp 4",
    )


class TestPbs(ScriptContract):
    kind = "pbs"
    options = REQUEST
    words = PBS


class TestMoab(ScriptContract):
    kind = "moab"
    options = REQUEST
    words = PBS


class TestLsf(ScriptContract):
    kind = "lsf"
    options: ClassVar = {**REQUEST, "lsf_units": "mb"}
    words = (
        "#BSUB -J fruit",
        "#BSUB -q long",
        '#BSUB -P "ecology"',
        "#BSUB -n 4",
        "#BSUB -M 6443",
        "#BSUB -W 01:30",
    )


class TestOar(ScriptContract):
    kind = "oar"
    options: ClassVar = {**REQUEST, "memory_per_core_property_name": "memcore"}
    words = (
        "#OAR -n fruit",
        "#OAR -q long",
        "#OAR --project ecology",
        "#OAR -l /nodes=1/core=4,walltime=01:30:00",
        "memcore>=1536",
    )


class TestHtcondor(ScriptContract):
    """Walltimes and queues are unknown to it; who pays is a directive."""

    kind = "htcondor"
    options: ClassVar = {
        **{name: value for name, value in REQUEST.items() if name not in ("queue", "account", "walltime")},
        "disk": "5 GB",
        "directives": {"accounting_group": "ecology"},
    }
    words = (
        "MY.DaskWorkerCores = 4",
        "MY.DaskWorkerMemory = 6442450944",
        "MY.DaskWorkerDisk = 5000000000",
        "accounting_group = ecology",
    )
    absent = ("queue", "account")

    def command(self, script: str) -> str:
        """Return what stands as ``Arguments = "-c '...'"``, where quotes are doubled."""
        (line,) = (line for line in script.splitlines() if line.startswith("Arguments = "))
        inner = line.removeprefix("Arguments = \"-c '").removesuffix("'\"")
        return inner.replace('""', '"').replace("''", "'")


@pytest.mark.parametrize("directives", [{"a": "b\nQueue 100"}, {"a\nQueue 100": "b"}])
def test_a_directive_of_htcondor_is_one_line(directives):
    with pytest.raises(ClusterOptionError, match="more than one line"):
        job_script("htcondor", disk="1 GB", directives=directives)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("slurm", "shebang"),
        ("slurm", "python"),
        ("slurm", "local_directory"),
        ("oar", "memory_per_core_property_name"),
    ],
)
def test_what_is_written_as_it_is_given_is_one_line(kind, name):
    with pytest.raises(ClusterOptionError, match=rf"{name}: .*more than one line"):
        job_script(kind, **{name: "a\ntouch b"})

"""The how-tos and cluster commands of the README: a new user follows them on the test bed, block by block.

A code block is a file if the line before it ends in its name, as in "`look.py`:"; of kind ``console`` it is
commands, run one after the other. What stands under "Grid Engine" or "SLURM" is for users of it alone.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIMIT_S = 240  # of each command and each wait, on a busy machine
SYSTEMS = {"sge": "Grid Engine", "slurm": "SLURM"}
# Not marked mpi and tmux: their time is that of the batch schedulers.
needs_mpi = pytest.mark.skipif(
    shutil.which("mpirun") is None or find_spec("mpi4py") is None, reason="needs mpirun and mpi4py"
)
needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
# What is odd on the bed: users are root, and two nodes of SLURM are one host, which Open MPI takes for two.
AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
ODD = {"sge": AS_ROOT, "slurm": AS_ROOT | {"OMPI_MCA_btl": "self,tcp"}}
LOOK = {"sge": "qstat", "slurm": "squeue --me"}
BLOCK = re.compile(r"([^\n]*)\n\n```(\w+)\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One block of code of a document."""

    before: str
    """Last line of the text before it."""
    language: str
    """What stands behind its fence."""
    code: str
    """Its lines."""

    @property
    def file(self) -> str | None:
        """Name of the file that it shows."""
        named = re.search(r"`([\w./-]+)`:$", self.before)
        return named[1] if named else None

    @property
    def commands(self) -> list[str]:
        """Commands that it shows."""
        return re.findall(r"^\$ (.*)$", self.code, re.MULTILINE) if self.language == "console" else []


def blocks(document: str, system: str) -> Iterator[Block]:
    """Yield the blocks of a document that are for users of a batch scheduler."""
    others = tuple(title for name, title in SYSTEMS.items() if name != system)
    for before, language, code in BLOCK.findall((ROOT / "docs" / document).read_text()):
        if not before.startswith(others):
            yield Block(before=before, language=language, code=code)


@dataclass(kw_only=True)
class User:
    """Somebody who follows a document in a fresh folder."""

    folder: Path
    system: str
    environment: dict[str, str]
    job: str = ""
    told: list[str] = field(default_factory=list)

    def follow(self, document: str) -> str:
        """Write each file and run each command; return all that commands print."""
        for block in blocks(document, self.system):
            if block.file:
                (self.folder / block.file).write_text(block.code)
            for command in block.commands:
                self.run(command)
        return "\n".join(self.told)

    def run(self, command: str) -> None:
        """Run a command, once the job before it has ended, unless it looks at the queue."""
        if command.startswith("export "):
            name, value = command.removeprefix("export ").split("=")
            self.environment[name] = value.replace("$PWD", str(self.folder))
            return
        if command != LOOK[self.system]:
            self.wait_for_the_job()
        self.told.append(self.output(command.replace("JOBID", self.job)))
        if command.startswith("simherd submit") and "--dry-run" not in command:
            self.job = self.told[-1].split()[-1]

    def adapt(self, config: str) -> None:
        """Make the jobs of a configuration small enough for the bed."""
        path = self.folder / config
        path.write_text(re.sub(r": 8 ", ": 1 ", path.read_text()).replace("16 GiB", "1 GiB"))

    def wait_for_the_job(self) -> None:
        """Wait until the accounts have the job that was submitted last."""
        if not self.job:
            return
        accounts = {"sge": "qacct -j {} | grep end_time", "slurm": "sacct -Xn -j {} -o End | grep [0-9]T"}
        end = time.monotonic() + LIMIT_S
        while self.call(accounts[self.system].format(self.job)).returncode:
            assert time.monotonic() < end, f"job {self.job} does not end"
            time.sleep(0.5)

    def output(self, command: str) -> str:
        """Return what a command prints; it has to succeed."""
        done = self.call(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}\n{self.logs()}"
        return done.stdout

    def call(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip

    def logs(self) -> str:
        """Return what jobs have written."""
        return "\n".join(path.read_text() for path in self.folder.rglob("*.log"))


@pytest.fixture
def user(batch_system, tmp_path) -> Iterator[User]:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / ".sge_request").write_text("".join(f"-v {name}={value}\n" for name, value in AS_ROOT.items()))
    environment = {
        **os.environ,
        **ODD[batch_system],
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    someone = User(folder=tmp_path, system=batch_system, environment=environment)
    yield someone
    for name in ("night", "arcs", "big"):
        someone.call(f"simherd session stop {name} --timeout 10")
    if someone.job:
        someone.call(("qdel " if someone.system == "sge" else "scancel ") + someone.job)


def value_behind(text: str, told: str) -> float:
    return float(re.search(rf"{re.escape(text)} ([\d.]+)", told)[1])


def assert_that_the_experiment_is_done(told: str) -> None:
    assert "results.zarr: 200 of 200 simulations done" in told
    assert value_behind("200 simulations, at the end", told) == pytest.approx(1000, rel=0.5)


def assert_that_the_arcs_are_computed(told: str) -> None:
    # The mean of arcsin over [0, 1] is pi/2 - 1, that of arccos 1; there are 8000 of each in a sum.
    assert value_behind("(4000,)", told) == pytest.approx(8000 * math.pi / 2, rel=1e-3)


@pytest.mark.cluster
@needs_mpi
@pytest.mark.slow
def test_a_new_user_gets_eight_workers_of_eight_ranks_from_the_how_to_of_mpi_jobs(user):
    told = user.follow("how-to-mpi-job.md")

    assert_that_the_experiment_is_done(told)
    assert "8 workers on 8 ranks" in told
    assert_that_the_arcs_are_computed(told)
    assert "<html" in (user.folder / "arcs-mpi.html").read_text()


@pytest.mark.cluster
@needs_tmux
@pytest.mark.slow
def test_a_new_user_gets_eight_worker_jobs_from_the_how_to_of_workers_as_jobs(user):
    told = user.follow("how-to-workers-as-jobs.md")

    assert_that_the_experiment_is_done(told)
    assert "8 workers in 8 jobs" in told
    assert_that_the_arcs_are_computed(told)
    assert "ssh -N -L" in told
    assert "Ctrl-b d detaches" in told
    assert "<html" in (user.folder / "night.html").read_text()
    assert user.output("simherd session list").count("\n") <= 1


@pytest.mark.cluster
@needs_mpi
@needs_tmux
@pytest.mark.slow
@pytest.mark.parametrize("batch_system", ["slurm"], indirect=True)
def test_the_commands_of_the_readme_for_clusters_run_one_after_the_other(user, sge):
    """Both systems run: `simherd doctor` says of each whose commands are here whether it answers."""
    text = (ROOT / "README.md").read_text().split("## On a cluster")[1].split("\n## ")[0]
    commands = re.findall(r"^\$ (.*?)(?: +#.*)?$", text, re.MULTILINE)
    user.environment["OMPI_MCA_rmaps_base_oversubscribe"] = "1"  # this machine may have fewer cores than 8
    user.run("simherd new model")
    user.run("simherd new experiment")

    for command in commands:
        user.run(command)
        if command == "simherd new config":
            user.adapt("jobqueue.yaml")
    user.run("simherd session logs big --follow")
    user.wait_for_the_job()

    assert len(commands) >= 8
    for store in ("jobs", "mpi", "array", "big"):
        assert "200 of 200 simulations done" in user.output(f"simherd status {store}.zarr")


@pytest.mark.parametrize("document", ["how-to-mpi-job.md", "how-to-workers-as-jobs.md"])
def test_what_the_how_tos_say_for_one_scheduler_they_say_for_the_other(document):
    said = {name: [block.language for block in blocks(document, name)] for name in SYSTEMS}

    assert said["sge"] == said["slurm"]
    assert len(said["sge"]) >= 8

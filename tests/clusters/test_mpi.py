"""``open_client("mpi")`` under a real mpirun: every rank works, and all end with the first."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from simherd.clusters.keeper import worker_environment
from simherd.clusters.launching import Launched, launched
from simherd.clusters.mpi import mismatch
from simherd.errors import ClusterError, ClusterOptionError
from simherd.threads import GUARD_VARIABLES

ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
LIMIT_S = 90
EXPERIMENT = Path(__file__).parents[2] / "examples" / "influenza.yaml"
OPEN_MPI = "Open MPI v4.1.4, package: Debian OpenMPI"
MPICH = "MPICH Version:      5.0.2\nMPICH Release date: today"

needs_mpi = pytest.mark.skipif(
    shutil.which("mpirun") is None or importlib.util.find_spec("mpi4py") is None,
    reason="needs mpirun and mpi4py",
)


class Job:
    """Starts Python under mpirun, and knows the processes that come of it by a mark in their environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_tidy = True
        """Whether no rank is killed before it can remove its folder; the next run there does it."""
        self.mark = f"SIMHERD_TEST_JOB={uuid.uuid4().hex}"
        name, value = self.mark.split("=")
        self.environment = {**os.environ, **ROOT, name: value, "TMPDIR": str(folder)}

    def start(self, ranks: int, *argv: str) -> subprocess.Popen[str]:
        """Start a program on ranks."""
        launcher = ["mpirun", "--oversubscribe", "-np", str(ranks)]
        return subprocess.Popen(
            [*launcher, *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment,
        )

    def run(self, ranks: int, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program on ranks to its end; one that hangs is an error."""
        process = self.start(ranks, *argv)
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def python(self, ranks: int, code: str) -> subprocess.CompletedProcess[str]:
        """Run a script on ranks."""
        return self.run(ranks, sys.executable, self.script(code))

    def script(self, code: str) -> str:
        path = self.folder / "script.py"
        path.write_text(code)
        return str(path)

    def processes(self) -> list[str]:
        """Return the processes of the job that run."""
        return [pid for pid in os.listdir("/proc") if pid.isdigit() and self.mark.encode() in _environ(pid)]


def _environ(pid: str) -> bytes:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return b"" if state == "Z" else Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def wait_until(condition: Callable[[], object], limit_s: float = 30) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.fixture
def job(tmp_path):
    """Return what starts MPI jobs, none of whose processes and files may be left at the end."""
    folder = tmp_path / "job"
    folder.mkdir()
    job = Job(folder)
    yield job
    wait_until(lambda: not job.processes())

    assert [path.name for path in folder.glob("simherd-worker-*")] == [] or not job.is_tidy


# --- What is decided before anything starts ---------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, ("nothing", 0, 1)),
        ({"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4"}, ("Open MPI's mpirun", 2, 4)),
        ({"PMI_RANK": "1", "PMI_SIZE": "3"}, ("MPICH's mpirun", 1, 3)),
        (
            {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "PMI_RANK": "5", "PMI_SIZE": "8"},
            ("srun", 5, 8),
        ),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, ("nothing", 0, 1)),
        ({"OMPI_COMM_WORLD_RANK": "x", "OMPI_COMM_WORLD_SIZE": ""}, ("nothing", 0, 1)),
    ],
)
def test_the_environment_says_who_started_a_process(environment, found):
    by, rank, size = found

    assert launched(environment) == Launched(by=by, rank=rank, size=size)


@pytest.mark.parametrize(
    ("by", "library", "size", "message"),
    [
        ("Open MPI's mpirun", OPEN_MPI, 4, None),
        ("Open MPI's mpirun", MPICH, None, r"\(MPICH Version: 5.0.2\) cannot be started by it"),
        ("MPICH's mpirun", OPEN_MPI, None, r"\(Open MPI v4.1.4\) cannot be started by it"),
        ("MPICH's mpirun", "Intel(R) MPI Library 2021.9", 4, None),
        ("srun", MPICH, None, None),
        ("srun", MPICH, 1, "srun started 4 processes, but .* sees 1"),
    ],
)
def test_a_launcher_of_another_library_is_an_error(by, library, size, message):
    error = mismatch(Launched(by=by, rank=0, size=4), library, size)

    assert (error is None) == (message is None)
    if message is not None:
        with pytest.raises(ClusterError, match=message):
            raise error


def test_workers_are_no_mpi_processes():
    given = {"OMPI_COMM_WORLD_RANK": "1", "PMIX_RANK": "1", "PMI_FD": "3", "PATH": "/bin", **ROOT}

    found = worker_environment(given, 2)

    assert not {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_FD"} & set(found)
    assert {**ROOT, "PATH": "/bin"}.items() <= found.items()
    assert {found[name] for name in GUARD_VARIABLES} == {"2"}


@needs_mpi
@pytest.mark.mpi
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("workers=2", "has no option 'workers'"),
        ("threads_per_worker=0.5", "threads_per_worker=0.5 is not allowed"),
        ("memory='plenty'", "'plenty' is not a size of memory"),
        ("death_timeout='soon'", "death_timeout='soon' is not a time"),
        ("worker_memory={'goal': 0.5}", "worker_memory: 'goal' is not known"),
        ("interface='nonesuch'", "this machine has no such network interface"),
        ("security='perhaps'", "security='perhaps' is not known"),
    ],
)
def test_a_wrong_option_is_one_clear_error(job, options, message):
    code = f"import simherd as sh\nsh.open_client('mpi', {options})"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=job.environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    assert found.returncode == 1
    assert found.stderr.strip().splitlines()[-1].startswith(f"simherd.errors.{ClusterOptionError.__name__}")
    assert message in found.stderr


# --- What ranks are ---------------------------------------------------------------------------------

FACTS = """
import json, os, subprocess
import simherd as sh
import beside

def look(dask_worker):
    import beside
    argv = ["mpirun", "--oversubscribe", "-np", "2", "hostname"]
    nested = subprocess.run(argv, capture_output=True, text=True)
    return {
        "pid": os.getpid(),
        "name": dask_worker.name,
        "memory": dask_worker.memory_manager.memory_limit,
        "launcher": [n for n in os.environ if n.startswith(("OMPI_COMM", "PMIX_", "PMI_"))],
        "guard": os.environ["OMP_NUM_THREADS"],
        "beside": beside.ANSWER,
        "nested": nested.stdout.split(),
        "folder": dask_worker.local_directory,
        "path": dask_worker.address,
    }

def target():
    import dask
    return dask.config.get("distributed.worker.memory.target")

with sh.open_client("mpi", guard_threads=2, security="tls", worker_memory={"target": 0.5}) as client:
    client.wait_for_workers(3, timeout=60)
    facts = {
        "scheduler": [os.getpid(), client.scheduler.address, client.dashboard_link],
        "target": list(client.run(target).values()),
        "workers": list(client.run(look).values()),
    }
    try:
        sh.open_client("mpi")
    except sh.errors.ClusterError as error:
        facts["again"] = str(error)
print("FACTS" + json.dumps(facts), flush=True)
"""


@needs_mpi
@pytest.mark.mpi
def test_every_rank_has_a_worker_in_a_process_of_its_own(job):
    (job.folder / "beside.py").write_text("ANSWER = 42\n")

    found = job.python(3, FACTS)

    assert found.returncode == 0, found.stderr
    assert found.stderr == ""
    (line,) = (line for line in found.stdout.splitlines() if line.startswith("FACTS"))
    facts = json.loads(line.removeprefix("FACTS"))
    workers, (pid, address, dashboard) = facts["workers"], facts["scheduler"]
    assert sorted(worker["name"] for worker in workers) == [0, 1, 2]
    assert len({pid, *(worker["pid"] for worker in workers)}) == 4
    assert address.startswith("tls://127.0.0.1:")
    assert all(worker["path"].startswith("tls://127.0.0.1:") for worker in workers)
    assert "//127.0.0.1:" in dashboard
    assert {worker["guard"] for worker in workers} == {"2"}
    assert [worker["launcher"] for worker in workers] == [[], [], []]
    assert {worker["beside"] for worker in workers} == {42}
    assert {len(worker["nested"]) for worker in workers} == {2}
    assert len({worker["memory"] for worker in workers}) == 1
    assert 3 * workers[0]["memory"] <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert facts["target"] == [0.5, 0.5, 0.5]
    assert "other ranks have left already" in facts["again"]


ALONE = """
import simherd as sh
for _ in range(2):
    with sh.open_client("mpi", memory="300 MB", dashboard_address=None) as client:
        client.wait_for_workers(1, timeout=60)
        (worker,) = client.scheduler_info()["workers"].values()
        print(client.submit(abs, -7).result(), worker["memory_limit"])
"""


@needs_mpi
@pytest.mark.mpi
def test_a_process_without_mpirun_is_a_rank_too(job):
    found = subprocess.run(
        [sys.executable, "-c", ALONE],
        env=job.environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    assert found.stdout == "7 300000000\n" * 2, found.stderr


# --- How jobs end -----------------------------------------------------------------------------------

ENDS = """
import os, signal, sys, time
import simherd as sh

def hold(seconds):
    import ctypes
    ctypes.PyDLL(None).sleep(seconds)  # C code that keeps Python's lock

{opened}
    client.wait_for_workers(2, timeout=60)
    print("ready", flush=True)
    {what}
print("after", flush=True)
"""
WITH = 'with sh.open_client("mpi") as client:'
WITHOUT = 'client = sh.open_client("mpi")\nif client:'
BUSY = "busy = client.map(hold, [600, 601]); time.sleep(0.5);"


@needs_mpi
@pytest.mark.mpi
@pytest.mark.parametrize(
    ("opened", "what", "code", "after"),
    [
        (WITH, "pass", 0, 1),
        (WITHOUT, "pass", 0, 1),
        (WITH, "raise ZeroDivisionError", 1, 0),
        (WITHOUT, f"{BUSY} raise ZeroDivisionError", 1, 0),
        (WITH, "sys.exit(3)", 3, 0),
        (WITHOUT, "sys.exit(4)", 4, 0),
        (WITH, f"{BUSY} sys.exit(0)", 0, 0),
        (WITH, "os._exit(7)", 7, 0),
    ],
)
def test_a_job_ends_as_its_first_rank_does(job, opened, what, code, after):
    job.is_tidy = "os._exit" not in what
    found = job.python(2, ENDS.format(opened=opened, what=what))

    assert found.returncode == code, found.stderr
    assert found.stdout.count("ready") == 1
    assert found.stdout.count("after") == after
    assert "CommClosedError" not in found.stderr
    assert found.stderr.count("Traceback") == ("ZeroDivisionError" in what)


LOST = """
import os, signal, time
import simherd as sh

with sh.open_client("mpi") as client:
    client.wait_for_workers(2, timeout=60)
    before = set(client.run(os.getpid).values())
    lost = client.submit(os._exit, 0), client.submit(lambda: os.kill(os.getpid(), signal.SIGKILL))
    print(sorted(type(future.exception(timeout=60)).__name__ for future in lost), flush=True)
    client.wait_for_workers(2, timeout=60)
    after = set(client.run(os.getpid).values())
    print(len(after), len(before & after), flush=True)
"""


@needs_mpi
@pytest.mark.mpi
def test_a_worker_that_ends_is_started_again_and_the_job_goes_on(job):
    found = job.python(2, LOST)

    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[0] == "['KilledWorker', 'KilledWorker']"
    assert found.stdout.splitlines()[1].startswith("2 ")


@needs_mpi
@pytest.mark.mpi
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_mpirun_ends_all_processes(tmp_path, number):
    job = Job(tmp_path)
    code = ENDS.format(opened=WITH, what=f"{BUSY} print('busy', flush=True); time.sleep(600)")
    process = job.start(2, sys.executable, job.script(code))
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line == "busy\n":
                break
        process.send_signal(number)
        process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    wait_until(lambda: not job.processes())

    assert process.returncode != 0


NO_START = """
import simherd as sh
with sh.open_client("mpi", local_directory="/dev/null/nowhere") as client:
    print(client.nthreads())
"""


@needs_mpi
@pytest.mark.mpi
def test_a_rank_without_worker_says_why(job):
    found = job.python(2, NO_START)

    assert found.returncode == 1
    assert "Rank 1 cannot keep files of its worker" in found.stderr


WITHOUT_MPI4PY = "import sys\nsys.modules['mpi4py'] = None\nimport simherd as sh\nsh.open_client('mpi')\n"


@needs_mpi
@pytest.mark.mpi
def test_a_missing_package_is_told_once(job):
    found = job.python(2, WITHOUT_MPI4PY)

    assert found.returncode == 1
    assert found.stderr.count("Fix: pip install 'simherd[mpi]'") == 1


@needs_mpi
@pytest.mark.mpi
def test_a_launcher_that_does_not_fit_is_told_before_mpi_starts(job):
    environment = {**job.environment, "PMI_RANK": "0", "PMI_SIZE": "4"}
    code = "import simherd as sh\nsh.open_client('mpi')"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    assert found.returncode == 1
    assert "MPICH's mpirun started 4 processes, but the MPI library that mpi4py uses" in found.stderr


# --- Experiments ------------------------------------------------------------------------------------


def simherd(job: Job, ranks: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line on ranks, one of which only without mpirun."""
    command = [sys.executable, "-m", "simherd", *arguments]
    if ranks:
        return job.run(ranks, *command)
    return subprocess.run(
        command,
        env=job.environment,
        cwd=job.folder,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


@needs_mpi
@pytest.mark.slow
@pytest.mark.mpi
def test_an_experiment_has_the_bits_of_a_serial_run_and_is_told_once(job):
    batch = ("--set", "batch.size=64", "--set", "run.block_size=8")
    there, here = str(job.folder / "mpi.zarr"), str(job.folder / "serial.zarr")

    found = simherd(job, 4, "run", str(EXPERIMENT), "--cluster", "mpi", "--store", there, *batch)
    serial = simherd(job, 0, "run", str(EXPERIMENT), "--set", "run.scheduler=sync", "--store", here, *batch)

    assert (found.returncode, serial.returncode) == (0, 0), found.stderr + serial.stderr
    assert found.stdout.count("64 done, 0 failed") == 1
    assert found.stderr.count("Starting a cluster") == 1
    with xr.open_zarr(there) as ours, xr.open_zarr(here) as expected:
        for name in expected.variables:
            if name != "simulation_seconds":
                np.testing.assert_array_equal(ours[name].values, expected[name].values, err_msg=str(name))


@needs_mpi
@pytest.mark.mpi
def test_a_wrong_experiment_is_told_once(job):
    found = simherd(job, 2, "run", str(EXPERIMENT), "--set", "cluster.kind=mpi", "--set", "batch.sizee=3")

    assert found.returncode == 2
    assert found.stderr.count("unknown key. Did you mean 'size'") == 1


@needs_mpi
@pytest.mark.mpi
def test_a_dry_run_is_told_once_and_starts_nothing(job):
    found = simherd(job, 2, "run", str(EXPERIMENT), "--cluster", "mpi", "--dry-run")

    assert found.returncode == 0
    assert found.stdout.count("10000 simulations") + found.stdout.count("10,000 simulations") == 1


FAILS = """
import simherd as sh

@sh.process
class Sometimes:
    number = sh.variable(default=0.0)
    root = sh.variable(intent="out")

    def initialize(self):
        if self.number < 0:
            raise ValueError("negative")
        self.root = self.number ** 0.5

    def run_step(self):
        pass

model = sh.Model({"sometimes": Sometimes})
"""
FAILING = """
model: fails.py:model
clocks: {time: {values: [0, 1]}}
outputs: {sometimes__root: null}
batch: {dim: member, sampling: grid, parameters: {sometimes__number: {values: [1, -1, 4]}}}
run: {store: fails.zarr}
cluster: {kind: mpi}
"""


@needs_mpi
@pytest.mark.mpi
def test_failed_simulations_are_the_exit_code_of_mpirun(job):
    (job.folder / "fails.py").write_text(FAILS)
    (job.folder / "fails.yaml").write_text(FAILING)

    found = simherd(job, 2, "run", "fails.yaml")

    assert found.returncode == 3, found.stderr
    assert found.stdout.count("2 done, 1 failed") == 1


SLOW = """
import time
import simherd as sh

@sh.process
class Slow:
    number = sh.variable(default=0.0)
    root = sh.variable(intent="out")

    def initialize(self):
        time.sleep(0.2)
        self.root = self.number ** 0.5

    def run_step(self):
        pass

model = sh.Model({"slow": Slow})
"""
LONG = """
model: slow.py:model
clocks: {time: {values: [0, 1]}}
outputs: {slow__root: null}
batch: {dim: member, sampling: grid, parameters: {slow__number: {low: 0, high: 99, num: 100}}}
run: {store: slow.zarr, block_size: 1, grace_s: 3}
cluster: {kind: mpi}
"""


@needs_mpi
@pytest.mark.slow
@pytest.mark.mpi
def test_a_signal_before_the_walltime_ends_a_run_that_goes_on_later(job):
    (job.folder / "slow.py").write_text(SLOW)
    (job.folder / "slow.yaml").write_text(LONG)
    process = job.start(2, sys.executable, "-m", "simherd", "run", "slow.yaml")
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "(" in line and "of" not in line and "%" in line:  # the first progress
                break
        process.send_signal(signal.SIGUSR1)  # mpirun hands it on to the ranks
        out, err = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    resumed = simherd(job, 2, "run", "slow.yaml", "--resume")

    assert process.returncode == 4, err
    assert "0 failed" in out
    assert resumed.returncode == 0, resumed.stderr
    with xr.open_zarr(job.folder / "slow.zarr") as found:
        np.testing.assert_array_equal(found.slow__root.values, np.sqrt(np.arange(100.0)))


DASK_MPI = """
import sys
from dask_mpi import initialize
initialize(dashboard=False)
from distributed import Client
import simherd as sh
from simherd.examples.influenza import model

with Client() as client:
    setup = sh.create_setup(
        model,
        clocks={"day": range(14)},
        input_vars={
            "epidemic__first_infected": 3.0,
            "epidemic__transmission_rate": ("member", [1.5, 1.7, 1.9]),
            "epidemic__recovery_rate": 0.5,
        },
        output_vars={"fit__misfit": None},
    )
    there = sh.run(setup, model, batch_dim="member", parallel=True, scheduler=client)
    here = sh.run(setup, model, batch_dim="member", parallel=False)
    print("same" if there.fit__misfit.identical(here.fit__misfit) else "other", flush=True)
"""


@needs_mpi
@pytest.mark.mpi
@pytest.mark.skipif(importlib.util.find_spec("dask_mpi") is None, reason="needs dask-mpi")
def test_a_client_of_dask_mpi_runs_simulations_too(job):
    found = job.python(3, DASK_MPI)

    assert found.stdout.count("same") == 1, found.stderr

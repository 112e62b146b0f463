"""``simherd submit``: what it submits, and what it finds wrong before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xarray as xr

from simherd.errors import SchedulerError, SubmitError
from simherd.schedulers import JobState, Partition, Site, find

LIMIT_S = 300
MEMORY = {"slurm": "1GiB", "sge": "4GiB"}
SITE = """
simherd:
  sge: {memory-resource: h_vmem, parallel-environment: smp, mpi-parallel-environment: ib}
"""


@pytest.fixture
def submit(experiment, simherd, tmp_path, monkeypatch):
    """Return a function that submits a small experiment."""
    experiment(run={"store": "out.zarr"})
    (tmp_path / "site.yaml").write_text(SITE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DASK_CONFIG", os.devnull)

    def run(*arguments):
        return simherd("submit", "walk.yaml", "--config", "site.yaml", *arguments)

    return run


def jobs_of_the_test(system, name="walk"):
    """Return the jobs that wait or run under the name of the test's experiment."""
    argv = {"slurm": ["squeue", "-h", "-n", name], "sge": ["qstat"]}[system]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout
    return [line for line in said.splitlines() if f" {name} " in line]


def end_of(system, job_id):
    scheduler = find(system)
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        status = scheduler.query([job_id])[job_id]
        if status.state.is_over and status.state is not JobState.GONE:
            return status
        time.sleep(0.5)
    scheduler.cancel([job_id])
    pytest.fail(f"job {job_id}: {status}")


def test_a_dry_run_prints_script_and_command_and_submits_nothing(submit, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/nowhere")

    done = submit("--scheduler", "slurm", "--dry-run")

    assert done.code == 0, done.err
    assert done.out.startswith("#!/bin/bash\n")
    assert done.out.splitlines()[-2:] == ["# settings: site.yaml", "# would run: sbatch logs/walk-array.sh"]
    assert not (tmp_path / "logs").exists()


def test_without_the_schedulers_commands_nothing_is_submitted(submit, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")

    done = submit("--scheduler", "sge")

    assert done.code == 1
    assert "commands of Grid Engine are not on this machine" in done.err


def test_scheduler_and_client_can_run_here(submit):
    done = submit("--scheduler", "slurm", "--mode", "jobqueue", "--jobs", "2", "--here", "--dry-run")

    assert done.code == 0, done.err
    assert done.out.endswith(
        "run walk.yaml --config site.yaml --jobs 2 "
        "--cluster slurm --set cluster.slurm.guard_threads=1 --resume\n"
    )


STAND_IN = f"""#!{sys.executable}
import os, signal, sys, time

def end(number, frame):
    time.sleep(1)
    os.write(1, b"tidied\\n")  # where it was may be in the middle of printing
    sys.exit(4)

signal.signal(signal.SIGINT, end)
signal.signal(signal.SIGTERM, end)
os.write(1, b"ready\\n")
time.sleep({LIMIT_S})
"""


@pytest.fixture
def here(submit, tmp_path):
    """Return what runs here: a stand-in for simherd, which takes its time to end tidily."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "simherd").write_text(STAND_IN)
    (tmp_path / "bin" / "simherd").chmod(0o755)
    (tmp_path / "site.yaml").write_text("simherd: {activation: 'true'}")
    command = [sys.executable, "-m", "simherd", "submit", "walk.yaml", "--config", "site.yaml"]
    process = subprocess.Popen(
        [*command, "--scheduler", "slurm", "--mode", "jobqueue", "--here"],
        env={**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_ctrl_c_ends_tidily_what_runs_here(here):
    os.killpg(here.pid, signal.SIGINT)  # as the terminal does it

    assert here.communicate(timeout=LIMIT_S) == ("tidied\n", "")
    assert here.returncode == 4


@pytest.mark.slow
def test_a_signal_to_the_command_reaches_what_runs_here(here):
    here.send_signal(signal.SIGTERM)

    assert here.communicate(timeout=LIMIT_S) == ("tidied\n", "")
    assert here.returncode == 4


def test_what_cannot_run_here_is_one_message(submit, tmp_path, monkeypatch):
    (tmp_path / "site.yaml").write_text("simherd: {activation: 'true'}")
    monkeypatch.setenv("PATH", "/nowhere")

    done = submit("--scheduler", "slurm", "--mode", "jobqueue", "--here")

    assert done.code == 1
    assert "Cannot run simherd run walk.yaml" in done.err
    assert "make 'simherd' available" in done.err


@pytest.fixture
def queue(monkeypatch):
    """Return what a batch scheduler that takes everything was given: scripts, and arguments."""
    taken = []

    def take(self, script, arguments=(), of_script=()):
        taken.append((str(script), *arguments, *of_script))
        return str(len(taken))

    monkeypatch.setattr("simherd.schedulers.slurm.Slurm.submit", take)
    monkeypatch.setattr("simherd.schedulers.slurm.Slurm.is_installed", lambda self: True)
    monkeypatch.setattr("simherd.schedulers.slurm.Slurm.site", lambda self: Site())
    return taken


def store_of_another_run(simherd):
    done = simherd(
        "run", "walk.yaml", "--store", "other.zarr", "--set", "batch.parameters.walk__gain.values=[9.0, 8.0]"
    )
    assert done.code == 0, done.err
    return "other.zarr"


def foreign_folder(simherd):
    Path("foreign").mkdir()
    Path("foreign", "letter.txt").write_text("mine")
    return "foreign"


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("mode", ["array", "mpi", "jobqueue"])
@pytest.mark.parametrize("make", [lambda simherd: "/proc/x/a.zarr", foreign_folder, store_of_another_run])
def test_a_store_that_the_run_cannot_write_is_refused_before_anything_is_queued(
    submit, simherd, queue, make, mode, dry_run
):
    store = make(simherd)

    done = submit(
        *("--scheduler", "slurm", "--mode", mode, "--store", store), *(["--dry-run"] if dry_run else [])
    )

    assert done.code != 0
    assert store in done.err
    assert done.out == ""
    assert queue == []


def test_a_store_that_is_begun_may_go_on(submit, simherd, queue):
    assert simherd("run", "walk.yaml").code == 0

    for mode in ("array", "mpi", "jobqueue"):
        done = submit("--scheduler", "slurm", "--mode", mode)
        assert done.code == 0, done.err
    assert len(queue) == 3


@pytest.mark.parametrize(
    ("settings", "shares", "text"),
    [
        ([], 4, "The array job has 4 tasks, not 100000: there are no more simulations.\n"),
        (
            ["--set", "run.block_size=3"],
            2,
            "The array job has 2 tasks, not 100000: there are no more blocks of 3 simulations.\n",
        ),
    ],
)
def test_no_array_task_is_without_simulations(submit, queue, tmp_path, settings, shares, text):
    done = submit("--scheduler", "slurm", "--jobs", "100000", *settings)

    assert done.err.startswith(text)
    assert done.out == "1\n"
    script = (tmp_path / "logs" / "walk-array.sh").read_text()
    assert f"#SBATCH --array=1-{shares}\n" in script
    assert f'--share "$share/{shares}"' in script


def test_a_script_that_was_submitted_is_not_overwritten_by_another(submit, queue, tmp_path):
    for store in ("a.zarr", "b.zarr", "a.zarr", "b.zarr"):
        assert submit("--scheduler", "slurm", "--store", store).code == 0

    assert [script for (script,) in queue] == ["logs/walk-array.sh", "logs/walk-array-2.sh"] * 2
    for name, store in (("walk-array.sh", "a.zarr"), ("walk-array-2.sh", "b.zarr")):
        script = (tmp_path / "logs" / name).read_text()
        assert f"--store {store}" in script
        assert f"#     sbatch logs/{name}\n" in script


def test_of_several_array_jobs_those_before_a_refused_one_are_named(submit, tmp_path, monkeypatch):
    """A scheduler that takes the first and refuses the second."""
    (tmp_path / "site.yaml").write_text("simherd: {array-limit: 2}")

    def take_one(self, script, arguments=(), of_script=()):
        if of_script == ("0",):
            return "17"
        raise SubmitError("The queue is full.", fix="wait.")

    monkeypatch.setattr("simherd.schedulers.slurm.Slurm.submit", take_one)
    monkeypatch.setattr("simherd.schedulers.slurm.Slurm.is_installed", lambda self: True)
    monkeypatch.setattr("simherd.schedulers.slurm.Slurm.site", lambda self: Site())

    done = submit(
        *("--scheduler", "slurm", "--jobs", "5"),
        *("--set", "batch.parameters.walk__gain.values=[1.0, 2.0, 3.0, 4.0, 5.0]"),
    )

    assert done.code == 1
    assert done.out == "17\n"
    assert done.err == (
        "Error: The queue is full. Submitted before, and in the queue: 17, 1 of 3 array jobs. "
        "Fix: wait; then submit the rest: "
        "sbatch --array=1-2 logs/walk-array.sh 2 && sbatch --array=1-1 logs/walk-array.sh 4\n"
    )


NARROW = Partition(
    name="narrow",
    is_default=True,
    max_walltime_s=3600,
    nodes=1,
    cores_per_node=8,
    memory_bytes_per_node=2**33,
)


@pytest.fixture
def narrow(queue, monkeypatch):
    """Give a site of one node with 8 cores and 8 GiB."""
    monkeypatch.setattr("simherd.schedulers.slurm.Slurm.site", lambda self: Site(partitions=(NARROW,)))


@pytest.mark.parametrize("command", ["submit", "run"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"partition": "wide"}, "The partition 'wide' does not exist"),
        ({"walltime": "02:00:00"}, "A walltime of 2:00:00 h is over the 1:00:00 h"),
        ({"cores": 8}, "16.0 GiB of memory on a node is over the 8.0 GiB"),
    ],
)
def test_dry_runs_refuse_worker_jobs_that_the_site_cannot_start(
    simherd, submit, narrow, command, settings, message
):
    options = [
        word for name, value in settings.items() for word in ("--set", f"cluster.slurm.{name}={value}")
    ]
    call = {
        "submit": ("submit", "walk.yaml", "--scheduler", "slurm", "--mode", "jobqueue"),
        "run": ("run", "walk.yaml", "--cluster", "slurm"),
    }

    done = simherd(*call[command], "--dry-run", *options)

    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_dry_run_says_that_a_silent_scheduler_was_not_asked(simherd, submit, queue, monkeypatch):
    def fail(self):
        raise SchedulerError("SLURM does not answer.")

    monkeypatch.setattr("simherd.schedulers.slurm.Slurm.site", fail)

    done = simherd("run", "walk.yaml", "--cluster", "slurm", "--dry-run")

    assert done.code == 0
    assert done.err == "Warning: the jobs are not checked against the site. SLURM does not answer.\n"


def test_other_modes_do_not_run_here(submit):
    assert submit("--scheduler", "slurm", "--mode", "array", "--here").code == 2


def test_submitting_prints_the_job_id_and_the_job_does_all(submit, batch_system, tmp_path):
    done = submit(
        "--scheduler", batch_system, "--jobs", "2", "--cores", "1", "--memory", MEMORY[batch_system]
    )
    assert done.code == 0, done.err

    status = end_of(batch_system, done.out.strip())

    logs = "\n".join(path.read_text() for path in (tmp_path / "logs").glob("*.log"))
    assert status.state is JobState.DONE, logs
    assert "4 of 4" in logs or "4 done" in logs
    assert (tmp_path / "logs" / "walk-array.sh").exists()


def test_several_array_jobs_where_the_site_takes_only_small_ones(submit, batch_system, tmp_path):
    (tmp_path / "site.yaml").write_text(f"{SITE}\n  array-limit: 2\n")

    done = submit(
        "--scheduler", batch_system, "--jobs", "3", "--cores", "1", "--memory", MEMORY[batch_system]
    )
    ids = done.out.split()

    assert len(ids) == 2, done.err
    states = [end_of(batch_system, job_id).state for job_id in ids]
    logs = "\n".join(path.read_text() for path in (tmp_path / "logs").glob("*.log"))
    assert states == [JobState.DONE, JobState.DONE], logs


LOOKING = """
import os
import simherd as sh


@sh.process
class Look:
    gain = sh.variable(default=1.0)
    threads = sh.variable(intent="out", description="threads of numerical libraries")
    cores = sh.variable(intent="out", description="cores of the job")

    def initialize(self):
        self.threads = int(os.environ["OMP_NUM_THREADS"])
        self.cores = int(os.environ.get("SLURM_CPUS_ON_NODE") or os.environ["NSLOTS"])


model = sh.Model({"walk": Look})
"""


@pytest.fixture
def look(submit, experiment, batch_system, tmp_path):
    """Return a function that submits two simulations and returns which threads and cores they saw."""

    def run(*arguments, **cluster):
        experiment(
            model="look.py:model",
            outputs={"walk__threads": None, "walk__cores": None},
            batch={"sampling": "grid", "parameters": {"walk__gain": {"values": [1.0, 2.0]}}},
            run={"store": "out.zarr"},
            cluster={"kind": batch_system, **cluster},
        )
        (tmp_path / "look.py").write_text(LOOKING)
        command = [sys.executable, "-m", "simherd", "submit", "walk.yaml", "--config", "site.yaml"]
        done = subprocess.run(  # Dask reads settings as it is imported
            [*command, "--scheduler", batch_system, *arguments],
            capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        status = end_of(batch_system, done.stdout.strip())
        logs = "\n".join(path.read_text() for path in (tmp_path / "logs").glob("*.log"))
        assert status.state is JobState.DONE, logs
        found = xr.open_zarr(tmp_path / "out.zarr")
        return set(found.walk__threads.values.tolist()), set(found.walk__cores.values.tolist())

    return run


@pytest.mark.parametrize("threads", ["1", "2"])
def test_simulations_of_an_array_task_have_its_threads_whatever_the_experiment_says(look, threads):
    seen = look(
        *("--mode", "array", "--cores", "2", "--threads", threads, "--jobs", "1", "--memory", "8GiB"),
        cores=2,
        threads_per_worker=2,
        guard_threads=2,
    )

    assert seen == ({int(threads)}, {2})


@pytest.mark.slow
def test_worker_jobs_are_those_that_were_checked_though_the_job_takes_over_nothing(
    look, batch_system, tmp_path, monkeypatch
):
    (tmp_path / "cores.yaml").write_text(f"jobqueue: {{{batch_system}: {{cores: 2, memory: 8 GiB}}}}")
    monkeypatch.setenv("DASK_CONFIG", "cores.yaml")

    seen = look("--mode", "jobqueue", "--jobs", "1", "--environment", "none")

    assert seen == ({1}, {2})


def test_disk_is_shared_by_the_slots_that_count_it(submit, sge, tmp_path):
    """The bed has 100 GiB of it on a host, counted for each slot."""
    (tmp_path / "site.yaml").write_text(f"{SITE.rstrip().removesuffix('}')}, disk-resource: scratch}}\n")

    done = submit(
        *("--scheduler", "sge", "--jobs", "1", "--cores", "4", "--disk", "30GiB", "--memory", "16GiB")
    )
    assert done.code == 0, done.err

    assert end_of("sge", done.out.strip()).state is JobState.DONE
    script = (tmp_path / "logs" / "walk-array.sh").read_text()
    assert "#$ -pe smp 4\n" in script
    assert "#$ -l scratch=7680M\n" in script


IMPOSSIBLE = {
    "slurm": [
        (["--partition", "shrt"], "partition 'shrt' does not exist. Did you mean 'short'"),
        (["--walltime", "02:00:00"], "over the 1:00:00 h of the partition 'short'"),
        (["--mode", "mpi", "--ntasks", "3", "--cores", "3"], "need 9 cores of one node, over the 8"),
        (["--mode", "mpi", "--ntasks", "99", "--nodes", "99", "--cores", "1"], "99 nodes are over"),
        (["--memory", "20GiB"], "20.0 GiB of memory on a node is over"),
        (["--mode", "jobqueue", "--cores", "64"], "need 64 cores of one node, over the 8"),
    ],
    "sge": [
        (["--queue", "al.q"], "queue 'al.q' does not exist. Did you mean 'all.q'"),
        (["--cores", "2", "--parallel-environment", "smpp"], "'smpp' does not exist. Did you mean 'smp'"),
        (["--mode", "mpi", "--ntasks", "17", "--cores", "1"], "need 17 cores of one node, over the 16"),
        (
            ["--mode", "mpi", "--ntasks", "2", "--nodes", "2", "--parallel-environment", "smp"],
            "keeps a job on one host",
        ),
        (["--memory", "900GiB"], "900.0 GiB of memory on a node is over"),
        (["--walltime", "1-01:00:00"], "over the 24:00:00 h of the queue 'all.q'"),
        (["--mode", "jobqueue", "--cores", "64"], "need 64 cores of one node, over the 16"),
    ],
}


def test_what_can_never_start_is_one_message_before_anything_is_queued(submit, batch_system, tmp_path):
    for arguments, text in IMPOSSIBLE[batch_system]:
        done = submit("--scheduler", batch_system, "--name", "never", *arguments)

        assert done.code == 2, (arguments, done.out, done.err)
        assert text in done.err
        assert done.err.count("Error") == 1
        assert done.out == ""
    assert jobs_of_the_test(batch_system, "never") == []
    assert not Path("logs").exists()


def test_the_real_schedulers_refuse_it_too_or_let_it_wait_for_ever(submit, batch_system, simherd, tmp_path):
    scheduler = find(batch_system)
    (tmp_path / "logs").mkdir()
    for arguments, text in IMPOSSIBLE[batch_system]:
        if "jobqueue" in arguments or "one host" in text:  # Grid Engine would give one host, and say nothing
            continue
        options = ("--scheduler", batch_system, "--config", "site.yaml", "--output", "job.sh")
        assert simherd("script", "walk.yaml", *options, *arguments).code == 0, text
        try:
            job_id = scheduler.submit(Path("job.sh"))
        except SubmitError:
            continue
        try:
            assert never_starts(scheduler, job_id), (batch_system, arguments)
        finally:
            scheduler.cancel([job_id])


def never_starts(scheduler, job_id):
    """Wait for the reason why a job waits."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        status = scheduler.query([job_id])[job_id]
        if not status.state.is_waiting:
            return False
        if status.reason and status.reason != "None":
            return True
        time.sleep(0.3)
    return False

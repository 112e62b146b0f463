"""Workers as jobs of real batch schedulers: how they start, and every way in which they do not."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

import distributed  # noqa: F401  (before dask.config.set, which else takes its settings away with its own)
import pytest

import simherd as sh
from simherd.errors import ClusterError, ClusterOptionError, SubmitError
from simherd.threads import GUARD_VARIABLES


def seen_by_worker(dask_worker):
    import dask

    return {
        "environment": dict(os.environ),
        "target": dask.config.get("distributed.worker.memory.target"),
        "saturation": dask.config.get("distributed.worker.profile.interval"),
        "limit": dask_worker.memory_manager.memory_limit,
        "threads": dask_worker.state.nthreads,
        "modules": sorted(name for name in ("xarray", "zarr", "simherd.engine") if name in sys.modules),
    }


def test_workers_get_guards_memory_and_the_settings_of_the_client(bed, tmp_path, monkeypatch):
    import dask

    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))  # SLURM hands it on to jobs
    monkeypatch.setattr(tempfile, "tempdir", None)

    options = {**bed.options, "cores": 2, "processes": 1, "memory": "1000 MiB"}
    options |= {
        "worker_memory": {"target": 0.5},
        "prologue": ["export SITE=here", "export OMP_NUM_THREADS=9"],
    }
    if bed.kind == "sge":
        options["parallel_environment"] = "smp"
    with (
        dask.config.set({"distributed.worker.profile.interval": "77ms"}),
        sh.open_client(bed.kind, **options) as client,
    ):
        (seen,) = client.run(seen_by_worker).values()

    assert {name: seen["environment"].get(name) for name in GUARD_VARIABLES} == dict.fromkeys(
        GUARD_VARIABLES, "1"
    )
    assert seen["environment"]["SITE"] == "here"
    assert (seen["target"], seen["saturation"], seen["threads"]) == (0.5, "77ms", 2)
    assert 0.9 * 1000 * 2**20 <= seen["limit"] < 1000 * 2**20
    assert seen["modules"] == []
    assert list((tmp_path / "temporary").iterdir()) == []


def test_several_worker_processes_are_one_job(bed):
    options = {**bed.options, "cores": 2, "memory": "1 GiB"}
    if bed.kind == "sge":
        options["parallel_environment"] = "smp"
    with sh.open_client(bed.kind, **options) as client:
        client.wait_for_workers(2, timeout=60)

        assert len(client.keeper.jobs) == 1
        assert client.submit(lambda: os.getpid(), pure=False).result() > 0


def test_beyond_loopback_connections_are_secure_and_the_keys_private(bed, tmp_path):
    options = {key: value for key, value in bed.options.items() if key != "interface"}
    with sh.open_client(bed.kind, **options) as client:
        keys = list((tmp_path / "state").rglob("*.pem"))

        assert client.scheduler.address.startswith("tls://")
        assert {oct(key.stat().st_mode & 0o777) for key in keys} == {"0o600"}
        assert {oct(key.parent.stat().st_mode & 0o777) for key in keys} == {"0o700"}
        assert client.submit(abs, -1).result() == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"queue": "shrot"}, "shrot"),
        ({"memory": "900 GiB"}, "900"),
        ({"cores": 64, "parallel_environment": "smp"}, "64 cores|64 slots|64"),
        ({"walltime": "1000:00:00"}, "1000|walltime"),
    ],
    ids=["queue", "memory", "cores", "walltime"],
)
def test_what_the_site_can_never_give_is_an_error_before_anything_is_queued(bed, wrong, message):
    if bed.kind == "slurm":
        wrong = {key: value for key, value in wrong.items() if key != "parallel_environment"}
    with pytest.raises(ClusterOptionError, match=message):
        sh.open_client(bed.kind, **{**bed.options, **wrong})


@pytest.mark.sge
def test_a_parallel_environment_that_is_none_is_an_error(sge):
    with pytest.raises(ClusterOptionError, match=r"smpp.*smp"):
        sh.open_client("sge", cores=2, parallel_environment="smpp", interface="lo")


@pytest.mark.sge
def test_several_slots_need_a_parallel_environment():
    with pytest.raises(ClusterOptionError, match=r"one slot.*parallel_environment"):
        sh.open_client("sge", cores=2, interface="lo")


def test_a_job_that_the_scheduler_refuses_is_an_error_with_its_words(bed):
    directives = {"slurm": ["--constraint=moonlight"], "sge": ["-l nonsense=1"]}[bed.kind]
    with pytest.raises(SubmitError) as caught:
        sh.open_client(bed.kind, directives=directives, **bed.options)

    assert caught.value.returncode
    assert caught.value.argv[0] in ("sbatch", "qsub")
    assert " ".join(caught.value.stderr.split()) in str(caught.value)


@pytest.mark.parametrize(
    ("option", "cause"),
    [
        ({"python": "/nowhere/python3"}, "Python was not found on the node"),
        ({"prologue": ["cd /nowhere/at/all"]}, "a line of its prologue failed"),
        ({"prologue": ["export PYTHONPATH=/nowhere", "export PYTHONHOME=/nowhere"]}, "ended"),
    ],
    ids=["python", "prologue", "home"],
)
def test_a_job_that_dies_at_once_is_an_error_with_its_log(bed, option, cause):
    with pytest.raises(
        ClusterError, match=f"(?s)before a worker of it connected.*{cause}|{cause}.*before"
    ) as caught:
        sh.open_client(bed.kind, **option, **bed.options)

    if "python" in option:
        assert "/nowhere/python3" in str(caught.value)


def test_workers_that_cannot_reach_the_scheduler_are_an_error_that_says_so(bed):
    lost = {"prologue": ["export DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT=2s"], "death_timeout": 4}
    lost["worker_arguments"] = ["--scheduler-file", "/nowhere/scheduler.json"]
    with pytest.raises(ClusterError, match="before a worker of it connected"):
        sh.open_client(bed.kind, **lost, **bed.options)


def test_workers_with_other_versions_are_an_error_that_names_them(bed, monkeypatch):
    monkeypatch.setattr("simherd.clusters.jobqueue.script.versions_here", lambda: "simherd=99.0")
    with pytest.raises(ClusterError, match=r"versions .* differ: simherd 0\.1\.0 here and 99\.0 there\."):
        sh.open_client(bed.kind, **bed.options)


def test_while_a_job_waits_it_is_said_why(bed, capfd):
    held = {"slurm": ["--hold"], "sge": ["-h"]}[bed.kind]
    with pytest.raises(ClusterError, match=r"No worker connected within 6\.0 s\. Jobs: 1 held"):
        sh.open_client(bed.kind, directives=held, wait_timeout=6, **bed.options)

    assert "Waiting for the first worker. Jobs: 1 held" in capfd.readouterr().err


def test_without_with_a_program_that_ends_leaves_no_job(bed, script):
    code = f"""
import simherd as sh

client = sh.open_client({bed.kind!r}, **{bed.options!r})
print(client.keeper.jobs[0].job_id)
"""
    done = script(code)

    assert done.returncode == 0
    wait_for_end(bed, done.stdout.split()[0])


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_program_that_is_told_to_end_cancels_jobs_that_wait(bed, tmp_path, signal):
    held = {"slurm": ["--hold"], "sge": ["-h"]}[bed.kind]
    code = f"import simherd as sh\nsh.open_client({bed.kind!r}, directives={held!r}, **{bed.options!r})\n"
    program = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    job_id = journalled(tmp_path)
    program.send_signal(getattr(__import__("signal"), signal))

    assert program.wait(60) != 0
    program.stderr.close()
    wait_for_end(bed, job_id)


def test_jobs_of_a_program_that_was_killed_are_found_in_its_journal(bed, tmp_path):
    from simherd.clusters.journal import read_journals

    held = {"slurm": ["--hold"], "sge": ["-h"]}[bed.kind]
    code = f"import simherd as sh\nsh.open_client({bed.kind!r}, directives={held!r}, **{bed.options!r})\n"
    program = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    job_id = journalled(tmp_path)
    assert not read_journals()[0].is_abandoned
    program.kill()
    program.wait(10)
    (entry,) = read_journals()

    assert entry.is_abandoned
    assert entry.jobs == (job_id,)
    assert entry.kind == bed.kind
    bed.scheduler.cancel(entry.jobs)
    entry.remove()
    wait_for_end(bed, job_id)


def journalled(folder):
    """Return the first job that stands in a journal below a folder."""
    from simherd.clusters.journal import read_journals

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for entry in read_journals():
            if entry.jobs:
                return entry.jobs[0]
        time.sleep(0.1)
    raise AssertionError("no job was submitted")


def wait_for_end(bed, job_id):
    """Wait until a job is over."""
    deadline = time.monotonic() + 60
    while job_id in bed.jobs() and time.monotonic() < deadline:
        time.sleep(0.5)

    assert job_id not in bed.jobs()


@pytest.mark.parametrize("batch_system", ["sge"], indirect=True)
def test_lines_of_a_prologue_are_read_by_bash_whatever_the_shell_of_the_queue(bed, tmp_path):
    (tmp_path / "activate").write_text("[[ -n $BASH ]] && export PLACE=here\n")
    with sh.open_client("sge", prologue=[f"source {tmp_path}/activate"], **bed.options) as client:
        assert client.submit(lambda: os.environ["PLACE"], pure=False).result(60) == "here"

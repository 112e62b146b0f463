"""``simherd usage``: texts, jobs and stores, for people and for programs."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from simherd.accounting import JobUsage, of_store
from simherd.batch_jobs import BatchJob
from simherd.events import JobsSeen
from simherd.schedulers import JobState
from simherd.store.jobs import jobs_in_folder

DATA = Path(__file__).parents[1] / "accounting/data"


@pytest.fixture
def piped(simherd, monkeypatch):
    """Return a function that gives the command a text on its standard input."""

    def function(text, *arguments):
        data = io.BytesIO(text.encode())
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=data, isatty=lambda: False))
        return simherd("usage", *arguments)

    return function


def serial():
    return (DATA / "sge-8.1-serial.txt").read_text()


@pytest.mark.parametrize("arguments", [("-",), ()])
def test_text_from_standard_input_is_judged(piped, arguments):
    shown = piped(serial(), *arguments)

    assert shown.code == 0
    assert shown.out == (
        "Job      Name    State        Took  Walltime  Cores   CPU    Memory      Asked  Core-hours\n"
        "──────────────────────────────────────────────────────────────────────────────────────────\n"
        "3524046  mpi.sh  done   2 min 06 s      21 %      8  13 %  13.4 GiB  192.0 GiB        0.28\n"
        "\n"
        "Total       1 job, 0.28 core-hours\n"
        "Efficiency  CPU 13 %, memory 7 %, walltime 21 %\n"
        "\n"
        "Warning: The code ran serially: it kept 1.0 of 8 cores busy (CPU efficiency 13 %), and the others "
        "idled.\n"
        "  Change: without the line '#$ -pe', or start it on all of them (mpirun -n 8, simherd run "
        "--workers 8)\n"
        "\n"
        "Warning: It asked for 192.0 GiB (8 x h_vmem of 24.0 GiB) and used 13.4 GiB.\n"
        "  Change: #$ -l h_vmem=17G\n"
    )


def test_json_has_the_same_for_programs(piped):
    found = json.loads(piped(serial(), "-", "--json").out)

    (job,) = found["jobs"]
    assert (job["job_id"], job["state"], job["started"]) == ("3524046", "done", "2022-02-24T12:35:08")
    assert job["efficiency"]["cpu"] == pytest.approx(0.1307, abs=5e-5)
    assert [one["rule"] for one in job["findings"]] == ["serial_code", "memory_unused"]
    assert found["total"]["core_hours"] == pytest.approx(8 * 126 / 3600)


def test_several_jobs_name_those_that_a_finding_is_about(piped):
    texts = [(DATA / f"sge-8.1-{name}.txt").read_text() for name in ("serial", "parallel", "dask-worker")]
    shown = piped("".join(texts), "-").out

    assert "Efficiency  CPU 52 %" in shown
    assert "Good, job 3524073: It used its cores well" in shown
    assert shown.index("Warning") < shown.index("Good")


def test_findings_of_a_kind_are_shown_for_the_largest_jobs(piped):
    def record(number):
        changed = {
            "3524046": f"{number}",
            "126s": f"{126 + number / 100}s",
            "13.432GB": f"{8 + number / 10}GB",
        }
        text = serial()
        for old, new in changed.items():
            text = text.replace(old, new)
        return text

    shown = piped("".join(map(record, range(50))), "-").out

    assert shown.count("The code ran serially") == 1  # one sentence for all
    assert shown.count("It asked for") == 3
    assert "Warning, job 49: It asked for" in shown
    assert "Warning: 47 smaller jobs with the same finding (memory_unused)" in shown
    assert "... and 10 more; --json has all." in shown


def test_text_acts_on_no_terminal(piped):
    shown = piped(serial().replace("mpi.sh", "a\x1b[31mb"), "-").out

    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("abc",), 2, "'abc' is neither a job id"),
        (("12", "out"), 2, "'out' is neither a job id"),
        (("12", "-"), 2, "'-' is neither a job id"),
        (("nowhere.zarr",), 1, "nowhere.zarr"),
        (("-", "--scheduler", "sge"), 2, "--scheduler has no effect for a text"),
        (("nowhere.zarr", "--scheduler", "sge"), 2, "--scheduler has no effect for a store"),
        (("-",), 1, "Cannot read accounting"),
    ],
)
def test_wrong_arguments_are_one_error(piped, arguments, code, words):
    shown = piped("nothing", *arguments)

    assert (shown.code, shown.out) == (code, "")
    assert words in shown.err


@pytest.fixture
def on_jobs(simherd, experiment, tmp_path, monkeypatch):
    """Return a function that sums up jobs of a store of four simulations."""
    assert simherd("run", experiment()).code == 0
    store = tmp_path / "out.zarr"
    good = JobUsage(
        scheduler="slurm", job_id="17", state=JobState.CANCELLED, wall_s=1800.0, cores=2, cpu_s=3500.0
    )  # fmt: skip

    def function(*usages, more=()):
        jobs = [
            BatchJob(scheduler="slurm", job_id="17"),
            *(BatchJob(scheduler="pbs", job_id=one) for one in more),
        ]
        jobs_in_folder(store)(JobsSeen(jobs=tuple(jobs)))
        monkeypatch.setattr(of_store, "job_usage", lambda job_ids, scheduler: list(usages) or [good])
        return store

    return function


def test_store_adds_what_simulations_cost(simherd, on_jobs):
    store = on_jobs()
    shown = simherd("usage", store).out
    data = json.loads(simherd("usage", store, "--json").out)["store"]

    assert "Simulations 4 done, 0 failed, 250 core-hours per 1,000 simulations" in shown
    assert "Good: A Dask worker ran in it" in shown
    assert data["core_hours_per_thousand"] == 250
    assert data["computing"] == pytest.approx(data["computed_s"] / 3600)
    assert [one["rule"] for one in data["findings"]] == ["overhead"]


def test_job_that_had_the_same_id_long_ago_is_another(simherd, on_jobs):
    from datetime import datetime

    old = JobUsage(
        scheduler="slurm", job_id="17", state=JobState.DONE, wall_s=9.0, cores=1, ended=datetime(2001, 1, 1)
    )  # fmt: skip
    shown = simherd("usage", on_jobs(old)).out

    assert "no job of SLURM or Grid Engine" in shown


def test_jobs_of_other_schedulers_are_named(simherd, on_jobs):
    assert (
        "accounting of pbs cannot be read: jobs 8.server" in simherd("usage", on_jobs(more=["8.server"])).out
    )

"""How jobs get to batch schedulers that the test bed has not: programs here stand in for their commands."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import dask_jobqueue
import pytest

from simherd.clusters import htcondor, job_script, lsf, moab, oar, open_client, pbs
from simherd.clusters.jobqueue import Kind
from simherd.clusters.jobqueue.options import read_options
from simherd.clusters.jobqueue.script import Scripts
from simherd.clusters.jobqueue.submitting import PlainScheduler
from simherd.errors import ClusterError, SchedulerError, SubmitError
from simherd.schedulers import JobState

KINDS = {module.KIND.name: module.KIND for module in (htcondor, lsf, moab, oar, pbs)}
COMMANDS = {
    "htcondor": ("condor_submit", "condor_rm"),
    "lsf": ("bsub", "bkill"),
    "moab": ("msub", "canceljob"),
    "oar": ("oarsub", "oardel"),
    "pbs": ("qsub", "qdel"),
}
SCRIPT = """#!/usr/bin/env bash

#OAR -n climb
#OAR -l /nodes=1/core=2,walltime=01:00:00
#OAR -p 'gpu = 0 AND memcore>=512'
echo 'a worker'
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[], list[str]]]:
    """Return a function that puts a program onto PATH, and returns one that tells what it was given."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")

    def put(name: str, prints: str = "", complains: str = "", code: int = 0) -> Callable[[], list[str]]:
        given = tmp_path / f"{name}.given"
        (programs / f"{name}.out").write_text(prints)
        (programs / f"{name}.err").write_text(complains)
        program = programs / name
        program.write_text(
            f'#!/bin/sh\nprintf "%s\\0" "$@" >"{given}"\ncat >>"{given}"\n'
            f'cat "$0.out"; cat "$0.err" >&2; exit {code}\n'
        )
        program.chmod(0o755)
        return lambda: given.read_text().split("\0")

    return put


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "job-0.sh"
    path.write_text(SCRIPT)
    return path


def scheduler_of(kind: Kind, **own: object) -> PlainScheduler:
    return PlainScheduler(kind, getattr(dask_jobqueue, kind.cluster).job_cls, own)


@pytest.mark.parametrize(
    ("name", "prints", "job_id"),
    [
        ("htcondor", "Submitting job(s).\n1 job(s) submitted to cluster 517.\n", "517"),
        ("lsf", "Job <517> is submitted to default queue <normal>.\n", "517"),
        ("moab", "\nMoab.517\n", "Moab.517"),
        ("moab", "\n517\n", "517"),
        ("oar", "[ADMISSION RULE] Modify resource description\nOAR_JOB_ID=517\n", "517"),
        ("pbs", "517.server-2\n", "517.server-2"),
    ],
)
def test_the_job_id_is_what_cancels_the_job(stand_in, script, name, prints, job_id):
    submit, cancel = COMMANDS[name]
    stand_in(submit, prints)
    cancelled = stand_in(cancel)
    scheduler = scheduler_of(KINDS[name])

    assert scheduler.is_installed()
    assert scheduler.submit(script) == job_id
    assert scheduler.query([job_id])[job_id].state is JobState.UNKNOWN
    scheduler.cancel([job_id])

    assert cancelled() == [job_id, ""]
    assert scheduler.query([job_id])[job_id].state is JobState.CANCELLED


@pytest.mark.parametrize("name", ["htcondor", "moab", "pbs"])
def test_a_command_gets_the_file(stand_in, script, name):
    given = stand_in(COMMANDS[name][0], "submitted to cluster 1.")

    scheduler_of(KINDS[name]).submit(script)

    assert given() == [str(script), ""]


def test_bsub_reads_the_script_unless_the_site_says_otherwise(stand_in, script):
    given = stand_in("bsub", "Job <1> is submitted to queue <short>.")

    scheduler_of(lsf.KIND).submit(script)
    assert given() == ["", SCRIPT]

    scheduler_of(lsf.KIND, use_stdin=False).submit(script)
    assert given() == [str(script), ""]


def test_oarsub_gets_the_directives_as_options_and_the_script_as_its_command(stand_in, script):
    given = stand_in("oarsub", "OAR_JOB_ID=1")

    scheduler_of(oar.KIND).submit(script)

    *options, command, read = given()
    assert options == [
        *("-n", "climb", "-l", "/nodes=1/core=2,walltime=01:00:00"),
        *("-p", "gpu = 0 AND memcore>=512"),
    ]
    assert (command, read) == (SCRIPT, "")


def test_a_refusal_by_oarsub_does_not_repeat_the_script(stand_in, script):
    stand_in("oarsub", complains="ERROR : The queue nigth does not exist", code=248)

    with pytest.raises(SubmitError) as raised:
        scheduler_of(oar.KIND).submit(script)

    assert str(raised.value) == (
        f"While submitting the job script '{script}': oarsub -n climb -l /nodes=1/core=2,walltime=01:00:00 "
        f"-p 'gpu = 0 AND memcore>=512' '#!/usr/bin/env bash ...' "
        "ended with exit code 248: ERROR : The queue nigth does not exist"
    )


def test_logs_of_oar_go_to_the_folder_of_logs_unless_a_directive_says_otherwise(stand_in, tmp_path):
    given = stand_in("oarsub", "OAR_JOB_ID=1")
    folder, path = tmp_path / "the logs", tmp_path / "job-0.sh"
    options = read_options(oar.KIND, {"name": "climb", "memory_per_core_property_name": "memcore"})

    def words(**others: object) -> list[str]:
        scripts = Scripts(
            kind=oar.KIND, options=replace(options, **others), address="tcp://a:1", log_directory=str(folder)
        )
        path.write_text(scripts.text("job-0"))
        scheduler_of(oar.KIND).submit(path)
        return given()

    logs = ["-O", f"{folder}/climb-%jobid%.out", "-E", f"{folder}/climb-%jobid%.err"]

    assert words()[4:8] == logs
    assert words(directives=("-O mine",))[4:10] == [*logs, "-O", "mine"]


def test_who_waits_for_workers_in_vain_is_told_what_a_job_wrote(stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    stand_in("oarsub", "OAR_JOB_ID=517")
    stand_in("oardel")
    (tmp_path / "simherd-517.err").write_text("line 25: /no/python: No such file or directory\n")
    options = {"log_directory": str(tmp_path), "memory_per_core_property_name": "not_applicable"}

    with pytest.raises(
        ClusterError, match=r"The end of the log of job 517:\n    line 25: /no/python: No such"
    ):
        open_client("oar", interface="lo", wait_timeout=0.2, **options)


def test_jobs_of_oar_without_a_property_for_memory_say_so_once(capsys, recwarn):
    oar._say_that_memory_is_not_booked.cache_clear()

    for _ in range(2):
        script = job_script("oar")

    assert "#OAR -p" not in script
    assert capsys.readouterr().err.count("give memory_per_core_property_name") == 1
    assert not recwarn.list


def test_a_site_adds_words_to_the_commands_of_htcondor(stand_in, script):
    submitted = stand_in("condor_submit", "submitted to cluster 7.")
    cancelled = stand_in("condor_rm")
    extra = {"submit_command_extra": ("-pool", "a"), "cancel_command_extra": ("-pool", "a")}
    scheduler = scheduler_of(htcondor.KIND, **extra)

    scheduler.cancel([scheduler.submit(script)])

    assert submitted() == ["-pool", "a", str(script), ""]
    assert cancelled() == ["-pool", "a", "7", ""]


@pytest.mark.parametrize("name", sorted(KINDS))
def test_what_refuses_a_job_says_why(stand_in, script, name):
    stand_in(COMMANDS[name][0], complains="no such queue: nigth", code=3)

    with pytest.raises(SubmitError, match="exit code 3: no such queue: nigth"):
        scheduler_of(KINDS[name]).submit(script)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_command_that_prints_no_job_id_is_an_error(stand_in, script, name):
    stand_in(COMMANDS[name][0])

    with pytest.raises(SubmitError, match="no message, which is no job id"):
        scheduler_of(KINDS[name]).submit(script)


@pytest.mark.parametrize(
    ("name", "says", "is_over"),
    [
        ("htcondor", "Couldn't find/remove all jobs in cluster 517", True),
        ("lsf", "Job <517>: Job has already finished", True),
        ("lsf", "Job <517>: No matching job found", True),
        ("moab", "ERROR:  invalid job specified (517)", True),
        ("oar", "Cannot frag 517 : this job is already killed", True),
        ("pbs", "qdel: Unknown Job Id 517.server", True),
        ("pbs", "qdel: Job has finished 517.server", True),
        ("lsf", "Failed in an LSF library call: Master LIM is down", False),
        ("pbs", "qdel: Unauthorized Request 517.server", False),
    ],
)
def test_a_job_that_cannot_be_cancelled_is_over_or_an_error(stand_in, name, says, is_over):
    stand_in(COMMANDS[name][1], complains=says, code=1)
    scheduler = scheduler_of(KINDS[name])

    with nullcontext() if is_over else pytest.raises(SchedulerError, match=says):
        scheduler.cancel(["517"])

    expected = JobState.CANCELLED if is_over else JobState.UNKNOWN
    assert scheduler.query(["517"])["517"].state is expected


def test_commands_that_are_not_there_are_an_error(script, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    scheduler = scheduler_of(moab.KIND)

    assert not scheduler.is_installed()
    with pytest.raises(SubmitError, match="'msub' is not on this machine"):
        scheduler.submit(script)
    with pytest.raises(SchedulerError, match="'canceljob' is not on this machine"):
        scheduler.cancel(["517"])

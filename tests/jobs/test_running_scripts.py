"""What a job script does with signals and with the run's exit code: in a real shell, with a stand-in run."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from simherd.jobs import render

STAND_IN = """#!/bin/bash
# Takes the place of simherd: notes the signals that it gets.
count=0
stop() { count=$((count + 1)); }
trap stop USR1
if [ -n "$WAITS" ]; then
    echo ready > "$WAITS"
    while [ "$count" -eq 0 ]; do sleep 0.05; done
    sleep 0.5 # a second signal would come now
fi
echo "got $count"
if [ -n "$GETS_DONE" ]; then
    mkdir -p "${GETS_DONE%/*}"
    echo 1 > "$GETS_DONE"
fi
exit "$CODE"
"""


@pytest.fixture
def start(plan, tmp_path):
    """Return a function that starts a script whose run ends with an exit code, after a signal if `waits`.

    It writes `done` into its store, if that is named.
    """
    stand_in = tmp_path / "stand_in"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    (tmp_path / "scontrol").write_text("#!/bin/bash\necho scontrol $*\n")
    (tmp_path / "scontrol").chmod(0o755)
    os.mkfifo(tmp_path / "ready")

    store = tmp_path / "my 'st$ore\".zarr"

    def run(scheduler, code, *, waits=False, late=True, done="simulation_status/c.7", **changes):
        changes["prologue"] = ("SECONDS=100",) if late else ()
        made = plan(
            scheduler, "jobqueue", program=(str(stand_in),), activation=(), store=str(store), **changes
        )
        (tmp_path / "job.sh").write_text(render(made))
        environment = {
            **os.environ,
            "CODE": str(code),
            "WAITS": str(tmp_path / "ready") if waits else "",
            "GETS_DONE": str(store / done) if done else "",
            "SLURM_JOB_ID": "7",
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
        }
        process = subprocess.Popen(
            ["bash", tmp_path / "job.sh"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        if waits:
            (tmp_path / "ready").read_text()
        return process

    return run


def end(process):
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.mark.parametrize("code", [0, 1, 2, 137])
def test_the_exit_code_of_the_run_is_the_jobs(start, code):
    assert end(start("slurm", code))[0] == code


def test_failed_simulations_are_said_and_do_not_fail_the_job(start):
    code, _, err = end(start("sge", 3))

    assert code == 0
    assert "simherd failures" in err


def test_failed_simulations_fail_a_strict_job(start):
    assert end(start("sge", 3, is_strict=True))[0] == 3


def test_an_unfinished_run_puts_its_job_back_into_the_queue(start):
    assert end(start("sge", 4))[0] == 99
    assert "scontrol requeue 7" in end(start("slurm", 4))[1]


@pytest.mark.parametrize("scheduler", ["slurm", "sge"])
def test_a_run_that_got_nothing_done_does_not_start_again_and_again(start, scheduler):
    for done in (None, "simulation_status/zarr.json", "checkpoints/7.node-1.partial", ".running/run.1"):
        code, out, err = end(start(scheduler, 4, done=done))

        assert code == 4
        assert "No simulation was finished and no checkpoint written in 10" in err
        assert err.splitlines()[-1].startswith("Give the job more time or workers")
        assert "requeue" not in out


def test_a_checkpoint_is_something_done(start):
    assert end(start("sge", 4, done="checkpoints/7.pkl"))[0] == 99
    assert end(start("sge", 4, done="checkpoints/7.pkl"))[0] == 99
    assert end(start("sge", 4, done=None))[0] == 4


def test_a_run_that_ends_at_once_does_not_start_again_and_again(start):
    assert end(start("sge", 4, late=False))[0] == 4


def test_a_job_that_was_submitted_not_to_stays_out_of_the_queue(start):
    code, _, err = end(start("sge", 4, requeues=False))

    assert code == 4
    assert "submit the job again" in err
    assert "goes back" not in err


@pytest.mark.parametrize("scheduler", ["slurm", "sge"])
def test_the_signal_before_the_walltime_reaches_the_run_once_and_its_exit_code_counts(start, scheduler):
    process = start(scheduler, 4, waits=True)

    process.send_signal(signal.SIGUSR1)
    code, out, err = end(process)

    assert "got 1" in out
    assert "goes back into the queue" in err
    assert code == {"slurm": 0, "sge": 99}[scheduler]


def test_a_signal_to_the_whole_group_of_the_script_reaches_the_run_once(start):
    process = start("sge", 4, waits=True)

    os.killpg(process.pid, signal.SIGUSR1)

    assert "got 1" in end(process)[1]


def test_a_job_that_is_deleted_stops_its_run_and_does_not_come_back(start):
    process = start("sge", 4, waits=True)

    process.send_signal(signal.SIGUSR2)
    code, out, _ = end(process)

    assert "got 1" in out
    assert code == 4

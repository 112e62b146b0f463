"""Programs of batch schedulers fail with errors that say how."""

from __future__ import annotations

import sys

import pytest

from simherd.errors import SchedulerError, SubmitError
from simherd.schedulers.commands import clean_environment, run_program, submit_with


def test_a_program_that_is_not_there_is_an_error_that_names_it():
    with pytest.raises(SchedulerError, match="'no-such-program' is not on this machine") as caught:
        run_program(["no-such-program", "-x"], doing="asking")

    assert caught.value.argv == ("no-such-program", "-x")
    assert caught.value.returncode is None


def test_a_program_that_does_not_answer_is_ended():
    argv = [sys.executable, "-c", "import time; time.sleep(600)"]

    with pytest.raises(SchedulerError, match=r"did not answer within 0\.3 s"):
        run_program(argv, doing="asking", timeout_s=0.3)


def test_a_program_that_fails_is_an_error_with_all_it_said():
    argv = [sys.executable, "-c", "import sys; print('bad\\nthing', file=sys.stderr); sys.exit(3)"]

    with pytest.raises(SchedulerError, match="ended with exit code 3: bad thing") as caught:
        run_program(argv, doing="asking")

    assert (caught.value.returncode, caught.value.stderr) == (3, "bad\nthing\n")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("no-such-program", "is not on this machine"),
        ("false", "exit code 1: no message"),
        ("echo", "exit code 0: job script.sh, which is no job id"),
    ],
)
def test_a_script_that_is_refused_is_named(program, said):
    with pytest.raises(SubmitError) as caught:
        submit_with([program, "job script.sh"], "job script.sh", lambda _: None)

    assert caught.value.script == "job script.sh"
    assert "submitting the job script 'job script.sh'" in str(caught.value)
    assert said in str(caught.value)


def test_the_job_id_is_read_from_what_the_command_prints():
    assert submit_with(["echo", "7;cluster"], "job.sh", lambda said: said.split(";")[0]) == "7"


def test_a_job_does_not_hand_on_its_own_size():
    environ = {
        "SLURM_CPUS_PER_TASK": "4",
        "SLURM_CONF": "/etc/slurm.conf",
        "SBATCH_PARTITION": "mine",
        "SQUEUE_FORMAT": "%A",
        "OMPI_COMM_WORLD_SIZE": "2",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "SGE_ROOT": "/sge",
        "PE_HOSTFILE": "/spool/hosts",
        "NSLOTS": "8",
        "PATH": "/bin",
    }

    kept = clean_environment(environ)

    assert sorted(kept) == ["OMPI_ALLOW_RUN_AS_ROOT", "PATH", "SBATCH_PARTITION", "SGE_ROOT", "SLURM_CONF"]

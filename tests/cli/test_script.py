"""``simherd script``: what it prints, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

BATCH = {"sampling": "random", "size": 8, "seed": 1, "parameters": {"walk__gain": {"low": 1.0, "high": 2.0}}}

CONFIG = """
jobqueue:
  slurm: {cores: 8, processes: 4, memory: 16 GiB, walltime: "02:00:00", queue: long, account: p1}
  sge: {cores: 8, memory: 16 GB, walltime: "02:00:00", queue: long.q, project: p1,
        job-extra-directives: ["-pe wide 8", "-l gpu=1"]}
simherd:
  activation: source env/bin/activate
  sge: {memory-resource: h_vmem, parallel-environment: smp, mpi-parallel-environment: ib}
"""

WHOLE = """\
#!/bin/bash
# The whole run in one job: 4 ranks of 2 cores, started by mpirun.
# Written by 'simherd script'. Submit it from the folder that holds walk.yaml:
#
#     mkdir -p logs
#     sbatch SCRIPT
#
# Once submitted it needs no care: it is told before its walltime ends, finishes what it is at,
# goes back into the queue and goes on from the store. Submit it again after a failure: what is
# done is not done twice.
# At most 02:00:00 on 8 cores: 16 core-hours each time.
#SBATCH --job-name=walk
#SBATCH --partition=long
#SBATCH --account=p1
#SBATCH --nodes=1
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=2
#SBATCH --mem=16384M
#SBATCH --time=02:00:00
#SBATCH --signal=B:USR1@90
#SBATCH --requeue
#SBATCH --export=ALL
#SBATCH --output=logs/walk-%j.log
#SBATCH --open-mode=append

set -euo pipefail
"""


@pytest.fixture
def script(experiment, simherd, tmp_path, monkeypatch):
    """Return a function that prints the script of a small experiment."""
    experiment()
    (tmp_path / "site.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)

    def run(*arguments, config="site.yaml", command="script"):
        return simherd(command, "walk.yaml", *arguments, *(["--config", config] if config else []))

    return run


def directives(text, marker):
    return [line.removeprefix(marker).strip() for line in text.splitlines() if line.startswith(marker)]


def test_what_is_printed_begins_with_how_to_submit_it_and_what_it_asks_for(script):
    done = script("--scheduler", "slurm", "--mode", "mpi")

    assert (done.code, done.err) == (0, "")
    assert done.out[: len(WHOLE)] == WHOLE
    assert "export OMP_NUM_THREADS=2\n" in done.out


def test_the_command_line_counts_more_than_the_experiment_and_that_more_than_the_configuration(
    script, experiment
):
    experiment(cluster={"kind": "local", "slurm": {"walltime": "03:00:00", "partition": "mine"}})

    found = directives(script("--scheduler", "slurm", "--walltime", "30:00").out, "#SBATCH")

    assert "--time=00:30:00" in found
    assert "--partition=mine" in found
    assert "--mem=16384M" in found


@pytest.mark.parametrize(
    ("size", "mebibytes"), [("48 G", 49152), ("48GiB", 49152), ("48 GiB", 49152), ("48GB", 45777)]
)
def test_sizes_of_memory_mean_what_is_documented(script, size, mebibytes):
    found = directives(script("--scheduler", "slurm", "--memory", size).out, "#SBATCH")

    assert f"--mem={mebibytes}M" in found


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--mode", "mpi"], ["-pe smp 8", "-l h_vmem=1908M"]),
        (["--mode", "mpi", "--ntasks", "8", "--nodes", "2"], ["-pe ib 8", "-l h_vmem=1908M"]),
        (["--mode", "mpi", "--ntasks", "4", "--cores", "2"], ["-pe smp 8"]),
        (["--mode", "mpi", "--parallel-environment", "mine"], ["-pe mine 8"]),
        (["--mode", "array", "--cores", "1"], ["-t 1-4", "-l h_vmem=15259M"]),
        (["--mode", "jobqueue"], ["-l h_vmem=4096M", "-l gpu=1"]),
    ],
)
def test_grid_engine_books_slots_of_the_right_parallel_environment(script, arguments, expected):
    done = script("--scheduler", "sge", *arguments)
    found = directives(done.out, "#$")

    assert set(expected) <= set(found), done.err
    assert "-pe wide 8" not in found
    if "-pe" not in " ".join(expected):
        assert not any(line.startswith("-pe") for line in found)


def test_the_parallel_environment_of_worker_jobs_serves_where_the_site_names_none(script, tmp_path):
    (tmp_path / "own.yaml").write_text("jobqueue: {sge: {job-extra-directives: ['-pe wide 8']}}")

    done = script("--scheduler", "sge", "--mode", "mpi", "--ntasks", "2", config="own.yaml")

    assert "-pe wide 2" in directives(done.out, "#$")


def test_options_of_worker_jobs_go_to_the_command_of_a_mode_jobqueue(script):
    done = script(
        *("--scheduler", "sge", "--mode", "jobqueue", "--jobs", "3", "--cores", "4", "--memory", "8GiB"),
        *("--walltime", "01:00:00", "--queue", "all.q"),
    )

    assert "--jobs 3" in done.out
    for setting in (
        "cluster.sge.cores=4",
        "'cluster.sge.memory=\"8GiB\"'",
        "'cluster.sge.queue=\"all.q\"'",
        "'cluster.sge.directives=[\"-l gpu=1\"]'",
        "'cluster.sge.parallel_environment=\"smp\"'",
    ):
        assert f"--set {setting}" in done.out
    assert {"-q all.q", "-l h_rt=01:00:00"} <= set(directives(done.out, "#$"))


def words_of_the_run(script):
    (line,) = [line for line in script.splitlines() if line.startswith("run=(")]
    return shlex.split(line.removeprefix("run=(").removesuffix(")"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--mode", "mpi", "--ntasks", "2", "--cores", "1"], {"mpi": (1, 1)}),
        (["--mode", "array", "--cores", "2"], {"local": (1, 1)}),
        (["--mode", "array", "--cores", "2", "--threads", "2"], {"local": (1, 2)}),
    ],
)
def test_counts_of_the_experiment_are_not_those_of_the_job(script, experiment, arguments, expected):
    experiment(cluster={"kind": "slurm", "cores": 2, "threads_per_worker": 2, "guard_threads": 2})
    ((kind, (threads, guard)),) = expected.items()

    done = script("--scheduler", "slurm", *arguments)

    words = words_of_the_run(done.out)
    assert f"cluster.{kind}.threads_per_worker={threads}" in words
    assert f"cluster.{kind}.guard_threads={guard}" in words
    assert f"export OMP_NUM_THREADS={guard}\n" in done.out


@pytest.fixture
def site_file(tmp_path, monkeypatch):
    """Return a file of settings that is named by a relative path."""
    for name in [name for name in os.environ if name.startswith("DASK_")]:
        monkeypatch.delenv(name)
    path = tmp_path / "my site.yaml"
    path.write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DASK_CONFIG", "my site.yaml")
    return path


def environment_of_the_run(script, folder, **variables):
    """Return the environment in which a job script runs its command: what it takes over are `variables`."""
    body = re.sub(r"^run=\(.*\)$", "run=(env -0)", script, flags=re.MULTILINE)
    body = body.replace("source env/bin/activate", "")
    done = subprocess.run(
        ["bash", "-s"],
        input=body.encode(),
        capture_output=True,
        cwd=folder,
        env={"PATH": os.environ["PATH"], **variables},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(pair.split("=", 1) for pair in done.stdout.decode().split("\0") if "=" in pair)


@pytest.mark.parametrize("taken_over", [{}, {"DASK_CONFIG": "other.yaml"}])
def test_the_job_that_submits_workers_has_the_settings_with_which_they_were_checked(
    script, site_file, tmp_path, monkeypatch, taken_over
):
    monkeypatch.setenv("DASK_JOBQUEUE__SLURM__QUEUE", "mine")
    monkeypatch.setenv("DASK_GATEWAY__AUTH__TOKEN", "secret")

    done = script("--scheduler", "slurm", "--mode", "jobqueue", "--environment", "none", config=None)

    seen = environment_of_the_run(done.out, tmp_path, **taken_over)
    assert {name: value for name, value in seen.items() if name.startswith("DASK")} == {
        "DASK_CONFIG": str(site_file),
        "DASK_JOBQUEUE__SLURM__QUEUE": "mine",
    }


def test_settings_that_are_not_on_the_node_end_the_job(script, site_file, tmp_path):
    done = script("--scheduler", "slurm", "--mode", "jobqueue", config=None)
    site_file.unlink()

    ran = subprocess.run(
        ["bash", "-s"],
        input=done.out.replace("source env/bin/activate", ""),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr == f"Not there on this node: {site_file}\n"


def test_only_a_job_that_submits_workers_needs_their_settings(script, site_file):
    assert "DASK_CONFIG" not in script("--scheduler", "slurm", "--mode", "array", config=None).out


def test_directives_that_worker_jobs_leave_out_are_left_out_of_scripts(script, tmp_path):
    (tmp_path / "own.yaml").write_text("jobqueue: {slurm: {memory: 4 GiB, job-directives-skip: ['--mem']}}")

    found = directives(script("--scheduler", "slurm", config="own.yaml").out, "#SBATCH")

    assert not [line for line in found if "--mem" in line]
    assert "--ntasks=1" in found


@pytest.mark.parametrize("templates", ["{arrray: /sw/own.sh}", "{mqi: /sw/own.sh}", "[/sw/own.sh]"])
def test_templates_for_what_is_no_mode_are_refused(script, tmp_path, templates):
    (tmp_path / "own.yaml").write_text(f"simherd: {{templates: {templates}}}")

    done = script("--scheduler", "slurm", config="own.yaml")

    assert done.code == 2
    assert ("needs keys with texts" if templates[0] == "[" else "Did you mean") in done.err


SITES_LINES = {
    "slurm": ["-p long", "-Aproj", "-t 2-0", "--mem-per-cpu=3G", "--requeue", "--gres=gpu:1"],
    "sge": ["-q long.q", "-P proj", "-l gpu=1,h_rt=9:0:0", "-pe wide 4", "-cwd", "-l fast=1"],
}
"""As files for dask-jobqueue have them."""


@pytest.mark.parametrize(
    ("scheduler", "expected", "left_out"),
    [
        ("slurm", ["--partition=long", "--account=proj", "--gres=gpu:1"], "-t 2-0, --mem-per-cpu=3G"),
        ("sge", ["-q long.q", "-P proj", "-pe wide 2", "-l gpu=1", "-l fast=1"], "-l gpu=1,h_rt=9:0:0"),
    ],
)
def test_directives_of_worker_jobs_give_queue_and_account_and_what_is_left_out_is_said(
    script, tmp_path, scheduler, expected, left_out
):
    section = {"job-extra-directives": SITES_LINES[scheduler], "cores": 2}
    (tmp_path / "own.yaml").write_text(json.dumps({"jobqueue": {scheduler: section}}))

    done = script("--scheduler", scheduler, config="own.yaml")

    found = directives(done.out, {"slurm": "#SBATCH", "sge": "#$"}[scheduler])
    assert set(expected) <= set(found)
    said = (
        f"lines of job-extra-directives that options of the command line, or other keys, decide: {left_out}."
    )
    assert done.err == f"Left out of the job script are {said}\n"
    assert f"# {done.err}" in done.out


def test_queue_and_account_that_are_given_count_more_than_directives(script, tmp_path):
    section = {"job-extra-directives": ["-p long", "-A proj"], "account": "other"}
    (tmp_path / "own.yaml").write_text(json.dumps({"jobqueue": {"slurm": section}}))

    done = script("--scheduler", "slurm", "--partition", "short", config="own.yaml")

    assert {"--partition=short", "--account=other"} <= set(directives(done.out, "#SBATCH"))
    assert "decide: -p long, -A proj.\n" in done.err


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"cores": "two"}, "cores='two' is not allowed: a whole number"),
        ({"cores": 0}, "cores=0 is not allowed"),
        ({"cores": 2.7}, "cores=2.7 is not allowed"),
        ({"cores": -3}, "cores=-3 is not allowed"),
        ({"processes": "all"}, "processes='all' is not allowed"),
        ({"queue": "a b"}, "queue='a b' cannot stand in a job script"),
        ({"job-script-prologue": 5}, "prologue=5 is not allowed: lines of text"),
        ({"job-extra-directives": 5}, "directives=5 is not allowed: lines of text"),
        ({"memory": 4}, "write a unit"),
        ({"walltime": ""}, "'' is not a walltime"),
        (
            {"walltime": 90},
            "The walltime 90 is ambiguous: it may mean 01:30:00 (minutes) or 00:01:30 (seconds)",
        ),
    ],
)
@pytest.mark.parametrize("mode", ["array", "mpi", "jobqueue"])
def test_what_worker_jobs_refuse_in_their_section_scripts_refuse_too(script, tmp_path, mode, section, text):
    (tmp_path / "own.yaml").write_text(json.dumps({"jobqueue": {"slurm": section}}))

    done = script("--scheduler", "slurm", "--mode", mode, config="own.yaml")

    assert (done.code, done.out) == (2, "")
    assert text in done.err


def test_a_queue_may_be_a_number(script, tmp_path):
    (tmp_path / "own.yaml").write_text("jobqueue: {slurm: {queue: 5}}")

    done = script("--scheduler", "slurm", config="own.yaml")

    assert "--partition=5" in directives(done.out, "#SBATCH")


@pytest.mark.parametrize("command", ["script", "submit"])
@pytest.mark.parametrize(
    "option",
    ["walltime", "partition", "account", "memory", "disk", "name", "store", "environment"],
)
def test_an_option_whose_variable_of_the_shell_is_not_set_is_refused(script, command, option):
    done = script("--scheduler", "slurm", f"--{option}=", command=command)

    assert (done.code, done.out) == (2, "")
    assert done.err == f"Error: --{option} is empty. Fix: give it a value, or leave it out.\n"


@pytest.mark.cluster
@pytest.mark.parametrize("top", [{"processes": 4, "memory": "512 GiB"}, {"processes": 0}])
def test_what_the_experiment_says_of_worker_jobs_does_not_reach_an_array_task(script, experiment, top):
    experiment(cluster={"kind": "slurm", **top}, run={"store": "out.zarr"})
    done = script("--scheduler", "slurm", "--memory", "1GiB", config=None)
    words = words_of_the_run(done.out)

    ran = subprocess.run(
        [sys.executable, "-m", "simherd", *words[words.index("run") : words.index("--share")]],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "cluster.local.memory=1024MiB" in words
    assert ran.returncode == 0, ran.stderr


def test_a_memory_without_its_unit_is_refused(script, tmp_path):
    (tmp_path / "own.yaml").write_text("jobqueue: {slurm: {memory: 16}}")

    for mode in ("array", "mpi", "jobqueue"):
        done = script("--scheduler", "slurm", "--mode", mode, config="own.yaml")
        assert (done.code, done.out) == (2, ""), mode
        assert "write a unit" in done.err


def test_a_short_walltime_leaves_a_short_time_to_stop(script):
    done = script("--scheduler", "slurm", "--walltime", "00:02:00")

    assert "--signal=B:USR1@40" in directives(done.out, "#SBATCH")
    assert "--set run.grace_s=20" in done.out
    assert done.err == ""


def test_a_walltime_that_may_be_over_before_it_has_begun_is_warned_of(script):
    done = script("--scheduler", "slurm", "--walltime", "00:01:00")

    assert done.code == 0
    assert done.err == (
        "In 00:01:00 nothing may get done: the run is told to stop 20 s before the end, and SLURM may say so "
        "up to 60 s earlier. Ask for 2 minutes or more.\n"
    )
    assert script("--scheduler", "sge", "--walltime", "00:01:00", config=None).err == ""


def test_a_long_grace_is_told_of_the_end_earlier(script, experiment):
    experiment(run={"store": "out.zarr", "grace_s": 300})

    assert "--signal=B:USR1@360" in script("--scheduler", "slurm").out


def test_a_script_is_written_to_a_file_that_says_how_to_submit_itself(script, tmp_path):
    done = script("--scheduler", "sge", "--output", "job.sh")

    assert done.out == "wrote job.sh\n"
    assert "#     qsub job.sh\n" in (tmp_path / "job.sh").read_text()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--mode", "mpi", "--jobs", "2"], "--jobs is not for the mode mpi"),
        (["--mode", "array", "--ntasks", "2"], "--ntasks is not for the mode array"),
        (["--mode", "mpi", "--ntasks", "1", "--nodes", "2"], "1 ranks cannot be on 2 nodes"),
        (["--cores", "0"], "--cores=0 is not allowed"),
        (["--cores", "1", "--threads", "2"], "2 threads in each simulation are over the 1 core"),
        (["--memory", "much"], "'much' is not a size of memory"),
        (["--memory", "16"], "write a unit, for instance '16 GiB'"),
        (["--walltime", "soon"], "'soon' is not a walltime"),
        (["--walltime", "90"], "The walltime '90' is ambiguous"),
        (["--parallel-environment", "smp"], "for Grid Engine only"),
        (["--partition", "a\nb"], "line breaks"),
        (["--mode", "jobqueue", "--set", "cluster.slurm.adapt=[3, 1]"], "adapt=[3, 1]"),
        (["--set", "batch.sampling=random", "--set", "batch.size=9"], "batch"),
        (["--mode", "both"], "'both' is not one of"),
    ],
)
def test_wrong_options_are_one_message_and_exit_code_2(script, arguments, text):
    done = script("--scheduler", "slurm", *arguments)

    assert done.code == 2, done.err
    assert done.out == ""
    assert text in done.err


def test_memory_that_has_no_name_at_the_site_is_refused(script, tmp_path):
    (tmp_path / "bare.yaml").write_text("simherd: {sge: {memory-resource: null}}")

    done = script("--scheduler", "sge", "--memory", "4G", config="bare.yaml")

    assert done.code == 2
    assert "simherd.sge.memory-resource" in done.err


def test_a_batch_that_each_start_would_draw_anew_is_refused(script, experiment):
    experiment(batch={key: value for key, value in BATCH.items() if key != "seed"})

    done = script("--scheduler", "slurm")

    assert done.code == 2
    assert "set batch.seed" in done.err
    assert script("--scheduler", "slurm", "--set", "batch.seed=1").code == 0


def test_one_simulation_is_no_array(script, experiment):
    experiment(batch=None, inputs={"walk__gain": 1.0})

    done = script("--scheduler", "slurm")

    assert done.code == 2
    assert "choose --mode jobqueue or mpi" in done.err


def test_results_need_a_store(script, experiment):
    experiment(run={"parallel": False})

    assert "give --store" in script("--scheduler", "slurm").err
    assert "--store new.zarr" in script("--scheduler", "slurm", "--store", "new.zarr").out


@pytest.mark.parametrize("command", ["script", "submit"])
def test_mpi_that_is_not_installed_is_said_with_how_to_install_it(script, command, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "mpi4py" else object())

    done = script("--scheduler", "slurm", "--mode", "mpi", command=command)

    assert done.code == 1
    assert "pip install 'simherd[mpi]'" in done.err
    assert done.out == ""


def test_srun_needs_no_mpi(script, tmp_path, monkeypatch):
    (tmp_path / "srun.yaml").write_text("simherd: {launcher: srun}")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "mpi4py" else object())

    done = script("--scheduler", "slurm", "--mode", "mpi", config="srun.yaml")

    assert "--cluster slurm-runner" in done.out


def test_where_both_or_no_batch_schedulers_are_it_must_be_said_which(script, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")

    done = script()

    assert done.code == 2
    assert "--scheduler slurm or sge" in done.err


def test_the_store_of_a_script_is_what_is_given_and_not_yaml(script):
    assert "--store 'a #1.zarr'" in script("--scheduler", "slurm", "--store", "a #1.zarr").out

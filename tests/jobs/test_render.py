"""Job scripts say what their plan says: counts from one source, guards last, values quoted."""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simherd.errors import ClusterOptionError
from simherd.jobs import dialect_of, render, submit_commands
from simherd.threads import GUARD_VARIABLES

GIB = 1024**3
BOTH = pytest.mark.parametrize("scheduler", ["slurm", "sge"])
ALL = [(scheduler, mode) for scheduler in ("slurm", "sge") for mode in ("mpi", "jobqueue", "array")]
EACH = pytest.mark.parametrize(("scheduler", "mode"), ALL)


def directives(script, scheduler):
    marker = dialect_of(scheduler).marker
    return [line.removeprefix(marker).strip() for line in script.splitlines() if line.startswith(marker)]


def command(script):
    (line,) = [line for line in script.splitlines() if line.startswith("run=(")]
    return shlex.split(line.removeprefix("run=(").removesuffix(")"))


@EACH
def test_the_guards_come_after_all_that_could_change_them_and_before_the_run(plan, scheduler, mode):
    lines = render(plan(scheduler, mode, cores=4, threads=2)).splitlines()

    at = {name: lines.index(f"export {name}=2") for name in GUARD_VARIABLES}
    assert min(at.values()) > lines.index("source env/bin/activate")
    assert min(at.values()) > lines.index("export OMP_NUM_THREADS=64")
    assert max(at.values()) < next(n for n, line in enumerate(lines) if line.startswith("run=("))


@EACH
def test_a_script_stops_at_errors_and_takes_activation_before_prologue(plan, scheduler, mode):
    script = render(plan(scheduler, mode))

    assert script.startswith("#!/bin/bash\n")
    assert "\nset -euo pipefail\n" in script
    assert script.index("module load python") < script.index("source env") < script.index("=64")
    assert "@{" not in script
    assert "--resume" in command(script)


@EACH
def test_a_shell_finds_no_fault_in_a_script(plan, scheduler, mode):
    script = render(plan(scheduler, mode, ntasks=4, nodes=2, walltime_s=3600))

    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    if shutil.which("shellcheck"):
        found = subprocess.run(
            ["shellcheck", "--severity=warning", "-"],
            input=script,
            text=True,
            capture_output=True,
            check=False,
        )
        assert found.stdout == ""


@given(nodes=st.integers(1, 4), per_node=st.integers(1, 64), cores=st.integers(1, 16))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ranks_in_directives_and_launcher_are_the_same(plan, nodes, per_node, cores):
    counts = {"nodes": nodes, "ntasks": nodes * per_node, "cores": cores}

    slurm = render(plan("slurm", **counts))
    stepped = render(plan("slurm", launcher="srun", **counts))
    sge = render(plan("sge", parallel_environment="ib", **counts))

    assert {f"--nodes={nodes}", f"--ntasks={nodes * per_node}", f"--cpus-per-task={cores}"} <= set(
        directives(slurm, "slurm")
    )
    assert f"-pe ib {nodes * per_node * cores}" in directives(sge, "sge")
    for script in (slurm, sge):
        words = command(script)
        assert words[words.index("-np") + 1] == str(nodes * per_node)
    assert {f"--ntasks={nodes * per_node}", f"--cpus-per-task={cores}"} <= set(command(stepped))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"memory_bytes": 48 * 1000**3}, ["--mem=45777M"]),
        ({"memory_bytes": 48 * GIB, "disk_bytes": 10 * GIB}, ["--mem=49152M", "--tmp=10240M"]),
        ({"walltime_s": 90 * 60, "signal_s": 120}, ["--time=01:30:00", "--signal=B:USR1@120", "--requeue"]),
        ({"requeues": False}, ["--no-requeue"]),
        ({"queue": "long", "account": "p1"}, ["--partition=long", "--account=p1"]),
        ({"queue": "a b"}, ['--partition="a b"']),
        ({"environment": "none"}, ["--export=NONE"]),
        ({"environment": "PATH,HOME"}, ["--export=PATH,HOME"]),
        ({"mode": "array", "shares": 9, "concurrent": 3}, ["--array=1-9%3", "--output=logs/study-%A_%a.log"]),
        ({"log_directory": "50% logs"}, ['--output="50%% logs/study-%j.log"']),
    ],
)
def test_directives_of_slurm(plan, changes, expected):
    assert set(expected) <= set(directives(render(plan("slurm", **changes)), "slurm"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"memory_bytes": 48 * GIB, "ntasks": 8}, ["-l h_vmem=6144M"]),
        ({"memory_bytes": 48 * GIB, "ntasks": 8, "cores": 2}, ["-l h_vmem=3072M"]),
        ({"memory_bytes": 48 * GIB, "ntasks": 8, "nodes": 2}, ["-l h_vmem=12288M"]),
        (
            {
                "memory_bytes": 48 * GIB,
                "ntasks": 8,
                "memory_is_per_slot": False,
                "memory_resource": "mem_free",
            },
            ["-l mem_free=49152M"],
        ),
        (
            {
                "memory_bytes": 8 * GIB,
                "ntasks": 4,
                "nodes": 2,
                "memory_is_per_slot": False,
                "memory_resource": "mem_free",
            },
            ["-l mem_free=8192M"],
        ),
        ({"disk_bytes": 2 * GIB}, ["-l disk=2048M"]),
        ({"disk_bytes": 30 * GIB, "cores": 4}, ["-l disk=7680M"]),
        ({"disk_bytes": 30 * GIB, "ntasks": 4, "nodes": 2}, ["-l disk=15360M"]),
        ({"disk_bytes": 30 * GIB, "cores": 4, "disk_is_per_slot": False}, ["-l disk=30720M"]),
        (
            {"walltime_s": 3600, "signal_s": 90},
            ["-l h_rt=01:00:00", "-l s_rt=00:58:30", "-notify", "-r y"],
        ),
        ({"requeues": False}, ["-r n"]),
        ({"queue": "long.q", "account": "p1"}, ["-q long.q", "-P p1"]),
        ({"environment": "all"}, ["-V"]),
        ({"environment": "PATH"}, ["-v PATH"]),
        ({"mode": "array", "shares": 9, "concurrent": 3}, ["-t 1-9 -tc 3"]),
    ],
)
def test_directives_of_grid_engine(plan, changes, expected):
    assert set(expected) <= set(directives(render(plan("sge", **changes)), "sge"))


def test_no_environment_means_none_for_grid_engine(plan):
    found = directives(render(plan("sge", environment="none")), "sge")

    assert not [line for line in found if line.lower().startswith("-v")]


@BOTH
def test_directives_of_the_user_come_last_but_not_those_that_would_change_counts(plan, scheduler):
    own = {
        "slurm": ("--constraint=fast", "--ntasks=99", "-n99", "--time 9", "--chdir=/x", "-D /x", "-D/x"),
        "sge": ("-l gpu=1", "-pe smp 99", "-l h_rt=9:0:0", "-t 1-9", "-wd /x", "-cwd -l fast=1"),
    }[scheduler]

    found = directives(render(plan(scheduler, directives=own)), scheduler)

    assert found[-1] == own[0]
    assert not set(own[1:]) & set(found)


@pytest.mark.parametrize(
    ("directive", "left"),
    [
        ("-l h_vmem=1M", ""),
        ("-l gpu=1,h_vmem=1M,fast", "-l gpu=1,fast"),
        ("-hard -l disk=1G -l gpu=1", "-hard -l gpu=1"),
        ("-soft -l h_vmem=1M", ""),
        ("-l s_rt=1:0:0,h_rt=2:0:0", ""),
        ("-l 'os=a b'", "-l 'os=a b'"),
        ("-js 5 -ot 1", "-js 5 -ot 1"),
    ],
)
def test_of_resources_in_one_directive_only_those_of_the_plan_are_left_out(plan, directive, left):
    found = directives(
        render(plan("sge", directives=(directive,), memory_bytes=GIB, disk_bytes=GIB, walltime_s=60)), "sge"
    )

    assert found[-1] == (left or "-o logs/study-$JOB_ID.log")


def test_memory_has_another_name_that_is_the_plans_too(plan):
    site = {"memory_resource": "mem_free", "memory_bytes": GIB}

    assert "-l mf=1M" not in directives(render(plan("sge", directives=("-l mf=1M",), **site)), "sge")


def test_a_resource_that_the_plan_does_not_ask_for_is_the_users(plan):
    found = directives(render(plan("sge", directives=("-l h_vmem=4G,disk=1G",))), "sge")

    assert found[-1] == "-l h_vmem=4G,disk=1G"


@BOTH
def test_directives_that_the_site_leaves_out_are_not_there_and_the_script_says_which(plan, scheduler):
    text, left_out = {
        "slurm": ("SBATCH --mem", "--mem=1024M"),
        "sge": ("h_vmem", "-l h_vmem=1024M"),
    }[scheduler]

    script = render(plan(scheduler, memory_bytes=GIB, directives_skip=(text, "own"), directives=("-own 1",)))

    assert not {left_out, "-own 1"} & set(directives(script, scheduler))
    assert f"# Left out, as job-directives-skip says: {left_out}.\n" in script


def counts(kind, threads_per_worker, guard_threads, *others):
    return [
        *("--set", f"cluster.{kind}.threads_per_worker={threads_per_worker}"),
        *("--set", f"cluster.{kind}.guard_threads={guard_threads}"),
        *(word for other in others for word in ("--set", f"cluster.{kind}.{other}")),
        "--resume",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["--cluster", "mpi", *counts("mpi", 1, 1)]),
        ({"cores": 4, "threads": 4}, ["--cluster", "mpi", *counts("mpi", 1, 4)]),
        ({"cores": 4, "threads": 1}, ["--cluster", "mpi", *counts("mpi", 4, 1)]),
        ({"launcher": "srun"}, ["--cluster", "slurm-runner", *counts("slurm-runner", 1, 1)]),
        ({"launcher": "srun --mpi=pmix"}, ["--cluster", "mpi", *counts("mpi", 1, 1)]),
        (
            {"mode": "jobqueue"},
            ["--cluster", "slurm", "--set", "cluster.slurm.guard_threads=1", "--resume"],
        ),
        (
            {"mode": "array", "shares": 7},
            ["--cluster", "local", "--workers", "1", *counts("local", 1, 1), "--share"],
        ),
        (
            {"mode": "array", "cores": 8, "threads": 2},
            ["--cluster", "local", "--workers", "4", *counts("local", 1, 2), "--share"],
        ),
        (
            {"mode": "array", "memory_bytes": GIB},
            [
                *("--cluster", "local", "--workers", "1"),
                *counts("local", 1, 1, "memory=1024MiB"),
            ],
        ),
    ],
)
def test_what_a_job_runs_whatever_counts_the_experiment_has(plan, changes, expected):
    words = command(render(plan("slurm", **changes)))

    begin = words.index("study.yaml") + 1
    assert words[begin : begin + len(expected)] == expected


def test_an_array_task_adds_the_tasks_of_the_array_jobs_before_it(plan):
    script = render(plan("slurm", "array", shares=7))

    assert "share=$((SLURM_ARRAY_TASK_ID + ${1:-0}))" in script
    assert command(script)[-1] == "$share/7"


@BOTH
def test_array_jobs_over_the_sites_limit_are_split(plan, scheduler):
    lines = submit_commands(plan(scheduler, "array", shares=2500, array_limit=1000, concurrent=5), "job.sh")

    assert (
        lines
        == {
            "slurm": [
                "sbatch --array=1-1000%5 job.sh 0",
                "sbatch --array=1-1000%5 job.sh 1000",
                "sbatch --array=1-500%5 job.sh 2000",
            ],
            "sge": [
                "qsub -t 1-1000 -tc 5 job.sh 0",
                "qsub -t 1-1000 -tc 5 job.sh 1000",
                "qsub -t 1-500 -tc 5 job.sh 2000",
            ],
        }[scheduler]
    )


@given(shares=st.integers(1, 300), limit=st.one_of(st.none(), st.integers(1, 400)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_array_jobs_have_each_share_once(plan, shares, limit):
    jobs = list(plan(mode="array", shares=shares).array_jobs(limit))

    assert [job.offset for job in jobs] == [sum(job.tasks for job in jobs[:n]) for n in range(len(jobs))]
    assert sum(job.tasks for job in jobs) == shares
    assert all(1 <= job.tasks <= (limit or shares) for job in jobs)


NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)


@given(name=NAMES, value=NAMES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_reaches_the_command_as_it_is(plan, name, value):
    script = render(plan(arguments=(name, "--set", f"run.store={value}")))

    words = command(script)
    begin = words.index("run") + 1
    assert words[begin : begin + 3] == [name, "--set", f"run.store={value}"]


def test_a_shell_takes_a_name_with_spaces_quotes_and_commands_as_one_word(plan, tmp_path):
    odd = "a b; touch pwned; $(touch pwned) `touch pwned` 'x' \"y\" @{guards} %j $HOME.yaml"
    script = render(plan("sge", "jobqueue", arguments=(odd,), activation=(), prologue=()))
    body = script.replace('"${run[@]}" &', 'printf "%s\\n" "${run[@]}" &')

    done = subprocess.run(["bash"], input=body, text=True, capture_output=True, cwd=tmp_path, check=True)

    assert done.stdout.splitlines()[2] == odd
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"arguments": ("a\nrm -rf b.yaml",)},
        {"queue": "a\n#SBATCH --uid=0"},
        {"account": 'a" --uid="0'},
        {"log_directory": "logs\nrm"},
        {"directives": ("--x\nrm -rf b",)},
        {"prologue": ("true\nfalse",)},
        {"environment": "A\nB"},
        {"queue": ""},
        {"shebang": "#!/bin/bash\nrm"},
    ],
)
@BOTH
def test_what_would_leave_its_line_or_quotes_is_refused(plan, scheduler, changes):
    with pytest.raises(ClusterOptionError, match="cannot stand in"):
        render(plan(scheduler, **changes))


@EACH
def test_each_script_names_its_job_so_that_its_file_may_be_called_anything(plan, scheduler, mode):
    """Grid Engine refuses a script called "my job.sh" that names no job."""
    script = render(plan(scheduler, mode), "my job.sh")

    assert directives(script, scheduler)[0] == {"slurm": "--job-name=study", "sge": "-N study"}[scheduler]
    assert f"#     {dialect_of(scheduler).submits} 'my job.sh'\n" in script


def test_a_store_that_looks_like_an_option_is_none(plan):
    assert "\nstore=./-delete\n" in render(plan(store="-delete"))


def test_a_launcher_with_an_open_quote_is_refused(plan):
    with pytest.raises(ClusterOptionError, match=r"\"srun 'x\" cannot be read: No closing quotation"):
        render(plan(launcher="srun 'x"))


def test_an_unknown_launcher_is_refused(plan):
    with pytest.raises(ClusterOptionError, match="Did you mean 'mpirun'"):
        render(plan(launcher="mpiron"))


@pytest.mark.parametrize(
    "launcher", ["mpirun -np 3", "mpirun -n3", "srun --ntasks=3", "srun -N 2", "srun --cpus-per-task=9"]
)
def test_a_launcher_with_counts_of_its_own_is_refused(plan, launcher):
    with pytest.raises(ClusterOptionError, match="has counts of its own: "):
        render(plan(launcher=launcher))


def test_a_launcher_may_be_given_by_its_path(plan):
    words = command(render(plan(launcher="/opt/slurm/bin/srun", ntasks=4)))

    assert words[:3] == ["/opt/slurm/bin/srun", "--nodes=1", "--ntasks=4"]
    assert "slurm-runner" in words


def test_other_options_of_a_launcher_stay(plan):
    script = render(plan(launcher="mpirun --mca btl tcp,self --map-by ppr:2:node", ntasks=4))

    assert "mpirun --mca btl tcp,self --map-by ppr:2:node --bind-to none -np 4 " in script


def test_grid_engine_has_no_srun(plan):
    with pytest.raises(ClusterOptionError, match=r"srun is SLURM's"):
        render(plan("sge", launcher="srun"))

"""``simherd run --dry-run`` for clusters of jobs: script, resources and cost, with no scheduler around."""

from __future__ import annotations

import dask
import distributed  # noqa: F401 - sets its defaults now, and not while others are there
import pytest

from simherd.cli.cost_text import Jobs, cost_lines, jobs_of

SLURM = {
    "kind": "slurm",
    "slurm": {"jobs": 4, "cores": 8, "memory": "16 GiB", "walltime": "02:00:00", "partition": "short"},
}


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch, tmp_path):
    """Take away all commands of batch schedulers, and all configuration."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield
    assert not (tmp_path / "state").exists()


def test_script_resources_and_cost_are_shown_and_nobody_is_asked(simherd, experiment, tmp_path):
    shown = simherd("run", experiment(cluster=SLURM, run={"store": "out.zarr"}), "--dry-run")

    assert shown.code == 0, shown.err
    assert "Runs on     a cluster of kind 'slurm', 32 blocks at once\n" in shown.out
    assert (
        "Jobs        4 jobs of SLURM, each with 8 cores, 16.0 GiB, 02:00:00\n"
        "In all      32 cores, 64.0 GiB\n"
        "Cost        64 core-hours, if all run to the end of their walltime;\n"
        "            jobs that reach it are replaced while work is left\n"
    ) in shown.out
    assert "Job script  of each job:\n  #!" in shown.out
    assert "  #SBATCH --cpus-per-task=8\n" in shown.out
    assert "  #SBATCH -p short\n" in shown.out
    assert "  #SBATCH -t 02:00:00\n" in shown.out
    assert "  export OMP_NUM_THREADS=1\n" in shown.out
    assert not (tmp_path / "out.zarr").exists()


@pytest.mark.parametrize(
    ("configured", "option", "name"),
    [({}, {}, "walk"), ({"name": "ours"}, {}, "ours"), ({}, {"name": "mine"}, "mine")],
)
def test_worker_jobs_are_named_after_the_experiment(simherd, experiment, configured, option, name):
    cluster = {"kind": "slurm", "slurm": option}
    path = experiment(cluster=cluster, run={"store": "out.zarr"})

    with dask.config.set({"jobqueue": {"slurm": configured}}):
        shown = simherd("run", path, "--dry-run")

    assert f"  #SBATCH -J {name}\n" in shown.out


def test_one_changed_option_shows_another_scheduler(simherd, experiment):
    cluster = {**SLURM, "sge": {"parallel_environment": "smp", "cores": 2}}
    path = experiment(cluster=cluster, run={"store": "out.zarr"})

    shown = simherd("run", path, "--cluster", "sge", "--jobs", 3, "--dry-run")

    assert shown.code == 0, shown.err
    assert "3 jobs of Grid Engine, each with 2 cores, 4.0 GiB, 01:00:00\n" in shown.out
    assert "Cost        6 core-hours" in shown.out
    assert "  #$ -pe smp 2\n" in shown.out


@pytest.mark.parametrize(
    ("site", "options", "is_asked"),
    [
        ({}, {}, False),
        ({"sge": {"memory-resource": "h_vmem"}}, {}, True),
        ({}, {"resource_spec": "h_vmem=2G"}, True),
        ({}, {"directives": ["-l h_vmem=2G"]}, True),
        ({}, {"directives": ["-P people"]}, False),
    ],
)
def test_it_is_said_where_nobody_asks_for_the_memory(simherd, experiment, site, options, is_asked):
    path = experiment(cluster={"kind": "sge", "sge": options}, run={"store": "out.zarr"})

    with dask.config.set({"simherd": site, "jobqueue": {}}):
        shown = simherd("run", path, "--dry-run")

    assert shown.code == 0, shown.err
    assert ("Grid Engine is not asked for the memory" in shown.out) == (not is_asked)


@pytest.mark.parametrize(
    "words",
    [("run", "--dry-run", "--cluster", "sge"), ("script", "--scheduler", "sge", "--mode", "jobqueue")],
    ids=["run", "script"],
)
@pytest.mark.parametrize(("memory", "is_told"), [("500 MiB", True), ("2 GiB", False)])
def test_too_little_address_space_of_workers_is_told(simherd, experiment, words, memory, is_told):
    cluster = {"kind": "sge", "sge": {"cores": 1, "memory": memory}}
    path = experiment(cluster=cluster, run={"store": "out.zarr"})

    with dask.config.set({"simherd": {"sge": {"memory-resource": "h_vmem"}}, "jobqueue": {}}):
        shown = simherd(words[0], path, *words[1:])

    assert shown.code == 0, shown.err
    assert ("h_vmem=500M, which limits the address space" in shown.err) == is_told


def test_the_most_jobs_that_there_may_be_are_counted():
    assert jobs_of("slurm", {"adapt": (1, 5), "cores": 2}).count == 5


@pytest.mark.parametrize(
    ("walltime", "message"), [("soon", "'soon'"), ("90", "The walltime 90 is ambiguous")]
)
def test_a_wrong_option_is_found_without_asking_anybody(simherd, experiment, walltime, message):
    path = experiment(cluster=SLURM, run={"store": "out.zarr"})

    shown = simherd("run", path, "--set", f"cluster.slurm.walltime={walltime}", "--dry-run")

    assert shown.code == 2
    assert message in shown.err


@pytest.mark.parametrize(
    ("kind", "setting", "message"),
    [
        ("slurm", "security=foo", "security='foo' is not known"),
        ("local", "security=foo", "security='foo' is not known"),
        ("local", "worker_memory={target: 5}", "target=5 is not allowed"),
        ("mpi", "death_timeout=soon", "death_timeout='soon' is not a time"),
    ],
)
def test_a_wrong_option_of_any_kind_is_found(simherd, experiment, kind, setting, message):
    path = experiment(cluster=SLURM, run={"store": "out.zarr"})

    shown = simherd("run", path, "--cluster", kind, "--set", f"cluster.{setting}", "--dry-run")

    assert shown.code == 2
    assert message in shown.err


def test_fewest_and_most_jobs_are_a_list_as_the_documents_say(simherd, experiment):
    path = experiment(cluster={"kind": "slurm", "slurm": {"cores": 8}}, run={"store": "out.zarr"})

    shown = simherd("run", path, "--set", "cluster.slurm.adapt=[1, 20]", "--dry-run")

    assert shown.code == 0, shown.err
    assert "20 jobs of SLURM" in shown.out


@pytest.mark.parametrize("kind", ["local", "mpi", "session:pool", "tcp://10.0.0.1:8786"])
def test_clusters_that_submit_nothing_have_no_job_script(simherd, experiment, kind):
    shown = simherd("run", experiment(run={"store": "out.zarr"}), "--cluster", kind, "--dry-run")

    assert shown.code == 0, shown.err
    assert f"Runs on     a cluster of kind '{kind}'" in shown.out
    assert "Job script" not in shown.out
    assert "Cost" not in shown.out


def test_options_of_the_file_are_no_error_where_a_session_is_used(simherd, experiment):
    path = experiment(cluster={"workers": 2, "memory": "1 GiB"}, run={"store": "out.zarr"})

    shown = simherd("run", path, "--cluster", "session:pool", "--dry-run")

    assert "not used: workers, memory (a cluster of kind 'session:pool' has no use for it)" in shown.out


def test_core_hours_are_jobs_times_cores_times_walltime():
    jobs = Jobs(scheduler="SLURM", count=3, cores=4, processes=2, threads=2, memory=2**30, walltime=5400)

    assert jobs.core_hours == 18
    assert list(cost_lines(jobs))[1] == "In all      12 cores, 3.0 GiB"

"""A site's own template is taken if it keeps guards and counts, and refused otherwise."""

from __future__ import annotations

from importlib.resources import files

import pytest

from simherd.errors import ClusterOptionError
from simherd.jobs import render
from simherd.threads import GUARD_VARIABLES

GOOD = """@{shebang}
@{directives}
@{activation}
@{guards}
echo "at our site"
exec @{launch} @{command}
"""


@pytest.fixture
def own(plan, tmp_path):
    """Return a function that renders a site's template."""

    def make(text, scheduler="slurm", mode="mpi", **changes):
        path = tmp_path / "own.sh"
        path.write_text(text)
        return render(plan(scheduler, mode, templates={mode: str(path)}, **{"ntasks": 4, **changes}))

    return make


def test_a_template_that_keeps_guards_and_counts_is_taken(own):
    script = own(GOOD)

    assert "at our site" in script
    assert "-np 4" in script


@pytest.mark.parametrize(
    "launch", ["srun -n4", "srun --ntasks=4", "srun -n 4", "mpirun -np4", 'mpiexec -n "4"', "mpirun --np 4"]
)
def test_any_way_to_write_the_count_of_ranks_is_read(own, launch):
    assert own(GOOD.replace("@{launch}", launch))


def test_any_way_to_write_guards_is_read(own):
    guards = " ".join(f'{name}="1"' for name in GUARD_VARIABLES)

    assert own(GOOD.replace("@{guards}", f"module load x; export {guards}  # it's one thread"))
    assert own(
        GOOD.replace("@{guards}", "unset MKL_NUM_THREADS # it's ours\n@{guards}\n# unset MKL_NUM_THREADS")
    )


@pytest.mark.parametrize("scheduler", ["slurm", "sge"])
@pytest.mark.parametrize("mode", ["mpi", "jobqueue", "array"])
def test_the_packaged_templates_pass_as_a_sites_own(own, scheduler, mode):
    text = files("simherd.jobs").joinpath("templates", f"{scheduler}-{mode}.sh").read_text()

    assert own(text, scheduler, mode)


ARRAY = """@{shebang}
@{directives}
@{guards}
exec @{command} --share "$SLURM_ARRAY_TASK_ID/@{shares}"
"""


@pytest.mark.parametrize("share", ['"${N}/4"', "$N/4", "=$N/4"])
def test_any_way_to_write_the_share_is_read(own, share):
    text = ARRAY.replace(' "$SLURM_ARRAY_TASK_ID/@{shares}"', share if share[0] == "=" else f" {share}")

    assert own(text, mode="array", shares=4)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (ARRAY.replace("@{shares}", "8"), r"run the share \$SLURM_ARRAY_TASK_ID/8, .* own of 4"),
        (ARRAY.replace("$SLURM_ARRAY_TASK_ID", "1"), r"run the share 1/4, .* own of 4"),
        (ARRAY.replace("--share", "# --share"), "--share .*is missing"),
        (ARRAY.replace("exec", "srun -n 9"), "starts other ranks than 1: 9"),
    ],
)
def test_array_tasks_that_do_not_run_a_share_each_are_refused(own, text, fault):
    with pytest.raises(ClusterOptionError, match=fault):
        own(text, mode="array", shares=4, ntasks=1)


def test_settings_of_worker_jobs_are_needed_where_there_are_any(own):
    text = GOOD.replace("@{launch}", "")
    settings = {"DASK_CONFIG": "/my sites/jobqueue.yaml", "DASK_JOBQUEUE__SLURM__QUEUE": "'long'"}

    assert own(text.replace("@{guards}", "@{settings}\n@{guards}"), mode="jobqueue", settings=settings)
    with pytest.raises(ClusterOptionError, match=r"does not set DASK_CONFIG, .*@{settings}"):
        own(text, mode="jobqueue", settings=settings)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GOOD.replace("@{guards}", ""), "does not set OMP_NUM_THREADS"),
        (GOOD.replace("@{guards}", "@{guards}\nexport MKL_NUM_THREADS=8"), "does not set MKL_NUM_THREADS"),
        (GOOD.replace("@{guards}\n", "") + "@{guards}\n", "does not set OMP_NUM_THREADS"),
        (GOOD.replace("@{directives}", ""), "lacks the directives"),
        (GOOD.replace("@{directives}", "@{directives}\n#SBATCH --ntasks=8"), "other counts .*--ntasks=8"),
        (
            GOOD.replace("@{directives}", "@{directives}\n#SBATCH --chdir=/x"),
            "other counts .*--chdir=/x",
        ),
        (GOOD.replace("@{launch}", "srun -n 4 --cpus-per-task=9"), "starts other cores of a rank than 1: 9"),
        (GOOD.replace("@{launch}", "srun -n 4 -c9"), "starts other cores of a rank than 1: 9"),
        (GOOD.replace("@{launch}", "srun -n 4 --nodes 2"), "starts other nodes than 1: 2"),
        (GOOD.replace("@{launch}", "mpirun \\\n  -np 8"), "starts other ranks than 4: 8"),
        (GOOD.replace("@{launch}", "mpirun -np 8"), "starts other ranks than 4: 8"),
        (GOOD.replace("@{launch}", "srun"), "starts other ranks than 4: none"),
        (GOOD.replace("@{launch}", "srun -n8"), "starts other ranks than 4: 8"),
        (GOOD.replace("@{launch}", "mpirun -np8"), "starts other ranks than 4: 8"),
        (GOOD.replace("@{launch}", "srun --ntasks=8"), "starts other ranks than 4: 8"),
        (GOOD.replace("@{launch}", 'mpiexec -n "$NSLOTS"'), r"starts other ranks than 4: \$NSLOTS"),
        (GOOD.replace("@{guards}", "@{guards}\nunset MKL_NUM_THREADS"), "does not set MKL_NUM_THREADS"),
        (GOOD.replace("@{guards}", "@{guards}\n:; unset A MKL_NUM_THREADS"), "not set MKL_NUM_THREADS"),
        (GOOD.replace("@{guards}", "@{guards}\nexport A=1 MKL_NUM_THREADS=8"), "not set MKL_NUM_THREADS"),
        (GOOD.replace("@{guards}", "@{guards}\nA=1; export MKL_NUM_THREADS=8"), "not set MKL_NUM_THREADS"),
        (GOOD.replace("@{guards}", "@{guards}\nA=1 && MKL_NUM_THREADS=8"), "not set MKL_NUM_THREADS"),
        (GOOD.replace("exec", "exec env MKL_NUM_THREADS=8"), "not set MKL_NUM_THREADS"),
        (GOOD.replace("@{command}", ""), "does not run the experiment"),
        (GOOD + "@{gaurds}", "unknown placeholder @{gaurds}.*'guards'"),
    ],
)
def test_a_template_without_them_is_refused(own, text, fault):
    with pytest.raises(ClusterOptionError, match=fault):
        own(text)


def test_counts_of_grid_engine_are_checked_too(own):
    with pytest.raises(ClusterOptionError, match=r"other counts .*-pe smp 8"):
        own(GOOD.replace("@{guards}", "@{guards}\n#$ -pe smp 8"), "sge", parallel_environment="smp")


def test_a_resource_of_the_plan_that_is_asked_for_again_is_refused(own):
    with pytest.raises(ClusterOptionError, match=r"other counts .*-l gpu=1,h_vmem=1M"):
        own(GOOD.replace("@{guards}", "@{guards}\n#$ -l gpu=1,h_vmem=1M"), "sge", memory_bytes=1024**3)


def test_directives_that_the_site_leaves_out_may_be_missing(own):
    assert own(GOOD, memory_bytes=1024**3, directives_skip=("--mem",))


def test_a_template_that_is_not_there_is_named(plan, tmp_path):
    with pytest.raises(ClusterOptionError, match=r"Cannot read the site's template .*none\.sh"):
        render(plan(templates={"mpi": str(tmp_path / "none.sh")}))

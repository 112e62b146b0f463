"""How options of job clusters follow from each other and from jobqueue.yaml; nothing is contacted."""

from __future__ import annotations

import re
import sys

import dask
import distributed  # noqa: F401  (before dask.config.set, which else takes its settings away with its own)
import pytest
import yaml

from simherd.clusters import job_script
from simherd.clusters.jobqueue.options import read_options
from simherd.clusters.lsf import KIND as LSF
from simherd.clusters.oar import KIND as OAR
from simherd.clusters.security import as_security
from simherd.clusters.sge import KIND as SGE
from simherd.clusters.slurm import KIND as SLURM
from simherd.errors import ClusterOptionError


@pytest.fixture
def configured():
    """Return a function that gives the options of a kind beside a section of jobqueue.yaml."""

    def read(kind, section, site=None, **given):
        with dask.config.set({"jobqueue": {kind.name: section}, "simherd": site or {}}):
            return read_options(kind, given)

    return read


def test_cores_that_are_given_count_more_than_processes_that_are_configured(configured):
    options = configured(SLURM, {"cores": 8, "processes": 8}, cores=2)

    assert (options.cores, options.processes) == (2, 2)


def test_workers_that_are_given_count_more_than_jobs_that_are_configured(configured):
    assert configured(SLURM, {"jobs": 2, "cores": 4}, workers=16).jobs == 4


def test_jobs_and_workers_that_do_not_fit_are_an_error(configured):
    with pytest.raises(ClusterOptionError, match="jobs=3 of 1 worker processes are not workers=8"):
        configured(SLURM, {}, jobs=3, workers=8)


def test_jobs_lie_between_the_bounds_of_adapt(configured):
    assert configured(SLURM, {}, adapt=(0, 4)).jobs == 1
    with pytest.raises(ClusterOptionError, match="jobs=8 is not between"):
        configured(SLURM, {}, adapt=(1, 4), jobs=8)


def test_no_dashboard_can_be_asked_for(configured):
    assert configured(SLURM, {}, dashboard_address=None).dashboard_address is None


def test_defaults_of_dask_jobqueue_are_none_of_the_user():
    import dask_jobqueue  # noqa: F401  (as a user does)

    options = read_options(SLURM, {})

    assert (options.walltime, options.name, options.shebang) == (3600, "simherd", None)


@pytest.mark.parametrize(
    ("section", "site", "given"),
    [
        ({}, {}, {"parallel_environment": "smp"}),
        ({"job-extra-directives": ["-pe smp 2"]}, {}, {}),
        ({}, {"sge": {"parallel-environment": "smp"}}, {}),
    ],
    ids=["option", "directive", "site"],
)
def test_the_parallel_environment_may_come_from_three_places(section, site, given):
    with dask.config.set({"jobqueue": {"sge": section}, "simherd": site}):
        options = read_options(SGE, {"cores": 2, **given})
        script = job_script("sge", cores=2, **given)

        assert SGE.environment(options) == "smp"
        assert script.count("-pe smp 2") == 1


def test_slots_in_a_directive_match_the_cores(configured):
    options = configured(SGE, {"job-extra-directives": ["-pe smp 8"]}, cores=2)
    with pytest.raises(ClusterOptionError, match="'-pe smp 8' books 8 slots, and cores=2"):
        SGE.environment(options)


@pytest.mark.parametrize("kind", [SLURM, SGE, LSF])
@pytest.mark.parametrize("walltime", [90, "90"])
def test_bare_number_as_walltime_is_refused(configured, kind, walltime):
    both = r"01:30:00 \(minutes\) or 00:01:30 \(seconds\)"

    with pytest.raises(ClusterOptionError, match=both):
        configured(kind, {"walltime": walltime})
    with pytest.raises(ClusterOptionError, match=both):
        configured(kind, {}, walltime=walltime)


def test_unquoted_time_that_yaml_turns_into_a_number_is_refused(configured):
    section = yaml.safe_load("walltime: 10:00:00")

    with pytest.raises(ClusterOptionError, match=r"10:00:00 \(seconds\)") as caught:
        configured(SLURM, section)
    assert "in quotes" in caught.value.fix


@pytest.mark.parametrize("kind", [LSF, OAR])
def test_walltime_of_two_numbers_is_refused_where_the_scheduler_reads_hours(configured, kind):
    both = r"30:00:00 \(hours and minutes\) or 00:30:00 \(minutes and seconds\)"

    with pytest.raises(ClusterOptionError, match=both):
        configured(kind, {"walltime": "30:00"})
    assert configured(kind, {"walltime": "00:30:00"}).walltime == 1800


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/scratch/my dir", "'/scratch/my dir'"),
        ("~/scratch", '"$HOME/scratch"'),
        ("${TMPDIR:-/tmp}/x; rm y", '"${TMPDIR:-/tmp}/x; rm y"'),
        ("$(touch x)", r'"\$(touch x)"'),
    ],
)
def test_paths_on_the_node_are_quoted(path, written):
    assert f"--local-directory {written}" in job_script("slurm", local_directory=path)


@pytest.mark.parametrize("option", [{"prologue": 7}, {"worker_arguments": 5}, {"memory": "much"}])
def test_what_has_no_sense_is_one_error(option):
    with pytest.raises(ClusterOptionError):
        read_options(SLURM, option)


def test_security_is_a_word_or_credentials():
    with pytest.raises(ClusterOptionError, match=r"security=\['a'\] is not known"):
        as_security(["a"], is_wanted=True)


def test_addresses_have_no_job_script():
    assert job_script("tcp://127.0.0.1:8786") is None


@pytest.mark.parametrize(
    ("given", "s"), [("5 min", 300), ("2mins", 120), ("1 minute", 60), ("90s", 90), (7, 7)]
)
def test_a_time_may_be_given_in_words(given, s):
    assert read_options(SLURM, {"death_timeout": given}).death_timeout == s


@pytest.mark.parametrize("given", ["0 s", "-5 s", "", "1e400 s", "soon", 0, -1, True])
def test_what_is_no_time_above_zero_is_an_error(given):
    with pytest.raises(ClusterOptionError, match="is not a time above 0"):
        read_options(SLURM, {"death_timeout": given})


def test_cores_are_those_of_processes_their_threads_and_those_of_libraries(configured):
    options = configured(SLURM, {}, cores=8, guard_threads=4)

    assert (options.processes, options.threads, options.tasks) == (2, 1, 2)
    assert configured(SLURM, {}, processes=2, threads_per_worker=3, guard_threads=2).cores == 12
    assert "--nthreads 1 " in (script := job_script("slurm", cores=8, guard_threads=4))
    assert "--nworkers 2" in script
    with pytest.raises(ClusterOptionError, match=r"cores=6 do not make 1 .* guard_threads=4 threads each"):
        configured(SLURM, {}, cores=6, guard_threads=4)


def test_workers_are_those_of_the_environment_that_jobs_activate(configured):
    site = {"activation": ["module load weather"]}
    with dask.config.set({"simherd": site}):
        assert "\npython -m simherd.clusters.job_worker" in job_script("slurm")
        assert "\n/opt/python -m simherd" in job_script("slurm", python="/opt/python")
    assert f"\n{sys.executable} -m simherd" in job_script("slurm", prologue=["module load weather"])


@pytest.mark.parametrize("kind", ["slurm", "sge", "lsf", "htcondor"])
def test_each_option_of_a_worker_is_given_once(kind):
    options = {"disk": "1 GB"} if kind == "htcondor" else {}
    (command,) = [line for line in job_script(kind, **options).splitlines() if "job_worker" in line]
    given = re.findall(r" (--[a-z-]+)", command)

    assert {"--nthreads", "--memory-limit", "--nworkers"} <= set(given)
    assert len(given) == len(set(given))


def test_shown_script_is_that_of_a_secure_cluster():
    script = job_script("slurm")

    assert " tls://<address of the Dask scheduler> " in script
    assert "--tls-key '<folder of this cluster>/tls_worker_key.pem'" in script
    assert "#SBATCH -e <folder of this cluster>/" in script


def test_shown_script_of_an_open_cluster_has_no_keys():
    script = job_script("slurm", security="none")

    assert " tcp://<address of the Dask scheduler> " in script
    assert "--tls" not in script


def test_shown_script_names_files_of_keys_that_are_given(tmp_path):
    files = {f"tls_{name}": str(tmp_path / name) for name in ("ca_file", "worker_cert", "worker_key")}
    script = job_script("slurm", security=files)

    assert f"--tls-key {tmp_path}/worker_key" in script
    assert f"--tls-ca-file {tmp_path}/ca_file" in script


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/me/my sweep.py", "my_sweep"),
        ("/x/simherd/__main__.py", "simherd"),
        ("/x/2nd.py", "s2nd"),
        (None, "simherd"),
    ],
)
def test_jobs_are_named_after_the_script_that_runs(configured, monkeypatch, path, name):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", path, raising=False)

    assert configured(SLURM, {}).name == name
    assert configured(SLURM, {"name": "ours"}).name == "ours"
    assert configured(SLURM, {"name": "ours"}, name="mine").name == "mine"


def test_a_script_that_is_only_shown_makes_no_folder_for_logs(tmp_path):
    folder = tmp_path / "logs"

    assert f"-o {folder}/simherd-%J.out" in job_script("slurm", log_directory=str(folder))
    assert not folder.exists()


@pytest.mark.parametrize(
    ("kind", "options", "line"),
    [
        ("slurm", {"job_mem": "3 GB"}, "#SBATCH --mem=2862M"),
        ("lsf", {"mem": "4 GB", "lsf_units": "gb"}, "#BSUB -M 4"),
        ("lsf", {"walltime": "00:01:30"}, "#BSUB -W 00:02"),
        ("htcondor", {"disk": "1 GB", "directives": ["accounting_group = ice"]}, "accounting_group = ice"),
        ("htcondor", {"disk": "1 GB"}, "MY.DaskWorkerDisk = 1000000000"),
        ("pbs", {"resource_spec": "select=1:ncpus=2:gpus=1"}, "#PBS -l select=1:ncpus=2:gpus=1"),
    ],
)
def test_an_option_that_only_some_kinds_have_is_in_their_scripts(kind, options, line):
    assert line in job_script(kind, **options).splitlines()


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("slurm", {"resource_spec": "gpu=1"}, "has no option 'resource_spec'"),
        ("slurm", {"parallel_environment": "smp"}, "has no option 'parallel_environment'"),
        ("htcondor", {"walltime": "01:00:00"}, "has no option 'walltime'"),
        ("slurm", {"job_mem": "much"}, "'much' is not a size of memory"),
        ("slurm", {"memory": 16}, "a number without one counts bytes"),
        ("lsf", {"lsf_units": "xb"}, "lsf_units='xb' is not known"),
        ("lsf", {"use_stdin": "no"}, "true or false is needed"),
        ("htcondor", {"disk": "1 GB", "directives": ["ice"]}, "'ice' is not allowed: HTCondor takes keys"),
        ("slurm", {"scheduler_options": 5}, "scheduler_options=5 is not allowed: keys with values"),
        ("slurm", {"shared_temp_directory": 5}, "the path of a folder is needed"),
        ("slurm", {"adapt": "(1, 8)"}, r"write for instance \[1, 8\]"),
    ],
)
def test_a_wrong_option_is_one_error(kind, options, said):
    with pytest.raises(ClusterOptionError, match=said):
        job_script(kind, **options)


def test_a_jobqueue_yaml_may_say_nothing():
    with dask.config.set(jobqueue=None):
        assert "#SBATCH --mem=2048M" in job_script("slurm")

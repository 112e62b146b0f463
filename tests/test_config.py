from __future__ import annotations

import dask
import pytest

from simherd.config import job_settings, site_settings, using_file
from simherd.errors import ClusterOptionError


@pytest.fixture
def configured(tmp_path):
    """Return a function that reads settings as from a jobqueue.yaml."""

    def read(text, function, kind):
        path = tmp_path / "jobqueue.yaml"
        path.write_text(text)
        with dask.config.set({"jobqueue": None, "simherd": None}), using_file(path):
            return function(kind)

    return read


def test_keys_of_dask_jobqueue_come_under_the_names_that_calls_have(configured):
    text = """
jobqueue:
  sge:
    cores: 8
    local-directory: /scratch
    job-script-prologue: [module load python]
    job-extra-directives: ["-pe smp 8"]
    queue: null
"""

    assert configured(text, job_settings, "sge") == {
        "cores": 8,
        "local_directory": "/scratch",
        "prologue": ["module load python"],
        "directives": ["-pe smp 8"],
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [("job-extra", "directives"), ("env-extra", "prologue"), ("extra", "worker_arguments")],
)
def test_an_old_key_is_understood_with_a_warning_that_gives_the_new_one(configured, old, new):
    with pytest.warns(FutureWarning, match=old):
        found = configured(f"jobqueue: {{slurm: {{{old}: [line]}}}}", job_settings, "slurm")

    assert found == {new: ["line"]}


def test_a_new_key_counts_more_than_its_old_one(configured):
    with pytest.warns(FutureWarning):
        found = configured(
            "jobqueue: {slurm: {env-extra: [old], job-script-prologue: [new]}}", job_settings, "slurm"
        )

    assert found == {"prologue": ["new"]}


def test_project_became_account_in_slurm_and_pbs_only(configured):
    with pytest.warns(FutureWarning, match="account"):
        assert configured("jobqueue: {slurm: {project: p}}", job_settings, "slurm") == {"account": "p"}

    assert configured("jobqueue: {sge: {project: p}}", job_settings, "sge") == {"project": "p"}


def test_a_misspelt_key_is_named_with_the_close_ones(configured):
    with pytest.warns(UserWarning, match="memery.*'memory'"):
        configured("jobqueue: {slurm: {memery: 4GB}}", job_settings, "slurm")


def test_what_stands_in_the_schedulers_own_section_counts_more(configured):
    text = "simherd: {launcher: mpirun, activation: source env, slurm: {launcher: srun}}"

    assert configured(text, site_settings, "slurm").launcher == "srun"
    assert configured(text, site_settings, "sge").launcher == "mpirun"
    assert configured(text, site_settings, "sge").activation == ("source env",)


def test_a_misspelt_key_of_ours_is_an_error(configured):
    with pytest.raises(ClusterOptionError, match=r"'luncher' is not known.*'launcher'"):
        configured("simherd: {luncher: srun}", site_settings, "slurm")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(ClusterOptionError, match=r"Cannot read the configuration .*none\.yaml"):
        using_file(tmp_path / "none.yaml").__enter__()


def test_the_settings_of_a_file_end_with_its_context(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("simherd: {launcher: srun}")
    with using_file(path):
        assert site_settings("slurm").launcher == "srun"

    assert site_settings("slurm").launcher == "mpirun"

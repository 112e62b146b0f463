from __future__ import annotations

from dataclasses import fields

import dask
import pytest

from simherd.config import _NEEDED, SiteSettings, job_settings, site_settings, using_file
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


@pytest.mark.parametrize(
    ("setting", "needed"),
    [
        ("templates: /x.sh", "keys with texts"),
        ("templates: {mpi: 5}", "keys with texts"),
        ("launcher: 5", "a text"),
        ('launcher: ""', "a text"),
        ("activation: 5", "a text or a list of texts"),
        ("activation: [1, 2]", "a text or a list of texts"),
        ("array-limit: '100'", "a whole number of 1 or more"),
        ("array_limit: 0", "a whole number of 1 or more"),
        ("memory-is-per-slot: 'no'", "true or false"),
        ("memory-resource: [h_vmem]", "a text"),
    ],
)
@pytest.mark.parametrize("section", ["simherd", "simherd.sge"])
def test_a_setting_of_a_site_that_it_cannot_have_is_an_error(configured, section, setting, needed):
    text = f"simherd: {{{setting}}}" if section == "simherd" else f"simherd: {{sge: {{{setting}}}}}"
    key = setting.partition(":")[0].replace("_", "-")

    with pytest.raises(ClusterOptionError) as caught:
        configured(text, site_settings, "sge")

    assert f"jobqueue.yaml, section {section}: {key}: found " in str(caught.value)
    assert f", needs {needed}. Fix: " in str(caught.value)


def test_each_setting_of_a_site_may_be_null_or_what_its_field_holds(configured):
    nulls = "".join(f"  {one.name.replace('_', '-')}: null\n" for one in fields(SiteSettings))
    given = SiteSettings(activation=("a", "b"), templates={"mpi": "/x.sh"}, memory_is_per_slot=False)
    text = "simherd: {activation: [a, b], templates: {mpi: /x.sh}, memory-is-per-slot: false}"

    assert configured(f"simherd:\n{nulls}", site_settings, "sge") == SiteSettings()
    assert configured(text, site_settings, "sge") == given


def test_every_field_of_a_site_is_checked():
    assert {one.type for one in fields(SiteSettings)} <= _NEEDED.keys()


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(ClusterOptionError, match=r"Cannot read the configuration .*none\.yaml"):
        using_file(tmp_path / "none.yaml").__enter__()


def test_the_settings_of_a_file_end_with_its_context(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("simherd: {launcher: srun}")
    with using_file(path):
        assert site_settings("slurm").launcher == "srun"

    assert site_settings("slurm").launcher == "mpirun"


@pytest.mark.parametrize("text", ["jobqueue: 5", "jobqueue: {slurm: 5}", "jobqueue: {sge: [a]}"])
def test_what_is_no_section_is_one_error_whichever_kind_is_asked_for(configured, text):
    with pytest.raises(ClusterOptionError, match="where keys with values are needed"):
        configured(text, job_settings, "slurm")

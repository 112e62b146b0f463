"""Settings of clusters and sites that are wrong, each a finding and no error."""

from __future__ import annotations

import dask
import distributed  # noqa: F401 - sets its defaults now, and not while other settings are there for a while
import pytest

from simherd.config import SiteSettings, using_file
from simherd.doctor import Verdict
from simherd.doctor.configuration import look, look_at_named, look_at_settings
from simherd.doctor.machine import examine_machine


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """Return a function that looks at a jobqueue.yaml where no batch scheduler is."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def read(text, function=look):
        path = tmp_path / "jobqueue.yaml"
        path.write_text(text)
        with dask.config.set({"jobqueue": None, "simherd": None}), using_file(path):
            return list(function())

    return read


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "jobqueue: {slurm: {core: 3, cores: two}}",
            ["'core' is not known and has no effect. Did you mean 'cores'?", "jobqueue.slurm: cores='two'"],
        ),
        ("jobqueue: {sge: {cores: 4, memory: much}}", ["'much'"]),
        ("jobqueue: 5", ["section jobqueue: found 5"]),
        ("jobqueue: {slurm: 5}", ["section jobqueue.slurm: found 5"]),
        ("simherd: {launcher: rsh}", ["simherd.launcher: 'rsh' is not known"]),
        ("simherd: {templates: {mpi: /nope, mpu: x}}", ["no file '/nope'", "no mode 'mpu'"]),
        ("simherd: {activaton: []}", ["Did you mean 'activation'?"]),
        ("simherd: {sge: {array-limit: many}}", ["array-limit: found 'many'"]),
    ],
)
def test_each_fault_is_a_finding_once(configured, text, parts):
    found = configured(text)

    assert [one.verdict for one in found] == [Verdict.WRONG] * len(parts)
    assert all(part in one.text and one.fix for one, part in zip(found, parts, strict=True))


def test_without_files_there_is_no_word_of_errors(monkeypatch):
    monkeypatch.setattr("dask.config.paths", [])
    with dask.config.set({"jobqueue": None, "simherd": None}):
        assert list(look()) == []


def test_an_old_name_works_and_is_a_note(configured):
    (found,) = configured("jobqueue: {slurm: {env-extra: [a]}}")

    assert found.verdict is Verdict.NOTE


@pytest.mark.parametrize(
    "text",
    ["{}", "jobqueue: {slurm: {cores: 2}, other: {a: 1}}", "simherd: {launcher: srun --mpi=pmix}"],
)
def test_settings_that_are_fine_are_one_line(configured, text):
    (found,) = configured(text)

    assert found.verdict is Verdict.FINE


def test_what_is_wrong_in_the_settings_does_not_end_the_doctor(configured):
    topics = [one.topic for one in configured("simherd: {activaton: []}", examine_machine)]

    assert topics.index("settings") < topics.index("MPI") < topics.index("network")


def test_a_launcher_may_have_a_path_and_options():
    assert not list(look_at_settings(SiteSettings(launcher="/opt/mpi/bin/mpirun --mca a b")))


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (SiteSettings(parallel_environment="nope"), "parallel-environment"),
        (SiteSettings(mpi_parallel_environment="nope"), "mpi-parallel-environment"),
        (SiteSettings(memory_resource="nope"), "memory-resource"),
    ],
)
def test_what_grid_engine_does_not_have_is_wrong(settings, key):
    (found,) = look_at_named(settings, ["smp"], ["h_vmem"])

    assert f"simherd.sge: {key}: Grid Engine has no 'nope'." in found.text


def test_what_grid_engine_has_is_fine():
    settings = SiteSettings(parallel_environment="smp", memory_resource="h_vmem")

    assert not list(look_at_named(settings, ["smp"], ["h_vmem"]))


@pytest.mark.slurm
def test_a_partition_that_is_not_there_is_wrong(slurm, tmp_path):
    path = tmp_path / "jobqueue.yaml"
    path.write_text("jobqueue: {slurm: {queue: nope}}")

    with dask.config.set({"jobqueue": None, "simherd": None}), using_file(path):
        found = [one.text for one in look()]

    assert "jobqueue.slurm: The partition 'nope' does not exist." in found[0]


@pytest.mark.sge
def test_the_resources_of_grid_engine_are_asked_for(sge, tmp_path):
    path = tmp_path / "jobqueue.yaml"
    path.write_text("simherd: {sge: {memory-resource: nope_mem, disk-resource: tmpdir}}")

    with dask.config.set({"jobqueue": None, "simherd": None}), using_file(path):
        found = [one.text for one in look()]

    assert found == ["simherd.sge: memory-resource: Grid Engine has no 'nope_mem'."]

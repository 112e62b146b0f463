"""The batch jobs that worked on a store, kept with it."""

from __future__ import annotations

import pytest
import zarr

from simherd.batch_jobs import BatchJob
from simherd.errors import RunInterruptedError
from simherd.events import JobsSeen, RunStarted
from simherd.executors.serial import SerialExecutor
from simherd.store.jobs import JOBS, jobs_in_folder, read_jobs
from simherd.store.reading import read_state


class OnJobs(SerialExecutor):
    """Runs here, and says that workers have jobs."""

    def __init__(self, *job_ids: str) -> None:
        super().__init__()
        self.job_ids = job_ids

    def batch_jobs(self):
        return frozenset(BatchJob(scheduler="slurm", job_id=job_id) for job_id in self.job_ids)


def run(walk, path, **options):
    return walk.setup([1.0, 2.0, 3.0]).simherd.run(walk.model, batch_dim="member", store=path, **options)


def recorded(records):
    return [(one.job.job_id, one.roles) for one in records]


@pytest.fixture
def in_job(monkeypatch):
    """Let this process run in a job."""
    return lambda job_id: monkeypatch.setenv("SLURM_JOB_ID", job_id)


def test_jobs_of_run_and_workers_stay_in_the_store(walk, in_job, tmp_path):
    in_job("17")
    run(walk, tmp_path / "out.zarr", scheduler=OnJobs("18", "19"))

    jobs = read_state(tmp_path / "out.zarr").jobs
    assert recorded(jobs) == [("17", ("client",)), ("18", ("workers",)), ("19", ("workers",))]
    assert {one.job.scheduler for one in jobs} == {"slurm"}


def test_resumed_run_adds_its_jobs(walk, in_job, tmp_path):
    for job, workers in (("17", "18"), ("20", "21")):
        in_job(job)
        run(walk, tmp_path / "out.zarr", rerun="all", scheduler=OnJobs(workers))
    in_job("30")
    run(walk, tmp_path / "out.zarr", resume=True)  # nothing is left to run

    assert [job_id for job_id, _ in recorded(read_state(tmp_path / "out.zarr").jobs)] == [
        "17",
        "18",
        "20",
        "21",
    ]


def test_shares_record_a_job_each(walk, in_job, tmp_path):
    for number in (1, 2, 3):
        in_job(str(number))
        run(walk, tmp_path / "out.zarr", share=(number, 3), block_size=1)

    assert recorded(read_state(tmp_path / "out.zarr").jobs) == [(n, ("client",)) for n in "123"]


def test_job_is_recorded_before_its_first_simulation_ends(walk, in_job, tmp_path):
    in_job("17")

    def interrupt(event):
        if isinstance(event, JobsSeen):
            raise RunInterruptedError("killed")

    with pytest.raises(RunInterruptedError):
        run(walk, tmp_path / "out.zarr", scheduler=OnJobs("18"), subscribers=[interrupt])

    assert recorded(read_state(tmp_path / "out.zarr").jobs)[0] == ("17", ("client",))


def test_job_of_client_and_worker_is_one(walk, in_job, tmp_path):
    in_job("17")
    run(walk, tmp_path / "out.zarr", scheduler=OnJobs("17"))

    assert recorded(read_state(tmp_path / "out.zarr").jobs) == [("17", ("client", "workers"))]


def test_single_simulation_records_its_job(walk, in_job, tmp_path):
    in_job("17")
    walk.setup(1.0).simherd.run(walk.model, store=tmp_path / "out.zarr")

    assert recorded(read_state(tmp_path / "out.zarr").jobs) == [("17", ("client",))]


@pytest.mark.parametrize("batch_dim", ["member", None])
def test_group_in_memory_has_its_jobs_as_an_attribute(walk, in_job, tmp_path, batch_dim):
    in_job("17")
    group = zarr.open_group({}, mode="a")
    setup = walk.setup([1.0, 2.0] if batch_dim else 1.0)
    result = setup.simherd.run(walk.model, batch_dim=batch_dim, store=group)

    assert recorded(read_jobs(tmp_path, result.attrs)) == [("17", ("client",))]


def test_run_outside_of_jobs_records_nothing(walk, tmp_path):
    run(walk, tmp_path / "out.zarr")

    assert read_state(tmp_path / "out.zarr").jobs == ()
    assert not (tmp_path / "out.zarr" / "journal").exists()


def test_record_that_cannot_be_written_is_a_warning(in_job, tmp_path):
    in_job("17")
    (tmp_path / "journal").write_text("")

    with pytest.warns(RuntimeWarning, match="does not record the jobs 17 of this run"):
        jobs_in_folder(tmp_path)(RunStarted(simulations=3, blocks=3, workers=1, where="here"))


@pytest.mark.parametrize("line", ["", "[]", "{", '{"scheduler": "slurm"}', '{"job_id": 3}', "\0", "1" * 5000])
def test_lines_that_are_no_records_are_left_out(in_job, tmp_path, line):
    in_job("17")
    jobs_in_folder(tmp_path).record_this()
    (tmp_path / "journal" / "jobs" / "other.jsonl").write_text(line + "\n")

    assert recorded(read_jobs(tmp_path, {JOBS: line})) == [("17", ("client",))]

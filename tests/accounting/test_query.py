"""Jobs are asked for once, and those that the accounting does not know by their state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simherd.accounting import job_usage, query
from simherd.errors import ClusterOptionError, SchedulerError
from simherd.schedulers import JobState, JobStatus, Partition, Site, Words

HEADER = "JobID|JobIDRaw|Partition|State|ElapsedRaw|AllocCPUS|NNodes\n"


class Fake:
    """A batch scheduler that answers with a text."""

    name = "slurm"
    accounts_when_over = False
    words = Words(scheduler="SLURM", queue="partition", look="", look_limits="", look_nodes="")

    def __init__(self, text="", error=None):
        self.text, self.error, self.asked, self.site_asked = text, error, [], 0

    def is_installed(self):
        return True

    def accounting(self, job_ids):
        self.asked.append(list(job_ids))
        if self.error:
            raise self.error
        return self.text

    def query(self, job_ids):
        return {
            one: JobStatus(job_id=one, state=JobState.PENDING, native="PENDING", reason="Resources")
            for one in job_ids
        }

    def site(self):
        self.site_asked += 1
        return Site(partitions=(Partition(name="short", cores_per_node=8),))


@pytest.fixture
def ask(monkeypatch):
    """Return a function that asks a fake scheduler for jobs."""

    def function(fake, *job_ids, scheduler="slurm"):
        monkeypatch.setattr(query, "find", lambda name: fake)
        monkeypatch.setattr(query, "find_installed", lambda: [fake])
        return job_usage(job_ids, scheduler)

    return function


@pytest.mark.parametrize("scheduler", ["slurm", None])
def test_all_jobs_are_asked_for_at_once(ask, scheduler):
    fake = Fake(f"{HEADER}12|12|short|COMPLETED|10|1|1\n13|13|short|FAILED|10|1|1\n")
    found = ask(fake, "13", "12", "13", scheduler=scheduler)

    assert fake.asked == [["13", "12"]]
    assert [usage.job_id for usage in found] == ["12", "13"]
    assert not fake.site_asked


def test_job_that_accounting_does_not_know_has_its_state(ask):
    (usage,) = ask(Fake(HEADER), "14")

    assert (usage.state, usage.reason, usage.wall_s) == (JobState.PENDING, "Resources", None)


def test_array_job_is_all_its_tasks_and_a_task_may_have_its_own_number(ask):
    text = f"{HEADER}12_1|12|short|COMPLETED|10|1|1\n12_2|16|short|COMPLETED|10|1|1\n"

    assert [usage.job_id for usage in ask(Fake(text), "12")] == ["12_1", "12_2"]
    assert [usage.job_id for usage in ask(Fake(text), "16")] == ["12_2"]
    assert [usage.job_id for usage in ask(Fake(text), "12_1")] == ["12_1"]
    assert [usage.job_id for usage in ask(Fake(text.replace("12", "112")), "12_1", "112")][-1] == "12_1"


def test_nodes_are_looked_up_for_jobs_on_several(ask):
    fake = Fake(f"{HEADER}12|12|short|COMPLETED|10|4|2\n")

    assert ask(fake, "12")[0].cores_per_node == 8


def test_site_without_accounting_tells_states_and_says_so(ask):
    error = SchedulerError("x", stderr="Slurm accounting storage is disabled")

    with pytest.warns(UserWarning, match="keeps no accounting here"):
        (usage,) = ask(Fake(error=error), "12")
    assert usage.state is JobState.PENDING


def test_scheduler_that_does_not_answer_is_an_error(ask):
    with pytest.raises(SchedulerError):
        ask(Fake(error=SchedulerError("down", stderr="Connection refused")), "12")


@pytest.mark.parametrize(
    ("count", "words"), [(0, "no batch scheduler is"), (2, "several batch schedulers are")]
)
def test_batch_scheduler_must_be_clear(monkeypatch, count, words):
    monkeypatch.setattr(query, "find_installed", lambda: [Fake()] * count)

    with pytest.raises(ClusterOptionError, match=words):
        job_usage(["12"])


def test_no_jobs_are_no_usage(ask):
    assert ask(Fake(), *()) == []


def test_attempts_stay_apart(ask):
    text = f"{HEADER}12|12|short|REQUEUED|10|1|1\n12|12|short|COMPLETED|5|1|1\n"
    first, second = ask(Fake(text), "12")

    assert replace(first, attempt=2) != second
    assert (first.label, second.label) == ("12 (attempt 1)", "12 (attempt 2)")


def test_reason_why_a_job_waits_is_asked_for_where_accounting_has_none(ask):
    (usage,) = ask(Fake(f"{HEADER}12|12|short|PENDING|0|1|1\n"), "12")

    assert usage.reason == "Resources"


def test_tasks_that_are_not_over_are_told_by_their_state(ask):
    fake = Fake(f"{HEADER}12_1|12|short|COMPLETED|10|1|1\n")
    assert len(ask(fake, "12")) == 1

    fake.accounts_when_over = True
    over, waiting = ask(fake, "12")
    assert (over.job_id, waiting.job_id, waiting.state) == ("12_1", "12", JobState.PENDING)

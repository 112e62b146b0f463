"""No text that a scheduler prints, whatever it is, breaks a parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simherd.schedulers import JobState, JobStatus, sge_accounting, sge_site, sge_text, slurm_text
from simherd.schedulers.states import WORST_FIRST, summarize

SCRAPS = """
JobId= PartitionName=a MaxTime= State=UP 12 1- = | _ [1-9%2] RUNNING 0:9 CPUTot= RealMemory= ² 1.2G
<job_list> </job_list> <a> <JB_job_number> <state> qw job_number: qname pe_name h_rt [h=1] jobnumber
failed 100 exit_status ====================
"""
PHRASES = ("error reason", "\\\n", "MaxArraySize = ", "max_aj_tasks ", "9" * 5000, "\x00", "\u2028")
WORDS = st.sampled_from([*SCRAPS.split(), *PHRASES])
TEXTS = st.one_of(st.text(), st.lists(st.one_of(WORDS, st.sampled_from([" ", "\n", ":", ","]))).map("".join))

PARSERS = [
    slurm_text.parse_submitted,
    slurm_text.parse_squeue,
    slurm_text.parse_sacct,
    slurm_text.parse_job,
    slurm_text.parse_array_limit,
    slurm_text.read_duration,
    slurm_text.read_state,
    sge_text.parse_submitted,
    sge_text.parse_qstat,
    sge_text.parse_reasons,
    sge_accounting.parse_accounting,
    sge_accounting.read_size,
    sge_text.read_state,
    sge_site.parse_blocks,
    sge_site.parse_hosts,
    sge_site.parse_environments,
    sge_site.parse_array_limit,
]


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: f"{parse.__module__}.{parse.__name__}")
@given(text=TEXTS)
def test_a_parser_takes_any_text(parse, text):
    parse(text)


@given(partitions=TEXTS, nodes=TEXTS)
def test_partitions_are_read_from_any_text(partitions, nodes):
    slurm_text.parse_partitions(partitions, nodes)


@given(queues=TEXTS)
def test_queues_are_read_from_any_text(queues):
    sge_site.parse_queues(queues, [])


@given(native=TEXTS, wanted=TEXTS)
def test_any_two_job_ids_can_be_compared(native, wanted):
    status = JobStatus(job_id=native, state=JobState.RUNNING)

    slurm_text.belongs(status, wanted)
    sge_text.belongs(status, wanted)


@given(states=st.lists(st.sampled_from(list(JobState)), min_size=1))
def test_an_array_job_is_over_when_all_its_tasks_are(states):
    tasks = [JobStatus(job_id=f"7_{n}", state=state) for n, state in enumerate(states)]

    whole = summarize("7", tasks)

    assert whole.job_id == "7"
    assert whole.state.is_over == all(state.is_over for state in states)
    assert (whole.state is JobState.DONE) == all(state is JobState.DONE for state in states)


def test_each_state_has_its_place():
    assert sorted(WORST_FIRST, key=str) == sorted(JobState, key=str)

"""Accounting of Grid Engine is read the same way whichever version printed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from simherd.accounting import cpu_efficiency, memory_efficiency, parse_qacct, time_efficiency
from simherd.errors import AccountingError
from simherd.schedulers import JobState

DATA = Path(__file__).parent / "data"
LINE = (
    "all.q:vm:root:root:job.sh:365:sge:0:1796034271:1796034271:1796034303:100:137:32:0.001442:0.007902:"
    "4796.000000:0:0:0:0:485:0:0:0.000000:16:0:0:0:6:5:NONE:defaultdepartment:smp:{slots}:{task}:{cpu}:"
    "0.145720:0.038926:{category}:0.000000:{slave}:{maxvmem}:0:0"
)


def read(name):
    return (DATA / name).read_text()


def line(**changed):
    words = {"slots": 1, "task": 0, "cpu": 2.6, "category": "-l h_rt=600 -pe smp 1", "slave": "NONE"}
    return LINE.format(**{**words, "maxvmem": "181170176.000000", **changed})


def one(text):
    (usage,) = parse_qacct(text)
    return usage


def record(**changed):
    """Return a record with the lines of the parallel one, some changed, without others (None)."""
    lines = dict(text.split(maxsplit=1) for text in read("sge-8.1-parallel.txt").splitlines())
    lines.update(changed)
    return "".join(f"{name} {value}\n" for name, value in lines.items() if value is not None)


@pytest.mark.parametrize(
    ("case", "cpu", "memory", "time"),
    [
        ("parallel", 0.8730, 12.973 / 192, 21 / 600),
        ("serial", 0.1307, 13.432 / 192, 126 / 600),
        ("dask-worker", 0.9515, 18.891 / 48, 766 / 3600),
    ],
)
def test_efficiency_is_use_of_what_was_allocated(case, cpu, memory, time):
    usage = one(read(f"sge-8.1-{case}.txt"))

    assert cpu_efficiency(usage) == pytest.approx(cpu, abs=5e-5)
    assert memory_efficiency(usage) == pytest.approx(memory)
    assert time_efficiency(usage) == pytest.approx(time)


def test_bare_numbers_of_earlier_versions_have_the_units_of_the_file():
    usage = one(read("sge-6.2-killed.txt"))

    assert usage.memory_bytes == pytest.approx(52.969 * 2**30, abs=1)
    assert usage.io_bytes == pytest.approx(1547.102 * 2**30, abs=1)
    assert (usage.cpu_s, usage.wall_s, usage.cores, usage.signal) == (66629.51, 22682.0, 12, 9)
    assert usage.memory_asked_bytes is usage.walltime_s is None


def test_univa_says_in_the_command_what_was_asked_for():
    usage = one(read("uge-8.6-done.txt"))

    assert (usage.walltime_s, usage.memory_asked_bytes) == (7200.0, 4 * 8 * 2**30)
    assert cpu_efficiency(usage) == pytest.approx(10970.884 / (4 * 5667.266))
    assert (usage.io_wait_s, usage.started.second) == (99.27, 51)


def test_line_of_the_accounting_file_is_a_record():
    usage = one(f"# Version: 8.1\n\n{line(task=7)}\n")

    assert (usage.job_id, usage.state, usage.signal) == ("365.7", JobState.CANCELLED, 9)
    assert (usage.memory_bytes, usage.cpu_s, usage.wall_s, usage.walltime_s) == (181170176, 2.6, 32.0, 600.0)
    assert usage.started.timestamp() == 1796034271


def test_category_may_have_colons():
    usage = one(line(category="-l h_rt=600,when=12:30:00 -q a:b"))

    assert (usage.walltime_s, usage.memory_bytes) == (600.0, 181170176)


def test_milliseconds_since_1970_are_times():
    usage = one(line().replace("1796034271", "1796034271000").replace("1796034303", "1796034303500"))

    assert (usage.ended - usage.started).total_seconds() == 32.5


def test_slaves_add_cpu_time_but_no_slots():
    master, slave = line(slots=4), line(slots=4, slave="1.node", cpu=10.0, maxvmem="1000.0")
    usage = one(f"{slave}\n{master}\n{slave}\n")

    assert (usage.cpu_s, usage.cores, usage.wall_s) == (22.6, 4, 32.0)
    assert (usage.memory_bytes, usage.memory_at_most_bytes) == (181170176, 181172176)


def test_records_of_a_parallel_job_at_the_same_time_are_its_slaves():
    usage = one(record() + record(hostname="other", ru_wallclock="5s", end_time="Thu Feb 24 12:48:40 2022"))

    assert usage.cpu_s == pytest.approx(2 * 146.665)
    assert (usage.wall_s, usage.node_count, usage.attempt) == (21.0, 2, 1)


def test_job_that_ran_twice_has_two_attempts():
    times = {"start_time": "Thu Feb 24 13:00:00 2022", "end_time": "Thu Feb 24 13:00:21 2022"}
    for again in ({"failed": "25  : rescheduling", "start_time": "-/-"}, {"exit_status": "99"}):
        first, second = parse_qacct(record(**again) + record(**times, qsub_time="Thu Feb 24 12:59:00 2022"))

        assert (first.attempt, first.is_last, first.state) == (1, False, JobState.PREEMPTED)
        assert (second.attempt, second.is_last, second.state) == (2, True, JobState.DONE)


def test_same_id_submitted_at_another_time_is_another_job():
    before = dict.fromkeys(("qsub_time", "start_time", "end_time"), "Thu Feb 24 12:48:24 2005")
    found = parse_qacct(record(**before) + record())

    assert [(usage.attempt, usage.is_last) for usage in found] == [(1, True), (1, True)]


@pytest.mark.parametrize("name", ["cpu", "maxvmem", "io", "iow"])
@pytest.mark.parametrize("value", ["0.000", "0.000B", None, "?"])
def test_what_was_not_measured_is_no_data(name, value):
    usage = one(record(**{name: value}))

    fields = {"cpu": "cpu_s", "maxvmem": "memory_bytes", "io": "io_bytes", "iow": "io_wait_s"}
    assert getattr(usage, fields[name]) is None


def test_job_that_could_not_start_used_nothing():
    usage = one(record(failed="26 : opening output file", ru_wallclock="0s", exit_status="0"))

    assert usage.never_ran
    assert usage.wall_s is usage.cpu_s is usage.memory_bytes is usage.exit_code is None


def test_wall_time_is_between_start_and_end_where_it_is_printed_as_zero():
    assert one(record(failed="100 : assumedly after job", ru_wallclock="0s")).wall_s == 21.0


def test_resident_memory_is_used_of_resident_memory():
    asked = {"category": "-l m_mem_free=4G -pe smp 8", "maxrss": "3.000G"}

    assert one(record(**asked)).memory_bytes == 3 * 2**30
    assert one(record(**{**asked, "maxrss": "0.000"})).memory_bytes == pytest.approx(12.973 * 2**30, abs=1)


def test_memory_is_asked_for_in_the_units_of_the_manual():
    assert one(record(category="-l h_vmem=2g")).memory_asked_bytes == 8 * 2 * 1000**3


def test_rules_between_records_are_not_needed():
    assert len(parse_qacct(f"$ qacct -j 1\n{record()}\ntext\n{record(jobnumber='2')}")) == 2


def test_killed_job_of_many_slots_is_judged_by_the_memory_of_all():
    usage = one(record(failed="100 : assumedly after job", exit_status="137"))
    assert usage.state is JobState.CANCELLED

    full = one(record(failed="100 : assumedly after job", exit_status="137", maxvmem="190.000GB"))
    assert full.state is JobState.OUT_OF_MEMORY


@pytest.mark.parametrize("text", ["", "error: job id 9 not found\n", "jobname x\n", "a:b:c\n"])
def test_text_without_records_is_an_error(text):
    with pytest.raises(AccountingError, match="no record of a job") as caught:
        parse_qacct(text)

    assert ("job id 9" in str(caught.value)) == ("job id 9" in text)

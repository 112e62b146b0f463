"""The table of failures: real processes, real signals, and what must hold after each.

The store opens; what it calls done is there, bit for bit; a resumed run gives what an undisturbed one
gives; no process, lock or temporary file stays.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

LIMIT_S = 60
PENDING, DONE, FAILED = 0, 1, 2
VICTIMS = Path(__file__).with_name("victims.py")

CLIENT = pytest.param("client", marks=pytest.mark.cluster)
IN_PROCESSES = ["processes", CLIENT]

pytestmark = pytest.mark.slow


def mend(table, reference, executor="serial"):
    """Run again what failed, with nothing ordered any more, and check that all is as if nothing had been."""
    table.order()
    since, finished = len(table.log), table.whole_blocks()
    table.resume(executor, rerun="failed")

    table.check_whole(reference)
    table.check_not_again(finished, since)
    table.check_clean()


# Simulations that fail ---------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", ["serial", CLIENT])
def test_a_simulation_that_raises(table, uninterrupted, executor):
    table.order(harm={5: "raise", 10: "raise"})
    told = table.start(executor).ends(3)

    assert told["status"] == table.check().tolist()
    table.check_failed_only({5: "ordered to fail", 10: "ordered to fail"})
    assert all("run_step" in entry["traceback"] for entry in table.journal().values())
    table.check_clean()

    since = len(table.log)
    table.start(executor, resume=True).ends(3)  # what failed is not missing
    table.check_failed_only({5: "ordered to fail", 10: "ordered to fail"})
    assert {number for number, _ in table.log[since:]} <= {0}

    mend(table, uninterrupted(table), executor)


@pytest.mark.parametrize(
    ("executor", "harm"),
    [
        ("processes", "segfault"),
        ("processes", "exit"),
        pytest.param("client", "kill", marks=pytest.mark.cluster),
    ],
)
def test_a_simulation_that_kills_its_worker(table, uninterrupted, executor, harm):
    table.order(harm={5: harm})
    table.start(executor).ends(3)

    table.check_failed_only({5: ""})
    table.check_clean()
    mend(table, uninterrupted(table))


def test_several_simulations_that_kill_their_workers_in_one_block(table, uninterrupted):
    table.order(harm={4: "exit", 6: "segfault", 11: "kill"})
    table.start("processes").ends(3)

    table.check_failed_only({4: "", 6: "", 11: ""})
    table.check_clean()
    mend(table, uninterrupted(table))


@pytest.mark.parametrize("harm", ["exit", "spin"])
def test_a_first_simulation_that_kills_its_worker(table, uninterrupted, harm):
    """The first one is run beforehand too, to see what outputs look like."""
    table.order(harm={0: harm})
    table.start("processes", timeout_s=2).ends(3)

    table.check_failed_only({0: ""})
    table.check_clean()
    mend(table, uninterrupted(table))


@pytest.mark.parametrize(("executor", "harm"), [("serial", "segfault"), ("threads", "exit")])
def test_a_simulation_that_kills_the_whole_run(table, uninterrupted, executor, harm):
    codes = {"segfault": -signal.SIGSEGV, "exit": 3}
    table.order(pause=0.02, harm={9: harm})
    run = table.start(executor)

    run.ends(codes[harm])
    assert run.told == {}
    assert (table.check() == DONE).sum() >= table.block_size
    mend(table, uninterrupted(table))


@pytest.mark.cluster
def test_a_simulation_that_takes_more_memory_than_its_worker_has(table, uninterrupted):
    """A worker gets 500 MB, and the simulation would stop by itself at 2 GiB."""
    table.order(harm={5: "memory"})
    table.start("client", {"memory": "1 GB"}).ends(3)

    table.check_failed_only({5: ""})
    table.check_clean()
    mend(table, uninterrupted(table))


@pytest.mark.parametrize(
    ("executor", "harm"),
    [("processes", "spin"), pytest.param("client", "sleep", marks=pytest.mark.cluster)],
)
def test_a_simulation_that_never_ends(table, uninterrupted, executor, harm):
    table.order(harm={5: harm})
    table.start(executor, timeout_s=2).ends(3)

    table.check_failed_only({5: "took longer than timeout_s=2 and was ended"})
    assert [number for number, _ in table.log].count(5) == 1
    table.check_clean()
    mend(table, uninterrupted(table))


# Workers that are killed -------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", IN_PROCESSES)
def test_each_worker_is_killed_in_mid_block(table, uninterrupted, executor):
    table.simulations, table.block_size = 24, 6
    table.order(pause=0.1)
    run = table.start(executor, retries=2)
    table.until(lambda: len(workers(table)) == 2, "two workers")
    first, second = workers(table)

    kill_at_work(table, run, first)
    table.until(lambda: workers(table) - {first, second}, "a worker in its place")
    kill_at_work(table, run, second)
    run.ends(0)

    table.check_whole(uninterrupted(table))
    table.check_clean()


def workers(table, since=0):
    """Return the processes that ran simulations other than the first one, which may be a scout."""
    return {pid for number, pid in table.log[since:] if number}


def kill_at_work(table, run, pid):
    """Kill a worker a moment after it started a simulation, which takes longer than that."""
    since = len(table.log)
    table.until(lambda: pid in workers(table, since) or not run.is_running, "a simulation of a worker")
    assert run.is_running, run.output[-4000:]
    os.kill(pid, signal.SIGKILL)


# The client is killed ----------------------------------------------------------------------------------

STEPS_TO_A_STORE, STEPS_IN_A_RUN = 20, 60


@pytest.mark.parametrize(("executor", "moments"), [("serial", 12), ("processes", 6)])
def test_a_client_is_killed_at_random_moments(table, uninterrupted, executor, moments):
    """In the making of the store and in the run; failures are on their way to the journal, too."""
    table.simulations = 96
    harm = dict.fromkeys(range(5, 96, 17), "raise")
    table.order(pause=0.005, harm=harm)
    rng = np.random.default_rng(1998)
    killed = before_store = in_the_middle = 0

    for _ in range(3 * moments):
        status, since, finished = table.check(), len(table.log), table.whole_blocks()
        steps = random_steps(rng, table.has_store, before_store < moments // 3) + steps_of(table)
        run = table.start(executor, resume=True)
        table.until(lambda r=run, s=steps: steps_of(table) >= s or not r.is_running, "step", pause_s=0.001)
        run.kill()
        code = run.wait()
        assert code in (3, -signal.SIGKILL), run.output
        after = table.check()
        assert (after == status)[status != PENDING].all(), "what was settled is so no more"
        table.check_not_again(finished, since)
        if code == 3:
            complete(table, executor, harm, uninterrupted(table))
            continue
        killed += 1
        before_store += not table.has_store
        in_the_middle += PENDING in after and DONE in after
        if killed >= moments and before_store >= 2 and in_the_middle >= moments // 3:
            break
    else:
        pytest.fail(f"only {killed} moments, {before_store} before a store, {in_the_middle} in its middle")
    table.start(executor, resume=True).ends(3)
    complete(table, executor, harm, uninterrupted(table))


def steps_of(table):
    """Return how far runs have come, whatever time it took: files that they wrote, simulations that began."""
    return sum(len(files) for _, _, files in os.walk(table.place)) + len(table.log)


def random_steps(rng, has_store, is_early):
    """Return how far a run is to come; without a store, on the way to one or beyond."""
    if has_store:
        return rng.integers(STEPS_IN_A_RUN)
    return rng.integers(STEPS_TO_A_STORE) + (0 if is_early else STEPS_TO_A_STORE)


def complete(table, executor, harm, reference):
    """Check that only failures of our making are left, run these again, and begin anew."""
    table.check_failed_only(dict.fromkeys(harm, "ordered to fail"))
    table.check_clean()
    table.order()
    table.resume(executor, rerun="failed")
    table.check_whole(reference)
    table.check_clean()
    shutil.rmtree(table.store)
    table.order(pause=0.005, harm=harm)


@pytest.mark.cluster
def test_a_client_with_a_cluster_of_its_own_is_killed(table, uninterrupted):
    table.simulations = 40
    table.order(pause=0.03)
    for done in (8, 16):
        finished, since = table.whole_blocks(), len(table.log)
        run = table.start("client", resume=True)
        table.until_done(run, done)
        run.kill()
        table.check_no_process()
        assert (table.check() == DONE).sum() >= done
        table.check_not_again(finished, since)

    finished, since = table.whole_blocks(), len(table.log)
    table.resume("client")

    table.check_whole(uninterrupted(table))
    table.check_not_again(finished, since)
    table.check_clean()


# The Dask scheduler is killed --------------------------------------------------------------------------


@pytest.fixture
def dask_cluster(table):
    """Start a scheduler and two workers as programs of their own; give its file and the scheduler."""
    file = table.folder / "scheduler.json"
    here = ["--host", "127.0.0.1", "--no-dashboard"]
    dask = ["env", f"TMPDIR={table.folder}", sys.executable, "-m", "dask"]
    scheduler = table.start_program([*dask, "scheduler", "--port", "0", "--scheduler-file", str(file), *here])
    table.until(file.exists, "a Dask scheduler")
    options = ["--nworkers", "2", "--nthreads", "1", "--death-timeout", "60", "--local-directory"]
    workers = table.start_program(
        [*dask, "worker", "--scheduler-file", str(file), *options, str(table.folder / "dask"), *here]
    )
    yield file, scheduler, workers
    for program in (workers, scheduler):
        program.kill()


@pytest.mark.cluster
def test_a_dask_scheduler_is_killed(table, uninterrupted, dask_cluster):
    table.simulations = 40
    table.order(pause=0.03, harm={30: "sleep"})  # it cannot end before its scheduler does
    file, scheduler, workers = dask_cluster
    run = table.start("external", {"scheduler_file": str(file)})
    table.until_done(run, 8)

    scheduler.kill()
    told = run.ends(1)
    workers.signal(signal.SIGTERM)
    workers.wait()

    assert "ClusterError" in told["kinds"]
    status = table.check()
    assert (status == DONE).sum() >= 8
    assert PENDING in status
    assert FAILED not in status
    table.order()
    finished, since = table.whole_blocks(), len(table.log)
    table.resume("processes")
    table.check_whole(uninterrupted(table))
    table.check_not_again(finished, since)
    table.check_clean()


# The disk is full --------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(table):
    """Mount a small file system where the store goes, and return a function that makes it larger."""
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root can mount a small file system")

    def mount(size, *options):
        argv = ["mount", "-t", "tmpfs", "-o", ",".join([*options, f"size={size}"]), "tmpfs", str(table.place)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, check=False)

    if (mounted := mount("64m")).returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr}")
    yield lambda size: mount(size, "remount").check_returncode()
    subprocess.run(["umount", "--lazy", str(table.place)], timeout=LIMIT_S, check=True)


@pytest.mark.parametrize(
    ("executor", "on_error"),
    [
        ("serial", "raise"),
        ("processes", "record"),
        pytest.param("client", "record", marks=pytest.mark.cluster),
    ],
)
def test_a_disk_that_is_full(table, uninterrupted, small_disk, executor, on_error):
    """The outputs of all 64 simulations take 1 MB."""
    table.simulations, table.cells = 64, 1000
    small_disk("640k")

    told = table.start(executor, on_error=on_error).ends(1)

    assert "StoreError" in told["kinds"]
    assert re.search("no space left|full", told["message"], re.IGNORECASE)
    status = table.check()
    assert DONE in status
    assert PENDING in status
    assert FAILED not in status
    table.check_clean()

    small_disk("64m")
    finished, since = table.whole_blocks(), len(table.log)
    table.resume("serial")
    table.check_whole(uninterrupted(table))
    table.check_not_again(finished, since)
    table.check_clean()


@pytest.mark.parametrize("size", ["4k", "16k", "48k"])
def test_a_disk_that_is_full_before_the_first_block(table, uninterrupted, small_disk, size):
    small_disk(size)

    told = table.start("serial").ends(1)

    assert "StoreError" in told["kinds"]
    assert set(table.check()) == {PENDING}
    table.check_clean()

    small_disk("64m")
    table.resume("serial")
    table.check_whole(uninterrupted(table))
    table.check_clean()


# Signals that ask to end -------------------------------------------------------------------------------

TO_RUNNER, TO_GROUP = False, True


@pytest.mark.parametrize(
    ("executor", "number", "to_group"),
    [
        ("serial", signal.SIGTERM, TO_RUNNER),
        ("serial", signal.SIGUSR1, TO_RUNNER),
        ("processes", signal.SIGINT, TO_GROUP),  # what a terminal does
        pytest.param("client", signal.SIGTERM, TO_RUNNER, marks=pytest.mark.cluster),
    ],
)
def test_a_signal_that_asks_to_end(table, uninterrupted, executor, number, to_group):
    check_interruption(table, uninterrupted, executor, number, to_group)


@pytest.mark.parametrize(
    ("executor", "number"),
    [
        ("processes", signal.SIGTERM),
        ("processes", signal.SIGUSR2),
        pytest.param("client", signal.SIGTERM, marks=pytest.mark.cluster),
    ],
)
def test_a_batch_scheduler_s_signal_to_all_processes_of_a_job(table, uninterrupted, executor, number):
    check_interruption(table, uninterrupted, executor, number, TO_GROUP)


def check_interruption(table, uninterrupted, executor, number, to_group):
    table.simulations, table.block_size = 128, 2
    table.order(pause=0.06)
    run = table.start(executor, grace_s=10)
    table.until_done(run, 4)
    before = len(table.log)

    run.signal(number, to_group)
    asked = time.monotonic()
    told = run.ends(4, limit_s=20)

    assert time.monotonic() - asked < 15
    assert "RunInterruptedError" in told["kinds"]
    assert "resume=True" in told["message"]
    status = table.check()
    assert (status == DONE).sum() >= 4
    assert (status == PENDING).sum() >= 8
    assert FAILED not in status
    assert len(table.log) - before <= 8, "blocks were begun after the signal"
    table.check_clean()

    finished, since = table.whole_blocks(), len(table.log)
    table.order()
    table.resume("serial")
    table.check_whole(uninterrupted(table))
    table.check_not_again(finished, since)
    table.check_clean()


@pytest.mark.parametrize("executor", IN_PROCESSES)
def test_blocks_that_outlast_the_grace_time_are_dropped(table, uninterrupted, executor):
    table.order(harm={5: "sleep"})
    run = table.start(executor, grace_s=1)
    table.until(lambda: 5 in dict(table.log) or not run.is_running, "a simulation without end")
    assert run.is_running, run.output

    run.signal(signal.SIGTERM)
    told = run.ends(4, limit_s=20)

    assert "RunInterruptedError" in told["kinds"]
    status = table.check()
    assert status[5] == PENDING
    assert FAILED not in status
    table.check_clean()

    table.order()
    table.resume("serial")
    table.check_whole(uninterrupted(table))
    table.check_clean()


# Two clients, one store --------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [("processes", "serial"), ("serial", "processes")])
def test_a_second_client_is_refused(table, uninterrupted, first, second):
    table.order(pause=0.3)
    run = table.start(first, resume=True)
    table.until_done(run, 4)

    table.order(pause=2.0)
    told = table.start(second, resume=True).ends(1)
    assert run.is_running, "the test was too slow to tell anything"
    table.order()
    run.ends(0)

    assert {"StoreLockedError", "StoreError"} <= set(told["kinds"])
    assert str(table.store) in told["message"]
    assert len(table.log) <= 12 + 1, "the second client ran simulations"
    table.check_whole(uninterrupted(table))
    table.check_clean()


@pytest.mark.parametrize("state", ["absent", "killed"])
def test_of_two_clients_that_start_at_once_one_is_refused(table, uninterrupted, state):
    table.order(pause=0.1)
    if state == "killed":
        run = table.start("serial")
        table.until_done(run, 4)
        run.kill()

    runs = [table.start("serial", resume=True) for _ in range(2)]
    codes = sorted(run.wait() for run in runs)

    assert codes == [0, 1], [run.told for run in runs]
    refused = next(run for run in runs if run.wait())
    assert "StoreLockedError" in refused.told["kinds"]
    table.check_whole(uninterrupted(table))
    table.check_clean()


# The command line --------------------------------------------------------------------------------------

SIMHERD = str(Path(sys.executable).with_name("simherd"))


@pytest.fixture
def experiment(table):
    """Write an experiment file, of more simulations than are on their way at once, and return its path."""
    table.simulations = 24
    content = {
        "model": f"{VICTIMS}:model",
        "clocks": {"time": {"start": 0, "stop": 3, "num": 4}, "coarse": {"every": 3}},
        "outputs": {
            "victim__height": "time",
            "victim__profile": "coarse",
            "victim__count": None,
        },
        "batch": {
            "dim": "member",
            "sampling": "grid",
            "parameters": {"victim__number": {"values": [float(n) for n in range(table.simulations)]}},
        },
        "run": {
            "store": str(table.store),
            "scheduler": "processes",
            "block_size": 2,
        },
        "cluster": {"kind": "local", "workers": 2},
    }
    path = table.folder / "victims.yaml"
    path.write_text(yaml.safe_dump(content))
    table.block_size = 2
    return path


def test_the_command_line_says_how_to_go_on(table, experiment):
    table.order(pause=0.5)
    run = table.start_program([SIMHERD, "run", str(experiment)])
    table.until_done(run, 2)

    run.signal(signal.SIGTERM)
    run.ends(4)

    status = table.check()
    assert {DONE, PENDING} == set(status)
    table.check_clean()
    command = re.search(r"simherd run .*--resume.*", run.output)
    assert command is not None, run.output
    table.order()
    finished, since = table.whole_blocks(), len(table.log)
    table.start_program([SIMHERD, *shlex.split(command[0])[1:]]).ends(0)
    assert set(table.check()) == {DONE}
    table.check_not_again(finished, since)
    table.check_clean()


def test_the_command_line_runs_again_what_failed(table, experiment):
    table.order(harm={3: "raise"})
    table.start_program([SIMHERD, "run", str(experiment)]).ends(3)
    table.check_failed_only({3: "ordered to fail"})

    table.start_program([SIMHERD, "run", str(experiment), "--resume"]).ends(3)
    table.check_failed_only({3: "ordered to fail"})
    table.order()
    finished, since = table.whole_blocks(), len(table.log)
    table.start_program([SIMHERD, "run", str(experiment), "--resume", "--rerun", "failed"]).ends(0)

    assert set(table.check()) == {DONE}
    table.check_not_again(finished, since)
    table.check_clean()

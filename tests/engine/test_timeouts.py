from __future__ import annotations

import math
import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from simherd.engine import timeouts
from simherd.engine.timeouts import TimeLimit
from simherd.errors import SimherdError, SimulationTimeoutError
from simherd.warden import MARK

WITHOUT = "-Wignore::DeprecationWarning"
"""Python 3.12 warns of forks beside threads."""


def limit_of(seconds, may_end_process=False):
    return TimeLimit(seconds, may_end_process=may_end_process)


def spin():
    while True:
        pass


def spin_until(end):
    while time.monotonic() < end:
        pass


def add_arrays():
    values = np.zeros(1000)
    for _ in iter(int, 1):
        values = values + 1.0


def sleep_a_little_for_ever():
    while True:
        time.sleep(0.01)


def try_again_for_ever():
    while True:
        try:
            spin()
        except ValueError:
            continue


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    os.environ.pop(MARK, None)  # other tests start programs that are not this process's to end
    watchdog = timeouts._watchdog()
    assert not watchdog.running
    assert watchdog.armed_for == math.inf


@pytest.mark.parametrize("may_end_process", [False, True])
@pytest.mark.parametrize("work", [spin, add_arrays, sleep_a_little_for_ever, try_again_for_ever])
def test_a_simulation_is_ended_where_it_runs(work, may_end_process):
    started = time.monotonic()

    with pytest.raises(SimulationTimeoutError) as caught, limit_of(0.1, may_end_process).simulation(17):
        work()

    assert 0.1 <= time.monotonic() - started < 10
    assert "Simulation 17 took longer than timeout_s=0.1 and was ended." in str(caught.value)
    assert work.__name__ in [entry.name for entry in caught.traceback]


def test_the_error_is_an_ordinary_one_that_travels():
    with pytest.raises(SimulationTimeoutError) as caught, limit_of(0.01).simulation(3):
        spin()

    error = pickle.loads(pickle.dumps(caught.value))
    assert type(error) is type(caught.value) is SimulationTimeoutError
    assert str(error) == str(caught.value)
    assert isinstance(error, SimherdError)
    assert isinstance(error, TimeoutError)


def test_simulation_that_ends_after_its_time_has_failed():
    """Its worker is being ended, and the signals for that cut off what compiled code waits for."""
    timed = limit_of(60).simulation(3)

    with pytest.raises(SimulationTimeoutError, match="Simulation 3 took longer"), timed:
        timed.ends_at = time.monotonic()


def test_a_simulation_without_number_is_called_the_simulation():
    with pytest.raises(SimulationTimeoutError, match="The simulation took"), limit_of(0.01).simulation(-1):
        spin()


@pytest.mark.parametrize("may_end_process", [False, True])
def test_a_simulation_in_time_goes_on_undisturbed(may_end_process):
    limit = pickle.loads(pickle.dumps(limit_of(0.2, may_end_process)))
    end = time.monotonic() + 0.5

    while (started := time.monotonic()) < end:
        try:
            with limit.simulation(0):
                spin_until(started + 0.01)
        except SimulationTimeoutError:  # a busy machine may stop it for as long
            assert time.monotonic() - started >= limit.seconds


def test_errors_of_the_simulation_pass():
    with pytest.raises(ZeroDivisionError), limit_of(5, may_end_process=True).simulation(0):
        1 / 0  # noqa: B018  # it is the error that is wanted


def test_an_error_that_arrives_on_leaving_leaves_nothing_armed():
    """One matrix product is one instruction: the first chance for the error is the call of __exit__."""
    a = np.ones((500, 500))

    for _ in range(3):
        try:
            with limit_of(0.001, may_end_process=True).simulation(1):
                a @ a
        except SimulationTimeoutError:
            pass
        assert not timeouts._watchdog().running
        assert timeouts._watchdog().armed_for == math.inf


def test_a_simulation_that_goes_on_gets_the_error_again():
    """The grace time of a limit below 10 s is one second."""
    arrived = []

    def stubborn():
        while len(arrived) < 2:
            try:
                spin()
            except Exception as error:
                arrived.append((time.monotonic(), error))

    with limit_of(0.05).simulation(0):
        stubborn()

    (first, _), (second, error) = arrived
    assert isinstance(error, SimulationTimeoutError)
    assert 0.9 < second - first < 10


@pytest.mark.slow
def test_errors_stay_inside_their_simulation():
    """Several threads end their simulations about when the time is up, thousands of times."""
    stray: list[BaseException] = []
    counts = {"ended": 0, "done": 0}
    stop_at = time.monotonic() + 5.0

    def one_after_another(thread):
        chance = random.Random(thread)
        number = thread * 10**6
        try:
            while time.monotonic() < stop_at:
                number += 1
                seconds = chance.choice((0.0002, 0.001, 0.003))
                limit = limit_of(seconds, may_end_process=bool(number % 2))
                try:
                    with limit.simulation(number):
                        spin_until(time.monotonic() + seconds * chance.uniform(0.5, 1.2))
                except SimulationTimeoutError as error:
                    if f"Simulation {number} " not in str(error):
                        stray.append(error)
                    counts["ended"] += 1
                else:
                    counts["done"] += 1
                spin_until(time.monotonic() + chance.uniform(0, 0.0005))
        except BaseException as error:
            stray.append(error)

    threads = [threading.Thread(target=one_after_another, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not stray
    assert min(counts.values()) > 100


def run_script(body, timeout=30.0):
    head = """
        import sys, time
        from simherd.engine.timeouts import TimeLimit
        from pathlib import Path
        sign = Path(sys.argv[1])
        limit = TimeLimit(0.2, may_end_process=True, sign=sign)
    """
    code = textwrap.dedent(head) + textwrap.dedent(body)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        sign = Path(folder, "sign")
        done = subprocess.run(
            [sys.executable, WITHOUT, "-c", code, sign],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        done.sign = sign.read_text() if sign.exists() else ""
    assert done.stderr == ""
    return done, time.monotonic() - started


@pytest.mark.parametrize(
    "stuck",
    [
        "time.sleep(60)",
        "import re; re.match('(a+)+$', 'a' * 60 + 'b')",
        "import itertools; sum(itertools.repeat(0))",
    ],
)
def test_a_simulation_that_no_error_reaches_ends_its_process(stuck):
    done, _ = run_script(f"""
        def get_stuck():
            {stuck}
        print("started", flush=True)
        with limit.simulation(0):
            get_stuck()
        print("went on")
    """)

    assert done.returncode == -signal.SIGKILL
    assert done.stdout == "started\n"
    assert "in get_stuck" in done.sign


def test_the_process_ends_for_the_thread_that_is_stuck_first():
    done, seconds = run_script("""
        import threading
        patient = TimeLimit(60, may_end_process=True)
        def get_stuck():
            with limit.simulation(1):
                time.sleep(60)
        with patient.simulation(0):
            threading.Thread(target=get_stuck).start()
            time.sleep(60)
    """)

    assert done.returncode == -signal.SIGKILL
    assert "in get_stuck" in done.sign
    assert seconds < 20


@pytest.mark.slow
def test_other_simulations_are_timed_on_when_one_is_done():
    done, _ = run_script("""
        import threading
        def long_one():
            with TimeLimit(1.0, may_end_process=True, sign=sign).simulation(0):
                time.sleep(60)
        threading.Thread(target=long_one).start()
        for number in range(100):
            with limit.simulation(number):
                time.sleep(0.001)
        time.sleep(60)
    """)

    assert done.returncode == -signal.SIGKILL
    assert "in long_one" in done.sign


@pytest.mark.slow
def test_what_runs_between_simulations_has_no_limit():
    done, _ = run_script("""
        with limit.simulation(0):
            pass
        time.sleep(2.0)
        print("went on")
    """)

    assert (done.returncode, done.stdout) == (0, "went on\n")


def test_a_limit_of_errors_only_leaves_the_timer_of_the_user_alone():
    code = """
    import faulthandler, time
    from simherd.engine.timeouts import TimeLimit
    faulthandler.dump_traceback_later(0.5, exit=True)
    with TimeLimit(60.0, may_end_process=False).simulation(0):
        pass
    time.sleep(30)
    print("still here")
    """
    code = textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stdout) == (1, "")
    assert "Timeout" in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_a_watchdog_of_its_own():
    done, _ = run_script("""
        import os
        with limit.simulation(0):
            pass
        if os.fork() == 0:
            try:
                with limit.simulation(1):
                    while True: pass
            except TimeoutError:
                os._exit(42)
        print(os.waitstatus_to_exitcode(os.wait()[1]))
    """)

    assert done.stdout == "42\n"


def test_a_limit_costs_little_per_simulation():
    def cost(limit, times=2000):
        started = time.process_time()
        for number in range(times):
            with limit.simulation(number):
                pass
        return (time.process_time() - started) / times

    assert min(cost(limit_of(60)) for _ in range(5)) < 20e-6
    assert min(cost(limit_of(60, may_end_process=True)) for _ in range(5)) < 40e-6

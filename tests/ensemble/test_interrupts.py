from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

from simherd.ensemble.interrupts import Interrupts


def run_python(code):
    code = textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_a_signal_that_c_code_handles_stays_with_it():
    done = run_python("""
        import faulthandler, os, signal
        from simherd.ensemble.interrupts import Interrupts
        faulthandler.register(signal.SIGUSR1)
        with Interrupts(10.0) as interrupts:
            os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)
        print(interrupts.is_stopping, interrupts.is_over)
    """)

    assert done.returncode == 0, done.stderr
    assert done.stdout == "False False\n"
    assert done.stderr.count("most recent call first") == 2


@pytest.mark.parametrize(
    ("grace_s", "end"),
    [(0.2, "time.sleep(60)"), (60.0, "os.kill(os.getpid(), signal.SIGUSR1)")],
    ids=["the time", "a second signal"],
)
def test_the_grace_ends_with_its_time_or_a_second_signal(grace_s, end):
    done = run_python(f"""
        import os, signal, time
        from simherd.ensemble.interrupts import Interrupts
        with Interrupts({grace_s}) as interrupts, interrupts.leaving_at_the_end():
            os.kill(os.getpid(), signal.SIGTERM)
            print(interrupts.name, interrupts.is_stopping)
            {end}
            print("never")
        print(interrupts.is_over)
    """)

    assert (done.returncode, done.stdout, done.stderr) == (0, "SIGTERM True\nTrue\n", "")


def test_handlers_of_python_are_given_back():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    before = [signal.getsignal(number) for number in numbers]

    with Interrupts(1.0):
        during = [signal.getsignal(number) for number in numbers]

    assert [signal.getsignal(number) for number in numbers] == before
    assert all(one != other for one, other in zip(before, during, strict=True))


def test_an_alarm_of_the_user_stays_the_user_s():
    done = run_python("""
        import signal, time
        from simherd.ensemble.interrupts import Interrupts
        signal.signal(signal.SIGALRM, lambda *signal: print("alarm"))
        with Interrupts(0.0) as interrupts:
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            signal.pause()
        print(interrupts.is_stopping, interrupts.is_over)
    """)

    assert (done.returncode, done.stdout) == (0, "alarm\nFalse False\n"), done.stderr

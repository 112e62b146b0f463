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


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGALRM"])
def test_a_signal_that_c_code_handles_stays_with_it(name):
    done = run_python(f"""
        import faulthandler, os, signal
        from simherd.ensemble.interrupts import Interrupts
        faulthandler.register(signal.{name})
        with Interrupts(10.0) as interrupts:
            os.kill(os.getpid(), signal.{name})
        os.kill(os.getpid(), signal.{name})
        print(interrupts.is_stopping, interrupts.is_over)
    """)

    assert done.returncode == 0, done.stderr
    assert done.stdout == "False False\n"
    assert done.stderr.count("most recent call first") == 2


def test_without_an_alarm_a_second_signal_ends_the_grace():
    done = run_python("""
        import faulthandler, os, signal
        from simherd.ensemble.interrupts import Interrupts
        faulthandler.register(signal.SIGALRM)
        with Interrupts(0.0) as interrupts, interrupts.leaving_at_the_end():
            os.kill(os.getpid(), signal.SIGTERM)
            print(interrupts.name, interrupts.is_over)
            os.kill(os.getpid(), signal.SIGTERM)
            print("never")
        print(interrupts.is_over)
    """)

    assert (done.returncode, done.stdout, done.stderr) == (0, "SIGTERM False\nTrue\n", "")


def test_handlers_of_python_are_given_back():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]

    with Interrupts(1.0):
        during = [signal.getsignal(number) for number in numbers]

    assert [signal.getsignal(number) for number in numbers] == before
    assert all(one != other for one, other in zip(before, during, strict=True))

from __future__ import annotations

import io
import os
import pty
import sys
import time
from types import SimpleNamespace

import pytest

from simherd.events import BlockFinished, BlockLost, RunFinished, RunStarted, RunStopping, SimulationEnded
from simherd.progress import headline, late, progress_on, showing
from simherd.progress import rate as rate_module
from simherd.progress.plain import PlainProgress
from simherd.progress.rate import Tally
from simherd.progress.terminal import TerminalProgress
from simherd.progress.words import counted, format_duration, format_rate

START = RunStarted(simulations=100, blocks=10, workers=2, where="2 worker processes")


def block(start, failed=0, worker="1/1"):
    return BlockFinished(start=start, done=10 - failed, failed=failed, seconds=1.0, worker=worker)


LOST = BlockLost(simulations="simulations 40 to 49", reason="the process ended abruptly")


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that is set by hand: ``clock.s = 12.0``."""

    class Clock:
        s = 0.0

        def monotonic(self):
            return self.s

    made = Clock()
    monkeypatch.setattr(rate_module, "time", made)
    return made


class Stream(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


def test_a_terminal_gets_a_bar_and_all_else_lines():
    assert isinstance(progress_on(Stream(True)), TerminalProgress)
    assert isinstance(progress_on(Stream(False)), PlainProgress)


def test_the_headline_counts_in_words():
    one = RunStarted(simulations=1, blocks=1, workers=1, where="this process, one after another")

    assert headline(START) == "100 simulations in 10 blocks on 2 worker processes"
    assert headline(one) == "1 simulation in 1 block on this process, one after another"


def test_a_tally_counts_blocks_failures_and_workers():
    tally = Tally(100)

    tally.add(block(0, failed=3))
    tally.add(block(10, worker="2/2"))

    assert (tally.done, tally.failed, tally.settled) == (17, 3, 20)
    assert len(tally.workers) == 2


def test_workers_that_are_gone_count_no_more(clock):
    tally = Tally(1000, started=0.0)
    for clock.s, worker in [(1.0, "1"), (1.0, "2"), (20.0, "2"), (30.0, "3"), (31.0, "")]:
        tally.add(block(0, worker=worker))

    assert list(tally.workers) == ["2", "3"]


def test_rate_and_time_left_follow_the_clock(clock):
    tally = Tally(100, started=0.0)
    assert tally.remaining_s is None

    clock.s = 4.0
    tally.add(block(0))
    tally.add(block(10, worker="2/2"))

    assert tally.rate == 5.0
    assert tally.remaining_s == 16.0
    assert tally.speed == "5 per s on 2 workers, 16.0 s left"


def arrivals(costs, size=10):
    """Return blocks as they come back in time: one list of seconds per simulation for each worker."""
    came = []
    for worker, seconds in enumerate(costs):
        now = 0.0
        for one in seconds:
            now += one * size
            came.append(
                (now, BlockFinished(start=0, done=size, failed=0, seconds=one * size, worker=str(worker)))
            )
    return sorted(came, key=lambda arrival: arrival[0])


def time_left_at(clock, came, moment):
    """Return the time that a tally says is left at a moment, over the time that is."""
    tally = Tally(10 * len(came), started=0.0)
    for clock.s, event in came:
        if clock.s > moment:
            break
        tally.add(event)
    return tally.remaining_s / (came[-1][0] - moment)


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_time_left_is_right_soon_after_simulations_became_slower(clock, scale):
    came = arrivals([[0.2 * scale] * 100 + [0.4 * scale] * 100] * 2)

    assert came[-1][0] == pytest.approx(600 * scale)
    assert time_left_at(clock, came, 190 * scale) < 0.6
    assert time_left_at(clock, came, 225 * scale) == pytest.approx(1.0, abs=0.15)


def test_a_slow_start_is_forgotten(clock):
    came = arrivals([[3.0] + [0.1] * 200] * 4)

    assert time_left_at(clock, came, 60.0) == pytest.approx(1.0, abs=0.1)


def test_a_slow_worker_counts_for_what_it_does(clock):
    quick, slow = [0.1] * 200, [0.5] * 40

    assert time_left_at(clock, arrivals([quick, quick, quick, slow]), 60.0) == pytest.approx(1.0, abs=0.1)


def test_blocks_that_take_long_are_seen_several_at_a_time(clock):
    came = arrivals([[60.0] * 20] * 8)

    for moment in (1200.0, 3000.0, 5400.0, 9000.0):
        assert time_left_at(clock, came, moment) == pytest.approx(1.0, abs=0.1)


def test_a_tally_stays_small_however_many_blocks_come(clock):
    tally = Tally(10**6, started=0.0)

    for number in range(20_000):
        clock.s = number * 0.002
        tally.add(BlockFinished(start=0, done=1, failed=0, seconds=0.002, worker="1"))

    assert len(tally.arrivals) < 500
    assert tally.rate == pytest.approx(500, rel=0.02)


def test_before_anything_has_come_no_time_left_is_said(clock):
    tally = Tally(10, started=0.0)
    tally.add(BlockFinished(start=0, done=0, failed=0, seconds=1.0, worker="1"))

    assert tally.remaining_s is None
    assert tally.speed == ""


def test_a_simulation_that_was_lost_says_nothing_of_the_rate(clock):
    tally = Tally(100, started=0.0)

    clock.s = 30.0
    tally.add(BlockFinished(start=0, done=0, failed=1, seconds=0.0, worker=""))
    assert (tally.settled, tally.remaining_s) == (1, None)

    clock.s = 40.0
    tally.add(BlockFinished(start=0, done=39, failed=0, seconds=1.0, worker="1"))
    assert tally.rate == 1.0


@pytest.mark.parametrize("terminal", [True, False])
def test_a_lost_worker_is_one_line(terminal):
    stream = Stream(terminal)
    show = progress_on(stream)

    show(START)
    show(LOST)
    show.close()

    assert "A worker was lost with simulations 40 to 49: the process ended abruptly." in stream.getvalue()


def test_lines_come_now_and_then_and_at_the_end(clock):
    stream = io.StringIO()
    show = PlainProgress(stream)

    show(START)
    show.tally.started = 0.0
    for number in range(10):
        clock.s = number + 1.0
        show(block(10 * number, failed=number == 0))
    show(RunFinished(done=99, failed=1, seconds=10.0))
    show.close()

    assert stream.getvalue().splitlines() == [
        "100 simulations in 10 blocks on 2 worker processes",
        "20/100 (20%), 1 failed, 10 per s on 1 worker, 8.0 s left",
        "50/100 (50%), 1 failed, 10 per s on 1 worker, 5.0 s left",
        "80/100 (80%), 1 failed, 10 per s on 1 worker, 2.0 s left",
        "100/100 (100%), 1 failed, 10 per s on 1 worker",
    ]


def test_long_runs_get_a_line_a_minute(clock):
    stream = io.StringIO()
    show = PlainProgress(stream)
    show(RunStarted(simulations=10**6, blocks=10**5, workers=2, where="2 threads"))
    show.tally.started = 0.0

    for second in range(0, 7200, 10):
        clock.s = float(second)
        show(block(second))

    assert 100 < len(stream.getvalue().splitlines()) < 150


def test_the_bar_shows_how_far_it_is_and_what_failed(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Stream(True)
    show = TerminalProgress(stream)

    show(START)
    show(block(0, failed=2))
    show(block(10, worker="2/2"))
    show(RunFinished(done=18, failed=2, seconds=1.0))
    show.close()

    text = stream.getvalue()
    assert "100 simulations in 10 blocks on 2 worker processes" in text
    assert "20/100" in text
    assert "2 failed" in text
    assert "on 2 workers" in text


def test_a_bar_can_be_closed_before_it_began():
    TerminalProgress(Stream(True)).close()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (4.2, "4.2 s"), (59.97, "1 min 00 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")],
)
def test_durations_are_for_people(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [(0.01234, "0.0123 per s"), (6.344, "6.34 per s"), (99.96, "100 per s"), (7791.4, "7,791 per s")],
)
def test_rates_are_for_people(rate, text):
    assert format_rate(rate) == text


def test_nouns_follow_their_numbers():
    assert counted(1, "block") == "1 block"
    assert counted(0, "block") == "0 blocks"
    assert counted(2, "worker process", "worker processes") == "2 worker processes"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_a_signal_and_a_time_limit_do_is_said(is_terminal):
    stream = Stream(is_terminal)
    show = progress_on(stream)

    show(START)
    show(SimulationEnded(number=32, reason="Simulation 32 took longer than timeout_s=5 and was ended."))
    show(RunStopping(signal="SIGINT", blocks=2, grace_s=30.0))
    show.close()

    assert "Simulation 32 took longer than timeout_s=5 and was ended." in stream.getvalue()
    assert "SIGINT: finishing 2 blocks, up to 30 s; Ctrl-C again ends at once." in stream.getvalue()


@pytest.mark.parametrize(
    ("is_asked", "patience_s", "is_shown"),
    [(None, 60.0, False), (None, 0.0, True), (True, 60.0, True), (False, 0.0, False)],
)
def test_runs_from_python_show_progress_when_asked_or_when_they_take_time(
    monkeypatch, capsys, is_asked, patience_s, is_shown
):
    monkeypatch.setattr(late, "PATIENCE_S", patience_s)

    with showing(is_asked) as subscribers:
        for show in subscribers:
            show(START)
            show(block(0))
            time.sleep(0.2 if patience_s == 0 else 0)
            for start in range(10, 100, 10):
                show(block(start))
            show(RunFinished(done=100, failed=0, seconds=0.3))

    lines = capsys.readouterr().err.splitlines()
    assert bool(lines) == is_shown
    if is_shown:
        assert lines[0] == headline(START)
        assert lines[-1].startswith("100/100 (100%), ")


@pytest.mark.parametrize("has_widgets", [True, False])
def test_a_notebook_gets_a_bar_where_it_has_widgets(monkeypatch, has_widgets):
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr("simherd.progress.find_spec", lambda name: object() if has_widgets else None)

    with showing(True) as (show,):
        assert isinstance(show, TerminalProgress if has_widgets else PlainProgress)


@pytest.mark.parametrize("progress", [PlainProgress, TerminalProgress])
def test_a_terminal_that_is_gone_ends_no_run(progress):
    terminal, inner = pty.openpty()
    shown = progress(open(inner, "w"))  # noqa: SIM115  # closing it would fail as writing does
    os.close(terminal)

    shown(START)
    shown(block(0))
    shown.close()

    assert shown.tally.settled == 10

"""Which packs are sent, and what is made of what comes back, with an executor that loses workers."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from simherd.executors.base import Executor, Lost, Tasks
from simherd.parallel.arguments import read_arguments
from simherd.parallel.board import Board
from simherd.parallel.dispatch import Dispatch
from simherd.parallel.load import Gate
from simherd.parallel.packs import PackSizer
from simherd.parallel.task import Job, Kept, this_process


class Losing(Executor, Tasks):
    """Runs items when their results are asked for, and loses the worker of the first few."""

    workers, description, crosses_processes, running, room = 1, "a test", False, 0, 1

    def __init__(self, losses):
        self.losses, self.items = losses, []

    @contextmanager
    def tasks(self, function, shared, silence_s=None):
        self.call = lambda item: function(shared, item)
        yield self

    def submit(self, item):
        self.items.append(item)
        self.running, self.room = 1, 0

    def finished(self, timeout=None):
        self.running, self.room = 0, 1
        item = self.items.pop()
        if self.losses:
            self.losses -= 1
            return [(item, Lost("a test"))]
        return [(item, self.call(item))]

    def close(self): ...

    def __enter__(self): ...

    def __exit__(self, *exc_info): ...


class Reluctant(Gate):
    """Admits every other time."""

    interval_s = 0.001

    def __init__(self):
        self.asked = 0

    def admits(self, running):
        self.asked += 1
        return self.asked % 2 == 0


@pytest.fixture
def board():
    with Board.new() as board:
        yield board


def dispatch(function, executor, board, gate):
    job = Job(shared=Kept((function, (), ())), board=board, tasks=3, client=this_process())
    return Dispatch(read_arguments(range(3)), job, executor, PackSizer(1), gate).run(job)


def test_task_under_suspicion_runs_although_it_waits_for_the_load(board):
    outcomes = dispatch(lambda number: number, Losing(1), board, Reluctant())

    assert outcomes.values == [0, 1, 2]
    assert not outcomes.failures


def test_nothing_begins_after_an_interrupt(board):
    def interrupt(number):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dispatch(interrupt, Losing(0), board, Gate())

    assert board.is_stopped()

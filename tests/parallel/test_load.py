"""When packs start: the load is asked for before a pack is sent."""

from __future__ import annotations

import logging
import time

import pytest

import simherd as sh
from simherd.parallel.load import Gate, Limits, Load, LoadGate, LoadMeter, gate_of, read_limits


class Meter:
    """Gives loads in turn, then the last one."""

    def __init__(self, *loads):
        self.loads = list(loads)

    def load(self):
        return self.loads.pop(0) if len(self.loads) > 1 else self.loads[0]


def load(cpu=0.0, memory=0.0, others=0.0):
    return Load(cpu=cpu, memory=memory, others=others)


def gate(limits, *loads, cores=4, monkeypatch):
    monkeypatch.setattr("simherd.parallel.load.usable_cores", lambda: cores)
    return LoadGate(limits, lambda: Meter(*loads))


def test_without_limits_every_pack_starts():
    assert type(gate_of(Limits())) is Gate


@pytest.mark.parametrize(("cpu", "starts"), [(0.2, 2), (0.5, 1), (0.74, 1), (0.8, 0)])
def test_as_many_packs_start_as_cores_are_free(cpu, starts, monkeypatch):
    found = gate(Limits(cpu=0.75, interval_s=100), load(cpu=cpu), monkeypatch=monkeypatch)

    assert [found.admits(running) for running in range(starts + 1)] == [True] * starts + [False]


def test_pack_waits_for_memory_with_a_reason(monkeypatch, caplog):
    found = gate(
        Limits(memory=0.9, interval_s=0), load(memory=0.95), load(memory=0.5), monkeypatch=monkeypatch
    )

    with caplog.at_level(logging.INFO, "simherd.parallel"):
        assert not found.admits(1)
    assert "95% of memory is in use, the limit is maxmem=0.9" in caplog.text
    assert found.admits(1)


def test_pack_starts_after_the_longest_wait(monkeypatch, caplog):
    limits = Limits(cpu=0.5, interval_s=0, longest_wait_s=0.05)
    found = gate(limits, load(cpu=1.0), monkeypatch=monkeypatch)
    assert not found.admits(0)
    time.sleep(0.06)

    assert found.admits(0)
    assert "starts after 0.1 s although 100% of the cores are busy" in caplog.text
    assert not found.admits(1)


def test_other_programs_keep_their_cores(monkeypatch):
    found = gate(Limits(follows_others=True, interval_s=0), load(others=2.9), monkeypatch=monkeypatch)
    found.admits(0)  # the load is not measured yet

    assert found.admits(0)
    assert not found.admits(1)


@pytest.mark.parametrize(
    ("given", "is_count_given", "cpu", "follows"),
    [(0.8, False, 0.8, False), (80, False, 0.8, False), (0.8, True, None, False), (None, False, None, True)],
)
def test_limit_of_cpu_has_no_effect_if_the_count_is_given(given, is_count_given, cpu, follows):
    limits = read_limits(given, None, None, is_count_given=is_count_given)

    assert (limits.cpu, limits.follows_others) == (cpu, follows)


def test_load_of_this_machine_is_in_its_bounds():
    meter = LoadMeter()
    assert meter.load() is None
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        pass

    found = meter.load()

    assert 0 < found.cpu <= 1
    assert 0 < found.memory <= 1
    assert found.others >= 0


def test_map_with_limits_gives_its_results():
    assert sh.parallelize(abs, [-1, -2], maxcpu=1.0, maxmem=1.0, interval=0.02) == [1, 2]

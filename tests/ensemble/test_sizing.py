"""How much a task is given."""

from __future__ import annotations

import pytest

from simherd.ensemble.sizing import Pace, TaskSizer, part_size


def sizer(**changes):
    return TaskSizer(**{"chunk": 10, "nbytes": 8, "workers": 2, **changes})


@pytest.mark.parametrize(
    ("seconds", "left", "chunks"),
    [
        (None, 10**6, 1),  # nothing is known yet
        (0.001, 10**6, 200),  # two seconds of work
        (10.0, 10**6, 1),  # at least one chunk
        (0.001, 800, 10),  # a quarter of what is left to each worker
        (0.001, 5, 1),
        (0.0, 10**6, 12500),
    ],
)
def test_a_task_is_about_two_seconds_of_work_and_a_fair_share(seconds, left, chunks):
    assert sizer().chunks(left, Pace(seconds)) == chunks


@pytest.mark.parametrize(
    ("nbytes", "is_looped", "size"),
    [
        (8, False, 8192),
        (0, False, 8192),
        (800, False, 81),
        (2**20, False, 16),  # fewer would not be worth it
        (8, True, 1024),
        (800, True, 81),
    ],
)
def test_the_arrays_of_a_part_stay_in_the_cache(nbytes, is_looped, size):
    assert part_size(nbytes, is_looped) == size


def test_a_task_keeps_its_outputs_within_the_memory():
    assert sizer(nbytes=2**20).chunks(10**6, Pace(1e-6)) == 25


def test_a_size_that_the_user_gave_stays():
    assert sizer(is_fixed=True).chunks(10**6, Pace(1e-6)) == 1


def test_the_pace_follows_the_newest_blocks():
    pace = Pace()
    pace.add(10, 1.0)
    assert pace.seconds == pytest.approx(0.1)

    for _ in range(20):
        pace.add(10, 10.0)
    assert pace.seconds == pytest.approx(1.0, rel=0.01)

    pace.add(0, 5.0)
    assert pace.seconds == pytest.approx(1.0, rel=0.01)

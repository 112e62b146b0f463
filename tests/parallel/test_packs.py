import pytest

from simherd.parallel.packs import PackSizer


def simulated(tasks, workers, **options):
    """Return when each of several workers has done its packs, in s, and how many packs there were."""
    sizer, ends, sizes, next_ = PackSizer(workers, **options), [0.0] * workers, [], 0
    while next_ < len(tasks):
        worker = ends.index(min(ends))
        size = min(sizer.next(len(tasks) - next_), len(tasks) - next_)
        work = tasks[next_ : next_ + size]
        ends[worker] += sum(work)
        sizer.add(size, sum(work))
        sizes.append(size)
        next_ += size
    return max(ends), sizes


def test_the_first_packs_measure():
    assert PackSizer(2).next(1000) == 1


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_tasks_that_take_no_time_travel_in_few_packs(workers):
    _, sizes = simulated([1e-7] * 10_000, workers)

    assert len(sizes) <= 16


def test_packs_hold_a_fifth_of_a_second_and_shrink_towards_the_end():
    _, sizes = simulated([0.01] * 1000, 2)

    assert max(sizes) == 20
    assert sizes[-1] == 1


def test_long_tasks_at_the_start_are_shared_evenly():
    tasks = [0.4] * 25 + [0.03] * 75

    took, _ = simulated(tasks, 4)

    assert took <= 1.05 * sum(tasks) / 4

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from simherd.model.randomness import fresh_seed, simulation_rng

SEED = 20240229


def first_values(seed=SEED, number=0, process="rain", size=1000):
    return simulation_rng(seed, number, process).standard_normal(size)


@pytest.mark.parametrize(
    ("seed", "number", "process", "expected"),
    [
        (0, 0, "rain", [5138907205520710665, 3095016188680427211]),
        (20240229, 0, "rain", [6354025849249345997, 562312641069026492]),
        (20240229, 1, "rain", [3583113072181129266, 7709680006038641487]),
        (20240229, 999999, "snow", [7864060027991950820, 2847152650360094755]),
        (2**127 + 1, 7, "Wände", [6729544802634655652, 7047486931856036853]),
    ],
)
def test_streams_are_the_same_on_every_machine(seed, number, process, expected):
    values = simulation_rng(seed, number, process).integers(0, 2**63, 2)

    assert values.tolist() == expected


def test_the_same_arguments_give_the_same_stream():
    np.testing.assert_array_equal(first_values(), first_values())


@pytest.mark.parametrize("other", [{"seed": SEED + 1}, {"number": 1}, {"process": "snow"}])
def test_other_arguments_give_another_stream(other):
    values, others = first_values(), first_values(**other)

    assert not np.isin(values, others).any()


def test_streams_of_simulations_and_processes_are_not_correlated():
    rows = [first_values(number=n, process=p) for n in range(100) for p in ("rain", "snow")]

    correlations = np.corrcoef(rows)[np.triu_indices(len(rows), 1)]
    assert np.abs(correlations).max() < 6 / np.sqrt(1000)
    assert np.std(correlations) == pytest.approx(1 / np.sqrt(1000), rel=0.05)


def test_the_first_values_of_all_simulations_are_spread_evenly():
    firsts = [simulation_rng(SEED, number, "rain").random() for number in range(20_000)]

    counts, _ = np.histogram(firsts, bins=20, range=(0, 1))
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)
    assert abs(np.corrcoef(firsts[:-1], firsts[1:])[0, 1]) < 5 / np.sqrt(20_000)


@pytest.mark.parametrize(("seed", "number"), [(-1, 0), (0, -1)])
def test_seed_and_number_are_not_negative(seed, number):
    with pytest.raises(ValueError, match="non-negative"):
        simulation_rng(seed, number, "rain")


def test_a_fresh_seed_is_an_integer_that_survives_json():
    seed = fresh_seed()

    assert type(seed) is int
    assert 0 <= seed < 2**128
    assert seed != fresh_seed()
    assert json.loads(json.dumps(seed)) == seed
    simulation_rng(seed, 0, "rain")


def test_a_generator_is_made_in_microseconds():
    def cost(start, times=500):
        started = time.process_time()
        for number in range(start, start + times):
            simulation_rng(SEED, number, "rain")
        return (time.process_time() - started) / times

    assert min(cost(10**6 + 500 * n) for n in range(5)) < 100e-6

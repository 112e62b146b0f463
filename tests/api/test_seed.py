"""Random numbers that processes ask for: the same in every run with the same seed."""

from __future__ import annotations

import sys

import cloudpickle
import numpy as np
import pytest

import simherd as sh
from simherd.errors import ModelError, SetupError, StoreMismatchError
from simherd.model.randomness import simulation_rng

cloudpickle.register_pickle_by_value(sys.modules[__name__])


@sh.process
class Rain:
    """Draws in two stages, from one stream."""

    scale = sh.variable(default=1.0)
    total = sh.variable(intent="out")

    @sh.runtime(args="rng")
    def initialize(self, rng):
        self.total = self.scale * rng.random()

    @sh.runtime(args="step, rng")
    def run_step(self, step, rng):
        self.total = self.total + self.scale * rng.random()


@sh.process
class Snow:
    fallen = sh.variable(intent="out")

    @sh.runtime(args=["rng"])
    def run_step(self, rng):
        self.fallen = rng.standard_normal(2).sum()


@sh.process
class Quiet:
    level = sh.variable(intent="out", default=0.0)

    def initialize(self):
        self.level = 1.0


model = sh.Model({"rain": Rain, "snow": Snow})
ROOMS = {
    "serial": {"parallel": False},
    "threads": {"parallel": True, "scheduler": "threads", "workers": 2},
    "processes": {"parallel": True, "scheduler": "processes", "workers": 2},
}


def setup(simulations=7):
    return sh.create_setup(
        model,
        clocks={"time": np.arange(4.0)},
        input_vars={"rain__scale": ("member", np.ones(simulations))},
        output_vars={"rain__total": "time", "snow__fallen": None},
    )


def expected(seed, number):
    rng = simulation_rng(seed, number, "rain")
    totals = np.cumsum([rng.random() for _ in range(4)])
    snow = simulation_rng(seed, number, "snow")
    return [*totals[1:], totals[-1]], [snow.standard_normal(2).sum() for _ in range(3)][-1]


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("block_size", [1, 3])
def test_simulations_draw_from_their_own_streams_wherever_they_run(room, block_size, tmp_path):
    result = setup().simherd.run(
        model, batch_dim="member", seed=11, block_size=block_size, store=tmp_path / "out.zarr", **ROOMS[room]
    )

    wanted = [expected(11, number) for number in range(7)]
    assert result.rain__total.values.tolist() == [totals for totals, _ in wanted]
    assert result.snow__fallen.values.tolist() == [fallen for _, fallen in wanted]
    assert result.attrs["seed"] == 11


def test_a_single_simulation_is_number_0():
    result = setup().isel(member=2).drop_vars("member", errors="ignore").simherd.run(model, seed=11)

    assert result.rain__total.values.tolist() == expected(11, 0)[0]


def test_without_a_seed_there_is_a_fresh_one_that_the_result_tells():
    first, second = (setup().simherd.run(model, batch_dim="member") for _ in range(2))

    again = setup().simherd.run(model, batch_dim="member", seed=first.attrs["seed"])
    assert first.attrs["seed"] != second.attrs["seed"]
    assert not np.isin(first.rain__total, second.rain__total).any()
    assert again.identical(first.assign(simulation_seconds=again.simulation_seconds))


def test_a_result_says_nothing_of_a_seed_where_nobody_draws():
    quiet = sh.Model({"quiet": Quiet})
    result = sh.create_setup(quiet, output_vars={"quiet__level": None}).simherd.run(quiet, seed=3)

    assert "seed" not in result.attrs


def test_a_run_goes_on_with_the_seed_of_its_store(tmp_path):
    store = tmp_path / "out.zarr"
    arguments = {"batch_dim": "member", "store": store, "block_size": 2}
    first = setup(4).simherd.run(model, **arguments)

    longer = setup(7).simherd.run(model, resume=True, **arguments)

    seed = first.attrs["seed"]
    assert longer.rain__total.values.tolist() == [expected(seed, number)[0] for number in range(7)]
    with pytest.raises(StoreMismatchError, match=f"seed is 5, was {seed}"):
        setup(7).simherd.run(model, resume=True, seed=5, **arguments)


def test_attempts_at_a_simulation_begin_with_the_same_numbers(tmp_path):
    @sh.process
    class Fussy(Rain):
        @sh.runtime(args="rng")
        def run_step(self, rng):
            drawn = rng.random()
            with (tmp_path / "drawn").open("a") as file:
                file.write(f"{drawn}\n")
            raise ValueError("never")

    fussy = sh.Model({"rain": Fussy})
    with pytest.raises(ValueError, match="never"):
        sh.create_setup(
            fussy,
            clocks={"time": [0, 1]},
            input_vars={"rain__scale": ("member", [1.0])},
            output_vars={"rain__total": None},
        ).simherd.run(fussy, batch_dim="member", seed=1, retries=2)

    assert len(set((tmp_path / "drawn").read_text().split())) == 1


@pytest.mark.parametrize("seed", [-1, 1.5, True, "7"])
def test_a_seed_is_a_whole_number_from_0(seed):
    with pytest.raises(SetupError, match="seed="):
        setup().simherd.run(model, batch_dim="member", seed=seed)


def test_stages_run_by_hand_draw_too():
    by_hand = sh.Model({"snow": Snow})

    by_hand.execute("run_step", {"rngs": {"snow": np.random.default_rng(1)}})
    assert by_hand.snow.fallen == np.random.default_rng(1).standard_normal(2).sum()
    by_hand.execute("run_step")
    assert np.isfinite(by_hand.snow.fallen)


def test_the_generators_themselves_are_no_argument():
    with pytest.raises(ModelError, match="'rngs', which a run does not have"):
        sh.runtime(args="rngs")

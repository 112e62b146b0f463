"""No value of an output changes on its way into the result, whichever way it takes."""

from __future__ import annotations

import sys

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import OutputError
from simherd.store.journal import read_journal

cloudpickle.register_pickle_by_value(sys.modules[__name__])

STEPS = 4


@sh.process(vectorized=False)
class Event:
    """Something that happens in the second step, with a day that is masked until then."""

    delay = sh.variable(default=5, description="hours")
    onset = sh.variable(intent="out")
    seen = sh.variable(intent="out")
    lag = sh.variable(intent="out")
    days = sh.variable(dims="x", intent="out")
    counts = sh.variable(dims="x", intent="out", encoding={"fill_value": -1})
    storm = sh.variable(intent="out")
    gauges = sh.variable(dims="x", intent="out")
    warning = sh.variable(intent="out", encoding={"dtype": str, "fill_value": "none yet"})
    end = sh.on_demand()

    def initialize(self):
        self.storm, self.warning = None, np.nan
        self.gauges = np.array(["north", None], object)
        self.onset, self.lag = np.datetime64("NaT"), np.timedelta64(0)
        self.seen = np.datetime64("2001-01-01")
        self.days = np.ma.masked_less([1.0, -9999.0], 0)
        self.counts = np.ma.masked_less([1, -9999], 0)

    @sh.runtime(args="step")
    def run_step(self, step):
        if step == 1:
            self.lag = np.timedelta64(int(self.delay), "h")
            self.onset = np.datetime64("2001-01-01") + self.lag
            self.seen = self.onset + np.timedelta64(7, "m")
            self.days = np.array([1.0, 2.0])
            self.storm, self.warning = "Egon", pd.NA
            self.gauges = np.array([np.nan, "south"], object)
            self.counts = np.ma.masked_less([-9999, 2], 0)
        if step == 2:
            self.warning = "red"

    @end.compute
    def _end(self):
        return self.onset + np.timedelta64(1, "ms")


@sh.process(vectorized=True)
class Other:
    """Lets the model be advanced as arrays."""

    delay = sh.foreign(Event, "delay")
    twice = sh.variable(intent="out")

    def run_step(self):
        self.twice = 2 * self.delay


events = sh.Model({"event": Event, "other": Other})
WAYS = {
    "memory": {},
    "store": {"store": True},
    "streamed": {"store": True, "memory_limit": 96},
    "checkpoints": {"store": True, "checkpoint_every": 1, "memory_limit": 96},
    "batch in memory": {"batch_dim": "member"},
    "batch in a store": {"batch_dim": "member", "store": True, "block_size": 1},
    "vectorized": {"batch_dim": "member", "vectorize": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_events_and_masked_values_are_exact(way, tmp_path):
    options = dict(WAYS[way])
    if options.pop("store", False):
        options["store"] = tmp_path / "out.zarr"
    delays = ("member", [5, 6]) if "batch_dim" in options else 5
    names = ("onset", "seen", "lag", "days", "counts", "end", "storm", "gauges", "warning")
    setup = sh.create_setup(
        events,
        clocks={"t": np.arange(STEPS)},
        input_vars={"event__delay": delays},
        output_vars={f"event__{name}": "t" for name in names},
    )

    result = setup.simherd.run(events, **options)
    one = result.isel(member=0) if "batch_dim" in options else result
    values = {name: one[f"event__{name}"].values for name in names}

    onset, hour = np.datetime64("2001-01-01T05:00"), np.timedelta64(1, "h")
    assert np.isnat(values["onset"][0])
    assert (values["onset"][1:] == onset).all()
    assert (values["seen"] == np.array(["2001-01-01T00:00"] + ["2001-01-01T05:07"] * 3, "M8[s]")).all()
    assert (values["lag"] == np.array([0, 5, 5, 5]) * hour).all()
    assert (values["end"][1:] == onset + np.timedelta64(1, "ms")).all()
    np.testing.assert_array_equal(values["days"], [[1, np.nan], [1, 2], [1, 2], [1, 2]])
    assert values["counts"].tolist() == [[1, -1], [-1, 2], [-1, 2], [-1, 2]]
    assert values["storm"].tolist() == ["", "Egon", "Egon", "Egon"]
    assert values["gauges"].tolist() == [["north", ""], ["", "south"], ["", "south"], ["", "south"]]
    assert values["warning"].tolist() == ["none yet", "none yet", "red", "red"]


@pytest.mark.parametrize(
    ("first", "value", "helps"),
    [
        (np.datetime64("2001-01-01"), np.datetime64("2001-01-01T00:00:00.5"), "datetime64[ms]"),
        (np.float32(1), 1 / 3, "float64"),
        (np.float16(1), 1e6, "float64"),
    ],
)
def test_a_value_that_the_type_found_does_not_hold_costs_its_simulation(first, value, helps, tmp_path):
    @sh.process
    class Later:
        number = sh.variable()
        value = sh.variable(intent="out")

        def initialize(self):
            self.value = value if self.number else first

    later, path = sh.Model({"p": Later}), tmp_path / "out.zarr"
    setup = sh.create_setup(later, input_vars={"p__number": ("m", [0, 1])}, output_vars={"p__value": None})

    result = setup.simherd.run(later, "m", store=path, on_error="record", block_size=1)

    assert result.simulation_status.values.tolist() == [1, 2]
    assert result.p__value[0] == first
    (entry,) = read_journal(path)
    assert f"'p__value' has the value {value}" in entry["error"]
    helped = setup.simherd.run(later, "m", encoding={"p__value": {"dtype": helps}})
    assert helped.p__value[1] == value


@pytest.mark.parametrize(
    "encoding", [{}, {"dtype": str}, {"dtype": "U3"}, {"dtype": "S3", "fill_value": "n/a"}]
)
def test_texts_are_whole_and_missing_ones_equal_in_memory_and_in_a_store(encoding, tmp_path):
    @sh.process
    class Named:
        number = sh.variable()
        name = sh.variable(intent="out")

        def initialize(self):
            self.name = [None, "a name", np.str_("another name")][self.number]

    named, encoding = sh.Model({"p": Named}), {"p__name": encoding}
    setup = sh.create_setup(
        named, input_vars={"p__number": ("m", [0, 1, 2, 3])}, output_vars={"p__name": None}
    )
    options = {"batch_dim": "m", "encoding": encoding, "on_error": "record", "block_size": 1}

    kept, stored = (setup.simherd.run(named, store=path, **options) for path in (None, tmp_path / "out.zarr"))

    missing = encoding["p__name"].get("fill_value", "")
    for result in (kept, stored):
        assert result.p__name.values.tolist() == [missing, "a name", "another name", missing]
        assert result.simulation_status.values.tolist() == [1, 1, 1, 2]


def test_a_finite_output_takes_no_masked_value():
    @sh.process
    class Field:
        value = sh.variable(dims="x", intent="out", finite=True)

        def initialize(self):
            self.value = np.ma.masked_less([1, -9999, 3], 0)

    fields = sh.Model({"p": Field})

    with pytest.raises(OutputError, match="1 of 3 values that are not finite"):
        sh.create_setup(fields, output_vars={"p__value": None}).simherd.run(fields)


def test_masked_labels_are_missing():
    @sh.process
    class Field:
        x = sh.index(dims="x")
        value = sh.variable(dims="x", intent="out")

        def initialize(self):
            self.x = np.ma.masked_less([1, -9999], 0)
            self.value = np.zeros(2)

    fields = sh.Model({"p": Field})

    result = sh.create_setup(fields, output_vars={"p__value": None}).simherd.run(fields)

    xr.testing.assert_equal(result.x, xr.DataArray([1, np.nan], dims="x", coords={"x": [1, np.nan]}))

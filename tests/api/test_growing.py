"""Outputs whose arrays grow or shrink while a simulation runs."""

import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.store.zarr_store import ZarrStore


@sh.process
class Flock:
    """Birds that come and go."""

    first = sh.variable(default=1, description="birds at the start")
    gain = sh.variable(default=1, description="birds that come at each step")
    weight = sh.variable(dims="bird", intent="out")

    def initialize(self):
        self.weight = np.arange(float(self.first))

    def finalize_step(self):
        self.weight = np.arange(float(len(self.weight) + self.gain))


model = sh.Model({"flock": Flock})


def setup(**inputs):
    return sh.create_setup(
        model,
        clocks={"time": np.arange(4)},
        input_vars={f"flock__{name}": value for name, value in inputs.items()},
        output_vars={"flock__weight": "time"},
    )


def expected(first, gain, birds):
    rows = np.full((4, birds), np.nan)
    for step in range(4):
        rows[step, : first + step * gain] = np.arange(first + step * gain)
    return rows


@pytest.mark.parametrize("store", [None, "out.zarr"])
@pytest.mark.parametrize(("first", "gain"), [(1, 2), (7, -2)])
def test_an_output_of_one_simulation_is_as_long_as_its_longest_value(tmp_path, store, first, gain):
    target = store and tmp_path / store

    result = setup(first=first, gain=gain).simherd.run(model, store=target)

    np.testing.assert_array_equal(result.flock__weight, expected(first, gain, 7))


def test_reader_finds_values_for_which_a_killed_run_made_room(tmp_path, monkeypatch):
    batch = setup(gain=("member", np.array([0, 0, 1, 2])))
    options = {"batch_dim": "member", "store": tmp_path / "out.zarr", "block_size": 2, "resume": True}
    with monkeypatch.context() as patched:
        patched.setattr(ZarrStore, "consolidate", _cut_off)
        with pytest.raises(KeyboardInterrupt):
            batch.simherd.run(model, **options)

    batch.simherd.run(model, **options)

    with xr.open_zarr(tmp_path / "out.zarr") as opened:
        np.testing.assert_array_equal(opened.flock__weight, [expected(1, gain, 7) for gain in (0, 0, 1, 2)])


def _cut_off(*_):
    raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "store"),
    [
        ({}, None),
        ({}, "out.zarr"),
        ({"scheduler": "threads"}, "out.zarr"),
        ({"scheduler": "processes", "workers": 2}, None),
    ],
    ids=str,
)
@pytest.mark.parametrize("gains", [[0, 1, 3, 2], [3, 2, 1, 0], [1, 1, 5, 1, 1]])
def test_an_output_of_a_batch_is_as_long_as_the_longest_of_all(tmp_path, options, store, gains):
    batch = setup(gain=("member", np.array(gains)))

    result = batch.simherd.run(
        model, batch_dim="member", store=store and tmp_path / store, block_size=2, **options
    )

    birds = 1 + 3 * max(gains)
    assert result.simulation_status.values.tolist() == [1] * len(gains)
    np.testing.assert_array_equal(result.flock__weight, [expected(1, gain, birds) for gain in gains])
    if store:
        with xr.open_zarr(tmp_path / store) as opened:
            assert opened.flock__weight.shape == (len(gains), 4, birds)


@sh.process
class Herd:
    """Two outputs along one dimension, of which one alone becomes longer."""

    size = sh.variable()
    weight = sh.variable(dims="bird", intent="out")
    height = sh.variable(dims=("bird", "side"), intent="out")
    leader = sh.variable(dims="bird", intent="out")

    def initialize(self):
        self.weight = np.arange(float(self.size))
        self.height = np.ones((int(self.size) // 2, 2))
        self.leader = np.full(2, 7)


@pytest.mark.parametrize("store", [None, "out.zarr"])
def test_outputs_along_one_dimension_grow_together(tmp_path, store):
    herd, sizes = sh.Model({"herd": Herd}), [2, 6, 4]
    names = ["herd__weight", "herd__height", "herd__leader"]
    batch = sh.create_setup(
        herd, input_vars={"herd__size": ("member", sizes)}, output_vars=dict.fromkeys(names)
    )

    result = batch.simherd.run(herd, "member", store=store and tmp_path / store, block_size=1)

    assert dict(result.sizes) == {"member": 3, "bird": 6, "side": 2}
    assert result.herd__weight.count("bird").values.tolist() == sizes
    assert result.herd__height.count(["bird", "side"]).values.tolist() == sizes
    assert (result.herd__leader == 7).sum("bird").values.tolist() == [2, 2, 2]


@sh.process
class Labelled:
    """An output that has other sizes than the labels of its dimensions."""

    x = sh.index(dims="x")
    y = sh.index(dims="y")
    field = sh.variable(dims=("y", "x"), intent="out")

    def initialize(self):
        self.x, self.y = np.arange(3), np.arange(2)
        self.field = np.zeros((3, 2))


def test_an_output_longer_than_the_labels_of_its_dimension_is_an_error():
    transposed = sh.Model({"p": Labelled})

    with pytest.raises(sh.errors.OutputError, match=r"'p__field' has 3 values along 'y'.*has 2"):
        sh.create_setup(transposed, {"t": [0, 1]}, output_vars={"p__field": None}).simherd.run(transposed)

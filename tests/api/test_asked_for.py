"""What users of xarray-simlab asked for, from setup to result."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import ModelError, SetupError, UnknownNameError


@sh.process
class Once:
    """Does all its work in initialize."""

    given = sh.variable(default=2)
    out = sh.variable(intent="out")

    def initialize(self):
        self.out = 10 * self.given

    def finalize(self):
        self.out = -1


# Models without a clock


def test_a_model_without_a_clock_runs_once():
    model = sh.Model({"p": Once})

    result = sh.create_setup(model, output_vars={"p__out": None}).simherd.run(model)

    assert result.p__out == 20
    assert not result.sizes


def test_a_model_without_a_clock_runs_in_a_batch():
    model = sh.Model({"p": Once})
    setup = sh.create_setup(model, input_vars={"p__given": ("b", [1, 2])}, output_vars={"p__out": None})

    assert setup.simherd.run(model, batch_dim="b").p__out.values.tolist() == [10, 20]


def test_an_output_on_a_clock_needs_one():
    with pytest.raises(UnknownNameError, match="clock 't', which does not exist"):
        sh.create_setup(sh.Model({"p": Once}), output_vars={"p__out": "t"})


# Clocks and outputs that go with a model


@pytest.fixture
def with_defaults():
    clocks = {"t": np.arange(5), "s": [0, 4]}
    return sh.Model(
        {"p": Once, "q": Once}, clocks=clocks, main_clock="t", outputs={"p": {"out": "s"}, "q__out": None}
    )


def test_a_setup_has_the_clocks_and_outputs_of_its_model_where_none_are_given(with_defaults):
    setup = sh.create_setup(with_defaults)

    assert setup.simherd.nsteps == 4
    assert setup.simherd.output_vars == {("p", "out"): "s", ("q", "out"): None}


def test_given_clocks_and_outputs_replace_those_of_the_model(with_defaults):
    setup = sh.create_setup(with_defaults, clocks={"other": [0, 1]}, output_vars={"p__given": "other"})

    assert list(setup.simherd.clock_coords) == ["other"]
    assert setup.simherd.output_vars == {("p", "given"): "other"}
    assert sh.create_setup(with_defaults, clocks={}, output_vars={}).simherd.nsteps == 0


def test_the_main_clock_has_two_names():
    clocks = {"t": [0, 1], "s": [0]}

    for given in ({"main_clock": "t"}, {"master_clock": "t"}):
        assert sh.create_setup(sh.Model({"p": Once}), clocks, **given).simherd.master_clock_dim == "t"


def test_copies_of_a_model_keep_its_defaults_but_not_those_of_dropped_processes(with_defaults):
    assert sh.create_setup(with_defaults.clone()).simherd.nsteps == 4
    assert sh.create_setup(with_defaults.drop_processes("q")).simherd.output_vars == {("p", "out"): "s"}


def test_a_default_output_that_the_model_lacks_is_an_error():
    with pytest.raises(UnknownNameError, match="Did you mean 'p__out'"):
        sh.Model({"p": Once}, outputs={"p__ot": None})


# The whole main clock


@sh.process
class Series:
    """Makes a series along the main clock."""

    series = sh.variable(dims=[sh.MAIN_CLOCK, ("x", sh.MAIN_CLOCK)], intent="out")

    @sh.runtime(args="main_clock_values")
    def initialize(self, labels):
        self.series = 2 * labels


def test_processes_get_all_labels_of_the_main_clock_and_set_variables_along_it():
    model = sh.Model({"p": Series})
    setup = sh.create_setup(model, clocks={"t": [0, 3, 4]}, output_vars={"p__series": None})

    result = setup.simherd.run(model)

    assert result.p__series.dims == ("t",)
    assert result.p__series.sel(t=3) == 6


@pytest.mark.parametrize(("clocks", "clock"), [({"t": [0, 1]}, "t"), (None, None)])
def test_an_output_along_the_main_clock_has_it_once(clocks, clock):
    model = sh.Model({"p": Series})
    setup = sh.create_setup(model, clocks=clocks, output_vars={"p__series": clock})

    with pytest.raises(SetupError, match="p__series"):
        setup.simherd.run(model)


def test_an_input_is_not_declared_along_the_main_clock():
    with pytest.raises(ModelError, match="intent='out'"):
        sh.variable(dims=("x", sh.MAIN_CLOCK))


def test_the_main_clock_comes_with_its_attributes_to_who_asks_for_it():
    seen = []

    @sh.process
    class Asking:
        @sh.runtime(args="main_clock_dataarray")
        def initialize(self, clock):
            seen.append(clock)

    model = sh.Model({"p": Asking})
    clock = xr.DataArray([0, 1], dims="t", attrs={"units": "years"})
    sh.create_setup(model, clocks={"t": clock}).simherd.run(model)

    assert seen[0].attrs["units"] == "years"
    assert seen[0].dims == ("t",)


# Labelled inputs


def labelled(**options):
    """Return a model that keeps what it got for ``p__v`` in the list ``seen``, and that list."""
    seen = []

    @sh.process
    class Labelled:
        v = sh.variable(dims=[(), "x"], keep_labels=True, **options)
        total = sh.variable(intent="out")

        def initialize(self):
            self.total = float(np.sum(self.v))

        def run_step(self):
            seen.append(self.v)
            if options.get("intent") == "inout":
                self.v[0] = 99

    return sh.Model({"p": Labelled}), seen


X = xr.DataArray([1.0, 2.0], dims="x", coords={"x": [10, 20], "name": ("x", ["a", "b"])})


def test_arrays_keep_their_labels_where_a_process_asks_for_it():
    model, seen = labelled()
    setup = sh.create_setup(model, clocks={"t": [0, 1]}, input_vars={"p__v": X})

    setup.simherd.run(model)

    xr.testing.assert_identical(seen[0], X.rename("p__v"))
    assert seen[0].sel(x=20).item() == 2.0


def test_labels_that_differ_from_those_of_the_setup_are_an_error():
    model, _ = labelled()
    setup = sh.create_setup(model).assign_coords(x=[1, 2])

    with pytest.raises(SetupError, match="Input p__v has another coordinate 'x' than the setup"):
        setup.simherd.update_vars(model, input_vars={"p__v": X})


@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
def test_arrays_keep_their_labels_in_a_batch(scheduler):
    model, seen = labelled()
    batch = X * xr.DataArray([1, 2, 3], dims="b", coords={"b": [7, 8, 9]})
    setup = sh.create_setup(model, clocks={"t": [0, 1]}, output_vars={"p__total": None}).assign(p__v=batch)

    result = setup.simherd.run(
        model, batch_dim="b", check_dims="transpose", parallel=True, scheduler=scheduler, workers=1
    )

    assert result.p__total.values.tolist() == [3.0, 6.0, 9.0]
    assert scheduler == "processes" or seen[-1].b.item() == 9


def test_arrays_keep_their_labels_at_each_step_of_a_clock():
    model, seen = labelled()
    setup = sh.create_setup(model, clocks={"t": [0, 1, 2]})
    setup = setup.assign(p__v=X * xr.DataArray([1, 2, 3], dims="t", coords={"t": setup.t}))

    setup.simherd.run(model, check_dims="transpose")

    assert [one.sel(x=10).item() for one in seen] == [1.0, 2.0]
    assert seen[1].t.item() == 1


def test_a_scalar_has_no_labels_to_keep():
    model, seen = labelled()

    sh.create_setup(model, clocks={"t": [0, 1]}, input_vars={"p__v": 3.0}).simherd.run(model)

    assert seen == [3.0]
    assert type(seen[0]) is float


def test_a_process_that_changes_a_labelled_input_changes_its_own():
    model, _ = labelled(intent="inout")
    setup = sh.create_setup(model, clocks={"t": [0, 1]}).assign(p__v=X)

    setup.simherd.run(model)

    assert setup.p__v.values.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("values", [["a", "bcd"], np.array(["a", "bcd"], object), [True, False]])
def test_texts_and_truths_differ_between_simulations(values):
    seen = []

    @sh.process
    class Telling:
        v = sh.variable()

        def initialize(self):
            seen.append(self.v)

    model = sh.Model({"p": Telling})
    setup = sh.create_setup(model, input_vars={"p__v": ("b", values)})

    setup.simherd.run(model, batch_dim="b")

    assert seen[-2:] == list(values)
    assert {type(v) for v in seen} <= {str, bool}


# Batches over stacked dimensions


@sh.process
class Sum:
    """Adds its inputs."""

    a = sh.variable(default=1.0)
    b = sh.variable(default=1.0)
    cells = sh.variable(dims="x", default=np.arange(3.0))
    total = sh.variable(intent="out")
    profile = sh.variable(dims="x", intent="out")

    def run_step(self):
        self.total = 10 * self.a + self.b
        self.profile = self.cells * self.total


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("parallel", [False, True])
def test_a_batch_over_stacked_dimensions_unstacks_again(on_disk, parallel, tmp_path):
    model = sh.Model({"p": Sum})
    setup = sh.create_setup(
        model,
        clocks={"t": [0, 1, 2]},
        input_vars={"p__a": ("p__a", [2.0, 1.0]), "p__b": ("p__b", [3.0, 4.0, 5.0])},
        output_vars={"p__total": "t", "p__profile": None},
    )

    result = setup.stack(batch=["p__a", "p__b"]).simherd.run(
        model, batch_dim="batch", store=tmp_path / "o.zarr" if on_disk else None,
        scheduler="threads" if parallel else "sync",
    )  # fmt: skip
    cross = result.unstack("batch")

    expected = 10 * setup.p__a + setup.p__b
    xr.testing.assert_equal(cross.p__total.isel(t=-1, drop=True), expected)
    xr.testing.assert_equal(cross.p__profile, (cross.p__cells * expected).transpose(*cross.p__profile.dims))
    assert result.p__total.sel(p__a=1.0, p__b=4.0).values.tolist() == [14.0] * 3


def test_a_multi_index_along_another_dimension_lasts_through_a_run(tmp_path):
    model = sh.Model({"p": Sum})
    cells = xr.Dataset(coords={"i": [1, 2], "j": [3, 4]}).stack(x=["i", "j"])
    setup = sh.create_setup(model, clocks={"t": [0, 1]}, output_vars={"p__profile": None})
    setup = setup.drop_vars("p__cells").assign(p__cells=("x", np.ones(4))).assign_coords(cells.coords)

    result = setup.simherd.run(model, store=tmp_path / "out.zarr")

    assert result.p__profile.unstack("x").sizes == {"i": 2, "j": 2}

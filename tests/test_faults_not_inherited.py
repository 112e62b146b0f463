"""Faults of xarray-simlab 0.5.0 that simherd does not have, one test each.

Where the rooms have tests of their own, these show the same from the outside, as a user would meet it.
"""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading

import attr
import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import ModelError, SetupError


def make_model(**classes):
    return sh.Model(classes)


def run_model(model, inputs=None, outputs=None, clock=None, **options):
    """Run a model on a clock ``t`` of four labels and return the result."""
    setup = sh.create_setup(
        model,
        clocks={"t": np.arange(4) if clock is None else clock},
        input_vars=inputs,
        output_vars=outputs,
    )
    return setup.simherd.run(model, **options)


def recorder(*labels, **members):
    """Return a process class that appends the runtime arguments of each step to ``seen``."""
    seen = []

    @sh.runtime(args=labels)
    def run_step(self, *values):
        seen.append(values[0] if len(values) == 1 else values)

    cls = sh.process(type("Recorder", (), {"run_step": run_step, **members}))
    return cls, seen


@sh.process
class Echo:
    """Sets its output to its input."""

    given = sh.variable(default=None)
    out = sh.variable(intent="out")

    def initialize(self):
        self.out = self.given


# Variables and processes


def test_a_tuple_of_tuples_of_dims_gives_alternatives_and_not_one_odd_combination():
    cls = sh.process(type("P", (), {"v": sh.variable(dims=(("field", "y"), ("y",)))}))

    assert make_model(p=cls).graph.variables["p", "v"].dims == (("field", "y"), ("y",))


def test_a_cached_on_demand_variable_is_computed_once_for_all_its_readers():
    computed = []

    @sh.process
    class Owner:
        source = sh.variable(intent="out")
        cached = sh.on_demand(groups="g")

        def run_step(self):
            self.source = 1

        @cached.compute(cache=True)
        def _cached(self):
            computed.append(self.source)
            return 2 * self.source

    @sh.process
    class Reader:
        cached = sh.foreign(Owner, "cached")
        members = sh.group("g")

        def run_step(self):
            assert (self.cached, *self.members) == (2, 2)

    model = make_model(owner=Owner, reader=Reader)
    model.execute("run_step")

    assert computed == [1]


def test_a_cached_on_demand_variable_is_computed_anew_when_what_it_needs_is_set():
    @sh.process
    class Owner:
        source = sh.variable(default=0, intent="inout")
        cached = sh.on_demand()

        @cached.compute(cache=True)
        def _cached(self):
            return self.source

    @sh.process
    class Reader:
        cached = sh.foreign(Owner, "cached")
        seen = sh.variable(intent="out")

        def run_step(self):
            self.seen = self.cached

    @sh.process
    class Changer:
        source = sh.foreign(Owner, "source")
        seen = sh.foreign(Reader, "seen")
        cached = sh.foreign(Owner, "cached")
        after = sh.variable(intent="out")

        def run_step(self):
            self.after = self.cached

    model = make_model(owner=Owner, reader=Reader, changer=Changer)
    model.update_state({("owner", "source"): 1})
    change = sh.runtime_hook("run_step", level="process")(
        lambda model, context, state: model.state.update({("owner", "source"): 2})
    )
    model.execute("run_step", hooks=[change])

    assert (model.reader.seen, model.changer.after) == (1, 2)


def test_a_static_input_that_varies_is_an_error_before_the_run():
    cls, seen = recorder("step", v=sh.variable(static=True))

    with pytest.raises(ModelError, match="p__v"):
        run_model(make_model(p=cls), {"p__v": ("t", np.arange(4))})

    assert seen == []


def foreign_setter(value, **options):
    owner = sh.process(type("Owner", (), {"v": sh.variable(**options)}))
    setter = type("Setter", (), {"v": sh.foreign(owner, "v", intent="out")})
    setter.run_step = lambda self: setattr(self, "v", value)
    return make_model(owner=owner, setter=sh.process(setter))


def test_a_value_set_by_another_process_is_converted():
    model = foreign_setter("3", converter=int)
    model.execute("run_step")

    assert model.owner.v == 3


def test_a_value_set_by_another_process_is_validated():
    model = foreign_setter(-1, validator=attr.validators.ge(0))

    with pytest.raises(ValueError, match="-1"):
        run_model(model, validate="all", clock=[0, 1])


@sh.process
class Keeper:
    """Keeps something that is no variable."""

    out = sh.variable(intent="out")

    def initialize(self):
        self.own = 7

    def run_step(self):
        self.out = self.own


@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
def test_plain_attributes_of_a_process_last_through_a_simulation_everywhere(scheduler):
    model = make_model(keeper=Keeper, echo=Echo)
    inputs = {"echo__given": ("b", [1, 2])}

    result = run_model(
        model, inputs, {"keeper__out": None}, batch_dim="b", parallel=True, scheduler=scheduler, workers=1
    )

    assert result.keeper__out.values.tolist() == [7, 7]


# What a run tells processes


@pytest.mark.parametrize("parallel", [False, True])
def test_batch_size_is_right_in_a_batch_however_it_runs(parallel):
    cls, seen = recorder("batch_size", "batch", v=sh.variable())

    run_model(
        make_model(p=cls), {"p__v": ("b", [1, 2])}, clock=[0, 1], batch_dim="b",
        scheduler="threads" if parallel else "sync",
    )  # fmt: skip

    assert sorted(seen[-2:]) == [(2, 0), (2, 1)]


def test_step_end_is_the_start_of_the_next_step():
    cls, seen = recorder("step_start", "step_end", "step_delta")

    run_model(make_model(p=cls), clock=[0, 1, 3])

    assert seen == [(0, 1, 1), (1, 3, 2)]


def test_a_decreasing_clock_runs_in_the_order_given():
    cls, seen = recorder("step_start", "step_end")

    run_model(make_model(p=cls), clock=[30, 20, 0])

    assert seen == [(30, 20), (20, 0)]


@pytest.mark.parametrize("answer", [True, 3, 3.0, 17, np.arange(2), "done"])
def test_what_a_process_or_hook_returns_is_ignored_unless_it_is_a_signal(answer):
    cls, seen = recorder("step")
    first = sh.process(type("First", (), {"run_step": lambda self: answer}))
    hook = sh.runtime_hook("run_step", trigger="pre")(lambda model, context, state: answer)

    run_model(make_model(first=first, p=cls), hooks=[hook])

    assert seen == [0, 1, 2]


def test_an_error_of_the_model_is_not_hidden_by_one_of_finalize():
    @sh.process
    class Failing:
        def run_step(self):
            raise ValueError("the real one")

        def finalize(self):
            raise RuntimeError("after it")

    with pytest.raises(ValueError, match="the real one") as caught:
        run_model(make_model(p=Failing))
    assert "after it" in "".join(caught.value.__notes__)


def test_inputs_that_vary_are_there_in_initialize():
    result = run_model(make_model(p=Echo), {"p__given": ("t", [5, 6, 7, 8])}, {"p__out": None})

    assert result.p__out == 5


def test_validators_of_inputs_that_vary_do_not_stop_the_start():
    positive = attr.validators.ge(0)
    cls, seen = recorder("step", a=sh.variable(), v=sh.variable(validator=positive))

    run_model(make_model(p=cls), {"p__a": 1, "p__v": ("t", np.arange(4))})

    assert seen == [0, 1, 2]


def test_hooks_are_called_in_the_order_given():
    called = []

    def hook(number):
        return sh.runtime_hook("initialize")(lambda model, context, state: called.append(number))

    run_model(make_model(p=Echo), hooks=[hook(number) for number in range(20)])

    assert called == list(range(20))


# Models


ORDER = """
import simherd as sh
def source(name): return sh.process(type(name, (), {"v": sh.variable(intent="out", groups="g")}))
reader = sh.process(type("R", (), {"g": sh.group("g")}))
print(*sh.Model({"r": reader, **{n: source(n) for n in ("zeta", "beta", "alpha", "mu")}}))
"""


def test_the_order_of_processes_does_not_depend_on_the_hash_seed():
    orders = set()
    for seed in ("0", "1", "3"):
        done = subprocess.run(
            [sys.executable, "-c", ORDER],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        orders.add(done.stdout.strip())

    assert orders == {"zeta beta alpha mu r"}


def test_groups_of_copies_have_the_order_of_the_original():
    def member(value):
        cls = type("M", (), {"v": sh.variable(intent="out", groups="g")})
        cls.initialize = lambda self: setattr(self, "v", value)
        return sh.process(cls)

    reader = type("R", (), {"g": sh.group("g"), "out": sh.variable(intent="out")})
    reader.initialize = lambda self: setattr(self, "out", list(self.g))
    model = make_model(r=sh.process(reader), b=member(1), a=member(2))

    for one in (model, model.clone(), model.update_processes({}), model.drop_processes([])):
        one.execute("initialize")

        assert one.r.out == [1, 2]


def test_a_model_does_not_equal_a_longer_one():
    assert make_model(a=Echo) != make_model(a=Echo, b=Echo)


def test_models_hash_and_pickle():
    model = make_model(keeper=Keeper)

    assert {model: 1}[copy.copy(model)] == 1
    assert pickle.loads(pickle.dumps(model)) == model


# Setups


def test_labels_of_a_clock_are_found_in_spite_of_rounding():
    cls, _ = recorder("step")

    setup = sh.create_setup(
        make_model(p=cls), clocks={"t": np.arange(0, 1.01, 0.1), "s": [0.3, 0.6]}, master_clock="t"
    )

    assert setup.simherd.get_output_save_steps().s.values.nonzero()[0].tolist() == [3, 6]


def test_a_variable_with_two_underscores_in_its_name_is_kept_by_filter_vars():
    cls, _ = recorder("step", my__v=sh.variable())
    model = make_model(p=cls)
    setup = sh.create_setup(model, clocks={"t": [0, 1]}, input_vars={("p", "my__v"): 3})

    assert setup.simherd.filter_vars(model).p__my__v == 3


def test_an_output_saved_at_the_end_can_be_given_a_clock():
    model = make_model(p=Echo)
    setup = sh.create_setup(model, clocks={"t": [0, 1]}, output_vars={"p__out": None})

    updated = setup.simherd.update_vars(model, output_vars={"p__out": "t"})

    assert updated.simherd.output_vars == {("p", "out"): "t"}


def test_an_output_can_be_dropped():
    model = make_model(p=Echo)
    setup = sh.create_setup(model, clocks={"t": [0, 1]}, output_vars={"p__out": "t", "p__given": None})

    updated = setup.simherd.update_vars(model, output_vars={"p__out": False, "p__given": False})

    assert updated.simherd.output_vars == {}
    assert setup.simherd.output_vars == {("p", "out"): "t", ("p", "given"): None}


def echoed(value, **options):
    """Return what a process gets for an input, and the result of the run."""
    seen = []

    @sh.process
    class Spy:
        v = sh.variable(dims=[(), "x"], **options)

        def initialize(self):
            seen.append(self.v)

    result = run_model(make_model(p=Spy), {} if value is attr.NOTHING else {"p__v": value})
    return seen[0], result


def test_an_input_of_none_stays_none_in_the_result():
    seen, result = echoed(attr.NOTHING, default=None)

    assert seen is None
    assert result.p__v.item() is None


def test_an_input_of_none_stays_none_in_a_setup_that_was_saved(tmp_path):
    seen = []

    @sh.process
    class Spy:
        given = sh.variable(default=None)

        def initialize(self):
            seen.append(self.given)

    model = make_model(p=Spy)
    setup = sh.create_setup(model, clocks={"t": [0, 1]}, input_vars={"p__given": None})
    setup.to_netcdf(tmp_path / "setup.nc")

    result = xr.open_dataset(tmp_path / "setup.nc").simherd.run(model)

    assert seen == [None]
    assert result.p__given.item() is None


def test_a_default_may_be_made_by_a_factory():
    seen, result = echoed(attr.NOTHING, default=attr.Factory(lambda: np.arange(3)))

    assert seen.tolist() == result.p__v.values.tolist() == [0, 1, 2]


def test_a_default_made_by_a_factory_is_an_array_where_it_is_a_list():
    seen, result = echoed(attr.NOTHING, default=attr.Factory(list))

    assert seen.shape == result.p__v.shape == (0,)

    scalar = sh.process(type("P", (), {"v": sh.variable(default=attr.Factory(list))}))
    with pytest.raises(SetupError, match=r"p__v.* declared are \(\)"):
        run_model(make_model(p=scalar))


def test_a_date_stays_a_date():
    seen, _ = echoed(np.datetime64("2024-02-29", "ns"))

    assert seen == np.datetime64("2024-02-29")
    assert isinstance(seen, np.datetime64)


def test_two_index_variables_of_one_name_are_an_error_that_names_both():
    def grid(size):
        cls = type("Grid", (), {"x": sh.index(dims="x")})
        cls.initialize = lambda self: setattr(self, "x", np.arange(size))
        return sh.process(cls)

    with pytest.raises(SetupError, match="a__x and b__x"):
        run_model(make_model(a=grid(2), b=grid(3)))


# Outputs


def test_the_type_of_an_output_is_not_that_of_its_first_value_alone():
    values = iter([5, 1.7, 2.5, 3.5])

    @sh.process
    class P:
        out = sh.variable(intent="out")

        def run_step(self):
            self.out = next(values)

    result = run_model(make_model(p=P), outputs={"p__out": "t"})

    assert result.p__out.values.tolist() == [5.0, 1.7, 2.5, 2.5]


@pytest.mark.parametrize("value", [0, False, 0.0, ""])
@pytest.mark.parametrize("on_disk", [False, True])
def test_zeros_false_and_empty_texts_come_back_as_they_are(value, on_disk, tmp_path):
    store = tmp_path / "out.zarr" if on_disk else None

    result = run_model(make_model(p=Echo), {"p__given": value}, {"p__out": "t"}, store=store)

    assert result.p__out.values.tolist() == [value] * 4
    assert np.asarray(result.p__out).dtype.kind in {bool: "b", int: "i", float: "f", str: "TUO"}[type(value)]


def test_an_encoding_of_one_run_is_not_that_of_the_next():
    model = make_model(p=Echo)
    run_model(model, {"p__given": 1.5}, {"p__out": "t"}, encoding={"p__out": {"dtype": "f4"}})

    result = run_model(model, {"p__given": 1.5}, {"p__out": "t"})

    assert result.p__out.dtype == "f8"


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_value_equal_to_the_fill_value_stays_and_integers_stay_integers(on_disk, tmp_path):
    values = iter([-1, 2, -1, 4])

    @sh.process
    class P:
        out = sh.variable(intent="out", encoding={"fill_value": -1})

        def run_step(self):
            self.out = next(values)

    store = tmp_path / "out.zarr" if on_disk else None
    out = run_model(make_model(p=P), outputs={"p__out": "t"}, store=store).p__out

    assert out.values.tolist() == [-1, 2, -1, -1]
    assert out.dtype.kind == "i"


def test_the_fill_value_of_an_encoding_stands_where_nothing_was_saved():
    leaves = sh.runtime_hook("run_step")(lambda model, context, state: sh.RuntimeSignal.BREAK)
    model = make_model(p=Echo)

    encoding = {"p__out": {"fill_value": -1}}
    result = run_model(model, {"p__given": 7}, {"p__out": "t"}, hooks=[leaves], encoding=encoding)

    assert result.p__out.values.tolist() == [7, -1, -1, -1]
    assert result.p__out.dtype.kind == "i"


def test_an_unsorted_batch_with_duplicates_keeps_its_order():
    labels = xr.DataArray([3, 1, 3, 2], dims="b", coords={"b": [30, 10, 30, 20]})
    model = make_model(p=Echo)
    setup = sh.create_setup(model, clocks={"t": [0, 1]}, input_vars={"p__given": labels})
    setup = setup.assign_coords(b=labels.b).simherd.update_vars(model, output_vars={"p__out": None})

    result = setup.simherd.run(model, batch_dim="b")

    assert result.p__out.values.tolist() == [3, 1, 3, 2]
    assert result.b.values.tolist() == [30, 10, 30, 20]


def test_threads_of_a_batch_share_no_index_that_is_looked_up():
    """Clocks are plain lists by the time that simulations run, so nothing is built lazily among threads."""
    cls, seen = recorder("step_start", v=sh.variable())
    before = set(threading.enumerate())

    for _ in range(5):
        run_model(
            make_model(p=cls), {"p__v": ("b", np.arange(8))}, clock=np.arange(3), batch_dim="b",
            parallel=True, scheduler="threads", workers=4, block_size=1,
        )  # fmt: skip

    assert set(seen) == {0, 1}
    assert not [one for one in set(threading.enumerate()) - before if one.name.startswith("simherd_")]

"""Rules of blocks that are advanced as arrays: they give what a loop over their simulations gives."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

import simherd as sh
from simherd.engine.agreement import Agreement, _split_time, compare_ways
from simherd.engine.block import Block, BlockRun, Status, Stopped
from simherd.engine.columns import Column
from simherd.engine.looped import looped_processes
from simherd.engine.plan import Plan, Tap
from simherd.engine.rows import EachRow, RowColumn, has_rows, rows_of, stack
from simherd.engine.simulate import Simulator
from simherd.engine.vectorized import SMALLEST, BlockSimulator, Parts, run_as_arrays
from simherd.errors import ModelError, OutputError, VectorizeError
from simherd.model import runtime_hook
from simherd.model.hooks import gather_hooks

DONE, FAILED = Status.DONE, Status.FAILED


def run_both(plan, inputs, part_size=8, **options):
    """Return what a block gives simulation by simulation, as arrays, and the errors that parts raised."""
    size = len(next(iter(inputs.values())))
    block = Block(numbers=range(5, 5 + size), inputs=inputs)
    alone = BlockRun(Simulator(plan), block, **options).run()
    errors = []

    class Noting(BlockSimulator):
        def advance(self, *args):
            try:
                return super().advance(*args)
            except Exception as error:
                errors.append(error)
                raise

    run = BlockRun(Simulator(plan), block, **options)
    arrays = run_as_arrays(Noting(plan), run, Parts(size=part_size, seconds=0.0))
    return alone, arrays, errors


def assert_same(alone, arrays):
    assert arrays.numbers == alone.numbers
    assert arrays.status.tolist() == alone.status.tolist()
    assert [f.number for f in arrays.failures] == [f.number for f in alone.failures]
    for one, other in zip(alone.values, arrays.values, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            if one.dtype.kind == "f":
                np.testing.assert_allclose(other, one, rtol=1e-10, atol=0.0)
            else:
                np.testing.assert_array_equal(other, one)


def make_plan(processes, outputs, inputs=(), steps=4, order=(), **options):
    """Return a plan of processes that saves ``{"p__v": steps or None}``."""
    model = sh.Model(processes, order=order)
    taps = []
    for name, at in outputs.items():
        key = tuple(name.split("__"))
        clock = None if at is None else "t"
        home = model.graph.variables[key].home
        taps.append(Tap(key=key, home=home, clock=clock, steps=tuple(at or ())))
    return Plan(
        model=model,
        clock="t",
        labels=np.arange(steps + 1.0),
        **{"shared": {}, "taps": tuple(taps), "batch_size": 100, "batched": tuple(inputs)} | options,
    )


# Values


@pytest.mark.parametrize(
    ("shape", "dims", "expected"),
    [
        ((), [()], False),
        ((3,), [()], True),
        ((2,), [()], False),
        ((3,), [("x",)], False),
        ((3, 5), [("x",)], True),
        ((5, 3), [("x",)], False),
        ((3, 3), [("x",)], True),
        ((3,), [(), ("x",)], True),
        ((3, 4, 5), [("x",)], False),
    ],
)
def test_a_value_has_rows_if_it_has_one_dimension_more_than_declared_and_their_number(shape, dims, expected):
    assert has_rows(np.zeros(shape), dims, 3) is expected


@pytest.mark.parametrize(
    "values",
    [
        [1, 2.5, 3],
        [True, False],
        ["a", "long"],
        [np.arange(3.0), np.arange(3)],
        [np.datetime64("2026-01-01"), np.datetime64("2026-01-02")],
        [1 + 2j, 3.0],
    ],
)
def test_values_of_one_shape_are_stacked_and_cut_up_again(values):
    stacked = stack(values)

    assert isinstance(stacked, np.ndarray)
    assert len(stacked) == len(values)
    for row, value in zip(rows_of(stacked), values, strict=True):
        np.testing.assert_array_equal(row, value)


@pytest.mark.parametrize("values", [[np.arange(2), np.arange(3)], [None, 1], [1.0, "a"], [{}, {}], [True, 2]])
def test_values_that_make_no_array_stay_one_for_each_simulation(values):
    assert stack(values) == EachRow(values)
    assert rows_of(stack(values)) == values


def test_rows_of_scalars_are_python_numbers():
    assert [type(row) for row in rows_of(np.array([1.5, 2.5]))] == [float, float]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([1.0, 2.0]), [0, 1, 2, 0]),
        (7.0, [0, 7, 7, 0]),
        (EachRow([3.0, 4.0]), [0, 3, 4, 0]),
        ([1.0, 2.0], [0, 1, 2, 0]),
    ],
)
def test_a_value_of_all_rows_is_split_or_repeated(value, expected):
    column = Column("p__v", 4, 1, fill_value=0.0)

    RowColumn(column, 1, 2, ((),)).put(0, 0, value)

    assert column.values[:, 0].tolist() == expected
    assert column.filled == [0, 1, 1, 0]


@pytest.mark.parametrize("shape", [(3,), (2, 2), (1, 2, 5)])
def test_a_value_of_another_shape_is_an_error_that_says_which_it_may_have(shape):
    column = Column("p__v", 4, 1)

    with pytest.raises(OutputError, match=rf"p__v.*{re.escape(str(shape))}.*2 simulations"):
        RowColumn(column, 1, 2, ((),)).put(0, 0, np.zeros(shape))


def test_rows_that_grow_keep_what_was_saved():
    column = Column("p__v", 3, 2)
    column.put(0, 0, [1.5])
    column.put(0, 1, [2.5])
    rows = RowColumn(column, 1, 2, (("x",),))
    rows.put(0, 0, np.array([[3.5], [4.5]]))
    rows.put(0, 1, np.array([[0.5, 1.5], [2.5, 3.5]]))

    nan = np.nan
    expected = [[[1.5, nan], [2.5, nan]], [[3.5, nan], [0.5, 1.5]], [[4.5, nan], [2.5, 3.5]]]
    np.testing.assert_array_equal(column.values, expected)


def test_rows_of_a_wider_type_keep_what_was_saved():
    column = Column("p__v", 3, 2)
    column.put(0, 0, 1)
    rows = RowColumn(column, 1, 2, ((),))
    rows.put(0, 0, np.array([3, 4]))
    rows.put(0, 1, np.array([0.5, 1.5]))
    column.put(0, 1, 2)

    assert column.values.tolist() == [[1.0, 2.0], [3.0, 0.5], [4.0, 1.5]]


@given(size=st.integers(1, 100), most=st.integers(1, 30))
def test_parts_cover_a_block_without_overlap_and_are_of_about_one_size(size, most):
    parts = list(Parts(size=most, seconds=0.0).of(size))

    assert [row for start, stop in parts for row in range(start, stop)] == list(range(size))
    sizes = {stop - start for start, stop in parts}
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("size", "axes"), [(10, {10}), (10, {10, 5}), (9, {3, 9}), (64, {64, 32, 16, 8})])
def test_no_part_has_the_size_of_another_axis(size, axes):
    seen = []

    @sh.process
    class P:
        x = sh.variable()
        y = sh.variable(intent="out")

        def initialize(self):
            seen.append(np.shape(self.x))
            self.y = self.x

    plan = make_plan({"p": P}, {"p__y": None}, [("p", "x")])
    block = Block(numbers=range(size), inputs={("p", "x"): np.arange(float(size))})
    parts = Parts(size=1000, seconds=0.0, axes=frozenset(axes))

    result = run_as_arrays(BlockSimulator(plan), BlockRun(Simulator(plan), block), parts)

    assert result.values[0].ravel().tolist() == list(range(size))
    assert not {shape[0] for shape in seen if shape} & axes
    assert sum(shape[0] if shape else 1 for shape in seen) == size


# Processes


@sh.process
class Grid:
    spacing = sh.variable(default=1.0)
    x = sh.index(dims="x")

    def initialize(self):
        self.x = np.arange(4.0)


@sh.process
class Rain:
    rate = sh.variable(default=1.0)
    rain = sh.variable(intent="out", groups="forcing")

    @sh.runtime(args="step")
    def run_step(self, step):
        self.rain = self.rate * (step + 1)


@sh.process
class Profile:
    """A scalar for each simulation, a profile for each, in two stages, with a part that grows."""

    x = sh.foreign(Grid, "x")
    rain = sh.foreign(Rain, "rain")
    decay = sh.variable()
    initial = sh.variable(dims=[(), "x"], default=0.0)
    height = sh.variable(dims="x", intent="out")
    history = sh.variable(dims="events", intent="out")
    total = sh.on_demand(groups="forcing")
    mean = sh.on_demand()

    def initialize(self):
        self.height = np.asarray(self.initial)[..., None] * np.ones(4) + 0 * self.x
        self.history = self._column(self.decay) * np.ones(1)

    def run_step(self):
        self._change = self._column(self.rain) * 0.25 - self._column(self.decay) * self.height

    def finalize_step(self):
        self.height = self.height + self._change
        self.history = np.append(self.history, self._column(self.total), axis=-1)

    @total.compute
    def _total(self):
        return self.height.sum(axis=-1)

    @mean.compute(cache=True)
    def _mean(self):
        return self.height.mean(axis=-1)

    @staticmethod
    def _column(value):
        return np.asarray(value)[..., None]


@sh.process
class Gauge:
    forcing = sh.group("forcing")
    forcing_dict = sh.group_dict("forcing")
    mean = sh.foreign(Profile, "mean")
    level = sh.variable(intent="out")

    def initialize(self):
        self.level = 0.0

    def finalize_step(self):
        self.level = self.level + sum(self.forcing) + len(self.forcing_dict) * self.mean


@sh.process
class Plain:
    """Written for numbers, with an if and a list of its own."""

    level = sh.foreign(Gauge, "level")
    height = sh.foreign(Profile, "height")
    is_high = sh.variable(intent="out")
    seen = sh.variable(intent="out")
    word = sh.variable(intent="out", default="")
    notes = sh.any_object()

    def initialize(self):
        self._levels = []
        self.notes = {"levels": self._levels}
        self.is_high = False
        self.seen = 0.0
        self.word = "low"

    def finalize_step(self):
        self._levels.append(float(self.level))
        if self.level > 20 and self.height[0] > 1:
            self.is_high = True
            self.word = "high"
        self.seen = max(self._levels)


@sh.process
class Reader:
    """Reads the object of another process."""

    notes = sh.foreign(Plain, "notes")
    count = sh.variable(intent="out")

    def finalize_step(self):
        self.count = len(self.notes["levels"]) + int(self.notes["levels"][-1] > 5)


SAVES = {
    "profile__height": [0, 2, 4],
    "profile__history": [1, 3, 4],
    "profile__total": [1, 2],
    "profile__mean": None,
    "gauge__level": [0, 1, 2, 3, 4],
    "rain__rain": [1],
    "profile__decay": None,
}
DECAY, INITIAL, RATE = ("profile", "decay"), ("profile", "initial"), ("rain", "rate")
FULL = {"grid": Grid, "rain": Rain, "profile": Profile, "gauge": Gauge}


def mark(cls, vectorized):
    """Return a class of the same declarations that is marked."""
    return sh.process(type(cls.__name__, (cls,), {"__module__": __name__}), vectorized=vectorized)


def full_inputs(size):
    return {
        DECAY: np.linspace(0.1, 0.9, size),
        RATE: np.sin(np.arange(size))[:, None] * np.arange(1.0, 6.0),
    }


def full_plan(processes=FULL, saves=SAVES, **options):
    shared = {("grid", "spacing"): 1.0, INITIAL: 2.0}
    given = {"varying": frozenset({RATE}), "indexes": (("grid", "x"),), "shared": shared}
    return make_plan(processes, saves, (DECAY, RATE), **given | options)


@pytest.mark.parametrize("size", [2, 3, 7, 8, 9, 40])
def test_scalars_arrays_clocks_growth_on_demand_and_groups_give_what_a_loop_gives(size):
    alone, arrays, errors = run_both(full_plan(), full_inputs(size))

    assert errors == []
    assert_same(alone, arrays)


def test_an_array_that_differs_between_simulations_has_them_in_front():
    inputs = {**full_inputs(9), INITIAL: np.arange(9.0)}
    alone, arrays, errors = run_both(full_plan(shared={("grid", "spacing"): 1.0}), inputs)

    assert errors == []
    assert_same(alone, arrays)


@pytest.mark.parametrize("looped", ["rain", "profile", "gauge", "rain gauge", "grid profile"])
def test_processes_that_are_looped_over_give_what_a_loop_gives(looped):
    processes = {name: mark(cls, name not in looped.split()) for name, cls in FULL.items()}
    plan = full_plan(processes)

    alone, arrays, errors = run_both(plan, full_inputs(9))

    assert errors == []
    assert looped_processes(plan.model.graph) == set(looped.split())
    assert_same(alone, arrays)


def test_a_process_written_for_numbers_is_looped_over_beside_others():
    processes = {n: mark(c, True) for n, c in FULL.items()} | {"plain": Plain, "reader": Reader}
    more = {"plain__is_high": [1, 4], "plain__seen": None, "plain__word": None, "reader__count": [4]}

    alone, arrays, errors = run_both(full_plan(processes, SAVES | more), full_inputs(30))

    assert errors == []
    assert_same(alone, arrays)
    assert len({str(word) for word in arrays.values[-2].ravel()}) == 2


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ((None, None), set()),
        ((True, None), {"b"}),
        ((None, False), {"b"}),
        ((True, False), {"b"}),
        ((False, None), {"a"}),
        ((True, True), set()),
    ],
)
def test_without_a_mark_a_process_takes_arrays_unless_another_is_marked_so(marks, expected):
    model = sh.Model({name: mark(Rain, one) for name, one in zip("ab", marks, strict=True)})

    assert looped_processes(model.graph) == expected


@sh.process
class Thrower:
    chance = sh.variable()
    sum = sh.variable(intent="out")

    @sh.runtime(args="rng, batch")
    def initialize(self, rng, batch):
        self.sum = rng.random() + batch

    @sh.runtime(args="rng")
    def run_step(self, rng):
        self.sum = self.sum + (rng.random() < self.chance)


def test_each_simulation_has_random_numbers_of_its_own():
    plan = make_plan(
        {"thrower": Thrower, "rain": Rain},
        {"thrower__sum": [0, 4]},
        [("thrower", "chance")],
        seed=3,
        shared={RATE: 1.0},
    )

    alone, arrays, errors = run_both(plan, {("thrower", "chance"): np.linspace(0.0, 1.0, 20)})

    assert errors == []
    assert_same(alone, arrays)


@sh.process
class Store:
    """Changed by others."""

    water = sh.variable(intent="inout")
    field = sh.variable(dims="x", intent="inout")


@sh.process
class Pump:
    power = sh.variable()
    water = sh.foreign(Store, "water", intent="inout")
    field = sh.foreign(Store, "field", intent="inout")

    def run_step(self):
        self.water = self.water + self.power
        self.field = self.field + np.asarray(self.power)[..., None]


@sh.process
class Leak:
    water = sh.foreign(Store, "water", intent="inout")
    field = sh.foreign(Store, "field", intent="inout")

    def run_step(self):
        self.water = self.water * 0.5
        self.field *= 0.5


@pytest.mark.parametrize("marks", [(None, None), (True, False), (False, True)])
@pytest.mark.parametrize("is_batched", [True, False])
def test_what_several_processes_change_is_changed_in_order(marks, is_batched):
    model = {"store": Store, "pump": mark(Pump, marks[0]), "leak": mark(Leak, marks[1])}
    water, field, power = ("store", "water"), ("store", "field"), ("pump", "power")
    inputs = {power: np.arange(11.0)}
    own = {water: 3.0, field: np.ones(2)}
    if is_batched:
        inputs |= {water: np.arange(11.0), field: np.ones((11, 2))}
        own = {}
    order = [("store", "pump"), ("pump", "leak")]
    saves = {"store__water": [0, 4], "store__field": [1, 4]}
    plan = make_plan(model, saves, inputs, order=order, shared=own)

    alone, arrays, errors = run_both(plan, inputs)

    assert_same(alone, arrays)
    assert errors == [] or not is_batched  # a shared field cannot take rows in place
    np.testing.assert_array_equal(inputs[power], np.arange(11.0))


def test_hooks_see_the_whole_block_and_the_positions_of_its_simulations():
    seen = []

    @runtime_hook("run_step", "process", "post")
    def hook(model, context, state):
        if context.step == 1:
            seen.append((context.batch.tolist(), state["rain", "rain"].shape))

    plan = make_plan({"rain": Rain}, {"rain__rain": [1]}, [RATE], hooks=gather_hooks([hook]), batch_size=20)
    block = Block(numbers=np.array([3, 4, 9]), inputs={RATE: np.ones(3)})

    result = run_as_arrays(
        BlockSimulator(plan), BlockRun(Simulator(plan), block), Parts(size=10, seconds=0.0)
    )

    assert seen == [([3, 4, 9], (3,))]
    assert result.values[0].ravel().tolist() == [2, 2, 2]


# What fails


@sh.process
class Fragile:
    """Divides, as processes that take numbers and arrays do."""

    x = sh.variable(validator=lambda instance, field, value: check_not_13(value))
    y = sh.variable(intent="out")

    def initialize(self):
        self.y = 0.0

    def run_step(self):
        self.y = 1 / self.x


def check_not_13(value):
    if value == 13:
        raise ValueError("13 is not allowed")


X = ("fragile", "x")


@pytest.mark.parametrize("part_size", [2, 5, 64])
@pytest.mark.parametrize("bad", [(), (0,), (3, 4), (0, 17, 39), tuple(range(40))])
def test_a_failed_simulation_costs_one_simulation_and_has_the_traceback_of_the_loop(part_size, bad):
    values = np.arange(1.0, 41.0) + 20
    values[list(bad)] = 0.0
    plan = make_plan({"fragile": Fragile}, {"fragile__y": [4]}, [X])

    alone, arrays, _ = run_both(plan, {X: values}, part_size)

    assert_same(alone, arrays)
    assert [str(f.error) for f in arrays.failures] == ["float division by zero"] * len(bad)
    for failure in arrays.failures:
        assert f"simulation {failure.number}" in failure.traceback
        assert "at once" not in failure.traceback


def test_a_validator_that_fails_costs_one_simulation():
    plan = make_plan({"fragile": Fragile}, {"fragile__y": None}, [X])

    alone, arrays, errors = run_both(plan, {X: np.arange(1.0, 41.0)}, 64)

    assert_same(alone, arrays)
    assert arrays.failures[0].number == 5 + 12
    assert 0 < len(errors) < 40 / SMALLEST * 2


def test_validators_are_called_for_each_simulation_and_those_of_simherd_once():
    calls = []

    @sh.process
    class P:
        low = sh.variable()
        x = sh.variable(validator=lambda instance, field, value: calls.append((instance.low, value)))
        y = sh.variable(validator=[sh.validators.in_bounds((0, 50)), sh.validators.is_subdtype(np.floating)])

    plan = make_plan({"p": P}, {"p__y": None}, [("p", "x"), ("p", "y")], shared={("p", "low"): 7.0})
    inputs = {("p", "x"): np.arange(3.0), ("p", "y"): np.arange(3.0)}
    block = Block(numbers=range(3), inputs=inputs)

    BlockSimulator(plan).advance(block, Simulator(plan).columns(3))

    assert calls == [(7.0, 0.0), (7.0, 1.0), (7.0, 2.0)]


def test_converters_of_inputs_are_called_for_each_simulation():
    @sh.process
    class P:
        x = sh.variable(converter=lambda value: float(value) * 2)
        z = sh.variable(converter=lambda value: float(value) * 3, intent="inout")
        y = sh.variable(intent="out")

        def initialize(self):
            self.y = self.x + self.z

    x, z = ("p", "x"), ("p", "z")
    plan = make_plan({"p": P}, {"p__y": None, "p__z": None}, [x], shared={z: 2})

    alone, arrays, errors = run_both(plan, {x: np.arange(5)})

    assert errors == []
    assert_same(alone, arrays)


def test_a_block_ends_at_the_first_failure_if_told_so():
    values = np.ones(40)
    values[[7, 20]] = 0.0
    plan = make_plan({"fragile": Fragile}, {"fragile__y": None}, [X])

    alone, arrays, _ = run_both(plan, {X: values}, 16, stop_on_failure=True)

    assert arrays.numbers == range(5, 13)
    assert_same(alone, arrays)


def test_a_block_stops_before_a_part():
    plan = make_plan({"fragile": Fragile}, {"fragile__y": None}, [X])
    block = Block(numbers=range(40), inputs={X: np.ones(40)})
    answers = iter([False, False, True])
    run = BlockRun(Simulator(plan), block, is_stopped=lambda: next(answers))

    result = run_as_arrays(BlockSimulator(plan), run, Parts(size=10, seconds=0.0))

    assert result.numbers == range(20)
    assert result.status.tolist() == [DONE] * 20


def test_a_part_that_is_stopped_in_the_middle_stays_pending():
    @sh.process
    class Stopping(Fragile):
        def run_step(self):
            if np.max(self.x) > 25:
                raise Stopped
            super().run_step()

    plan = make_plan({"fragile": Stopping}, {"fragile__y": [1]}, [X])
    block = Block(numbers=range(40), inputs={X: 14.0 + np.arange(40)})

    run = BlockRun(Simulator(plan), block)
    result = run_as_arrays(BlockSimulator(plan), run, Parts(size=10, seconds=0.0))

    assert result.numbers == range(10)
    assert np.isnan(run.columns[0].values[10:]).all()


def test_a_part_that_is_too_small_or_fails_runs_with_python_numbers():
    types = []

    @sh.process
    class P:
        x = sh.variable()
        y = sh.variable(intent="out")

        def initialize(self):
            types.append(type(self.x))
            self.y = self.x

    plan = make_plan({"p": P}, {"p__y": None}, [("p", "x")])
    run_both(plan, {("p", "x"): np.ones(1)})

    assert types == [float, float]


def test_the_time_of_a_part_is_shared_among_its_simulations():
    plan = make_plan({"rain": Rain}, {"rain__rain": [1]}, [RATE])

    _, arrays, _ = run_both(plan, {RATE: np.ones(20)}, 10)

    assert len(set(arrays.seconds[:10].tolist())) == 1
    assert (arrays.seconds > 0).all()


def test_simulations_that_go_separate_ways_run_on_their_own():
    @sh.process(vectorized=False)
    class Breaker:
        x = sh.variable()
        y = sh.variable(intent="out")
        z = sh.variable(intent="out")

        def initialize(self):
            self.y = 0.0

        def run_step(self):
            self.y += 1
            if self.x > 0:
                self.z = 1.0
                return sh.RuntimeSignal.BREAK
            return None

    @sh.process
    class After:
        y = sh.foreign(Breaker, "y")
        count = sh.variable(intent="out", default=0)

        def initialize(self):
            self.count = 0

        def run_step(self):
            self.count = self.count + 1

    x = ("breaker", "x")
    plan = make_plan({"breaker": Breaker, "after": After}, {"after__count": None}, [x])
    for values in (np.ones(6), np.zeros(6), np.arange(6) % 2):
        alone, arrays, errors = run_both(plan, {x: values.astype(float)})

        assert_same(alone, arrays)
        assert all(isinstance(error, VectorizeError) for error in errors)
        assert bool(errors) is (len(set(values)) > 1)


def test_index_variables_are_those_of_one_simulation():
    @sh.process
    class P:
        n = sh.variable()
        x = sh.index(dims="x")
        y = sh.variable(dims="x", intent="out")

        def initialize(self):
            self.x = np.asarray(self.n)[..., None] * np.arange(3.0)
            self.y = self.x

    plan = make_plan({"p": P}, {"p__y": None}, [("p", "n")], indexes=(("p", "x"),))
    for values in (np.ones(4), np.arange(4.0)):
        alone, arrays, errors = run_both(plan, {("p", "n"): values})

        assert_same(alone, arrays)
        assert bool(errors) is (len(set(values.tolist())) > 1)


# The comparison


def compare(plan, inputs, rtol=1e-10, count=3):
    from contextlib import nullcontext

    size = len(next(iter(inputs.values())))
    block = Block(numbers=np.arange(size) + 10, inputs=inputs)
    return compare_ways(plan, block, count, rtol, nullcontext, nullcontext)


def test_simulations_that_agree_have_their_times_measured():
    found = compare(full_plan(), full_inputs(3))

    assert isinstance(found, Agreement)
    assert found.loop_seconds > 0
    assert 0 < found.seconds_among(1000) <= found.seconds_among(10)


@pytest.mark.parametrize("seconds", [0.001, 0.1, 1.0, 9.0, 20.0])
def test_times_among_simulations_are_never_negative(seconds):
    together = SimpleNamespace(run=lambda rows: (None, 10.0))

    each, overhead = _split_time(together, np.arange(3), seconds, loop_seconds=20.0)

    assert each >= 0.0
    assert overhead >= 0.0


def test_as_many_candidates_run_as_it_takes_and_failed_ones_are_left_out():
    plan = make_plan({"fragile": Fragile}, {"fragile__y": None}, [X])

    assert isinstance(compare(plan, {X: np.array([0.0, 2.0, 3.0, 4.0, 13.0])}), Agreement)
    assert isinstance(compare(plan, {X: np.array([0.0, 2.0])}), Agreement)
    failure = compare(plan, {X: np.array([0.0, 0.0])})
    assert (failure.number, type(failure.error)) == (10, ZeroDivisionError)


@sh.process
class Wrong:
    """Gives another value where it gets an array."""

    x = sh.variable()
    y = sh.variable(intent="out", dims=[(), "d"])

    def initialize(self):
        self.y = self.x * (1 + 1e-7 * np.ndim(self.x))


def test_an_output_that_differs_is_named_with_simulation_values_and_difference():
    plan = make_plan({"p": Wrong}, {"p__y": None}, [("p", "x")])
    inputs = {("p", "x"): np.array([2.0, 3.0, 4.0])}

    error = compare(plan, inputs).error

    assert isinstance(error, VectorizeError)
    assert re.search(
        r"'p__y' of simulation 10 is 2\.0000002\d* .*on its own 2\.0: .*1e-07.*1e-10", str(error)
    )
    assert "vectorize=1e-06" in error.fix or "vectorize=1e-07" in error.fix
    assert isinstance(compare(plan, inputs, rtol=1e-6), Agreement)


def test_a_model_that_takes_no_arrays_is_an_error_that_says_where_and_what_to_do():
    import math

    @sh.process
    class P:
        x = sh.variable()
        y = sh.variable(intent="out")

        def run_step(self):
            self.y = math.sqrt(self.x)

    error = compare(make_plan({"p": P}, {"p__y": None}, [("p", "x")]), {("p", "x"): np.ones(3)}).error

    assert isinstance(error, VectorizeError)
    assert "TypeError" in str(error)
    assert "In process 'p', stage run_step" in str(error)
    assert "np.sqrt" in error.fix
    assert "vectorized=False" in error.fix


def test_values_near_zero_are_held_to_the_largest_of_their_simulation():
    @sh.process
    class P:
        x = sh.variable()
        y = sh.variable(intent="out", dims="d")

        def initialize(self):
            small = 1e-17 * np.ndim(self.x) * np.asarray(self.x)
            self.y = np.stack([np.asarray(self.x), small, np.asarray(self.x) * np.nan], axis=-1)

    plan = make_plan({"p": P}, {"p__y": None}, [("p", "x")])

    assert isinstance(compare(plan, {("p", "x"): np.array([1.0, 2.0, 3.0])}), Agreement)


# Any model

SETTINGS = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@pytest.mark.slow
@SETTINGS
@given(rng=st.randoms(use_true_random=False), is_mixed=st.booleans())
def test_any_model_gives_what_a_loop_gives(random_models, rng, is_mixed):
    """Whether its processes are looped over or take arrays, fail there or not."""
    source = random_models.write_model(rng)
    if is_mixed:
        source = source.replace("int(value)", "value")
    marks = iter(lambda: rng.choice([True, False]) if is_mixed else False, None)
    source = re.sub("@sh.process", lambda _: f"@sh.process(vectorized={next(marks)})", source)
    note(source)
    names = {}
    try:
        exec(source, names)
    except ModelError:
        assume(False)
    model = names["model"]
    inputs = {key: np.array([rng.randint(0, 1008) for _ in range(6)]) for key in model.graph.inputs}
    assume(inputs)
    shared = {key: inputs.pop(key).tolist()[0] for key in list(inputs)[1:] if rng.randint(0, 1)}
    taps = [
        Tap(key=v.key, home=v.home, clock="t", steps=tuple(sorted(rng.sample(range(4), 2))))
        for v in model.graph.variables.values()
        if not (v.is_group or v.is_object or v.owner.metadata["var_type"].value == "index")
    ]
    plan = Plan(
        model=model,
        clock="t",
        labels=np.arange(4),
        shared=shared,
        taps=tuple(taps),
        indexes=model.graph.indexes,
        batched=tuple(inputs),
    )

    alone, arrays, errors = run_both(plan, inputs, part_size=6)

    note(errors)
    assert arrays.status.tolist() == alone.status.tolist()
    for one, other in zip(alone.values, arrays.values, strict=True):
        np.testing.assert_array_equal(other, one)

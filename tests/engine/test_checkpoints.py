"""A simulation that goes on from a checkpoint gives bit for bit what it gives without a break."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import attr
import numpy as np
import pytest

import simherd as sh
from simherd.engine.block import Block, BlockRun, Status
from simherd.engine.checkpoints import Keeper, Stopped
from simherd.engine.simulate import Simulator
from simherd.errors import PicklingError

STEPS = 9


class Shelf(dict):
    """Checkpoints in memory."""

    def load(self, number):
        return self.get(number)

    def save(self, number, data):
        self[number] = bytes(data)
        self.saved = [*getattr(self, "saved", []), number]

    def remove(self, numbers):
        for number in numbers:
            self.pop(number, None)


@sh.process
class Terrain:
    """Changes arrays in place, through views, and keeps others' values under names of its own."""

    start = sh.variable(dims=("y", "x"), intent="in")
    rain = sh.variable(description="varies with the clock")
    water = sh.variable(intent="inout", description="given once, then changed")
    x = sh.index(dims="x")
    height = sh.variable(dims=("y", "x"), intent="out")
    edge = sh.variable(dims="x", intent="out")

    def initialize(self):
        self.x = np.arange(4)
        self._buffer = np.zeros((2, 3, 4), order="F")
        self._buffer[0] = self.start
        self.height = self._buffer[0]
        self.edge = self.height[::-1, ::-1][0]
        self._first, self._me = self.start, self.count
        self._called = 0

    def count(self):
        self._called += 1
        return self._called

    def run_step(self):
        self._buffer[0] += self.rain * self._me()
        self.edge *= 1.1
        self.water = self.water * 0.5 + self.rain + self._first[0, 1]

    def finalize_step(self):
        self._buffer[1] = self.height
        self.height[1] -= self.edge


@sh.process
class Dust:
    """Draws numbers, from a generator that it holds too."""

    grains = sh.variable(dims="grain", intent="out")
    word = sh.variable(intent="out")
    late = sh.variable(intent="out")
    _drawn = attr.ib(factory=list)

    @sh.runtime(args="rng")
    def initialize(self, rng):
        self._rng = rng
        self.grains, self.word, self.late = np.zeros(1), "", 0.0

    @sh.runtime(args="step, rng")
    def run_step(self, step, rng):
        assert rng is self._rng
        self._drawn.append(rng.random() + self._rng.random())
        self.grains = np.array(self._drawn)
        self.word = "abc" * step


@sh.process
class Late:
    """Draws for the first time in the middle."""

    value = sh.variable(intent="out")

    def initialize(self):
        self.value = 0.0

    @sh.runtime(args="step, rng")
    def finalize_step(self, step, rng):
        self.value = rng.random() if step > 4 else 0.0


@sh.process
class Reader:
    height = sh.foreign(Terrain, "height")
    water = sh.foreign(Terrain, "water")
    total = sh.variable(intent="out")
    mean = sh.on_demand()
    asked = sh.variable(intent="out")

    def initialize(self):
        self.total, self.asked = 0.0, 0
        self._seen = {"height": self.height, "self": self}

    def run_step(self):
        assert self._seen["height"] is self.height
        assert self._seen["self"] is self
        self.total = self.total + self.height.sum() + self.water

    def finalize_step(self):
        self.asked += int(self.mean > 0)

    @mean.compute(cache=True)
    def _mean(self):
        return self._seen["height"].mean() + self.water


model = sh.Model({"terrain": Terrain, "dust": Dust, "late": Late, "reader": Reader})


def make_plan(hooks=(), **inputs):
    from simherd.setup.planning import make_setup

    rng = np.random.default_rng(3)
    setup = sh.create_setup(
        model,
        clocks={"time": np.arange(STEPS + 1.0)},
        input_vars={
            "terrain__start": (("y", "x"), rng.random((3, 4))),
            "terrain__rain": ("time", rng.random(STEPS + 1)),
            "terrain__water": 2.0,
            **inputs,
        },
        output_vars={
            "terrain__height": "time",
            "terrain__edge": "time",
            "terrain__water": "time",
            "dust__grains": "time",
            "dust__word": "time",
            "late__value": "time",
            "reader__total": "time",
            "reader__mean": None,
        },
    )
    return make_setup(setup, model, seed=7, hooks=list(hooks)).plan


def values_of(columns):
    return [column.values.tobytes() if column.values.dtype != object else column.values.tolist()
            for column in columns]  # fmt: skip


def expected(plan):
    simulator = Simulator(plan)
    columns = simulator.columns(1)
    simulator.run({}, columns, 0)
    return values_of(columns)


def run(plan, keeper):
    simulator = Simulator(plan)
    columns = simulator.columns(1)
    simulator.run({}, columns, 0, keeper=keeper)
    return values_of(columns)


def stop_after(steps):
    """Return what says to stop after some steps."""
    left = iter([False] * (steps - 1) + [True])
    return lambda: next(left)


@pytest.mark.parametrize("steps", range(1, STEPS))
def test_results_are_the_same_after_a_stop_at_any_step(steps):
    plan, shelf = make_plan(), Shelf()
    with pytest.raises(Stopped):
        run(plan, Keeper(store=shelf, every=100, is_stopping=stop_after(steps)))

    assert run(plan, Keeper(store=shelf, every=100)) == expected(plan)


def test_results_are_the_same_after_a_stop_at_every_step():
    plan, shelf = make_plan(), Shelf()
    for _ in range(STEPS - 1):
        with pytest.raises(Stopped):
            run(plan, Keeper(store=shelf, every=100, is_stopping=lambda: True))

    assert run(plan, Keeper(store=shelf, every=None)) == expected(plan)


@pytest.mark.parametrize(("every", "kept"), [(1, 8), (2, 4), (4, 2), (8, 1), (9, 0), (100, 0)])
def test_there_is_a_checkpoint_after_so_many_steps(every, kept):
    plan, shelf = make_plan(), Shelf()

    assert run(plan, Keeper(store=shelf, every=every)) == expected(plan)
    assert len(getattr(shelf, "saved", [])) == kept


def test_the_first_checkpoint_can_come_after_the_first_step():
    shelf = Shelf()
    run(make_plan(), Keeper(store=shelf, every=4, begins_early=True))

    assert len(shelf.saved) == 3


def test_inputs_that_nobody_changed_are_not_part_of_it():
    large = (("y", "x"), np.random.default_rng(1).random((300, 400)))
    sizes = []
    for start in (large, (("y", "x"), large[1][:3, :4])):
        shelf = Shelf()
        plan = _only_start(start)
        run(plan, Keeper(store=shelf, every=2))
        sizes.append(len(shelf[0]))

    assert sizes[0] < sizes[1] + 200


def _only_start(start):
    from simherd.setup.planning import make_setup

    @sh.process
    class Holder:
        start = sh.variable(dims=("y", "x"))
        total = sh.variable(intent="out")

        def run_step(self):
            self._alias = self.start
            self._row = self.start[1]
            self.total = self._row.sum()

    holder = sh.Model({"holder": Holder})
    setup = sh.create_setup(
        holder,
        clocks={"time": np.arange(4)},
        input_vars={"holder__start": start},
        output_vars={"holder__total": "time"},
    )
    return make_setup(setup, holder).plan


def test_an_input_that_was_changed_in_place_stays_changed():
    @sh.process
    class Careless:
        table = sh.variable(dims="x")
        total = sh.variable(intent="out")

        def run_step(self):
            self.table[0] += 1
            self.total = self.table.sum()

    from simherd.setup.planning import make_setup

    careless = sh.Model({"p": Careless})
    setup = sh.create_setup(
        careless,
        clocks={"time": np.arange(6)},
        input_vars={"p__table": ("x", np.zeros(3))},
        output_vars={"p__total": "time"},
    )
    plan, shelf = make_setup(setup, careless).plan, Shelf()
    with pytest.raises(Stopped):
        run(plan, Keeper(store=shelf, every=9, is_stopping=stop_after(3)))

    assert run(plan, Keeper(store=shelf, every=9)) == expected(plan)


def test_intents_are_still_checked_after_it():
    plan, shelf = make_plan(), Shelf()
    with pytest.raises(Stopped):
        run(plan, Keeper(store=shelf, every=100, is_stopping=stop_after(3)))

    simulator = Simulator(plan)
    left = simulator.run({}, simulator.columns(1), 0, keeper=Keeper(store=shelf, every=None))

    left.check_intents()
    left.reader.height = 0
    with pytest.raises(sh.errors.ModelError, match="reader__height"):
        left.check_intents()


def test_hooks_begin_with_initialize_again():
    seen = []

    @sh.runtime_hook("initialize")
    def began(model, context, state):
        seen.append("initialize")
        model.terrain.water = -1.0

    @sh.runtime_hook("run_step")
    def stepped(model, context, state):
        seen.append(context.step)

    plan, shelf = make_plan(hooks=[began, stepped]), Shelf()
    wanted = expected(plan)
    with pytest.raises(Stopped):
        run(plan, Keeper(store=shelf, every=100, is_stopping=stop_after(6)))
    seen.clear()

    assert run(plan, Keeper(store=shelf, every=100)) == wanted
    assert seen == ["initialize", 6, 7, 8]


def test_what_cannot_be_kept_is_named():
    @sh.process
    class Locked:
        level = sh.variable(intent="out")

        def initialize(self):
            self.level = 0.0
            self._lock = threading.Lock()

    from simherd.setup.planning import make_setup

    locked = sh.Model({"gate": Locked})
    setup = sh.create_setup(locked, clocks={"time": np.arange(6)}, output_vars={"gate__level": "time"})
    message = "process 'gate', attribute '_lock', in a checkpoint: TypeError: cannot pickle"

    with pytest.raises(PicklingError, match=message):
        run(make_setup(setup, locked).plan, Keeper(store=Shelf(), every=2))


@pytest.mark.parametrize("cut", [0, 5, 300, -5])
def test_one_that_cannot_be_read_costs_a_warning(cut):
    plan, shelf = make_plan(), Shelf()
    with pytest.raises(Stopped):
        run(plan, Keeper(store=shelf, every=100, is_stopping=stop_after(3)))
    shelf[0] = shelf[0][:cut]

    with pytest.warns(RuntimeWarning, match="begins anew"):
        assert run(plan, Keeper(store=shelf, every=None)) == expected(plan)


# Blocks


class Broken(KeyboardInterrupt):
    """The process ends."""


@sh.process
class Counter:
    last = sh.variable()
    kind = sh.variable(default="")
    count = sh.variable(intent="out")
    ran = []  # noqa: RUF012 (shared by all simulations, which it watches)

    def initialize(self):
        self.count = 0

    @sh.runtime(args="batch, step")
    def run_step(self, batch, step):
        self.ran.append((batch, step))
        self.count += 1
        if self.count == self.last:
            raise {"break": Broken, "fail": ValueError}[self.kind]


def counting(kinds, last=3):
    from simherd.setup.planning import make_setup

    counters = sh.Model({"p": Counter})
    setup = sh.create_setup(
        counters,
        clocks={"time": np.arange(6)},
        input_vars={
            "p__last": ("member", [last if kind else -1 for kind in kinds]),
            "p__kind": ("member", kinds),
        },
        output_vars={"p__count": "time"},
    )
    made = make_setup(setup, counters, batch_dim="member")
    Counter.ran.clear()
    return Simulator(made.plan), Block(numbers=range(len(kinds)), inputs=made.batch_inputs)


def test_a_block_that_was_cut_off_loses_nothing_that_was_computed():
    shelf = Shelf()
    simulator, block = counting(["", "", "break", ""])
    interrupt = BlockRun(simulator, block, keeper=Keeper(store=shelf, every=2)).run().interrupt
    assert isinstance(interrupt.error, Broken)
    assert sorted(shelf) == [0, 1, 2]

    simulator, block = counting(["", "", "", ""])
    result = BlockRun(simulator, block, keeper=Keeper(store=shelf, every=2)).run()

    assert Counter.ran == [*[(2, step) for step in (2, 3, 4)], *[(3, step) for step in range(5)]]
    assert result.status.tolist() == [Status.DONE] * 4
    assert result.values[0].tolist() == [[1, 2, 3, 4, 5, 5]] * 4
    assert np.isfinite(result.seconds).all()


def test_a_simulation_that_failed_begins_anew():
    shelf = Shelf()
    simulator, block = counting(["", "fail", ""])
    result = BlockRun(simulator, block, retries=1, keeper=Keeper(store=shelf, every=2)).run()

    assert result.status.tolist() == [1, 2, 1]
    assert [step for number, step in Counter.ran if number == 1] == [0, 1, 2, 0, 1, 2]
    assert 1 not in shelf


def test_the_last_simulation_of_a_block_is_written_at_once_so_not_kept():
    shelf = Shelf()
    simulator, block = counting(["", ""])
    BlockRun(simulator, block, keeper=Keeper(store=shelf, every=100)).run()

    assert sorted(shelf) == [0]


def test_nothing_is_kept_where_one_only_goes_on():
    shelf = Shelf()
    simulator, block = counting(["", ""])
    BlockRun(simulator, block, keeper=Keeper(store=shelf, every=None)).run()

    assert not shelf


def test_no_warnings_come_with_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(make_plan(), Keeper(store=Shelf(), every=2))


def test_processes_in_threads_go_on_too():
    plan, shelf = make_plan(), Shelf()

    def run_threaded(keeper):
        with ThreadPoolExecutor(2) as pool:
            simulator = Simulator(plan, pool=pool)
            columns = simulator.columns(1)
            simulator.run({}, columns, 0, keeper=keeper)
        return values_of(columns)

    with pytest.raises(Stopped):
        run_threaded(Keeper(store=shelf, every=100, is_stopping=stop_after(4)))

    assert run_threaded(Keeper(store=shelf, every=100)) == expected(plan)

"""Outputs whose values differ in size between simulations: filled up, or stored one after another."""

from __future__ import annotations

import time

import numpy as np
import pytest
import xarray as xr
import zarr

import simherd as sh
from simherd.engine.sized import Sized
from simherd.errors import SetupError
from simherd.store.places import read_status
from simherd.store.writer import ArrayWriter

CONCATENATED = {"events__depth": {"layout": "concatenated"}}


@sh.process
class Events:
    """Gives as many values as it is told; a negative number is an error."""

    count = sh.variable()
    depth = sh.variable(dims="event", intent="out", attrs={"units": "mm"})
    table = sh.variable(dims=("event", "column"), intent="out")
    seen = sh.variable(dims="event", intent="out")
    total = sh.variable(intent="out")

    def initialize(self):
        if self.count < 0:
            raise ValueError("a negative number of events")
        self.depth = depth(self.count)
        self.table = np.outer(self.depth, np.arange(1.0, 2 + self.count % 2))
        self.seen = np.empty(0)
        self.total = self.depth.sum()

    @sh.runtime(args="step")
    def run_step(self, step):
        self.seen = self.depth[: step * 2]


def depth(count):
    return np.random.default_rng(int(count)).random(int(count))


MODEL = sh.Model({"events": Events})


def setup(counts, **outputs):
    return sh.create_setup(
        MODEL,
        clocks={"t": [0, 1, 2, 3]},
        input_vars={"events__count": ("b", np.asarray(counts))},
        output_vars=outputs or {"events__depth": None, "events__total": None},
    )


def run(counts, *, outputs=None, encoding=CONCATENATED, **options):
    given = setup(counts, **(outputs or {}))
    return given.simherd.run(model=MODEL, batch_dim="b", encoding=encoding, **options)


def check(result, counts):
    for number, count in enumerate(counts):
        np.testing.assert_array_equal(sh.read_ragged(result, "events__depth", number), depth(max(count, 0)))
    for found, count in zip(sh.read_ragged(result, "events__depth"), counts, strict=True):
        np.testing.assert_array_equal(found, depth(max(count, 0)))


COUNTS = [*np.random.default_rng(0).poisson(20, 50).tolist(), 700, 0, 3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheduler", "block_size", "stored"),
    [("sync", 7, True), ("sync", 7, False), ("threads", "auto", True), ("processes", 7, True)],
)
def test_each_simulation_has_its_values_back(tmp_path, scheduler, block_size, stored):
    store = tmp_path / "out.zarr" if stored else None
    where = {"parallel": True, "scheduler": scheduler, "workers": 2}

    out = run(COUNTS, store=store, block_size=block_size, **where)

    check(out, COUNTS)
    np.testing.assert_array_equal(out.events__depth__size, COUNTS)
    np.testing.assert_allclose(out.events__total, [depth(count).sum() for count in COUNTS])
    if stored:
        opened = xr.open_zarr(store)
        check(opened, COUNTS)
        assert opened.events__depth.attrs["units"] == "mm"


def test_rows_are_as_long_as_the_longest_one(tmp_path):
    counts = [2, 5, 3, 4]

    out = run(counts, store=tmp_path / "out.zarr", block_size=2)

    assert out.events__depth.shape == (2, 7)


def test_values_with_more_dimensions_and_a_clock(tmp_path):
    counts = [4, 7, 1]
    outputs = {"events__table": None, "events__seen": "t"}
    encoding = {name: {"layout": "concatenated"} for name in outputs}

    out = run(counts, outputs=outputs, encoding=encoding, store=tmp_path / "out.zarr", block_size=2)

    for number, count in enumerate(counts):
        table = sh.read_ragged(out, "events__table", number)
        np.testing.assert_array_equal(table, np.outer(depth(count), np.arange(1.0, 2 + count % 2)))
        seen = sh.read_ragged(out, "events__seen", number)
        assert [len(values) for values in seen] == [0, min(2, count), min(4, count), min(4, count)]
        np.testing.assert_array_equal(seen[2], depth(count)[:4])
    assert len(sh.read_ragged(out, "events__seen")) == 3


def test_simulations_that_fail_have_nothing(tmp_path):
    counts = [4, -1, 7, -1]

    out = run(counts, store=tmp_path / "out.zarr", block_size=3, on_error="record")

    check(out, counts)
    np.testing.assert_array_equal(out.simulation_status, [1, 2, 1, 2])


@pytest.mark.slow
def test_blocks_longer_than_expected_make_rows_longer(tmp_path):
    counts = [1, 1, 50_000, 1, 2, 60_000]

    out = run(counts, store=tmp_path / "out.zarr", block_size=2, parallel=True, scheduler="processes")

    check(out, counts)


@pytest.mark.slow
def test_a_batch_is_made_longer_and_run_again(tmp_path):
    store = tmp_path / "out.zarr"
    run(COUNTS[:10], store=store, block_size=4)

    check(run(COUNTS, store=store, block_size=4, resume=True), COUNTS)
    check(run(COUNTS, store=store, block_size=4, rerun="all"), COUNTS)


@pytest.mark.parametrize("pending", [[1], [0, 1, 2, 3], [2, 5, 6, 9], [3, 4, 5]])
def test_what_is_pending_is_put_behind_what_is_done(tmp_path, pending):
    store = tmp_path / "out.zarr"
    counts = COUNTS[-10:]
    run(counts, store=store, block_size=4)
    group = zarr.open_group(store, mode="r+")
    group["simulation_status"].oindex[np.array(pending)] = 0
    before = {n: depth(count) for n, count in enumerate(counts) if n not in pending}

    out = run(counts, store=store, block_size=4, resume=True)

    check(out, counts)
    assert len(before) == 10 - len(pending)


def test_values_that_are_done_stay_where_they_are_while_others_are_written(tmp_path):
    """Whatever a client that is killed leaves of a part of a row, the rest of it can be read."""
    store = tmp_path / "out.zarr"
    counts = [3, 4, 5, 6]
    run(counts, store=store, block_size=4)
    starts = zarr.open_group(store)["events__depth__start"][:]
    zarr.open_group(store, mode="r+")["simulation_status"][1] = 0

    out = run(counts, store=store, block_size=4, resume=True)

    np.testing.assert_array_equal(out.events__depth__start[[0, 2, 3]], starts[[0, 2, 3]])
    assert int(out.events__depth__start[1]) == sum(counts)


SCRIPT = """
import sys, time
import numpy as np
import simherd as sh

@sh.process
class Events:
    count = sh.variable()
    depth = sh.variable(dims="event", intent="out")

    def initialize(self):
        time.sleep(0.02)
        self.depth = np.random.default_rng(int(self.count)).random(int(self.count))

model = sh.Model({"events": Events})
setup = sh.create_setup(
    model, input_vars={"events__count": ("b", np.arange(60))}, output_vars={"events__depth": None}
)
encoding = {"events__depth": {"layout": "concatenated"}}
where = {"parallel": True, "scheduler": "processes", "workers": 2, "block_size": 4}
setup.simherd.run(model=model, batch_dim="b", store=sys.argv[1], encoding=encoding, resume=True, **where)
"""


@pytest.mark.slow
def test_a_run_that_is_killed_is_gone_on_with(tmp_path, forks):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [str(tmp_path / "script.py"), str(tmp_path / "out.zarr")]
    counts = range(60)
    for enough in (8, 30):
        running = forks.start(command, cwd=tmp_path)
        while (status := read_status(tmp_path / "out.zarr")) is None or (status == 1).sum() < enough:
            assert running.poll() is None
            time.sleep(0.05)
        running.kill()
        running.wait()
        opened = xr.open_zarr(tmp_path / "out.zarr")
        for number in np.flatnonzero(opened.simulation_status == 1).tolist():
            np.testing.assert_array_equal(sh.read_ragged(opened, "events__depth", number), depth(number))

    assert forks.start(command, cwd=tmp_path).wait() == 0

    check(xr.open_zarr(tmp_path / "out.zarr"), counts)


@pytest.mark.slow
def test_the_store_opens_at_every_moment(tmp_path, monkeypatch):
    store, seen = tmp_path / "out.zarr", []
    write = ArrayWriter.write

    def watched(self, result):
        write(self, result)
        opened = xr.open_zarr(store)
        done = np.flatnonzero(opened.simulation_status.values)
        seen.append(len(done))
        for number in done.tolist():
            np.testing.assert_array_equal(
                sh.read_ragged(opened, "events__depth", number), depth(COUNTS[number])
            )

    monkeypatch.setattr(ArrayWriter, "write", watched)

    run(COUNTS, store=store, block_size=10)

    assert seen == [10, 20, 30, 40, 50, 53]


@pytest.mark.slow
def test_what_would_be_filled_up_most_is_concatenated_unless_the_user_says_otherwise(tmp_path):
    counts = np.where(np.arange(700) % 10 == 0, 500, 5)

    chosen = run(counts, encoding={}, store=tmp_path / "a.zarr")
    padded = run(counts, encoding={"events__depth": {"layout": "padded"}}, store=tmp_path / "b.zarr")
    in_memory = run(counts, encoding={})

    for found, count in zip(sh.read_ragged(chosen, "events__depth"), counts, strict=True):
        np.testing.assert_array_equal(found, depth(count))
    assert padded.events__depth.dims == in_memory.events__depth.dims == ("b", "event")
    assert padded.events__depth.sizes["event"] == 500


def test_values_of_much_the_same_size_are_filled_up(tmp_path):
    counts = np.random.default_rng(1).poisson(20, 700)

    assert run(counts, encoding={}, store=tmp_path / "a.zarr").events__depth.dims == ("b", "event")


@pytest.fixture(scope="module", params=["store", "memory"])
def several(request, tmp_path_factory):
    """Six simulations in rows of two, an output without a clock and one with a clock."""
    store = tmp_path_factory.mktemp("ragged") / "out.zarr" if request.param == "store" else None
    outputs = {"events__depth": None, "events__seen": "t", "events__table": None}
    encoding = {name: {"layout": "concatenated"} for name in outputs}
    result = run(SEVERAL, outputs=outputs, encoding=encoding, store=store, block_size=2)
    return result.assign_coords(b=list("abcdef"))


SEVERAL = [4, 7, 1, 0, 9, 5]


@pytest.mark.parametrize(
    ("select", "numbers"),
    [
        (lambda ds: ds.isel(b=[5, 1, 3]), [5, 1, 3]),
        (lambda ds: ds.isel(b=slice(3, None)), [3, 4, 5]),
        (lambda ds: ds.isel(b=slice(None, None, -1)), [5, 4, 3, 2, 1, 0]),
        (lambda ds: ds.sel(b=["f", "a"]), [5, 0]),
        (lambda ds: ds.sortby("b", ascending=False).isel(b=[0]), [5]),
        (lambda ds: ds.isel(b=ds.events__count.values > 4), [1, 4, 5]),
        (lambda ds: ds.dropna("b").isel(b=[3]).transpose(), [3]),
        (lambda ds: ds.isel(b=[]), []),
    ],
)
def test_selected_simulations_have_their_own_values(several, select, numbers):
    selected = select(several)
    wanted = [depth(SEVERAL[number]) for number in numbers]

    for position, values in enumerate(wanted):
        np.testing.assert_array_equal(sh.read_ragged(selected, "events__depth", position), values)
    found = sh.read_ragged(selected, "events__depth")
    assert [values.tolist() for values in found] == [values.tolist() for values in wanted]
    tables = sh.read_ragged(selected, "events__table")
    assert [table[:, 0].tolist() for table in tables] == [values.tolist() for values in wanted]
    flat = sh.contiguous_ragged(selected, "events__depth")
    np.testing.assert_array_equal(flat.events__depth, np.concatenate([np.empty(0), *wanted]))
    assert flat.row_size.values.tolist() == [len(values) for values in wanted]


@pytest.mark.parametrize("labels", [[2, 3], [3, 0, 1], slice(None, None, -1), []])
def test_selected_labels_of_a_clock_have_their_own_values(several, labels):
    found = sh.read_ragged(several.isel(b=[4, 0], t=labels), "events__seen")

    steps = np.arange(4)[labels].tolist()
    for values, number in zip(found, [4, 0], strict=True):
        wanted = [depth(SEVERAL[number])[: min(2 * step, 4)].tolist() for step in steps]
        assert [one.tolist() for one in values] == wanted


def test_one_simulation_or_label_leaves_out_its_list(several):
    np.testing.assert_array_equal(sh.read_ragged(several.isel(b=4), "events__depth"), depth(9))
    np.testing.assert_array_equal(sh.read_ragged(several.isel(b=4, t=1), "events__seen"), depth(9)[:2])
    assert [len(values) for values in sh.read_ragged(several.isel(t=1), "events__seen")] == [2, 2, 1, 0, 2, 2]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda ds: ds.where(ds.events__count > 4), "has dimensions"),
        (lambda ds: ds.where((ds.events__count > 4).compute(), drop=True), "has dimensions"),
        (lambda ds: ds.reindex(b=["a", "z"]), "'simulation_number' has values of type float64"),
        (lambda ds: ds.drop_vars("events__depth__size"), "has no 'events__depth__size'"),
        (lambda ds: ds.isel(events__depth__row=[0]), "cut along 'events__depth__row'"),
        (lambda ds: ds.isel(events__depth__item=slice(3)), "cut along .* 'events__depth__item'"),
        (lambda ds: ds.drop_vars("simulation_number"), "'simulation_number'.*assign_coords"),
    ],
)
def test_what_does_not_tell_where_values_are_is_an_error(several, change, found):
    with pytest.raises(SetupError, match=rf"(?s)where the values of 'events__depth' are: .*{found}"):
        sh.read_ragged(change(several), "events__depth")


@pytest.mark.parametrize(("batch", "number"), [([0, 1], 2), (0, 0)])
def test_a_simulation_that_is_not_there_is_an_error(several, batch, number):
    with pytest.raises(SetupError, match=f"Cannot read 'events__depth' of simulation {number}"):
        sh.read_ragged(several.isel(b=batch), "events__depth", number)


def test_a_store_of_an_earlier_version_is_read_once_its_simulations_are_numbered(several):
    begins = several.events__seen__start.isel(t=0)
    before = several.drop_vars("simulation_number").assign(events__seen__start=begins.drop_vars("t"))
    for name in ("events__depth__start", "events__seen__start"):
        before[name].attrs["description"] = "where its values begin in their row"

    numbered = before.assign_coords(simulation_number=("b", np.arange(6)))

    found = sh.read_ragged(numbered.isel(b=[4]), "events__depth")
    np.testing.assert_array_equal(found, [depth(9)])
    for selected in (numbered, numbered.isel(t=[1])):
        with pytest.raises(SetupError, match="does not say where each value along its clock begins"):
            sh.read_ragged(selected, "events__seen")
    with pytest.raises(SetupError, match=r"one label of 't' is selected.*select lists"):
        sh.read_ragged(numbered.isel(t=1), "events__seen")


def test_a_selection_is_a_setup_that_numbers_its_simulations_anew(several):
    names = ["events__depth", "events__seen", "events__table"]
    encoding = {name: {"layout": "concatenated"} for name in names}

    again = several.isel(b=[5, 1]).simherd.run(MODEL, "b", encoding=encoding)

    assert again.simulation_number.values.tolist() == [0, 1]
    np.testing.assert_array_equal(sh.read_ragged(again, "events__depth", 0), depth(5))


def test_a_contiguous_ragged_array_of_cf(tmp_path):
    counts = [3, 0, 4]
    out = run(counts, store=tmp_path / "out.zarr", block_size=2)

    ragged = sh.contiguous_ragged(out, "events__depth")

    np.testing.assert_array_equal(ragged.events__depth, np.concatenate([depth(n) for n in counts]))
    np.testing.assert_array_equal(ragged.row_size, counts)
    assert ragged.row_size.attrs == {"sample_dimension": "obs"}
    assert ragged.events__depth.attrs["units"] == "mm"
    ragged.to_netcdf(tmp_path / "ragged.nc")


def test_what_cannot_be_concatenated_or_read_is_an_error(tmp_path):
    with pytest.raises(SetupError, match=r"'events__total': layout 'concatenated' is not .* no dimension"):
        run([1, 2], encoding={"events__total": {"layout": "concatenated"}})
    with pytest.raises(SetupError, match=r"layout 'concatenate'\. .*'concatenated'"):
        run([1, 2], encoding={"events__depth": {"layout": "concatenate"}})
    out = run([1, 2], encoding={})
    with pytest.raises(SetupError, match=r"'events__depth' is not concatenated: it has dimensions \('b', "):
        sh.read_ragged(out, "events__depth", 0)
    with pytest.raises(SetupError, match="There is no output 'events__dept'"):
        sh.read_ragged(out, "events__dept", 0)


def test_one_simulation_is_never_concatenated(tmp_path):
    given = setup([3]).isel(b=0)

    out = given.simherd.run(model=MODEL, encoding=CONCATENATED, store=tmp_path / "out.zarr")

    np.testing.assert_array_equal(out.events__depth, depth(3))


@sh.process
class Together:
    """Written for arrays with a leading axis for the simulations."""

    level = sh.variable()
    depth = sh.variable(dims="event", intent="out")

    def initialize(self):
        self.depth = np.asarray(self.level)[..., None] * np.arange(5.0)


def test_simulations_that_are_advanced_together(tmp_path):
    model = sh.Model({"together": Together})
    levels = np.arange(10.0)
    given = sh.create_setup(
        model, input_vars={"together__level": ("b", levels)}, output_vars={"together__depth": None}
    )
    encoding = {"together__depth": {"layout": "concatenated"}}

    out = given.simherd.run(
        model=model, batch_dim="b", vectorize=True, encoding=encoding, store=tmp_path / "out.zarr"
    )

    found = np.array(sh.read_ragged(out, "together__depth"))
    np.testing.assert_array_equal(found, np.outer(levels, np.arange(5.0)))


def test_checkpoints_keep_the_sizes(tmp_path):
    out = run(COUNTS[:12], store=tmp_path / "out.zarr", block_size=4, checkpoint_every=1)

    check(out, COUNTS[:12])


def test_sizes_are_those_of_the_values():
    values = np.zeros((2, 1, 3))
    values[0, 0, :2] = [1, 2]
    sized = Sized(values, np.array([[[2]], [[3]]]))

    np.testing.assert_array_equal(sized.counts, [2, 3])
    np.testing.assert_array_equal(sized.flat(np.array([0, 1])), [1, 2, 0, 0, 0])

"""A damaged store is one clear error that names the file, and what is missing is made again."""

from __future__ import annotations

import json
import shutil
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
import zarr

import simherd as sh
from simherd.errors import StoreError, StoreMismatchError
from simherd.events import BlockFinished
from simherd.store.checking import check_store
from simherd.store.failures import read_batch_inputs, read_failures
from simherd.store.journal import read_whole_journal
from simherd.store.marks import FOLDER
from simherd.store.reading import read_state
from simherd.store.run_note import read_note


@sh.process
class Walk:
    """Climbs by its gain at each step; a negative gain is an error."""

    gain = sh.variable()
    cells = sh.variable(default=4)
    height = sh.variable(intent="out")
    profile = sh.variable(dims="x", intent="out")
    count = sh.variable(intent="out")

    def initialize(self):
        self.height, self.count, self.profile = 0.0, 0, np.zeros(self.cells)

    def run_step(self):
        if self.gain < 0:
            raise ValueError(f"gain {self.gain} is negative")
        self.height += self.gain
        self.count += 1
        self.profile = self.height * np.ones(self.cells)


GAINS = [1.0, -1.0, 2.0, 3.0, 4.0, 5.0]
"""The second of six simulations fails; blocks are of two."""


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Return a store that is complete."""
    model = sh.Model({"walk": Walk})
    setup = sh.create_setup(
        model,
        clocks={"time": np.arange(3.0)},
        input_vars={"walk__gain": ("member", GAINS)},
        output_vars={"walk__height": "time", "walk__profile": "time", "walk__count": None},
    )
    path = tmp_path_factory.mktemp("original") / "out.zarr"

    def run(store, **options):
        return setup.simherd.run(
            model, batch_dim="member", store=store, on_error="record", block_size=2, **options
        )

    run(path)
    return SimpleNamespace(path=path, run=run, model=model)


@pytest.fixture
def store(original, tmp_path):
    """Return a copy of it."""
    return shutil.copytree(original.path, tmp_path / "out.zarr")


def resume(original, store):
    """Go on in a store; return its result, how many simulations ran, and what was warned of."""
    ran = []

    def count(event):
        if isinstance(event, BlockFinished):
            ran.append(event.done + event.failed)

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        result = original.run(store, resume=True, subscribers=[count]).load()
    return result, sum(ran), [str(one.message) for one in warned]


def is_as_before(original, store):
    ours = {"simulation_seconds"}
    before, now = (xr.open_zarr(path).drop_vars(ours).load() for path in (original.path, store))
    return now.identical(before)


@pytest.mark.parametrize("damage", [flip, cut, empty])
@pytest.mark.parametrize("name", ["simulation_status/c.1", "simulation_seconds/c.1"])
def test_damaged_status_chunk_is_named(original, store, name, damage):
    damage(store / name)

    for use in (read_state, read_failures, lambda path: resume(original, path)):
        with pytest.raises(StoreError, match=f"Cannot read '{store / name}': .*Fix: remove that file"):
            use(store)

    remove(store / name)
    assert (store / name).parent.is_dir()
    resume(original, store)
    assert is_as_before(original, store)


def test_damaged_chunk_of_which_a_part_runs_again_is_named(original, store):
    zarr.open_group(store)["simulation_status"][2] = 0
    flip(store / "walk__height" / "c.1.0")

    with pytest.raises(StoreError, match=f"Cannot read '{store}/walk__height/c.1.0'.*remove that file"):
        resume(original, store)
    (store / "walk__height" / "c.1.0").unlink()
    resume(original, store)
    assert is_as_before(original, store)


@pytest.mark.parametrize("damage", [empty, halve, remove])
@pytest.mark.parametrize(
    "name",
    ["zarr.json", "simulation_status/zarr.json", "simulation_seconds/zarr.json", "walk__count/zarr.json"],
)
def test_damaged_metadata_is_named(original, store, name, damage):
    damage(store / name)

    uses = [lambda path: resume(original, path), lambda path: list(check_store(path))]
    for use in [*uses, read_state] if "walk" not in name else uses:
        with pytest.raises(StoreError, match=f"Cannot read '{store / name}': it is "):
            use(store)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '"text"', "{}", '{"format": 1, "simulations": "six"}', "[" * 100_000, "\xff"],
    ids=["empty", "list", "text", "nothing in it", "wrong types", "deep", "no text"],
)
def test_fingerprint_of_another_form_is_named(original, store, text):
    (store / "fingerprint.json").write_text(text, encoding="latin-1")

    for use in (lambda path: resume(original, path), lambda path: read_batch_inputs(path, [1])):
        with pytest.raises(StoreMismatchError, match=f"'{store}/fingerprint.json' cannot be read"):
            use(store)
    assert read_state(store).done == 5


@pytest.mark.parametrize("field", ["order", "outputs", "batch_inputs", "simulations", "seed"])
def test_fingerprint_with_a_field_of_another_form_is_named(original, store, field):
    fingerprint = json.loads((store / "fingerprint.json").read_text())
    fingerprint[field] = {"order": [[]], "outputs": {"walk__height": 3}, "batch_inputs": {"x": 3}}.get(
        field, "?"
    )
    (store / "fingerprint.json").write_text(json.dumps(fingerprint))

    with pytest.raises(StoreMismatchError, match=f"'{store}/fingerprint.json' cannot be read"):
        resume(original, store)


ENTRY = {
    "simulation": 1,
    "time": 1e12,
    "error": "E",
    "where": "",
    "traceback": "",
    **dict.fromkeys(["process", "stage", "step"]),
}


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1, 2]",
        "null",
        "[" * 100_000,
        *(
            json.dumps(ENTRY | {key: value})
            for key, value in [
                ("simulation", "1"),
                ("simulation", True),
                ("time", float("nan")),
                ("time", 10**400),
                ("error", ["E"]),
                ("traceback", None),
                ("step", "one"),
            ]
        ),
        json.dumps({"simulation": 1}),
    ],
)  # fmt: skip
def test_odd_lines_of_the_journal_are_counted(store, line):
    (file,) = (store / "journal").iterdir()
    file.write_text(f"{line}\n" + file.read_text() + line)

    journal = read_whole_journal(store)

    assert journal.odd_lines == 2
    assert [entry["error"] for entry in journal.entries] == ["ValueError('gain -1.0 is negative')"]
    assert read_failures(store)[0].error == "ValueError('gain -1.0 is negative')"


def test_a_journal_that_is_a_folder_counts_as_an_odd_line(store):
    (store / "journal" / "other.jsonl").mkdir()

    assert read_whole_journal(store).odd_lines == 1


@pytest.mark.parametrize("name", [".running", "checkpoints", "journal"])
def test_a_file_in_place_of_a_folder_is_named_before_anything_runs(original, store, name):
    shutil.rmtree(store / name, ignore_errors=True)
    (store / name).write_text("something")
    (store / "walk__height" / "c.0.0").unlink()

    with pytest.raises(StoreError, match=f"'{store / name}' has to be a folder, it is a file"):
        original.run(store, resume=True)
    assert (store / name).read_text() == "something"
    assert read_state(store).done == 5


def test_a_folder_in_place_of_the_lock_is_named(original, store):
    (store.parent / ".out.zarr.lock").mkdir()

    with pytest.raises(StoreError, match=r"out\.zarr\.lock"):
        resume(original, store)


def test_a_folder_with_the_name_of_an_unfinished_file_is_left_alone(original, store):
    (store / "mine.partial").mkdir()
    (store / "mine.partial" / "results.csv").write_text("1, 2")
    (store / "walk__count" / "c.0.123.partial").write_text("")

    resume(original, store)

    assert (store / "mine.partial" / "results.csv").exists()
    assert not (store / "walk__count" / "c.0.123.partial").exists()


NOTE = {"started": 1.0, "where": "here", "simulations": 1, "workers": 1, "rate_per_s": 1.0}


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "[" * 100_000,
        json.dumps(NOTE | {"started": "now"}),
        json.dumps(NOTE | {"where": 3}),
    ],
)
def test_an_odd_note_is_none(tmp_path, text):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "note.json").write_text(text)

    assert read_note(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "again"), [("walk__height/c.1.0", 2), ("walk__profile/c.0.0.0", 1), ("walk__count/c.2", 2)]
)
def test_missing_chunk_of_finished_simulations_is_made_again(original, store, name, again):
    (store / name).unlink()

    _, ran, warned = resume(original, store)

    assert ran == again
    assert any(f"the first is '{store / name}'" in text for text in warned)
    assert is_as_before(original, store)
    assert resume(original, store)[1:] == (0, [])


def test_missing_chunk_of_an_input_is_made_again(original, store):
    for name in ("walk__gain/c.0", "time/c.0", "walk__cells/c"):
        (store / name).unlink()

    _, ran, _ = resume(original, store)

    assert ran == 0
    assert is_as_before(original, store)


def test_complete_store_has_no_damage(original):
    checked = list(check_store(original.path))

    assert not any(array.damages for array in checked)
    chunks = [
        path for path in original.path.rglob("c*") if path.is_file() and not path.match("simulation_*/*")
    ]
    assert sum(array.chunks for array in checked) == len(chunks)


@pytest.mark.parametrize("damage", [flip, cut, empty, remove])
@pytest.mark.parametrize(
    ("name", "simulations"),
    [
        ("walk__profile/c.0.0.0", (0,)),
        ("walk__height/c.2.0", (4, 5)),
        ("walk__gain/c.0", ()),
        ("walk__cells/c", ()),
    ],
)
def test_every_damaged_chunk_is_found_and_made_again(original, store, name, simulations, damage):
    damage(store / name)

    (found,) = [one for array in check_store(store) for one in array.damages]

    assert (found.path, found.simulations) == (store / name, simulations)
    assert found.is_there == (damage is not remove)
    (store / name).unlink(missing_ok=True)
    resume(original, store)
    assert is_as_before(original, store)


def test_damaged_input_is_named_where_it_is_read(original, store):
    flip(store / "walk__gain" / "c.0")

    for use in (lambda: read_batch_inputs(store, [1]), lambda: sh.replay(store, 1, original.model)):
        with pytest.raises(StoreError, match=f"Cannot read '{store}/walk__gain/c.0'"):
            use()


@sh.process
class Sizes:
    """Has a value of another size in each simulation, and none in some."""

    size = sh.variable()
    values = sh.variable(dims="item", intent="out")

    def initialize(self):
        self.values = np.arange(float(self.size))


@pytest.mark.parametrize("layout", ["padded", "concatenated"])
@pytest.mark.parametrize("sizes", [[0, 3, 0, 0, 7, 1], [4, 3, 0, 0, 1, 1]])
def test_values_of_any_size_are_not_missing(tmp_path, layout, sizes):
    model = sh.Model({"sizes": Sizes})
    setup = sh.create_setup(
        model, {"t": [0, 1]}, input_vars={"sizes__size": ("m", sizes)}, output_vars={"sizes__values": None}
    )
    options = {"batch_dim": "m", "store": tmp_path / "out.zarr", "block_size": 2}
    encoding = {"sizes__values": {"layout": layout, **({"chunks": [2, 2]} if layout == "padded" else {})}}
    first = setup.simherd.run(model, encoding=encoding, **options).load()

    setup.simherd.run(model, encoding=encoding, resume=True, **options)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = setup.simherd.run(model, encoding=encoding, resume=True, **options).load()
    xr.testing.assert_identical(again.drop_vars("simulation_seconds"), first.drop_vars("simulation_seconds"))
    assert not any(array.damages for array in check_store(tmp_path / "out.zarr"))

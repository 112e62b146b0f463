"""A store and the versions of its model."""

import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import StoreMismatchError
from simherd.experiment.loading import load_model
from simherd.store.reading import read_state

MODEL = """
import simherd as sh

FACTOR = 2.0
SEEN = {}

def scaled(x):
    SEEN[x] = True
    if x == 1.0:
        raise ValueError("one is odd")
    return x * FACTOR

@sh.process
class P:
    x = sh.variable(default=0.0)
    y = sh.variable(intent="out")
    def initialize(self):
        self.y = scaled(self.x)

model = sh.Model({"p": P})
"""
MENDED = MODEL.replace("if x == 1.0:", "if x == -1.0:")


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a model, given as text, in one store."""

    def run(text, size=4, **options):
        (tmp_path / "mix.py").write_text(text)
        model = load_model(f"{tmp_path / 'mix.py'}:model", tmp_path)
        setup = sh.create_setup(
            model, input_vars={"p__x": ("member", np.arange(float(size)))}, output_vars={"p__y": None}
        )
        return setup.simherd.run(
            model, batch_dim="member", store=tmp_path / "mix.zarr", on_error="record", **options
        )

    return run


def versions(tmp_path):
    return [(one.number, one.simulations, one.changes) for one in read_state(tmp_path / "mix.zarr").models]


def test_changed_function_and_constant_are_refused_and_named(run):
    run(MODEL)

    changed = MODEL.replace("x * FACTOR", "-x * FACTOR").replace("FACTOR = 2.0", "FACTOR = 10.0")
    with pytest.raises(StoreMismatchError) as caught:
        run(changed, size=6, resume=True)

    assert "constant 'FACTOR' of module 'mix' has changed" in str(caught.value)
    assert "function 'scaled' of module 'mix' has changed" in str(caught.value)
    assert "accept_changed_model=True" in str(caught.value)


def test_mended_model_runs_failed_simulations_again(run, tmp_path):
    before = run(MODEL).simulation_status.values.tolist()

    after = run(MENDED, rerun="failed", accept_changed_model=True)

    assert before == [1, 2, 1, 1]
    assert after.p__y.values.tolist() == [0.0, 2.0, 4.0, 6.0]
    assert after.simulation_model.values.tolist() == [1, 2, 1, 1]
    assert versions(tmp_path) == [
        (1, (0, 2, 3), ()),
        (2, (1,), ("function 'scaled' of module 'mix' has changed",)),
    ]


def test_versions_are_kept_when_the_batch_gets_longer(run, tmp_path):
    run(MODEL)
    run(MENDED, size=6, resume=True, accept_changed_model=True)
    run(MENDED, size=7, resume=True)
    again = MENDED.replace("FACTOR = 2.0", "FACTOR = 3.0")

    result = run(again, size=8, resume=True, accept_changed_model=True)

    assert result.simulation_model.values.tolist() == [1, 1, 1, 1, 2, 2, 2, 3]
    assert result.p__y.values[[0, 5, 6, 7]].tolist() == [0.0, 10.0, 12.0, 21.0]
    assert [simulations for _, simulations, _ in versions(tmp_path)] == [(0, 1, 2, 3), (4, 5, 6), (7,)]


def test_accepting_an_unchanged_model_changes_nothing(run, tmp_path):
    run(MODEL)

    result = run(MODEL, rerun="failed", accept_changed_model=True)

    assert "simulation_model" not in result
    assert versions(tmp_path) == []


def test_other_inputs_are_refused_even_if_changed_models_are_accepted(run):
    run(MODEL)

    with pytest.raises(StoreMismatchError, match="the batch has 3 simulations"):
        run(MENDED, size=3, resume=True, accept_changed_model=True)


def test_what_a_run_itself_changes_is_no_change_of_the_model(run):
    run(MODEL)

    assert run(MODEL, rerun="failed").simulation_status.values.tolist() == [1, 2, 1, 1]


def test_what_the_user_changes_between_runs_is_a_change(run, tmp_path):
    run(MODEL)
    model = load_model(f"{tmp_path / 'mix.py'}:model", tmp_path)
    module = __import__("sys").modules[model.graph.classes["p"].__module__]
    module.FACTOR = 4.0

    with pytest.raises(StoreMismatchError, match="constant 'FACTOR' of module 'mix' has changed"):
        run(MODEL, rerun="failed")


def test_store_of_the_first_format_is_one_clear_line(run, tmp_path):
    run(MODEL)
    path = tmp_path / "mix.zarr" / "fingerprint.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 1'))

    with pytest.raises(StoreMismatchError, match="earlier version of simherd") as caught:
        run(MENDED, rerun="failed")
    assert len(str(caught.value).splitlines()) == 1
    accepted = run(MENDED, rerun="failed", accept_changed_model=True)
    assert accepted.simulation_model.values.tolist() == [1, 2, 1, 1]


def test_replay_of_a_store_with_several_models(run, tmp_path):
    run(MODEL)
    run(MENDED, rerun="failed", accept_changed_model=True)
    model = load_model(f"{tmp_path / 'mix.py'}:model", tmp_path)

    assert sh.replay(tmp_path / "mix.zarr", 1, model).p__y == 2.0


def test_changed_single_simulation_begins_anew(walk, tmp_path):
    def model_of(rate):
        def initialize(self):
            self.y = rate

        cls = type("Q", (), {"y": sh.variable(intent="out"), "initialize": initialize})
        return sh.Model({"q": sh.process(cls)})

    def run(rate, **options):
        setup = sh.create_setup(model_of(rate), output_vars={"q__y": None})
        return setup.simherd.run(model_of(rate), store=tmp_path / "one.zarr", **options)

    run(1.0)
    with pytest.raises(StoreMismatchError, match="process 'q' has changed"):
        run(2.0, resume=True)

    assert run(2.0, resume=True, accept_changed_model=True).q__y == 1.0  # it was complete
    assert run(2.0, rerun="all", accept_changed_model=True).q__y == 2.0
    assert xr.open_zarr(tmp_path / "one.zarr").q__y == 2.0

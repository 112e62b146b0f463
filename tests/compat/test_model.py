import pickle
import shutil

import numpy as np
import pytest

import simherd.compat.xsimlab as xs
from simherd.compat.xsimlab.hook import flatten_hooks, group_hooks
from simherd.compat.xsimlab.model import _ModelBuilder, get_model_variables
from simherd.compat.xsimlab.process import SimulationStage
from simherd.compat.xsimlab.variable import VarIntent, VarType


@xs.process
class Owner:
    size = xs.variable(
        dims=[(), "x"], default=1.0, global_name="the_size", description="a size", attrs={"units": "m"}
    )
    count = xs.variable(intent="out")

    def initialize(self):
        self.count = 0

    def run_step(self):
        self.count = self.count + 1


@xs.process
class User:
    size = xs.global_ref("the_size")
    count = xs.foreign(Owner, "count")
    last = xs.variable(intent="out")

    def run_step(self):
        self.last = (self.size, self.count)


class Special(xs.Model):
    """A model with an own constructor, as packages have."""

    def __init__(self, processes=None):
        super().__init__({"owner": Owner, "user": User} if processes is None else processes)
        assert not hasattr(self, "result")


@pytest.fixture
def model():
    return xs.Model({"user": User, "owner": Owner})


def test_the_cache_has_name_declaration_metadata_and_value(model):
    entry = model._var_cache["owner", "size"]

    assert entry["name"] == "owner__size"
    assert entry["metadata"]["intent"] is VarIntent.IN
    assert entry["metadata"]["attrs"] == {"units": "m"}
    assert entry["attrib"].name == "size"
    assert entry["value"] is None
    assert model.cache is model._var_cache


def test_the_cache_gives_a_global_variable_the_metadata_of_what_it_refers_to(model):
    metadata = model.cache["user", "size"]["metadata"]

    assert metadata["var_type"] is VarType.GLOBAL
    assert metadata["dims"] == ((), ("x",))
    assert metadata["description"] == "a size"


def test_update_cache_keeps_the_present_value(model):
    model.execute("initialize", {})
    model.update_cache(("owner", "count"))

    assert model.cache["owner", "count"]["value"] == 0
    assert model.clone().cache["owner", "count"]["value"] is None


def test_processes_are_found_by_name(model):
    assert list(model._processes) == ["owner", "user"]
    assert model._processes["owner"] is model.owner


def test_a_process_of_a_model_cannot_be_overwritten(model):
    model.note = "allowed"

    with pytest.raises(AttributeError, match="update_processes"):
        model.owner = 1


def test_clones_and_changed_models_are_of_the_same_class():
    model = Special()

    assert type(model.clone()) is Special
    assert list(model.drop_processes("user")) == ["owner"]
    assert type(model.update_processes({"other": User})) is Special
    assert type(model.update_processes({"other": User}).other) is User.__xsimlab_cls__


def test_dropping_a_process_that_is_not_there_changes_nothing(model):
    assert list(model.drop_processes(["user", "nobody"])) == ["owner"]
    assert list(model.drop_processes("nobody")) == ["owner", "user"]


def test_execute_takes_hooks_by_stage_level_and_trigger(model):
    called = []
    hooks = {"run_step": {"model": {"post": [lambda model, context, state: called.append(context["step"])]}}}
    model.update_state({("owner", "size"): 1.0})
    model.execute("initialize", {})
    model.execute("run_step", {"step": 3}, hooks=hooks, parallel=True)

    assert called == [3]
    assert model.user.last == (1.0, 1)


def test_execute_takes_hooks_as_they_are_grouped_for_it(model):
    called = []

    @xs.runtime_hook("initialize")
    def note(model, context, state):
        called.append("function")

    class Notes(xs.RuntimeHook):
        @xs.runtime_hook("run_step", "process", "pre")
        def note(self, model, context, state):
            called.append("method")

    grouped = group_hooks(flatten_hooks([note, Notes()]))
    model.update_state({("owner", "size"): 1.0})
    model.execute(SimulationStage.INITIALIZE, {}, hooks=grouped)
    model.execute("run_step", {}, hooks=grouped)

    assert called == ["function", "method", "method"]
    assert list(grouped) == [SimulationStage.INITIALIZE, SimulationStage.RUN_STEP]


def test_hooks_find_what_else_is_given_as_context(model):
    seen = []
    hooks = {"initialize": {"model": {"pre": [lambda *given: seen.append(given[1])]}}}
    model.execute("initialize", {"step": 2, "mine": 3}, hooks=hooks)

    assert (seen[0]["step"], seen[0]["mine"], seen[0]["nsteps"]) == (2, 3, 0)
    assert {"step", "mine"} <= set(seen[0])
    assert len(seen[0]) == len(list(seen[0]))
    assert "other" not in seen[0]


@pytest.mark.parametrize("signal", [3, np.int64(3), xs.RuntimeSignal.BREAK])
def test_a_signal_may_be_a_number(signal):
    @xs.process
    class First:
        value = xs.variable(intent="out")

        def run_step(self):
            self.value = 1
            return signal

    @xs.process
    class Second:
        value = xs.foreign(First, "value")
        has_run = xs.variable(intent="out")

        def run_step(self):
            self.has_run = True

    model = xs.Model({"first": First, "second": Second})
    hooks = {"run_step": {"model": {"post": [lambda model, context, state: 2]}}}

    assert model.execute("run_step", {}, hooks=hooks) is xs.RuntimeSignal.CONTINUE
    assert ("second", "has_run") not in model.state


def test_a_model_is_active_inside_with(model):
    with model as entered:
        assert entered is model
        assert xs.Model.active == [model]
        with pytest.raises(ValueError, match="already"), model:
            pass

    assert xs.Model.active == []


def test_a_model_pickles_with_the_classes_of_its_user(model):
    copy = pickle.loads(pickle.dumps(model))

    assert copy == model
    assert type(copy.owner) is Owner.__xsimlab_cls__
    assert copy.owner.__xsimlab_model__ is copy


def test_a_subclass_of_model_pickles_with_its_attributes():
    model = Special()
    model.tag = "a tag"
    copy = pickle.loads(pickle.dumps(model))

    assert type(copy) is Special
    assert copy.tag == "a tag"


def test_a_replaced_set_state_is_warned_of(monkeypatch):
    monkeypatch.setattr(_ModelBuilder, "set_state", lambda self: {})

    with pytest.warns(UserWarning, match="no effect"):
        xs.Model({"owner": Owner})


def test_variables_of_several_processes_are_filtered():
    found = get_model_variables({"owner": Owner, "user": User}, intent="out")

    assert found == [("owner", "count"), ("user", "last")]


def test_the_text_of_a_model_names_xsimlab(model):
    assert repr(model).startswith("<xsimlab.Model (2 processes, 1 inputs)>")


@pytest.fixture
def draw(model, tmp_path):
    """Return a function that draws the model and gives the text for Graphviz."""

    def draw(**options):
        xs.dot.dot_graph(model, str(tmp_path / "model"), "dot", **options)
        return (tmp_path / "model.dot").read_text()

    return draw


def test_dot_graph_shows_what_is_asked_for(draw):
    plain, inputs, everything = draw(), draw(show_inputs=True), draw(show_variables=True)

    assert '"owner" -> "user"' in plain
    assert "owner__size" not in plain
    assert "count" not in plain
    assert '"owner__size" -> "owner"' in inputs
    assert "count" not in inputs
    assert '"owner__size" -> "owner"' in everything
    assert 'label="size, count"' in everything


def test_dot_graph_shows_one_variable_alone(draw):
    text = draw(show_only_variable=("user", "count"), show_inputs=True)

    assert 'label="count"' in text
    assert "owner__size" not in text


def test_dot_graph_takes_attributes_of_the_graph(draw):
    text = draw(rankdir="TB", graph_attr={"size": 4}, dpi=50)

    assert 'rankdir="TB"\n  size="4"\n  dpi="50"' in text


def test_dot_graph_refuses_a_format_that_there_is_not(model):
    with pytest.raises(ValueError, match="Unknown format 'bmp'"):
        xs.dot.dot_graph(model, format="bmp")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize(
    ("name", "options", "start"),
    [
        ("model.jpeg", {}, b"\xff\xd8"),
        ("model.jpg", {"format": "jpg"}, b"\xff\xd8"),
        ("model.png", {}, b"\x89PNG"),
        ("model.v2.svg", {}, b"<?xml"),
    ],
)
def test_dot_graph_writes_pictures_of_all_kinds(model, tmp_path, name, options, start):
    xs.dot.dot_graph(model, str(tmp_path / name), **options)

    assert (tmp_path / name).read_bytes().startswith(start)


def test_dot_graph_writes_a_picture_without_needing_a_notebook(model, tmp_path):
    xs.dot.dot_graph(model, str(tmp_path / "model"), format="dot", show_variables=True)

    text = (tmp_path / "model.dot").read_text()
    assert "owner" in text
    assert "count" in text

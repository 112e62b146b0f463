import pickle

import pytest

import simherd.compat.xsimlab as xs
from simherd.compat.xsimlab.model import _ModelBuilder, get_model_variables
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


def test_execute_takes_hooks_by_stage_level_and_trigger(model):
    called = []
    hooks = {"run_step": {"model": {"post": [lambda model, context, state: called.append(context["step"])]}}}
    model.update_state({("owner", "size"): 1.0})
    model.execute("initialize", {})
    model.execute("run_step", {"step": 3}, hooks=hooks, parallel=True)

    assert called == [3]
    assert model.user.last == (1.0, 1)


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


def test_dot_graph_writes_a_picture_without_needing_a_notebook(model, tmp_path):
    xs.dot.dot_graph(model, str(tmp_path / "model"), format="dot", show_variables=True)

    text = (tmp_path / "model.dot").read_text()
    assert "owner" in text
    assert "count" in text

"""Rules of the model as an object."""

from __future__ import annotations

import copy
import pickle
import threading

import cloudpickle
import pytest

import simherd as sh
from simherd.errors import ModelError, UnknownNameError
from simherd.model import active_model


@sh.process
class Importable:
    """A process that plain pickle finds by its name."""

    x = sh.variable(default=1)
    y = sh.variable(intent="out")

    def initialize(self):
        self.y = self.x + 1


def run(model):
    model.update_state({("p", "x"): 1})
    model.execute("initialize")
    return model.p.y


def test_a_model_is_a_mapping_with_attributes(model, source_cls):
    assert (len(model), "source" in model, "other" in model) == (2, True, False)
    assert model["source"] is model.source
    assert isinstance(model.source, source_cls)
    assert {"source", "reader"} <= set(dir(model))


def test_an_unknown_process_is_an_attribute_error_with_the_close_matches(model):
    with pytest.raises(AttributeError, match="Did you mean 'source'"):
        _ = model.sorce
    with pytest.raises(KeyError):
        model["sorce"]


@pytest.mark.parametrize("name", [1, "", None])
def test_names_of_processes_are_texts(name, source_cls):
    with pytest.raises(ModelError, match="Process names are texts"):
        sh.Model({name: source_cls})


def test_a_process_named_like_a_property_of_the_model_is_reached_as_an_item(source_cls):
    model = sh.Model({"state": source_cls})

    assert isinstance(model["state"], source_cls)
    assert dict(model.state) == {}


def test_models_of_the_same_processes_are_equal_and_have_one_hash(model, source_cls, reader_cls):
    same = sh.Model({"source": source_cls, "reader": reader_cls})

    assert (model == same, hash(model) == hash(same)) == (True, True)


def test_a_model_is_not_equal_to_a_longer_one(model):
    assert model != model.drop_processes("reader")
    assert model != {"source": None}


def test_a_clone_has_no_values(model):
    model.update_state({("source", "rate"): 1})

    clone = model.clone()

    assert (clone == model, dict(clone.state), list(clone)) == (True, {}, list(model))


def test_processes_are_added_and_replaced_in_a_new_model(model, source_cls):
    faster = sh.process(type("Faster", (source_cls,), {}))

    updated = model.update_processes({"source": faster, "other": Importable})

    assert list(updated) == ["source", "reader", "other"]
    assert type(updated.source) is faster
    assert type(model.source) is source_cls


@pytest.mark.parametrize("keys", ["reader", ["reader"]])
def test_processes_are_dropped_in_a_new_model(model, keys):
    assert list(model.drop_processes(keys)) == ["source"]
    assert len(model) == 2


def test_dropping_an_unknown_process_is_an_error(model):
    with pytest.raises(UnknownNameError, match="Did you mean 'reader'"):
        model.drop_processes("readr")


def test_a_class_derived_from_model_survives_all_copies(source_cls):
    class MyModel(sh.Model):
        pass

    model = MyModel({"source": source_cls, "p": Importable})
    copies = [model.clone(), model.update_processes({}), model.drop_processes("p"), cloudpickle.dumps(model)]
    copies[-1] = cloudpickle.loads(copies[-1])

    assert all(type(copied).__name__ == "MyModel" for copied in copies)


@pytest.mark.parametrize(
    "travel", [lambda m: pickle.loads(pickle.dumps(m)), lambda m: cloudpickle.loads(cloudpickle.dumps(m)),
               copy.copy, copy.deepcopy], ids=["pickle", "cloudpickle", "copy", "deepcopy"],
)  # fmt: skip
def test_a_model_travels_without_values(travel):
    model = sh.Model({"p": Importable})
    run(model)

    other = travel(model)

    assert dict(other.state) == {}
    assert run(other) == 2


def test_a_model_of_local_classes_travels_with_cloudpickle(source_cls):
    class Local(source_cls):
        pass

    model = cloudpickle.loads(cloudpickle.dumps(sh.Model({"p": sh.process(Local)})))
    model.update_state({("p", "rate"): 4})
    model.execute("initialize")
    model.execute("run_step")

    assert model.p.total == 4


def test_a_model_is_active_in_its_with_block(model):
    with model as inside:
        assert inside is model
        assert active_model() is model
    assert active_model() is None


def test_with_blocks_of_models_do_not_nest(model):
    with model, pytest.raises(ModelError, match="already a model object in context"), model.clone():
        pass
    assert active_model() is None


def test_the_active_model_is_that_of_its_thread(model):
    seen = []

    with model:
        thread = threading.Thread(target=lambda: seen.append(active_model()))
        thread.start()
        thread.join()

    assert seen == [None]


def test_repr_lists_inputs_by_process(model):
    assert repr(model) == ("<simherd.Model (2 processes, 1 inputs)>\nsource\n    rate  [in]\nreader")


def test_repr_shows_dims_and_shortens_lines():
    p = sh.process(
        type("P", (), {"x": sh.variable(dims=[(), "x"], intent="inout", description="long " * 30)})
    )

    line = repr(sh.Model({"p": p})).splitlines()[-1]

    assert line.startswith("    x  [inout] () or ('x',) long long")
    assert (len(line), line[-3:]) == (70, "...")


def test_filter_variables_takes_type_intent_group_and_function(model, source_cls):
    def names(obj, **conditions):
        return list(sh.filter_variables(obj, **conditions))

    assert names(model, var_type="foreign") == [("reader", "total")]
    assert names(source_cls, intent="out") == ["total"]
    assert names(model.source, func=lambda declared: declared.metadata["static"]) == []


def test_filter_variables_finds_the_members_of_a_group():
    members = {"a": sh.variable(groups=["g", "h"]), "b": sh.variable(groups="h"), "c": sh.group("g")}
    cls = sh.process(type("P", (), members))

    assert list(sh.filter_variables(cls, None, None, "g")) == ["a"]
    assert list(sh.filter_variables(process=cls, group="h", intent="in")) == ["a", "b"]
    assert list(sh.filter_variables(sh.Model({"p": cls}), group="g")) == [("p", "a")]
    assert sh.filter_variables(cls, group="i") == {}

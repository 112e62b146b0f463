import io
import pickle

import attr
import cloudpickle
import numpy as np
import pytest

import simherd.compat.xsimlab as xs
from simherd.compat.xsimlab.process import NotAProcessClassError, get_process_cls, get_process_obj


@xs.process
class Source:
    """Sets a level."""

    start = xs.variable(default=1.0)
    level = xs.variable(intent="out", groups="levels", global_name="the_level")
    doubled = xs.on_demand(groups="levels")

    def initialize(self):
        self.level = self.start

    def run_step(self):
        self.level = self.level + 1

    @doubled.compute
    def _double(self):
        return 2 * self.level


@xs.process
class Reader:
    level = xs.foreign(Source, "level")
    doubled = xs.foreign(Source, "doubled")
    levels = xs.group("levels")
    same = xs.global_ref("the_level")
    seen = xs.variable(intent="out")

    def run_step(self):
        self.seen = (self.level, self.doubled, tuple(self.levels), self.same)


@pytest.fixture
def model():
    return xs.Model({"reader": Reader, "source": Source})


def test_models_use_a_class_derived_from_the_users(model):
    assert type(model.source) is Source.__xsimlab_cls__
    assert type(model.source) is not Source
    assert isinstance(model.source, Source)
    assert type(model.source).__name__ == "Source"


def test_the_users_class_works_on_its_own():
    process = Source(start=3.0)
    process.initialize()

    assert process.level == 3.0
    assert not hasattr(process, "__xsimlab_name__")


def test_a_process_knows_its_name_and_its_model(model):
    assert model.source.__xsimlab_name__ == "source"
    assert model.source.__xsimlab_model__ is model
    assert model.clone().source.__xsimlab_model__ is not model


def test_a_process_without_a_model_has_no_name():
    process = get_process_obj(Source)

    assert process.__xsimlab_name__ is None
    assert process.__xsimlab_state__ is None
    assert process.__xsimlab_state_keys__ == {}


def test_the_name_can_be_read_in_initialize():
    @xs.process
    class Labelled:
        label = xs.variable(intent="out")

        def initialize(self):
            self.label = self.__xsimlab_name__

    model = xs.Model({"first": Labelled, "second": Labelled})
    model.execute("initialize", {})

    assert (model.first.label, model.second.label) == ("first", "second")


def test_the_state_is_live_and_can_be_changed(model):
    model.update_state({("source", "start"): 5.0})
    model.execute("initialize", {})
    state = model.source.__xsimlab_state__

    assert state["source", "level"] == 5.0
    state["source", "level"] = 7.0
    assert model.source.level == 7.0
    assert model.reader.level == 7.0


def test_keys_say_where_values_are(model):
    reader = model.reader

    assert reader.__xsimlab_state_keys__ == {
        "level": ("source", "level"),
        "levels": [("source", "level")],
        "same": ("source", "level"),
        "seen": ("reader", "seen"),
    }
    assert reader.__xsimlab_od_keys__ == {
        "doubled": ("source", "doubled"),
        "levels": [("source", "doubled")],
    }


def test_a_class_derived_from_a_process_needs_the_decorator():
    class Derived(Source):
        pass

    with pytest.raises(NotAProcessClassError):
        xs.Model({"derived": Derived})
    with pytest.raises(ValueError, match="not a process class"):
        get_process_cls(Derived)


def test_a_decorated_derived_class_calls_its_base():
    @xs.process
    class Derived(Source):
        offset = xs.variable(default=10.0)

        def initialize(self):
            super().initialize()
            self.level += self.offset

    model = xs.Model({"derived": Derived})
    model.update_state({("derived", "start"): 1.0, ("derived", "offset"): 10.0})
    model.execute("initialize", {})

    assert model.derived.level == 11.0


def test_a_class_made_by_type_becomes_a_process():
    def initialize(self):
        self.b = self.a + 1

    made = xs.process(
        type("Made", (), {"a": xs.variable(), "b": xs.variable(intent="out"), "initialize": initialize})
    )
    model = xs.Model({"made": made})
    model.update_state({("made", "a"): 1})
    model.execute("initialize", {})

    assert model.made.b == 2


def test_a_variable_that_is_not_on_demand_may_decorate_a_method_with_compute():
    @xs.process
    class P:
        thickness = xs.variable(intent="out")

        @thickness.compute
        def _thickness(self):
            return 3.0

        def run_step(self):
            self.thickness = self._thickness()

    model = xs.Model({"p": P})
    model.execute("run_step", {})

    assert model.p.thickness == 3.0


def test_defaults_and_validators_are_given_with_decorators():
    @xs.process
    class P:
        a = xs.variable()

        @a.default
        def _a(self):
            return 4

        @a.validator
        def _check(self, attribute, value):
            if value < 0:
                raise ValueError("negative")

    with pytest.raises(ValueError, match="negative"):
        P(a=-1)
    assert P().a == 4


def test_a_class_with_attrs_of_its_own_keeps_them():
    @xs.process(apply_attrs=False)
    @attr.s(repr=False)
    class P:
        a = xs.variable(default=1)
        kept = attr.ib(factory=list, init=False)

        def initialize(self):
            self.kept.append(self.a)

    model = xs.Model({"p": P})
    model.update_state({("p", "a"): 2})
    model.execute("initialize", {})

    assert model.p.kept == [2]


def test_the_derived_class_pickles_by_reference():
    assert pickle.loads(pickle.dumps(Source.__xsimlab_cls__)) is Source.__xsimlab_cls__


def test_a_class_that_cannot_be_imported_pickles_by_value():
    @xs.process
    class Local:
        a = xs.variable(default=np.float64(2.0))

        def initialize(self):
            self.doubled = 2 * self.a

    model = cloudpickle.loads(cloudpickle.dumps(xs.Model({"local": Local})))
    model.update_state({("local", "a"): 4.0})
    model.execute("initialize", {})

    assert model.local.doubled == 8.0


def test_a_process_describes_itself(model):
    buffer = io.StringIO()
    xs.process_info(model.source, buffer)

    assert repr(model.source) == buffer.getvalue()
    assert "doubled" in repr(model.source)


def test_a_stage_that_assigns_what_it_may_only_read_is_warned_of_and_may_catch_the_error():
    with pytest.warns(UserWarning, match=r"Careful.run_step assigns 'level'"):

        @xs.process
        class Careful:
            level = xs.foreign(Source, "level")
            caught = xs.variable(intent="out")

            def run_step(self):
                try:
                    self.level = -1.0
                except AttributeError as error:
                    self.caught = str(error)

    model = xs.Model({"source": Source, "careful": Careful})
    model.update_state({("source", "start"): 5.0})
    for stage in ("initialize", "run_step", "run_step"):
        model.execute(stage)

    assert "can only be read" in model.careful.caught
    assert model.careful.level == model.source.level == 7.0


def test_a_stage_that_assigns_what_it_may_only_read_is_an_error_if_it_does_not_catch_it():
    with pytest.warns(UserWarning, match="assigns 'start'"):

        @xs.process()
        class Careless:
            start = xs.variable()

            def initialize(self):
                self.start = 2.0

    model = xs.Model({"careless": Careless})
    setup = xs.create_setup(model, {"t": [0, 1]}, None, {"careless__start": 1.0})

    with pytest.raises(AttributeError, match="Variable 'start' of process 'careless'"):
        setup.xsimlab.run(model=model)
    assert Careless(start=1.0).initialize() is None


@pytest.mark.parametrize(
    "declare",
    [
        lambda: xs.foreign(Source, "level", intent="inout"),
        lambda: xs.global_ref("the_level", intent="inout"),
    ],
)
def test_a_reference_is_read_or_set_but_not_both(declare):
    with pytest.raises(ValueError, match="'inout' is not supported"):
        declare()

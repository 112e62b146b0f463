import io
import pickle

import pytest

import simherd as sh
from simherd.errors import MissingDependencyError
from simherd.monitoring import ProgressBar


@sh.process
class Counter:
    start = sh.variable(default=0)
    number = sh.variable(intent="out")

    def initialize(self):
        self.number = self.start

    def run_step(self):
        self.number = self.number + 1


@pytest.fixture
def model():
    return sh.Model({"counter": Counter})


def setup(model, starts=0):
    return sh.create_setup(
        model, {"t": [0, 1, 2, 3]}, None, {"counter__start": starts}, {"counter__number": None}
    )


class FakeBar:
    def __init__(self, log, **options):
        self.log = log
        log.append(("open", options["total"], options["desc"]))

    def update(self, n):
        self.log.append(("update", n))

    def set_description_str(self, desc):
        self.log.append(("say", desc))

    def close(self):
        self.log.append(("close",))


@pytest.fixture
def log(monkeypatch):
    entries = []
    monkeypatch.setattr(
        ProgressBar, "_make_bar", lambda self, total, doing: FakeBar(entries, total=total, desc=doing)
    )
    return entries


def test_a_simulation_counts_its_steps_and_both_ends(model, log):
    setup(model).simherd.run(model=model, hooks=[ProgressBar()])

    assert log[0] == ("open", 5, "initialize")
    assert log.count(("update", 1)) == 5
    assert ("say", "run step 3/3") in log
    assert log[-1] == ("close",)


def test_a_description_of_the_users_own_stays(model, log):
    setup(model).simherd.run(model=model, hooks=[ProgressBar(desc="mine")])

    assert not [entry for entry in log if entry[0] == "say"]


def test_a_batch_counts_its_simulations(model, log):
    setup(model, ("b", [1, 2, 3])).simherd.run(model=model, batch_dim="b", hooks=[ProgressBar()])

    opened = [entry for entry in log if entry[0] == "open"]
    assert opened == [("open", 3, "simulations")]
    assert log.count(("update", 1)) == 3
    assert log[-1] == ("close",)


def test_one_bar_serves_one_run_after_another(model, log):
    with ProgressBar():
        setup(model).simherd.run(model=model)
        setup(model).simherd.run(model=model)

    assert [entry[0] for entry in log].count("open") == 2
    assert [entry[0] for entry in log].count("close") == 2


def test_without_tqdm_rich_draws_the_bar(model, monkeypatch):
    monkeypatch.setattr("simherd.monitoring.find_spec", lambda name: None)
    screen = io.StringIO()
    setup(model).simherd.run(model=model, hooks=[ProgressBar(file=screen)])

    assert "finished" in screen.getvalue()
    assert "100%" in screen.getvalue()


def test_with_tqdm_that_draws_the_bar(model):
    pytest.importorskip("tqdm")
    screen = io.StringIO()
    setup(model).simherd.run(model=model, hooks=[ProgressBar("console", file=screen)])

    assert "5/5" in screen.getvalue()


def test_a_frontend_of_tqdm_needs_tqdm(monkeypatch):
    monkeypatch.setattr("simherd.monitoring.find_spec", lambda name: None)

    with pytest.raises(MissingDependencyError, match="tqdm"):
        ProgressBar("notebook")


def test_an_unknown_frontend_is_an_error():
    with pytest.raises(ValueError, match="Did you mean 'console'"):
        ProgressBar("consol")


def test_a_bar_travels_to_workers_and_shows_nothing_there():
    copy = pickle.loads(pickle.dumps(ProgressBar(desc="mine")))

    assert copy.options == {"desc": "mine", "disable": True}
    assert copy.bar is None

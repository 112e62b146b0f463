from __future__ import annotations

import importlib
import json
import linecache
import subprocess
import sys
import textwrap
import time

import pytest

import simherd as sh
from simherd.errors import ProcessClassError
from simherd.examples.landscape import model as landscape
from simherd.experiment.loading import load_model
from simherd.setup.sources import CodeWalk

MODEL = '''
from __future__ import annotations
import functools
import math
from dataclasses import dataclass
import attr
import numpy as np
import simherd as sh
import helpers_of_user as helpers
from helpers_of_user import imported

RATE = 0.5
TABLE = {"sand": np.arange(3.0), "clay": [1, 2]}
NAMES = {"a", "b", "c", "d", "e", "f"}
CACHE = {}
LAZY = None

def timed(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper

@timed
def decorated(x):
    """Decorated."""
    return x * 3

@functools.lru_cache
def cached(x):
    return x * 4

def scaled(factor):
    return lambda x: x * factor

twice = scaled(2)

def even(n, start=10):
    return n == start or odd(n - 1)

def odd(n):
    return n != 0 and even(n - 1)

def unused(x):
    return x * 99

class Soil:
    depth = 1.5
    def __init__(self, porosity):
        self.porosity = porosity
    @property
    def volume(self):
        return self.depth * self.porosity
    @staticmethod
    def of(text):
        return Soil(float(text))

@dataclass
class Settings:
    steps: int = 7

settings = Settings()

def table():
    global LAZY
    if LAZY is None:
        LAZY = [1, 2]
    return LAZY

class Base:
    def helper(self):
        return 1

@sh.process
class Walk(Base):
    """Walks."""

    gain = sh.variable(default=RATE, description="climb per step")
    start = sh.variable(default=attr.Factory(lambda: 2.0), intent="inout")
    height = sh.variable(intent="out")
    twice = sh.on_demand()
    speed = 8.0

    def run_step(self):
        """Climb."""
        import lazily_imported
        self.height = self.gain * 2 + self.helper()  # a comment
        self.height += sum(TABLE["sand"]) + len(NAMES) + sum(helpers.used(n) for n in range(3))
        def inner():
            return decorated(1) + cached(2) + twice(3) + helpers.RATIO + imported(4)
        self.height += inner() + even(4) + Soil.of("1").volume + settings.steps + sum(table())
        self.height += lazily_imported.late(1) + math.sin(0) + np.sqrt(4.0) + len(CACHE)

    @twice.compute
    def _twice(self):
        return 2 * self.height

@sh.process
class Other:
    def run_step(self):
        pass

model = sh.Model({"walk": Walk})
'''
HELPERS = """
RATIO = 0.25
def used(n):
    return n + 5
def imported(n):
    return n + 6
def not_used(n):
    return n + 7
"""
LATE = """
def late(n):
    return n + 8
"""
FILES = {"written_by_user": MODEL, "helpers_of_user": HELPERS, "lazily_imported": LATE}


@pytest.fixture
def code(tmp_path, monkeypatch):
    """Return a function that imports a model, with parts of it replaced, and gives what its code is."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def of(*replacements, name="Walk"):
        for module, text in FILES.items():
            for old, new in replacements:
                text = text.replace(old, new)
            (tmp_path / f"{module}.py").write_text(text)
            monkeypatch.delitem(sys.modules, module, raising=False)
        assert all(old in "".join(FILES.values()) for old, _ in replacements)
        linecache.clearcache()
        importlib.invalidate_caches()
        walk = CodeWalk()
        process = walk.digests_of_process(getattr(importlib.import_module("written_by_user"), name))
        return {**{f"Walk.{member}": digest for member, digest in process.items()}, **walk.code()}

    return of


def changed(before, after):
    return {key for key in {**before, **after} if before.get(key) != after.get(key)}


@pytest.mark.parametrize(
    "replacement",
    [
        ("  # a comment", ""),
        ('"""Walks."""', '"""Walks on."""'),
        ('        """Climb."""\n', ""),
        ('    """Decorated."""\n', ""),
        ("self.gain * 2 +", "self.gain *   2 + \\\n"),
        ("class Base:", "\n\n\nclass Base:"),
        ('default=RATE, description="climb per step"', "default=RATE"),
        ("        pass", "        self.x = 1"),
        ("return x * 99", "return x * 98"),
        ("return n + 7", "return n + 9"),
        ("LAZY = None", "LAZY = [1, 2]"),
    ],
)
def test_what_does_not_change_values_does_not_count(code, replacement):
    assert changed(code(), code(replacement)) == set()


@pytest.mark.parametrize(
    ("replacement", "named"),
    [
        (("self.gain * 2", "self.gain * 3"), {"Walk.run_step"}),
        (("return 1\n", "return 2\n"), {"Walk.helper"}),
        (("RATE = 0.5", "RATE = 0.25"), {"Walk.gain"}),
        (("lambda: 2.0", "lambda: 3.0"), {"Walk.start"}),
        (("speed = 8.0", "speed = 9.0"), {"Walk.speed"}),
        (("return 2 * self.height", "return 3 * self.height"), {"Walk._twice", "Walk.twice"}),
        (('intent="inout"', 'intent="in"'), {"Walk.start"}),
        (("decorated(1)", "decorated(2)"), {"Walk.run_step"}),
        (("np.arange(3.0)", "np.arange(4.0)"), {"written_by_user:TABLE"}),
        (('"e", "f"', '"e", "g"'), {"written_by_user:NAMES"}),
        (("return x * 3", "return x * 30"), {"written_by_user:decorated"}),
        (("return function(*args)", "return 2 * function(*args)"), {"written_by_user:decorated"}),
        (("return x * 4", "return x * 40"), {"written_by_user:cached"}),
        (("scaled(2)", "scaled(3)"), {"written_by_user:twice"}),
        (("x * factor", "x + factor"), {"written_by_user:twice"}),
        (("start=10", "start=12"), {"written_by_user:even"}),
        (("n != 0", "n != 1"), {"written_by_user:odd"}),
        (("depth = 1.5", "depth = 2.5"), {"written_by_user:Soil.depth"}),
        (("self.depth * ", "self.depth + "), {"written_by_user:Soil.volume"}),
        (("Soil(float(text))", "Soil(2 * float(text))"), {"written_by_user:Soil.of"}),
        (("LAZY = [1, 2]", "LAZY = [1, 3]"), {"written_by_user:table"}),
        (("RATIO = 0.25", "RATIO = 0.5"), {"helpers_of_user:RATIO"}),
        (("return n + 5", "return n + 50"), {"helpers_of_user:used"}),
        (("return n + 6", "return n + 60"), {"helpers_of_user:imported"}),
        (("return n + 8", "return n + 80"), {"lazily_imported:late"}),
    ],
)
def test_what_may_change_values_is_named(code, replacement, named):
    assert changed(code(), code(replacement)) == named


@pytest.mark.parametrize(
    "call", ["__import__('lazily_imported')", "importlib.import_module('lazily_imported')"]
)
def test_modules_imported_by_a_text_count(code, call):
    by_text = [
        ("import math\n", "import importlib, math\n"),
        ("        import lazily_imported\n", ""),
        ("lazily_imported.late(1)", f"{call}.late(1)"),
    ]

    assert changed(code(*by_text), code(*by_text, ("n + 8", "n + 80"))) == {"lazily_imported:late"}


@pytest.mark.parametrize(
    ("place", "named"),
    [("class Soil:", "written_by_user:Kind.grow"), ("class Base:", "written_by_user:Kind.grow")],
)
def test_metaclasses_count(code, place, named):
    kind = "class Kind(type):\n    def grow(cls):\n        return 1.25\n\n"
    of_kind = (place, f"{kind}{place[:-1]}(metaclass=Kind):")

    assert changed(code(of_kind), code((of_kind[0], of_kind[1].replace("1.25", "2.5")))) == {named}


def test_objects_that_cannot_be_compared_are_noted(code):
    walk = CodeWalk()
    code(("CACHE = {}", "CACHE = (n for n in range(3))"), ("len(CACHE)", "next(CACHE)"))
    walk.digests_of_process(sys.modules["written_by_user"].Walk)
    walk.code()

    assert walk.missed == {"written_by_user:CACHE": "builtins.generator"}


def test_a_changed_default_of_an_object_is_named(code):
    assert "written_by_user:settings" in changed(code(), code(("steps: int = 7", "steps: int = 8")))


def test_a_module_that_is_handed_on_counts_whole(code):
    handed_on = ("len(CACHE)", "len(vars(helpers))")
    before, after = code(handed_on), code(handed_on, ("return n + 7", "return n + 9"))

    assert changed(before, after) == {"helpers_of_user:not_used"}


@pytest.mark.parametrize(
    ("call", "named"),
    [
        ("globals()['RATE']", {"written_by_user:RATE", "Walk.gain"}),
        ("globals().get('RATE')", {"written_by_user:RATE", "Walk.gain"}),
        ("globals()['RA' + 'TE'[:2]]", {"written_by_user:RATE", "Walk.gain"}),
        ("eval('RATE')", {"written_by_user:RATE", "Walk.gain"}),
        ("odd.__globals__['RATE']", {"written_by_user:RATE", "Walk.gain"}),
    ],
)
def test_globals_that_are_named_by_a_text_count(code, call, named):
    by_text = ("len(CACHE)", call)

    assert changed(code(by_text), code(by_text, ("RATE = 0.5", "RATE = 0.25"))) >= named


@pytest.mark.parametrize("call", ["globals()['RATE']", "globals().get('RATE')"])
def test_a_global_that_is_named_by_a_constant_text_takes_no_others_along(code, call):
    by_text = ("len(CACHE)", call)

    assert changed(code(by_text), code(by_text, ("return x * 99", "return x * 98"))) == set()


def test_a_global_that_is_assigned_by_a_text_is_no_constant(code):
    lazily = (
        ("    global LAZY\n", ""),
        ("LAZY = [1, 2]\n    return", "globals()['LAZY'] = [1, 2]\n    return"),
    )

    assert changed(code(*lazily), code(*lazily, ("LAZY = None", "LAZY = 3"))) == set()


@pytest.mark.parametrize(
    ("module", "replacements"),
    [
        ("helpers_of_user", [("helpers.RATIO", "helpers.lazy")]),
        ("lazily_imported", [("lazily_imported.late(1)", "lazily_imported.lazy")]),
        (
            "lazily_imported",
            [
                ("import lazily_imported", "from lazily_imported import lazy"),
                ("lazily_imported.late(1)", "lazy"),
            ],
        ),
    ],
)
def test_what_a_module_computes_counts(code, module, replacements):
    def computing(value):
        last = {"helpers_of_user": "return n + 7", "lazily_imported": "return n + 8"}[module]
        return code(*replacements, (last, f"{last}\ndef __getattr__(name):\n    return {value}\n"))

    assert changed(computing(1.25), computing(2.5)) == {f"{module}:__getattr__"}


def test_installed_packages_count_by_version(code):
    code()
    walk = CodeWalk()
    walk.digests_of_process(sys.modules["written_by_user"].Walk)
    walk.code()

    assert walk.packages.keys() == {"numpy"}
    assert walk.packages["numpy"] == __import__("numpy").__version__


@pytest.mark.parametrize(
    "maker",
    [
        "dataclass(order=True)",
        "dataclass(frozen=True, slots=True)",
        "attr.s(auto_attribs=True, order=True)",
        "attr.define",
    ],
)
def test_methods_that_decorators_make_do_not_count(code, maker):
    found = code(("@dataclass", f"@{maker}"))

    methods = {key for key, digest in found.items() if digest.startswith("method ")}

    assert "written_by_user:Soil.of" in methods
    assert not {key for key in methods if ":Settings.__" in key}


def test_written_methods_count_wherever_their_text_comes_from():
    def digests(factor):
        namespace = {"sh": sh, "__name__": "typed"}
        exec(f"@sh.process\nclass P:\n    def __call__(self):\n        return {factor}", namespace)
        return CodeWalk().digests_of_process(namespace["P"])

    assert changed(digests(2), digests(3)) == {"__call__"}


@pytest.mark.slow
def test_code_is_the_same_however_and_wherever_it_is_imported(code, tmp_path):
    printed = """
        import json
        from simherd.setup.sources import CodeWalk
        walk = CodeWalk()
        found = walk.digests_of_process(Walk)
        print(json.dumps([found, walk.code()]))
    """
    code()
    script = tmp_path / "written_by_user.py"
    by_file = load_model(f"{script}:model", tmp_path).graph.classes["walk"]
    imported = sys.modules["written_by_user"].Walk
    script.write_text(MODEL + textwrap.dedent(printed))
    as_main = subprocess.run(
        [sys.executable, "written_by_user.py"], capture_output=True, text=True, check=True, cwd=tmp_path
    )

    def of(cls):
        walk = CodeWalk()
        return [walk.digests_of_process(cls), walk.code()]

    assert of(by_file) == of(imported) == json.loads(as_main.stdout)


def test_code_of_the_examples_is_read_quickly():
    def seconds():
        started = time.process_time()
        walk = CodeWalk()
        for cls in landscape.graph.classes.values():
            walk.digests_of_process(cls)
        walk.code()
        return time.process_time() - started

    assert min(seconds() for _ in range(3)) < 0.1  # 0.02 s on an idle machine


TYPED = """
    OFFSET = 1
    @sh.process
    class Typed:
        '''Typed in.'''
        gain = sh.variable(default=1.0, converter=lambda value: value * 2)
        def run_step(self):
            '''Step.'''
            self.x = [self.gain + n for n in range(3)] + [OFFSET]
"""


def typed_in(body):
    namespace = {"sh": sh, "__name__": "typed_in"}
    exec(textwrap.dedent(body), namespace)
    walk = CodeWalk()
    return {**walk.digests_of_process(namespace["Typed"]), **walk.code()}


def test_code_that_is_typed_in_counts_too():
    before = typed_in(TYPED)

    assert changed(before, typed_in(TYPED.replace("Step.", "One step."))) == set()
    assert changed(before, typed_in(TYPED.replace("value * 2", "value * 3"))) == {"gain"}
    assert changed(before, typed_in(TYPED.replace("self.gain + n", "self.gain - n"))) == {"run_step"}
    assert changed(before, typed_in(TYPED.replace("OFFSET = 1", "OFFSET = 2"))) == {"typed_in:OFFSET"}


def test_methods_that_a_class_is_given_count():
    def make(factor):
        def run_step(self):
            self.x = factor

        return CodeWalk().digests_of_process(sh.process(type("Made", (), {"run_step": run_step})))

    assert make(1) == make(1)
    assert make(1) != make(2)


def test_only_processes_have_one():
    with pytest.raises(ProcessClassError):
        CodeWalk().digests_of_process(int)

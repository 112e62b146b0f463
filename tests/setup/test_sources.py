from __future__ import annotations

import importlib.util
import linecache
import sys
import textwrap

import pytest

import simherd as sh
from simherd.errors import ProcessClassError
from simherd.setup.sources import digest_of_process

SOURCE = '''
import attr
import numpy as np
import simherd as sh

RATE = 0.5

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

    def run_step(self):
        """Climb."""
        self.height = self.gain * 2 + self.helper()  # a comment

    @twice.compute
    def _twice(self):
        return 2 * self.height

@sh.process
class Other:
    def run_step(self):
        pass
'''


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """Return a function that imports a module, with parts of it replaced, and gives the digest of Walk."""

    def of(*replacements, name="Walk", source=SOURCE):
        for old, new in replacements:
            assert old in source
            source = source.replace(old, new)
        path = tmp_path / "written_by_user.py"
        path.write_text(source)
        linecache.clearcache()
        spec = importlib.util.spec_from_file_location("written_by_user", path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "written_by_user", module)
        exec(compile(source, path, "exec"), vars(module))
        return digest_of_process(getattr(module, name))

    return of


@pytest.mark.parametrize(
    "replacement",
    [
        ("  # a comment", ""),
        ('"""Walks."""', '"""Walks on."""'),
        ('        """Climb."""\n', ""),
        ("self.gain * 2 +", "self.gain *   2 + \\\n"),
        ("class Base:", "\n\n\nclass Base:"),
        ('default=RATE, description="climb per step"', "default=RATE"),
        ("        pass", "        self.x = 1"),
    ],
)
def test_what_does_not_change_values_does_not_count(digest, replacement):
    assert digest(replacement) == digest()


@pytest.mark.parametrize(
    "replacement",
    [
        ("self.gain * 2", "self.gain * 3"),
        ("self.gain * 2", "2 * self.gain"),
        ("return 1", "return 2"),
        ("RATE = 0.5", "RATE = 0.25"),
        ("lambda: 2.0", "lambda: 3.0"),
        ("return 2 * self.height", "return 3 * self.height"),
        ('intent="inout"', 'intent="in"'),
    ],
)
def test_what_may_change_values_counts(digest, replacement):
    assert digest(replacement) != digest()


def test_the_values_of_constants_count(digest):
    source = SOURCE.replace('    """Walks."""', "    speed = RATE * 2")

    assert digest(("RATE = 0.5", "RATE = 0.25"), source=source) != digest(source=source)


def test_classes_of_one_name_are_told_apart_by_where_they_stand(digest):
    both = """
        import simherd as sh
        if {flag}:
            @sh.process
            class Walk:
                def run_step(self):
                    self.x = 1
        else:
            @sh.process
            class Walk:
                def run_step(self):
                    self.x = 2
    """
    both = textwrap.dedent(both)

    assert digest(source=both.format(flag=True)) != digest(source=both.format(flag=False))


def test_a_class_in_a_function_has_a_source(digest):
    source = "def make():\n" + textwrap.indent(SOURCE, "    ") + "\n    return Walk\n\nWalk = make()\n"

    assert digest(("  # a comment", ""), source=source) == digest(source=source)
    assert digest(("* 2", "* 3"), source=source) != digest(source=source)


def without_file(body):
    namespace = {"sh": sh, "__name__": "typed_in"}
    exec(textwrap.dedent(body), namespace)
    return digest_of_process(namespace["Typed"])


TYPED = """
    @sh.process
    class Typed:
        '''Typed in.'''
        gain = sh.variable(default=1.0, converter=lambda value: value * 2)
        def run_step(self):
            '''Step.'''
            self.x = [self.gain + n for n in range(3)]
"""


def test_a_class_without_source_counts_as_compiled():
    assert without_file(TYPED) == without_file(TYPED)
    assert without_file(TYPED.replace("Step.", "One step.")) == without_file(TYPED)
    assert without_file(TYPED.replace("default=1.0", "default=2.0")) != without_file(TYPED)
    assert without_file(TYPED.replace("value * 2", "value * 3")) != without_file(TYPED)
    assert without_file(TYPED.replace("self.gain + n", "self.gain - n")) != without_file(TYPED)
    assert without_file(TYPED.replace("range(3)", "range(4)")) != without_file(TYPED)


def test_methods_that_a_class_is_given_count():
    def make(factor):
        def run_step(self):
            self.x = factor

        return sh.process(type("Made", (), {"run_step": run_step}))

    assert digest_of_process(make(1)) == digest_of_process(make(1))
    assert digest_of_process(make(1)) != digest_of_process(make(2))


def test_only_processes_have_one():
    with pytest.raises(ProcessClassError):
        digest_of_process(int)

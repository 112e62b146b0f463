import functools
import pickle

import numpy as np
import pytest

from simherd.parallel.frozen import Frozen, is_immutable


def kind(obj):
    return type(obj).__name__


def double(x, by=2):
    return by * x


def closure(value):
    return lambda: value


class Holder:
    def method(self):
        return self


@pytest.mark.parametrize(
    "obj",
    [
        *(1, "a", None, (1, (2, "b")), frozenset({1}), int, len, np.float64(1), np.sin),
        *(double, closure(3), functools.partial(double, by=3), double.__get__(5)),
    ],
    ids=kind,
)
def test_what_nobody_can_change_is_loaded_once(obj):
    assert is_immutable(obj)
    sent = pickle.loads(pickle.dumps(Frozen(obj)))
    assert sent.copy() is sent.copy()


@pytest.mark.parametrize(
    "obj",
    [*([], {}, (1, []), closure([]), np.zeros(1)), Holder(), Holder().method, functools.partial(double, [])],
    ids=kind,
)
def test_what_can_be_changed_is_new_for_each_task(obj):
    assert not is_immutable(obj)
    sent = pickle.loads(pickle.dumps(Frozen(obj)))
    assert sent.copy() is not sent.copy()


def test_a_function_that_calls_itself_is_looked_at_once():
    def count(n):
        return n and 1 + count(n - 1)

    assert is_immutable(count)


def test_functions_that_call_each_other_are_looked_at_once():
    def is_even(n):
        return n == 0 or is_odd(n - 1)

    def is_odd(n):
        return n != 0 and is_even(n - 1)

    assert is_immutable(is_even)


class Text(str):
    pass


def test_text_with_attributes_can_be_changed():
    text = Text("a")
    text.unit = "m"

    assert is_immutable(Text("a"))
    assert not is_immutable(text)


@pytest.mark.parametrize("stays_here", [False, True])
@pytest.mark.parametrize("size", [10, 100_000])
def test_a_task_sees_arrays_as_they_were_and_may_change_them(size, stays_here):
    frozen = Frozen({"a": np.arange(size), "b": np.ones(size)}, stays_here=stays_here)
    sent = pickle.loads(pickle.dumps(frozen))

    first = sent.copy()
    first["a"][:] = -1
    second = sent.copy()

    assert (first["a"] == -1).all()
    np.testing.assert_array_equal(second["a"], np.arange(size))
    np.testing.assert_array_equal(second["b"], 1)


def test_an_array_that_must_not_be_written_stays_so():
    values = np.zeros(100_000)
    values.flags.writeable = False

    copy = pickle.loads(pickle.dumps(Frozen([values]))).copy()[0]

    with pytest.raises(ValueError, match="read-only"):
        copy[0] = 1


def test_large_buffers_are_not_in_the_pickle_of_workers_of_this_machine():
    frozen = Frozen(np.zeros(1_000_000), stays_here=True)

    assert len(pickle.dumps(frozen)) < 10_000


def test_memory_serves_again_while_nobody_has_changed_or_kept_it():
    values = np.arange(100_000.0)
    sent = pickle.loads(pickle.dumps(Frozen([values])))

    def memory(change=False):
        array = sent.copy()[0]
        np.testing.assert_array_equal(array, values)
        if change:
            array[7] = -1
        return sent._region._memory

    first = memory()
    assert memory(change=True) is first
    second = memory()
    assert second is not first
    kept = sent.copy()[0][:3]
    kept[0] = -5
    assert memory() is not second
    assert kept[0] == -5

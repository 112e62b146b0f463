import numpy as np
import pandas as pd
import pytest

from simherd.errors import ParallelArgumentError
from simherd.parallel.arguments import read_arguments


def kinds(value):
    return type(value).__name__


def calls(*given, **named):
    return [(args, dict(kwargs)) for args, kwargs in read_arguments(*given, **named).calls]


@pytest.mark.parametrize(
    ("iterarg", "expected"),
    [
        ([1, 2], [(1,), (2,)]),
        (range(2), [(0,), (1,)]),
        ("ab", [("a",), ("b",)]),
        ((x for x in (1, None)), [(1,), (None,)]),
        ({7}, [(7,)]),
        ({0: "a", 1: "b"}, [("a",), ("b",)]),
        (pd.Series([3, 4], index=[9, 8]), [(3,), (4,)]),
        (np.array([1.5]), [(np.float64(1.5),)]),
        ([(1, 2), [3, 4], 5, ()], [(1, 2), ([3, 4],), (5,), ()]),
        (3, [(), (), ()]),
        (np.int64(1), [()]),
        (True, [()]),
        (2.5, [(), (), ()]),
    ],
    ids=kinds,
)
def test_elements_become_positional_arguments(iterarg, expected):
    assert [args for args, _ in calls(iterarg)] == expected


def test_rows_of_an_array_are_elements():
    rows = [args[0].tolist() for args, _ in calls(np.arange(4).reshape(2, 2))]

    assert rows == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    "iterkwargs", [{"x": [1, 2], "y": "ab"}, [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]], ids=["dict", "list"]
)
@pytest.mark.parametrize("iterarg", [None, 2, [8, 9]], ids=str)
def test_keyword_arguments_go_beside_elements(iterarg, iterkwargs):
    found = calls(iterarg, iterkwargs)

    assert [kwargs for _, kwargs in found] == [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]
    assert [args for args, _ in found] == ([(8,), (9,)] if isinstance(iterarg, list) else [(), ()])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((), "Nothing found to parallelize"),
        ((0,), "Nothing found to parallelize"),
        ((float("nan"),), "The number of tasks must be finite"),
        ((-2,), "Nothing found to parallelize"),
        (([],), "Nothing found to parallelize"),
        ((None, {}), "Nothing found to parallelize"),
        ((None, []), "Nothing found to parallelize"),
        ((object(),), "iterarg must be an iterable or a number, got object"),
        (({"a": 1},), "its keys are not the positions 0 to 0"),
        ((pd.DataFrame({"a": [1]}),), "is a table.*itertuples"),
        ((None, {"x": 3}), "entries must be iterable, and 'x' is int 3"),
        ((None, {"x": [1], "y": [1, 2]}), "'x' has 1, 'y' has 2"),
        ((None, ({"x": 1},)), "must be a dict of iterables or a list of dicts, got tuple"),
        ((None, [{"x": 1}, 4]), "entry 1 is int 4"),
        (([1, 2, 3], {"x": [1]}), "iterarg has 3 entries and iterkwargs has 1"),
    ],
    ids=kinds,
)
def test_arguments_that_do_not_fit_are_one_error(given, message):
    with pytest.raises(ParallelArgumentError, match=message) as caught:
        read_arguments(*given)

    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    ("args", "expected"), [(None, ()), ((1, 2), (1, 2)), ([1], (1,)), (5, (5,)), ("ab", ("ab",))]
)
def test_shared_arguments_come_after_those_of_a_task(args, expected):
    assert read_arguments([0], args=args).args == expected


@pytest.mark.parametrize("keywords", [None, {"x": "abcde"}, [{"x": x} for x in "abcde"]], ids=str)
def test_a_part_has_the_arguments_of_its_tasks(keywords):
    arguments = read_arguments(range(5), keywords)

    part = arguments.part(range(2, 4))

    assert list(part) == list(arguments.calls)[2:4]
    assert (part.start, part.size) == (2, 2)

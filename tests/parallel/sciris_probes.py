"""Calls that are held against sciris. As a program: what they give there, whose processes are forked."""

from __future__ import annotations

import json
import sys
import warnings

import numpy as np


def f(x=0, y=10, *rest, **named):
    return x, y, rest, named


def fail_at_two(x):
    if x == 2:
        raise ZeroDivisionError("two")
    return x


def outcome(library, call):
    """Return what a call gives: plain data, or the built-in kinds of its error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return plain(call(library.parallelize))
        except Exception as error:
            return {
                "errors": sorted(
                    kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"
                )
            }


def plain(value):
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, Exception):
        return type(value).__name__
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def positions(parallelize, *given, **named):
    return parallelize(f, *given, serial=True, **named)


SAME = {
    "list": lambda p: positions(p, [1, 2]),
    "tuple": lambda p: positions(p, (1, 2)),
    "range": lambda p: positions(p, range(3)),
    "text": lambda p: positions(p, "abc"),
    "array": lambda p: positions(p, np.array([1.5, 2])),
    "rows of an array": lambda p: positions(p, np.arange(6).reshape(3, 2)),
    "integer": lambda p: positions(p, 3),
    "integer of NumPy": lambda p: positions(p, np.int64(2)),
    "True": lambda p: positions(p, True),
    "2.5": lambda p: positions(p, 2.5),
    "0": lambda p: positions(p, 0),
    "negative": lambda p: positions(p, -3),
    "empty list": lambda p: positions(p, []),
    "nothing": lambda p: positions(p),
    "tuples are unpacked": lambda p: positions(p, [(1, 2), (3, 4)]),
    "lists are not": lambda p: positions(p, [[1, 2], [3]]),
    "empty tuples": lambda p: positions(p, [(), ()]),
    "tuples and scalars": lambda p: positions(p, [(1, 2), 3]),
    "None is passed": lambda p: positions(p, [None, 1]),
    "dict of lists": lambda p: positions(p, None, {"x": [1, 2], "y": [3, 4]}),
    "dict of texts": lambda p: positions(p, None, {"x": "ab"}),
    "dict of arrays": lambda p: positions(p, None, {"x": np.arange(2)}),
    "list of dicts": lambda p: positions(p, None, [{"x": 1}, {"y": 2}]),
    "tuple of dicts": lambda p: positions(p, None, ({"x": 1},)),
    "scalar in a dict": lambda p: positions(p, None, {"x": 3}),
    "ragged dict": lambda p: positions(p, None, {"x": [1], "y": [1, 2]}),
    "list with a number": lambda p: positions(p, None, [{"x": 1}, 2]),
    "both": lambda p: positions(p, [1, 2], {"y": [5, 6]}),
    "both, ragged": lambda p: positions(p, [1, 2, 3], {"y": [5, 6]}),
    "integer and dict": lambda p: positions(p, 2, {"y": [5, 6]}),
    "args": lambda p: positions(p, [1, 2], args=(7,)),
    "args as a list": lambda p: positions(p, [1, 2], args=[7, 8]),
    "args as a scalar": lambda p: positions(p, [1, 2], args=7),
    "kwargs": lambda p: positions(p, [1], kwargs={"y": 3}, z=4),
    "func_kwargs win": lambda p: positions(p, [1], kwargs={"z": 3}, z=4),
    "items win": lambda p: positions(p, None, {"z": [1, 2]}, kwargs={"z": 3}),
    "position of arguments": lambda p: p(f, [1, 2], {"y": [5, 6]}, (9,), {"z": 1}, 1),
    "no function": lambda p: p(3, [1], serial=True),
    "unknown parallelizer": lambda p: p(f, [1], parallelizer="unknown"),
    "empty parallelizer": lambda p: p(f, [1], parallelizer=""),
    "names are case-sensitive": lambda p: p(f, [1], parallelizer="Serial"),
    "negative count": lambda p: p(f, [1], ncpus=-1),
    "map": lambda p: p(f, [1, 2], parallelizer=map),
    "map that returns nothing": lambda p: p(f, [1], parallelizer=lambda task, arguments: None),
    "error of a task": lambda p: p(fail_at_two, range(4), serial=True),
    "errors are kept": lambda p: p(fail_at_two, range(4), serial=True, die=False),
    "errors are kept in threads": lambda p: p(fail_at_two, range(4), parallelizer="thread", die=False),
    "errors are kept in processes": lambda p: p(fail_at_two, range(4), ncpus=2, die=False),
    "capture in threads": lambda p: p(f, [1], parallelizer="thread", capture=True),
    "start method": lambda p: p(f, [1], start_method="unknown"),
    **{
        f"parallelizer {name}": lambda p, name=name: p(f, [(1, 2), 3], ncpus=2, parallelizer=name)
        for name in (
            *("serial", "serial-copy", "thread", "threadpool", "thread-copy", "multiprocess", "robust"),
            *("default", "multiprocessing", "fast", "concurrent", "concurrent.futures", "futures", "async"),
        )
    },
}


if __name__ == "__main__":
    import sciris

    json.dump({name: outcome(sciris, call) for name, call in SAME.items()}, sys.stdout)

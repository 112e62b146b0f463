"""The fingerprint of a run: what its results depend on, kept in the store, so that only it is resumed.

Looked at are the classes of processes (see `simherd.setup.sources`), their order, clocks, inputs, outputs,
encoding, seed and how simulations are advanced. Not looked at are functions that processes call, files that
they read, hooks, and the versions of packages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from dask.base import tokenize

from simherd.model.graph import join_name
from simherd.setup.clocks import clock_names
from simherd.setup.digests import digest_of
from simherd.setup.planning import Setup
from simherd.setup.sources import digest_of_process

__all__ = ["differences", "fingerprint"]

FORMAT = 1
ANY = "*"
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def fingerprint(
    setup: Setup,
    *,
    encoding: Mapping[str, Mapping[str, Any]],
    seed: int | None,
    vectorize: bool,
    simulations: int | None = None,
) -> dict[str, Any]:
    """Return what the results of a run depend on.

    Parameters
    ----------
    setup : Setup
        The run. Inputs that are not in memory stay where they are: they count by what Dask knows of where
        they come from.
    encoding : mapping of str to mapping
        How each output is stored, by name.
    seed : int or None
        Seed of the random numbers.
    vectorize : bool
        Whether simulations are advanced together.
    simulations : int, optional
        Count inputs of the first simulations only: ``stored["simulations"]``, to compare with a stored
        fingerprint of a batch that may be smaller. All of them by default.

    Returns
    -------
    dict
        Texts, numbers and mappings of them, as JSON takes them.
    """
    plan, dataset = setup.plan, setup.dataset
    counted = setup.simulations if simulations is None else min(simulations, setup.simulations)
    return {
        "format": FORMAT,
        "processes": {name: digest_of_process(plan.model.graph.classes[name]) for name in plan.model},
        "order": list(plan.model),
        "main_clock": plan.clock,
        "clocks": {name: digest_of(dataset[name].values) for name in clock_names(dataset)},
        "batch_dim": setup.batch_dim,
        "batch_labels": {
            str(name): _batched(coord.variable.data, False, counted)
            for name, coord in dataset.coords.items()
            if coord.dims == (setup.batch_dim,)
        },
        "simulations": setup.simulations,
        "inputs": {join_name(k): _shared(value, k in plan.varying) for k, value in plan.shared.items()},
        "batch_inputs": {
            join_name(key): _batched(values, key in plan.varying, counted)
            for key, values in setup.batch_inputs.items()
        },
        "outputs": {tap.name: [tap.clock, digest_of(np.array(tap.steps, np.int64))] for tap in plan.taps},
        "encoding": {tap.name: _say_encoding(encoding.get(tap.name, {})) for tap in plan.taps},
        "seed": seed,
        "vectorize": vectorize,
    }


def _shared(value: Any, varies: bool) -> str:
    if _is_lazy(value):
        return _lazy(value, varies, value.shape, is_whole=True)
    return digest_of(value, varies)


def _batched(values: Any, varies: bool, simulations: int) -> str:
    if not isinstance(values, np.ndarray):
        return _lazy(values, varies, values.shape[1:], is_whole=simulations == len(values))
    return digest_of(values[:simulations], varies)


def _is_lazy(value: Any) -> bool:
    return hasattr(value, "__dask_graph__")


def _lazy(values: Any, varies: bool, shape: tuple[int, ...], *, is_whole: bool) -> str:
    """Return what is known of an array without loading it; the end is `ANY` where that cannot be compared."""
    token = ANY
    if is_whole:
        try:
            token = tokenize(values, ensure_deterministic=True)
        except Exception:  # of Dask, or of the array's own pickling: it has no lasting name then
            token = ANY
    return f"lazy {digest_of(values.dtype.str, tuple(shape), varies)} {token}"


def _say_encoding(encoding: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={_say_option(key, value)}" for key, value in sorted(encoding.items()))


def _say_option(key: str, value: Any) -> str:
    if key == "dtype" and value is not None:
        return str(np.dtype(value))
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        return f"({', '.join(_say_option('', item) for item in value)})"
    return _ADDRESS.sub("", repr(value))


def differences(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between a stored fingerprint and that of a run that is to go on with it.

    Parameters
    ----------
    stored : mapping
        Fingerprint of all simulations of the store.
    now : mapping
        Fingerprint of the run, with ``simulations=stored["simulations"]``.

    Returns
    -------
    list of str
        Parts of a sentence such as ``"process 'walk' has changed"``. Empty where the run goes on with the
        store: it is the same, or its batch is longer and begins with the same simulations.
    """
    if stored.get("format") != now["format"]:
        return ["the store is of another version of simherd"]
    return [text for compare in _COMPARED for text in compare(stored, now)]


Differences = Iterator[str]


def _compare_model(stored: Mapping[str, Any], now: Mapping[str, Any]) -> Differences:
    yield from _compare(stored["processes"], now["processes"], "process {!r}", lambda *_: "has changed")
    if stored["order"] != now["order"] and {*stored["order"]} == {*now["order"]}:
        yield f"processes run in the order {', '.join(now['order'])}; it was {', '.join(stored['order'])}"


def _compare_clocks(stored: Mapping[str, Any], now: Mapping[str, Any]) -> Differences:
    if stored["main_clock"] != now["main_clock"]:
        yield f"the main clock is {now['main_clock']!r}, was {stored['main_clock']!r}"
    yield from _compare(stored["clocks"], now["clocks"], "clock {!r}", lambda *_: "has other labels")


def _compare_batch(stored: Mapping[str, Any], now: Mapping[str, Any]) -> Differences:
    if stored["batch_dim"] != now["batch_dim"]:
        yield f"the batch dimension is {now['batch_dim']!r}, was {stored['batch_dim']!r}"
    if now["simulations"] < stored["simulations"]:
        yield f"the batch has {now['simulations']} simulations, the store {stored['simulations']}"
    else:
        labels = (stored["batch_labels"], now["batch_labels"])
        yield from _compare(*labels, "coordinate {!r}", lambda *_: "has other labels")


def _compare_inputs(stored: Mapping[str, Any], now: Mapping[str, Any]) -> Differences:
    before, after = {**stored["inputs"], **stored["batch_inputs"]}, {**now["inputs"], **now["batch_inputs"]}
    is_shorter = now["simulations"] < stored["simulations"]

    def differ(name: str, was: str, is_now: str) -> str:
        if (name in stored["inputs"]) != (name in now["inputs"]):
            return (
                "is now the same in all simulations" if name in now["inputs"] else "is now one per simulation"
            )
        if name in now["inputs"]:
            return "has another value"
        return "" if is_shorter or _may_be_same(was, is_now) else "differs along the batch"

    yield from _compare(before, after, "input {}", differ)


def _may_be_same(was: str, is_now: str) -> bool:
    """Return whether arrays that were not loaded are the same as far as can be told."""
    known = [text.rpartition(" ") for text in (was, is_now)]
    return known[0][0] == known[1][0] and ANY in (known[0][2], known[1][2])


def _compare_outputs(stored: Mapping[str, Any], now: Mapping[str, Any]) -> Differences:
    def differ(name: str, was: list[Any], is_now: list[Any]) -> str:
        if was[0] != is_now[0]:
            return f"is saved on {_say_clock(is_now[0])}, was on {_say_clock(was[0])}"
        return f"is saved at other steps of {_say_clock(is_now[0])}"

    yield from _compare(stored["outputs"], now["outputs"], "output {}", differ)
    both = stored["outputs"].keys() & now["outputs"].keys()
    yield from _compare(
        {name: text for name, text in stored["encoding"].items() if name in both},
        {name: text for name, text in now["encoding"].items() if name in both},
        "encoding of {}",
        lambda name, was, is_now: f"is {is_now or 'the default'}, was {was or 'the default'}",
    )


def _say_clock(clock: str | None) -> str:
    return "no clock" if clock is None else f"clock {clock!r}"


def _compare_options(stored: Mapping[str, Any], now: Mapping[str, Any]) -> Differences:
    for name in ("seed", "vectorize"):
        if stored[name] != now[name]:
            yield f"{name} is {now[name]}, was {stored[name]}"


def _compare(
    stored: Mapping[str, Any], now: Mapping[str, Any], what: str, differ: Callable[[str, Any, Any], str]
) -> Differences:
    """Yield which names are new, gone or, in the words of `differ`, not the same; "" is no difference."""
    for name in (*now, *(name for name in stored if name not in now)):
        if name not in stored:
            yield f"{what.format(name)} is new"
        elif name not in now:
            yield f"{what.format(name)} is gone"
        elif stored[name] != now[name] and (text := differ(name, stored[name], now[name])):
            yield f"{what.format(name)} {text}"


_COMPARED = (
    _compare_model,
    _compare_clocks,
    _compare_batch,
    _compare_inputs,
    _compare_outputs,
    _compare_options,
)

"""The fingerprint of a run: what its results depend on, kept in the store, so that only it is resumed.

The model counts by the classes of its processes, their order, and by all functions, classes and constants
that they refer to, in whichever module of the user's own; of installed packages by name and version (see
`simherd.setup.sources`). The run counts by clocks, inputs, coordinates, outputs, encoding, seed and how
simulations are advanced. Files that processes read do not count, nor do hooks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import NoneType
from typing import Any

import numpy as np
import xarray as xr
from dask.base import tokenize

from simherd.model.graph import join_name
from simherd.setup.clocks import clock_names
from simherd.setup.digests import digest_of
from simherd.setup.lazy import stays_lazy
from simherd.setup.planning import Setup
from simherd.setup.sources import CodeWalk, python_of_code
from simherd.user_warnings import warn_user

__all__ = ["differences", "fingerprint", "is_fingerprint", "knowing_changes_of_run", "model_differences"]

FORMAT = 2
EARLIER = (1,)
"""Formats in which the run is told in the same way, but not the model."""
ANY = "*"
NAMED = 5
"""Changes of a model that an error names."""
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
        **_as_before_runs(_identity_of_model(setup, counted)),
        "main_clock": plan.clock,
        "clocks": {name: digest_of(dataset[name].values) for name in clock_names(dataset)},
        "batch_dim": setup.batch_dim,
        "batch_labels": {
            str(name): _batched(coord.variable.data, False, counted)
            for name, coord in dataset.coords.items()
            if coord.dims == (setup.batch_dim,)
        },
        "coordinates": _coordinates(setup, counted),
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


def _coordinates(setup: Setup, simulations: int) -> dict[str, tuple[list[str], str]]:
    """Return dimensions and digests of coordinates other than clocks, batch labels and those of the model."""
    graph, dataset = setup.plan.model.graph, setup.dataset
    elsewhere = {*clock_names(dataset), *map(join_name, graph.inputs), *(name for _, name in graph.indexes)}
    found = {}
    for name, coord in dataset.coords.items():
        if name not in elsewhere and coord.dims != (setup.batch_dim,):
            values = _rows_first(coord.variable, setup.batch_dim)
            is_batched = setup.batch_dim in coord.dims
            digest = _batched(values, False, simulations) if is_batched else _shared(values, False)
            found[str(name)] = [*map(str, coord.dims)], digest
    return found


def _rows_first(variable: xr.Variable, batch_dim: str | None) -> Any:
    """Return values with simulations along the first axis, loaded unless they are large; texts as NumPy's."""
    ordered = variable.transpose(batch_dim, ..., missing_dims="ignore")
    if stays_lazy(ordered):
        return ordered.data
    values = ordered.values
    if values.dtype.kind in "OT":
        texts = values.astype(object)
        if all(isinstance(text, str) for text in texts.flat):
            return texts.astype("U")
    return values


def _identity_of_model(setup: Setup, simulations: int) -> dict[str, Any]:
    """Return what tells a model from others: its processes, and the code that they and inputs refer to."""
    model, walk = setup.plan.model, CodeWalk()
    processes = {name: walk.digests_of_process(model.graph.classes[name]) for name in model}
    for value in setup.plan.shared.values():
        if _may_refer(value):
            walk.follow(value)
    for values in setup.batch_inputs.values():
        if _may_refer(values):
            walk.follow(values[:simulations])
    code = walk.code()
    _warn_of_missed(walk.missed)
    return {
        "python": python_of_code(),
        "processes": processes,
        "order": list(model),
        "code": code,
        "packages": dict(sorted(walk.packages.items())),
    }


_warned_of: set[str] = set()


def _warn_of_missed(missed: Mapping[str, str]) -> None:
    """Warn, once in this process, of parts of a model that resuming does not compare."""
    for key in sorted(missed.keys() - _warned_of):
        _warned_of.add(key)
        module, _, name = key.partition(":")
        warn_user(
            f"{name!r} of module {module!r} holds an object of type {missed[key]}, which does not pickle: a "
            "run that goes on in a store will not see whether it changes. Fix: let its class define "
            "__reduce__, or make the object in the process.",
            RuntimeWarning,
        )


def _may_refer(value: Any) -> bool:
    """Return whether a value may hold functions or objects, as numbers and texts do not."""
    return getattr(value, "dtype", np.dtype(object)).hasobject


_changed_by_runs: dict[tuple[str, str], str] = {}
"""Digests of definitions that runs of this process have changed, and what they were before."""
_at_start: ContextVar[Mapping[str, str]] = ContextVar("at_start", default={})  # noqa: B039  # nobody changes it
"""Digests of definitions when the run began that goes on now."""


@contextmanager
def knowing_changes_of_run(setup: Setup) -> Iterator[None]:
    """Know what a run in this process changes of its own model, such as a cache: that is no other model."""
    before = dict(_definitions(_as_before_runs(_identity_of_model(setup, setup.simulations))))
    token = _at_start.set(before)
    try:
        yield
    finally:
        _at_start.reset(token)
        for key, digest in _definitions(_identity_of_model(setup, setup.simulations)):
            if before.get(key, digest) != digest:
                _changed_by_runs[key, digest] = before[key]


def _definitions(identity: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from identity["code"].items()
    for process, members in identity["processes"].items():
        yield from ((f"{process}.{name}", digest) for name, digest in members.items())


def _as_before_runs(identity: dict[str, Any]) -> dict[str, Any]:
    def before(key: str, digest: str) -> str:
        return _at_start.get().get(key) or _changed_by_runs.get((key, digest), digest)

    processes = {
        process: {name: before(f"{process}.{name}", digest) for name, digest in members.items()}
        for process, members in identity["processes"].items()
    }
    return {
        **identity,
        "processes": processes,
        "code": {key: before(key, digest) for key, digest in identity["code"].items()},
    }


_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "processes": dict,
    "order": list,
    "main_clock": (str, NoneType),
    "clocks": dict,
    "batch_dim": (str, NoneType),
    "batch_labels": dict,
    "simulations": int,
    "inputs": dict,
    "batch_inputs": dict,
    "outputs": dict,
    "encoding": dict,
    "seed": (int, NoneType),
    "vectorize": bool,
}


_FIELDS_OF_MODEL: Mapping[str, type] = {"python": str, "code": dict, "packages": dict}


def is_fingerprint(found: Any) -> bool:
    """Return whether something that was read has the form of a fingerprint."""
    if not isinstance(found, dict):
        return False
    fields = {**_FIELDS, **(_FIELDS_OF_MODEL if found.get("format") == FORMAT else {})}
    return (
        all(name in found and isinstance(found[name], kind) for name, kind in fields.items())
        and found["simulations"] >= 0
        and all(isinstance(text, str) for text in (*found["order"], *found["batch_inputs"].values()))
        and all(isinstance(output, list) and len(output) == 2 for output in found["outputs"].values())
        and _are_coordinates(found.get("coordinates", {}))
        and isinstance(found.get("store", ""), str)
        and isinstance(found.get("model_versions", []), list)
        and all(isinstance(version, dict) for version in found.get("model_versions", []))
    )


def _are_coordinates(found: Any) -> bool:
    return isinstance(found, dict) and all(
        isinstance(one, list) and [*map(type, one)] == [list, str] for one in found.values()
    )


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
        Parts of a sentence such as ``"seed is 2, was 1"``, without those of `model_differences`. Empty where
        the run goes on with the store: it is the same, or its batch is longer and begins with the same
        simulations.
    """
    if stored.get("format") not in (*EARLIER, now["format"]):
        return ["the store is of another version of simherd"]
    return [text for compare in _COMPARED for text in compare(stored, now)]


def model_differences(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return how the model of a run differs from that of a stored fingerprint.

    Returns
    -------
    list of str
        Parts of a sentence such as ``"function 'rate' of module 'walk' has changed"``.
    """
    if stored.get("format") in EARLIER:
        return [
            "the store is of an earlier version of simherd, which did not note the functions of the model"
        ]
    if stored.get("format") != now["format"]:
        return []  # nothing can be compared, as `differences` tells
    found = [text for compare in _COMPARED_OF_MODEL for text in compare(stored, now)]
    more = len(found) - NAMED
    return found if more <= 0 else [*found[:NAMED], f"and {more} more"]


Differences = Iterator[str]


def _compare_processes(stored: Mapping[str, Any], now: Mapping[str, Any]) -> Differences:
    def differ(name: str, was: dict[str, str], is_now: dict[str, str]) -> str:
        changed = [member for member in {**was, **is_now} if was.get(member) != is_now.get(member)]
        return f"has changed ({', '.join(changed)})"

    yield from _compare(stored["processes"], now["processes"], "process {!r}", differ)
    if stored["order"] != now["order"] and {*stored["order"]} == {*now["order"]}:
        yield f"processes run in the order {', '.join(now['order'])}; it was {', '.join(stored['order'])}"


def _compare_code(stored: Mapping[str, Any], now: Mapping[str, Any]) -> Differences:
    """Yield what has changed of the code that processes refer to; what is new or gone only if that is all."""
    was, is_now = stored["code"], now["code"]
    both = [key for key in is_now if key in was]
    changed = [key for key in both if was[key] != is_now[key]]
    yield from (f"{_say_definition(key, is_now[key])} has changed" for key in changed)
    if not changed and stored["processes"] == now["processes"]:
        yield from (f"{_say_definition(key, is_now[key])} is new" for key in is_now if key not in was)
        yield from (f"{_say_definition(key, was[key])} is gone" for key in was if key not in is_now)


def _say_definition(key: str, digest: str) -> str:
    module, _, name = key.partition(":")
    kind = digest.rpartition(" ")[0]
    return f"{kind} {name!r} of module {module!r}" if name else f"{kind} {module!r}"


def _compare_packages(stored: Mapping[str, Any], now: Mapping[str, Any]) -> Differences:
    was, is_now = stored["packages"], now["packages"]
    for name in is_now:
        if name in was and was[name] != is_now[name]:
            yield f"package {name!r} has version {is_now[name]}, had {was[name]}"


def _compare_model(stored: Mapping[str, Any], now: Mapping[str, Any]) -> Differences:
    """Yield what has changed of code that is compiled in the same way, or else only how it is compiled."""
    if stored["python"] != now["python"]:
        yield f"code is compiled by {now['python']}, was by {stored['python']}"
        return
    yield from _compare_processes(stored, now)
    yield from _compare_code(stored, now)


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
        yield from _compare(
            *labels, "coordinate {!r}", lambda _, *both: "" if _may_be_same(*both) else "has other labels"
        )


def _compare_coordinates(stored: Mapping[str, Any], now: Mapping[str, Any]) -> Differences:
    """Yield which coordinates differ; a store may be older than the note of them, and then none does."""
    is_shorter = now["simulations"] < stored["simulations"]

    def differ(name: str, was: Sequence[Any], is_now: Sequence[Any]) -> str:
        if list(was[0]) != list(is_now[0]):
            return f"is along {tuple(is_now[0])}, was along {tuple(was[0])}"
        is_cut = is_shorter and now["batch_dim"] in is_now[0]
        return "" if is_cut or _may_be_same(was[1], is_now[1]) else "has other values"

    if "coordinates" in stored:
        yield from _compare(stored["coordinates"], now["coordinates"], "coordinate {!r}", differ)


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
    return was == is_now or (known[0][0] == known[1][0] and ANY in (known[0][2], known[1][2]))


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


_COMPARED_OF_MODEL = (_compare_model, _compare_packages)
_COMPARED = (
    _compare_clocks,
    _compare_batch,
    _compare_coordinates,
    _compare_inputs,
    _compare_outputs,
    _compare_options,
)

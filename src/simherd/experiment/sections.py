"""The sections of an experiment file: what a clock, an input, a batch or a cluster may say."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from simherd.clusters import KINDS, is_given
from simherd.errors import SetupError, close_matches
from simherd.experiment.rules import (
    Node,
    Rule,
    anything,
    build,
    choice,
    integer,
    list_of,
    mapping,
    mapping_of,
    number,
    optional,
    read,
    text,
    variable_name,
)
from simherd.experiment.specs import (
    OPTION_RULES,
    BatchSpec,
    CallInput,
    ClockSpec,
    ClusterSpec,
    FileInput,
    ValueInput,
    is_class,
)

if TYPE_CHECKING:
    from simherd.setup.parameters import Parameter

__all__ = ["batch_rule", "clock_rule", "cluster_rule", "input_rule", "options_of"]

_CLOCK_FORMS = (
    ("start", "stop", "num"),
    ("start", "stop", "step"),
    ("values",),
    ("every",),
)
_INPUT_FORMS: Mapping[str, type[FileInput | CallInput | ValueInput]] = {
    "file": FileInput,
    "call": CallInput,
    "value": ValueInput,
}


def clock_rule(node: Node) -> ClockSpec:
    """Check a clock: a list of values, or the keys of one form."""
    if isinstance(node.value, list):
        clock = ClockSpec(values=list_of(number())(node))
    else:
        clock = build(ClockSpec, node)
        _check_form(node)
    if clock.values is not None and not _is_increasing(clock.values):
        raise node.fault("its values do not increase.", fix="list each value once, smallest first.")
    if clock.start is not None and clock.stop is not None and clock.start >= clock.stop:
        raise node.fault(f"start {clock.start:g} is not below stop {clock.stop:g}.")
    if clock.step is not None and clock.step > (clock.stop or 0) - (clock.start or 0):
        raise node.fault(f"step {clock.step:g} is longer than from start to stop.")
    return clock


def _check_form(node: Node) -> None:
    given = [key for key in node.value if key not in ("units", "calendar")]
    if any(set(given) == set(form) for form in _CLOCK_FORMS):
        return
    forms = ", ".join(f"{{{', '.join(form)}}}" for form in _CLOCK_FORMS)
    raise node.fault(
        f"found {{{', '.join(given)}}}; a clock has the keys of one of {forms}.",
        fix="keep or add the keys of one form.",
    )


def input_rule(node: Node) -> Any:
    """Check an input: a value, or where it comes from."""
    if not isinstance(node.value, dict):
        _check_plain(node)
        return node.value
    forms = [name for name in _INPUT_FORMS if name in node.value]
    if len(forms) != 1:
        hints = [close_matches(str(key), _INPUT_FORMS) for key in node.value if not forms]
        raise node.fault(
            f"an input with keys needs exactly one of {_listed(_INPUT_FORMS)}; found "
            f"{_listed(map(str, node.value)) or 'none'}. {' '.join(hints[:1])}".rstrip()
        )
    return build(_INPUT_FORMS[forms[0]], node)


def _check_plain(node: Node) -> None:
    if isinstance(node.value, list):
        for item in node.children():
            _check_plain(item)
    elif not isinstance(node.value, str | bool | int | float):
        raise node.unlike("a number, a text, a list, or 'file:', 'call:' or 'value:'")


def _parameter_value(node: Node) -> Any:
    is_number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
    if not is_number and not isinstance(node.value, str | bool):
        raise node.unlike("a number, a text, true or false")
    return number()(node) if is_number else node.value


_PARAMETER_RULES: Mapping[str, Rule] = {
    "values": list_of(_parameter_value),
    "low": number(),
    "high": number(),
    "scale": choice("linear", "log"),
    "num": integer(minimum=1),
    "dtype": choice("int", "float"),
}

_PARAMETER_SYNONYMS = {"start": "low", "min": "low", "stop": "high", "max": "high", "size": "num"}


def _parameter(node: Node) -> Parameter:
    from simherd.setup.parameters import Parameter

    if isinstance(node.value, list):
        given: dict[str, Any] = {"values": list_of(_parameter_value)(node)}
    else:
        given = read(node, _PARAMETER_RULES, synonyms=_PARAMETER_SYNONYMS)
    is_integer = given.pop("dtype", "float") == "int"
    with _located(node):
        return Parameter(name=str(node.keys[-1]), integer=is_integer, **given)


@contextmanager
def _located(node: Node) -> Iterator[None]:
    try:
        yield
    except SetupError as error:
        raise node.fault(error.message, fix=error.fix) from error


def batch_rule(node: Node) -> BatchSpec:
    """Check a batch and count its simulations."""
    from simherd.setup.samplers import batch_size, check_parameter

    batch = build(BatchSpec, node)
    parameters = node.child("parameters")
    if batch.table:
        return _table_batch(batch, node)
    if parameters.value is None:
        parameters = replace(parameters, value={})
    checked = mapping_of(_parameter, name=variable_name)(parameters)
    for name, parameter in checked.items():
        with _located(parameters.child(name)):
            check_parameter(batch.sampling, parameter)
    with _located(node.child("size") if batch.size else node):
        batch_size(batch.sampling, list(checked.values()), batch.size)
    return replace(batch, parameters=checked)


def _table_batch(batch: BatchSpec, node: Node) -> BatchSpec:
    columns = optional(mapping_of(text, name=variable_name))(node.child("parameters"))
    return replace(batch, parameters={}, columns=columns)


def _kind(node: Node) -> str:
    name = text(node)
    if name not in KINDS and not is_given(name):
        raise node.fault(
            f"unknown kind '{name}'. {close_matches(name, KINDS)}",
            fix="name a kind, an address such as tcp://host:8786, session:NAME, a scheduler file ending in "
            ".json, or a cluster class as module.Class.",
        )
    return name


def options_of(kind: str) -> tuple[str, ...]:
    """Return the options that a kind of cluster has, one of `simherd.clusters.KINDS`."""
    module = import_module(KINDS[kind])
    return tuple(getattr(module, "OPTIONS", None) or inspect.signature(module.open).parameters)


def _section(node: Node) -> dict[str, Any]:
    """Check the options of a kind: their names, and the values of those that all kinds know."""
    kind, given = str(node.keys[-1]), mapping(node)
    allowed = options_of(kind) if given else ()
    for child in node.children():
        key = str(child.keys[-1])
        if key not in allowed:
            raise child.fault(
                f"a cluster of kind {kind!r} has no option {key!r}. {close_matches(key, allowed)}",
                fix="correct or remove it.",
            )
        OPTION_RULES.get(key, anything)(child)
    return dict(given)


_CLUSTER_RULES: Mapping[str, Rule] = {
    "kind": _kind,
    **OPTION_RULES,
    **dict.fromkeys(KINDS, optional(_section)),
}
_FIELDS = ("kind", "workers", "threads_per_worker", "memory")
"""Keys that are fields of `ClusterSpec`."""


def cluster_rule(node: Node) -> ClusterSpec:
    """Check where the simulations run."""
    rules = _class_rules(node) if is_class(node.child("kind").value) else _CLUSTER_RULES
    given = read(node, rules)
    sections = {kind: given.pop(kind) or {} for kind in KINDS if kind in given}
    named = {key: given.pop(key) for key in _FIELDS if key in given}
    return ClusterSpec(**named, options=given, sections=sections)


def _class_rules(node: Node) -> Mapping[str, Rule]:
    """Return rules that let through the arguments of a cluster class: it judges them itself."""
    ours = (*_FIELDS, *KINDS)
    return dict.fromkeys(mapping(node), anything) | {key: _CLUSTER_RULES[key] for key in ours}


def _is_increasing(values: Sequence[float]) -> bool:
    return all(first < second for first, second in itertools.pairwise(values))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))

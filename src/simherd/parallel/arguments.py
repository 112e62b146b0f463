"""The arguments of a parallel map: what each task is called with, and what all tasks share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from numbers import Real
from typing import Any

from simherd.errors import ParallelArgumentError

__all__ = ["Arguments", "Calls", "read_arguments"]


_PLAIN = frozenset({bool, int, float, complex, str, bytes, type(None)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Calls:
    """The arguments of consecutive tasks that differ from task to task."""

    start: int
    """Position of the first task."""
    size: int
    """Number of tasks."""
    positional: Sequence[Any] | None
    """One element per task: a tuple holds several arguments; None passes none."""
    keywords: Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]] | None
    """Keyword arguments, as one mapping per task or one sequence per name; None passes none."""

    def __iter__(self) -> Iterator[tuple[tuple[Any, ...], Mapping[str, Any]]]:
        """Yield the positional and the keyword arguments of each task."""
        return zip(self._positional(), self._keywords(), strict=True)

    def _positional(self) -> Iterator[tuple[Any, ...]]:
        if self.positional is None:
            return iter([()] * self.size)
        return (one if isinstance(one, tuple) else (one,) for one in self.positional)

    def _keywords(self) -> Iterator[Mapping[str, Any]]:
        if self.keywords is None:
            return iter([{}] * self.size)
        if isinstance(self.keywords, Mapping):
            names = tuple(self.keywords)
            rows = zip(*self.keywords.values(), strict=True)
            return (dict(zip(names, row, strict=True)) for row in rows)
        return iter(self.keywords)


@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments:
    """The arguments of all tasks."""

    calls: Calls
    """What differs."""
    args: tuple[Any, ...] = ()
    """Positional arguments of every task, after its own."""
    kwargs: Mapping[str, Any]
    """Keyword arguments of every task; those of its own take precedence."""

    def __len__(self) -> int:
        return self.calls.size

    def examples(self) -> list[Any]:
        """Return one value of each type that differs between tasks, and each function; no plain values."""
        calls = self.calls
        keywords = calls.keywords or {}
        rows = (
            keywords.values() if isinstance(keywords, Mapping) else [list(one.values()) for one in keywords]
        )
        columns = [calls.positional or (), *rows]
        if all(_PLAIN.issuperset(map(type, column)) for column in columns):
            return []
        values = chain.from_iterable(columns)
        flat = chain.from_iterable(one if isinstance(one, tuple) else (one,) for one in values)
        return list({getattr(one, "__code__", type(one)): one for one in flat}.values())

    def part(self, tasks: range) -> Calls:
        """Return what differs between some consecutive tasks."""
        calls, rows = self.calls, slice(tasks.start, tasks.stop)
        keywords = calls.keywords
        return Calls(
            start=tasks.start,
            size=len(tasks),
            positional=None if calls.positional is None else calls.positional[rows],
            keywords={name: values[rows] for name, values in keywords.items()}
            if isinstance(keywords, Mapping)
            else keywords and keywords[rows],
        )


def read_arguments(
    iterarg: Any = None,
    iterkwargs: Any = None,
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
) -> Arguments:
    """Return the arguments of all tasks.

    Parameters
    ----------
    iterarg : iterable or number, optional
        One element per task; a number runs so many tasks and passes nothing.
    iterkwargs : mapping of str to iterable, or list of mappings, optional
        Keyword arguments that differ from task to task.
    args : tuple, list or object, optional
        Positional arguments that all tasks share; anything but a tuple or list is one argument.
    kwargs : mapping, optional
        Keyword arguments that all tasks share.

    Raises
    ------
    ParallelArgumentError
        If there is nothing to iterate over, lengths differ, or a type does not fit.
    """
    count, positional = _positional(iterarg)
    keywords = _keywords(iterkwargs)
    sizes = [size for size in (count, None if keywords is None else _size(keywords)) if size is not None]
    if len(set(sizes)) > 1:
        raise ParallelArgumentError(
            f"iterarg has {sizes[0]} entries and iterkwargs has {sizes[1]}: they must agree."
        )
    if not sizes or sizes[0] < 1:
        raise ParallelArgumentError(
            f"Nothing found to parallelize: iterarg={_short(iterarg)}, iterkwargs={_short(iterkwargs)}.",
            fix="pass an iterable with at least one element, or a number of tasks, as iterarg, or keyword "
            "arguments that differ from task to task as iterkwargs.",
        )
    calls = Calls(start=0, size=sizes[0], positional=positional, keywords=keywords)
    return Arguments(calls=calls, args=_shared(args), kwargs=dict(kwargs or {}))


def _positional(iterarg: Any) -> tuple[int | None, Sequence[Any] | None]:
    """Return the number of tasks, and the element of each."""
    if iterarg is None:
        return None, None
    if isinstance(iterarg, Real) or getattr(iterarg, "shape", None) == ():
        return _count(iterarg), None
    elements = _elements("iterarg", iterarg)
    return len(elements), elements


def _count(number: Any) -> int:
    if not math.isfinite(number):
        raise ParallelArgumentError(f"The number of tasks must be finite, got iterarg={number!r}.")
    count: int = math.ceil(number)
    return max(count, 0)


def _elements(name: str, values: Any) -> Sequence[Any]:
    """Return the elements of an iterable by position."""
    if isinstance(values, Mapping):
        return _in_order(name, values)
    if hasattr(values, "columns") and hasattr(values, "itertuples"):
        raise ParallelArgumentError(
            f"{name} is a table: iterating over it gives its column names.",
            fix="give table.itertuples(index=False, name=None) for one task per row.",
        )
    if isinstance(values, range | str):
        return values
    try:
        return list(values)
    except TypeError:
        raise ParallelArgumentError(
            f"{name} must be an iterable or a number, got {_shown(values)}."
        ) from None


def _in_order(name: str, values: Mapping[Any, Any]) -> list[Any]:
    """Return the values of a mapping whose keys are positions."""
    try:
        return [values[position] for position in range(len(values))]
    except KeyError:
        raise ParallelArgumentError(
            f"{name} is a mapping, and its keys are not the positions 0 to {len(values) - 1}: "
            f"got {_shown(values)}.",
            fix=f"pass keyword arguments as iterkwargs, or else list({name}.values()).",
        ) from None


def _keywords(iterkwargs: Any) -> Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]] | None:
    if iterkwargs is None or (isinstance(iterkwargs, Mapping | list) and not iterkwargs):
        return None
    if isinstance(iterkwargs, Mapping):
        columns = {str(name): _column(name, values) for name, values in iterkwargs.items()}
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            found = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
            raise ParallelArgumentError(f"All entries of iterkwargs must have the same length: {found}.")
        return columns
    if isinstance(iterkwargs, list):
        for position, one in enumerate(iterkwargs):
            if not isinstance(one, Mapping):
                raise ParallelArgumentError(
                    f"iterkwargs must hold one dict per task; entry {position} is {_shown(one)}."
                )
        return list(iterkwargs)
    raise ParallelArgumentError(
        f"iterkwargs must be a dict of iterables or a list of dicts, got {_shown(iterkwargs)}."
    )


def _column(name: object, values: Any) -> Sequence[Any]:
    if not isinstance(values, Iterable) or getattr(values, "shape", None) == ():
        raise ParallelArgumentError(
            f"iterkwargs entries must be iterable, and {name!r} is {_shown(values)}.",
            fix="pass what all tasks share through kwargs.",
        )
    return _elements(f"iterkwargs[{name!r}]", values)


def _size(keywords: Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]) -> int:
    if isinstance(keywords, Mapping):
        return len(next(iter(keywords.values()), ()))
    return len(keywords)


def _shared(args: Any) -> tuple[Any, ...]:
    if args is None:
        return ()
    return tuple(args) if isinstance(args, tuple | list) else (args,)


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {_short(value)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else text[:56] + " ..."

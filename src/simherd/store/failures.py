"""The simulations of a store that failed, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from simherd.engine.block import Status
from simherd.model.names import INPUT_SUFFIX
from simherd.setup.objects import decode_objects
from simherd.store.batch_store import FINGERPRINT, read_fingerprint
from simherd.store.checking import naming_damaged_inputs
from simherd.store.journal import read_journal
from simherd.store.reading import read_outcomes

__all__ = ["FailedSimulation", "SameError", "group_errors", "read_batch_inputs", "read_failures"]

NUMBER = re.compile(r"\d[\d.]*(?:e[-+]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedSimulation:
    """Why a simulation failed, as its store knows it."""

    number: int
    """Position of the simulation in the batch."""
    error: str
    """What it raised, such as ``"ValueError('too steep')"``."""
    where: str
    """Process, stage, step and time, in words; "" if the error does not say."""
    process: str | None
    """Process in which it was raised."""
    stage: str | None
    """Stage in which it was raised."""
    step: int | None
    """Step in which it was raised."""
    traceback: str
    """The traceback; "" for a simulation that ended its worker."""
    time: float | None
    """When it was recorded, in s since 1970."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SameError:
    """Simulations that failed with the same kind of error."""

    first: FailedSimulation
    """The first of them in the batch."""
    numbers: tuple[int, ...]
    """All of them, in the order of the batch."""
    messages_differ: bool
    """Whether their messages differ in numbers."""


def read_failures(path: Path) -> list[FailedSimulation]:
    """Return the simulations of a store that have failed, in the order of the batch.

    Raises
    ------
    StoreError
        If it is no store.
    """
    status, _ = read_outcomes(path)
    known = {entry["simulation"]: entry for entry in read_journal(path)}
    failed = np.flatnonzero(status == Status.FAILED).tolist()
    return [_failed(number, known.get(number, {})) for number in failed]


def _failed(number: int, entry: dict[str, Any]) -> FailedSimulation:
    return FailedSimulation(
        number=number,
        error=entry.get("error", "not recorded"),
        where=entry.get("where", ""),
        process=entry.get("process"),
        stage=entry.get("stage"),
        step=entry.get("step"),
        traceback=entry.get("traceback", ""),
        time=entry.get("time"),
    )


def group_errors(failures: Sequence[FailedSimulation]) -> list[SameError]:
    """Return failed simulations by what they raised and where, the most frequent first.

    Errors whose messages differ in numbers only are the same.
    """
    groups: dict[Any, list[FailedSimulation]] = {}
    for one in failures:
        groups.setdefault((NUMBER.sub("#", one.error), one.process, one.stage), []).append(one)
    return sorted(map(_same_error, groups.values()), key=lambda group: -len(group.numbers))


def _same_error(ones: Sequence[FailedSimulation]) -> SameError:
    return SameError(
        first=ones[0],
        numbers=tuple(one.number for one in ones),
        messages_differ=len({one.error for one in ones}) > 1,
    )


def read_batch_inputs(path: Path, numbers: Sequence[int]) -> dict[str, Any]:
    """Return the inputs that differ along the batch, as far as they are in the store.

    Parameters
    ----------
    path : Path
        Folder of the store.
    numbers : sequence of int
        Which simulations.

    Returns
    -------
    dict of str to ndarray
        By name, in the form ``process__variable``; shape (number of simulations, *variable shape).
    """
    if not (path / FINGERPRINT).exists() or not numbers:
        return {}
    stored = read_fingerprint(path)
    with naming_damaged_inputs(path):
        return _read_rows(path, stored, numbers)


def _read_rows(path: Path, stored: Mapping[str, Any], numbers: Sequence[int]) -> dict[str, Any]:
    dataset = decode_objects(xr.open_zarr(path, chunks=None))
    found = {}
    for name in stored["batch_inputs"]:
        own = name + INPUT_SUFFIX if name + INPUT_SUFFIX in dataset.variables else name
        if own in dataset.variables:
            rows = dataset.variables[own].isel({stored["batch_dim"]: list(numbers)})
            found[name] = rows.transpose(stored["batch_dim"], ...).values
    return found

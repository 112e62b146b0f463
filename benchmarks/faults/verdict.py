"""What must hold in a store after a fault, and after the run was resumed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from simherd.engine.block import Status
from simherd.store.journal import read_journal
from simherd.store.lock_state import is_locked
from simherd.store.reading import read_outcomes, read_state

__all__ = ["Stored", "broken_after_fault", "broken_after_resume", "read_stored"]

Stored = tuple[np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]]
"""Status of each simulation, and the outputs by name with simulations along the first axis."""


def read_stored(store: Path) -> Stored:
    """Return what a reader finds in a store; warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_zarr(store, chunks=None) as ds:
            status, _ = read_outcomes(store)
            is_batch = "simulation_status" in ds
            outputs = {
                name.removeprefix("walk__"): ds[name].values if is_batch else ds[name].values[None]
                for name in map(str, ds.variables)
                if name in ("walk__height", "walk__profile", "walk__name")
            }
            return (ds["simulation_status"].values if is_batch else status), outputs


def broken_after_fault(store: Path, before: Stored | None, reference: Stored) -> Iterator[str]:
    """Yield what was lost or torn in a store by a fault.

    Parameters
    ----------
    store : Path
        Its folder.
    before : Stored, optional
        What it held before the run; None where there was none.
    reference : Stored
        What an undisturbed run leaves.
    """
    if is_locked(store):
        yield "it is still locked"
    if not store.exists():
        if before is not None:
            yield "the store is gone"
        return
    status, outputs = read_stored(store)
    yield from _unlike(status, outputs, reference)
    if before is not None and len(status) < len(before[0]):
        yield "it is shorter than before"
    elif before is not None and not (status[: len(before[0])][before[0] == Status.DONE] == Status.DONE).all():
        yield "a simulation that was done is not done any more"
    known = {entry["simulation"] for entry in read_journal(store)}
    failed = set(np.flatnonzero(status == Status.FAILED).tolist())
    if failed - known:
        yield f"the journal does not know the failures {sorted(failed - known)}"
    state = read_state(store)
    if state.done != int((status == Status.DONE).sum()):
        yield f"status counts {state.done} done, a reader {int((status == Status.DONE).sum())}"


def broken_after_resume(store: Path, reference: Stored) -> Iterator[str]:
    """Yield what a resumed run left otherwise than an undisturbed one."""
    status, outputs = read_stored(store)
    if status.tolist() != reference[0].tolist():
        yield f"status {status.tolist()} after the resume, not {reference[0].tolist()}"
    yield from _unlike(status, outputs, reference)
    left = [path.name for path in store.parent.iterdir() if path != store]
    left += [path.name for path in store.rglob("*") if path.suffix == ".partial"]
    left += [name for name in (".running", "checkpoints") if (store / name).exists()]
    if left:
        yield f"left behind: {', '.join(left)}"


def _unlike(
    status: np.ndarray[Any, Any], outputs: dict[str, np.ndarray[Any, Any]], reference: Stored
) -> Iterator[str]:
    done = np.flatnonzero(status == Status.DONE)
    for name, expected in reference[1].items():
        if name not in outputs:
            if len(done):
                yield f"output {name} is not there"
        elif len(done) and not _are_equal(outputs[name][done], expected[done]):
            yield f"output {name} is not that of an undisturbed run"


def _are_equal(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> bool:
    """Compare values; what one of two arrays has beyond the other is missing values."""
    shape = tuple(map(max, found.shape, expected.shape))
    if shape == found.shape == expected.shape:
        return bool(np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f"))
    widened = [
        np.pad(a, [(0, n - m) for n, m in zip(shape, a.shape, strict=True)], constant_values=np.nan)
        for a in (found, expected)
    ]
    return bool(np.array_equal(*widened, equal_nan=True))

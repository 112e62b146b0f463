"""One simulation from its setup to its result: in memory, or in a store that it goes on in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from simherd.api.batch import Going
from simherd.api.prepare import Prepared
from simherd.api.stored import check_is_same, claimed
from simherd.engine.checkpoints import Keeper
from simherd.engine.schema import schema_of
from simherd.engine.simulate import Simulator
from simherd.ensemble.interrupts import Interrupts
from simherd.errors import RunInterruptedError
from simherd.setup.fingerprint import knowing_changes_of_run
from simherd.store.checkpoints import CheckpointFolder
from simherd.store.jobs import JobKeeper, jobs_in_folder, jobs_in_group
from simherd.store.memory import MemoryStore, values_of
from simherd.store.replacing import replacing
from simherd.store.signing import checkpoint_key

if TYPE_CHECKING:
    from simherd.api.streaming import StreamedResult
    from simherd.store.zarr_store import ZarrStore

__all__ = ["run_one"]


def run_one(
    prepared: Prepared,
    simulator: Simulator,
    target: Any,
    decoding: Mapping[str, Any] | None,
    memory_limit: int,
    going: Going,
) -> xr.Dataset:
    """Run one simulation, or what is left of it, and return its result.

    Parameters
    ----------
    prepared : Prepared
        What is decided about the run.
    simulator : Simulator
        Runs it.
    target : Path, zarr.Group or None
        Where the store is made; None keeps the result in memory.
    decoding : mapping, optional
        Arguments of `xarray.open_zarr`.
    memory_limit : int
        Bytes that its outputs may take before they are written to a store.
    going : Going
        Whether it goes on in the store, and how it ends.

    Raises
    ------
    StoreLockedError
        If another run writes to the store.
    StoreMismatchError
        If it is to go on in the store of another run.
    RunInterruptedError
        If a signal ended it.
    """
    if target is None:
        return prepared.finish(_in_memory(prepared, simulator).open(decoding))
    from simherd.api.streaming import StreamedResult

    result = StreamedResult(prepared, target, memory_limit, going.overwrite)
    if not isinstance(target, Path):
        simulator.run({}, result.columns, 0)
        store = result.finish(simulator)
        jobs_in_group(store).record_this()
        return prepared.finish(store.open(decoding))
    with (
        claimed(target),
        knowing_changes_of_run(prepared.setup),
        replacing(target) if going.overwrite else nullcontext(),
    ):
        if going.resume and _is_complete(prepared, target, going):
            store = result.reopen(is_complete=True)
            CheckpointFolder(target, None).clear()  # if a run was cut off when it had finished
        else:
            store = _run_in_folder(prepared, simulator, target, result, going)
    return prepared.finish(store.open(decoding))


def _in_memory(prepared: Prepared, simulator: Simulator) -> MemoryStore:
    columns = simulator.columns(1)
    simulator.run({}, columns, 0)
    schema = schema_of(simulator, columns)
    base, layouts = prepared.base(schema), prepared.layouts(schema, 1)
    arrays = [values_of(layout, column) for layout, column in zip(layouts, columns, strict=True)]
    return MemoryStore(base, layouts, arrays=arrays)


def _is_complete(prepared: Prepared, target: Path, going: Going) -> bool:
    """Return whether the store holds the whole result, and remove what nothing can go on from."""
    from simherd.store.batch_store import read_fingerprint
    from simherd.store.leftovers import remove_store
    from simherd.store.single_store import is_complete

    if not target.exists() or not any(target.iterdir()):
        return False
    stored = read_fingerprint(target)
    now = prepared.fingerprint()
    check_is_same(target, stored, now, going.accepts_changed_model)
    if going.rerun != "all":
        if is_complete(target):
            return True
        checkpoints = _checkpoints_in(target, now)
        if checkpoints.load(0) is not None:
            return False
        checkpoints.warn_of_others()
    remove_store(target)
    return False


def _run_in_folder(
    prepared: Prepared, simulator: Simulator, target: Path, result: StreamedResult, going: Going
) -> ZarrStore:
    """Run the simulation to its end, from its checkpoint on if there is one."""
    kept = CheckpointFolder(target, None)
    jobs = jobs_in_folder(target)
    checkpoints = _Checkpoints(target, prepared.fingerprint(), result, jobs)
    if goes_on := going.resume and kept.exists():
        result.reopen()
    every = prepared.setup.plan.checkpoint_every
    if every is None:
        keeper = Keeper(store=checkpoints, every=None) if goes_on else None
        simulator.run({}, result.columns, 0, keeper=keeper)
    else:
        with Interrupts(going.grace_s) as interrupts:
            keeper = Keeper(
                store=checkpoints,
                every=every,
                is_stopping=lambda: interrupts.is_stopping,
                begins_early=not goes_on,
            )
            with interrupts.leaving_at_the_end():
                simulator.run({}, result.columns, 0, keeper=keeper)
                keeper = None
            if keeper is not None:
                raise _interrupted(interrupts, checkpoints)
    store = result.finish(simulator)
    jobs.record_this()
    kept.clear()
    return store


def _checkpoints_in(target: Path, fingerprint: Mapping[str, Any]) -> CheckpointFolder:
    """Return the checkpoints of a run in a store that is there."""
    from simherd.store.batch_store import identity_of

    return CheckpointFolder(target, checkpoint_key({**fingerprint, **identity_of(target)}))


@dataclass(frozen=True, slots=True)
class _Checkpoints:
    """The checkpoints of a simulation whose outputs are written, and whose store is made, while it runs."""

    store: Path
    fingerprint: Mapping[str, Any]
    result: StreamedResult
    jobs: JobKeeper

    def load(self, number: int) -> bytes | None:
        """Return the newest checkpoint of this run, not one in a store that is to be replaced."""
        is_there = self.result.store is not None
        return _checkpoints_in(self.store, self.fingerprint).load(number) if is_there else None

    def save(self, number: int, data: bytes) -> None:
        """Keep a checkpoint, after all that was written before is on the disk."""
        self.result.begin()
        self.result.sync()
        self.jobs.record_this()
        _checkpoints_in(self.store, self.fingerprint).save(number, data)

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove the checkpoints of simulations."""
        CheckpointFolder(self.store, None).remove(numbers)


def _interrupted(interrupts: Interrupts, checkpoints: _Checkpoints) -> RunInterruptedError:
    if checkpoints.load(0) is None:
        return RunInterruptedError(
            f"The run was interrupted by {interrupts.name} before its first checkpoint."
        )
    return RunInterruptedError(
        f"The run was interrupted by {interrupts.name}; its last checkpoint is in "
        f"{str(checkpoints.store)!r}.",
        fix="run it again with resume=True to go on from there.",
        cli_fix="run it again with --resume to go on from there.",
    )

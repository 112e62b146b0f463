"""A batch in a store: making or opening it, what is left to run, who may write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from simherd.api.batch import RERUN, Going, discovered, run_blocks
from simherd.api.prepare import Prepared
from simherd.engine.block import Numbers, Status, Stopped
from simherd.engine.failures import Hint, add_note
from simherd.engine.plan import Array
from simherd.engine.schema import OutputSchema, Schema
from simherd.ensemble.agreement import check_agreement
from simherd.ensemble.interrupts import Interrupts
from simherd.ensemble.run import Batch, Outcome
from simherd.errors import RunInterruptedError, StoreLockedError, StoreMismatchError
from simherd.events import Subscriber
from simherd.progress.words import counted
from simherd.setup.fingerprint import differences, knowing_changes_of_run, model_differences
from simherd.store.checkpoints import CheckpointFolder
from simherd.store.concatenated import OWN_DIMS
from simherd.store.marks import Marks, remove_marks
from simherd.store.replacing import replacing
from simherd.store.shares import Claim, Share
from simherd.user_warnings import warn_user

__all__ = ["check_is_same", "claimed", "run_in_store", "stored_schema", "stored_seed"]


def stored_seed(store: Any) -> int | None:
    """Return the seed that the run in a folder has, which one that goes on in it has too."""
    from simherd.store.batch_store import FINGERPRINT, read_fingerprint
    from simherd.store.places import as_folder

    if not isinstance(store, str | Path) or not ((folder := as_folder(store)) / FINGERPRINT).exists():
        return None
    seed: int | None = read_fingerprint(folder).get("seed")
    return seed


def run_in_store(
    prepared: Prepared,
    batch: Batch,
    target: Any,
    decoding: Mapping[str, Any] | None,
    going: Going,
    claim: Claim | None = None,
) -> xr.Dataset:
    """Run a batch, or what is left of it, and return its result, opened in its store.

    Parameters
    ----------
    prepared : Prepared
        What was decided before.
    batch : Batch
        The simulations.
    target : Path or zarr.Group
        Where the store is.
    decoding : mapping, optional
        Arguments of `xarray.open_zarr` for the result.
    going : Going
        How the run goes on, and which share of the batch it is.
    claim : Claim, optional
        The right to write a share, which is held already.

    Raises
    ------
    StoreLockedError
        If another run writes to the store.
    StoreExistsError
        If there is something already, and the run is not to go on with it.
    StoreMismatchError
        If it is to, and that is of another model or of other inputs.
    RunInterruptedError
        If a signal ended the run before it was complete.
    """
    from simherd.store.jobs import jobs_in_folder, jobs_in_group
    from simherd.store.targets import emptied
    from simherd.store.zarr_store import ZarrStore

    if not isinstance(target, Path):
        schema = discovered(prepared, batch)
        chunk = prepared.choose_chunk_size(schema, batch.executor.workers)
        group = emptied(target) if going.overwrite else target
        store = ZarrStore(group, prepared.base(schema), prepared.layouts(schema, chunk))
        batch = replace(batch, subscribers=(*batch.subscribers, jobs_in_group(store)))
        run_blocks(prepared, batch, schema, store, chunk, range(prepared.setup.simulations), Interrupts(0.0))
        store.close_up()
        return prepared.finish(store.open(decoding))
    with (
        nullcontext() if claim else claimed(target),
        knowing_changes_of_run(prepared.setup),
        replacing(target) if going.overwrite else nullcontext(),
        Interrupts(going.grace_s) as interrupts,
    ):
        try:
            with interrupts.leaving_at_once():
                store, schema, numbers = _begun(prepared, batch, target, going, claim)
        except Stopped:
            raise RunInterruptedError(
                f"The run was interrupted by {interrupts.name} before its first block.",
                fix=f"run it again with {'overwrite' if going.overwrite else 'resume'}=True.",
                cli_fix=f"run it again with --{'overwrite' if going.overwrite else 'resume'}.",
            ) from None
        with _progress_noted(target, going), _tidied(store, claim):
            outcome = Outcome()
            if len(numbers):
                chunk = store.writer().chunk
                with _marked(target, going.share) as (marks, keeper):
                    keepers = (keeper, jobs_in_folder(target))
                    batch = replace(batch, subscribers=(*batch.subscribers, *keepers))
                    outcome = run_blocks(prepared, batch, schema, store, chunk, numbers, interrupts, marks)
    if outcome.pending:
        raise _interrupted(interrupts, outcome, target)
    return prepared.finish(store.open(decoding))


def _begun(
    prepared: Prepared, batch: Batch, target: Path, going: Going, claim: Claim | None
) -> tuple[Any, Schema, Numbers]:
    """Return the store of a run, made or opened, what its outputs look like, and what is to run."""
    from simherd.store.leftovers import clean_up
    from simherd.store.opening import check_own_folders

    if claim is not None:
        (clean_up if claim.is_alone else check_own_folders)(target)
    is_alone = claim is None or claim.is_alone
    opened = _reopened(prepared, batch, target, going, is_alone) if going.resume else None
    store, schema, numbers = opened or _created(prepared, batch, target, going)
    if claim is not None:
        claim.let_others_in()
    return store, schema, numbers


@contextmanager
def _progress_noted(target: Path, going: Going) -> Iterator[None]:
    """Add a note to an error: what is done in the store, and how to run the rest."""
    from simherd.store.places import read_status

    try:
        yield
    except Exception as error:
        with suppress(Exception):  # a store that cannot be read must not hide the error
            status = read_status(str(target))
            done = 0 if status is None else int((status == Status.DONE).sum())
            if status is not None and (done or not going.overwrite):
                counts = f"{done} of {counted(len(status), 'simulation')} done"
                left = Hint(f"{counts} in {str(target)!r}. To run those that are pending: resume=True.")
                add_note(error, left)
        raise


@contextmanager
def _tidied(store: Any, claim: Claim | None) -> Iterator[None]:
    """Tidy up after the last run of a store; after an error only what others would tidy up for a share."""
    try:
        yield
    except BaseException:
        if claim is not None:
            with suppress(Exception):  # the error says more than what comes of it
                _close_up_as_last(store, claim)
        raise
    _close_up_as_last(store, claim)


def _close_up_as_last(store: Any, claim: Claim | None) -> None:
    if claim is None or claim.be_last():
        _close_up(store)


def _close_up(store: Any) -> None:
    """Leave nothing in a store that only runs need."""
    from simherd.store.batch_store import STATUS, outcomes_of

    remove_marks(store.folder)
    store.close_up()
    if not (outcomes_of(store, STATUS) == Status.PENDING).any():
        CheckpointFolder(store.folder, None).clear()


@contextmanager
def claimed(target: Path) -> Iterator[None]:
    """Hold the lock of a store and begin with what killed runs left of it removed."""
    from simherd.store.leftovers import clean_up
    from simherd.store.lock import locked

    with locked(target):
        clean_up(target)
        yield


@contextmanager
def _marked(folder: Path, share: Share | None) -> Iterator[tuple[Marks, Subscriber]]:
    """Let it be seen in the store how far the run is, by its workers' marks and by what is yielded."""
    from simherd.store.run_note import NoteKeeper

    marks = Marks(folder)
    marks.prepare()
    try:
        yield marks, NoteKeeper(folder, "" if share is None else str(share.number))
    finally:
        marks.remove()
        if share is None:
            remove_marks(folder)


def _created(prepared: Prepared, batch: Batch, target: Path, going: Going) -> tuple[Any, Schema, Numbers]:
    from simherd.store.batch_store import create_batch_store
    from simherd.store.places import check_replaceable, check_writable

    (check_replaceable if going.overwrite else check_writable)(target)
    schema = discovered(prepared, batch)
    runs = 1 if going.share is None else going.share.count
    chunk = prepared.choose_chunk_size(schema, runs * batch.executor.workers)
    layouts = prepared.layouts(schema, chunk)
    base, fingerprint = prepared.base(schema), prepared.fingerprint()
    store = create_batch_store(target, base, layouts, fingerprint, replaces=going.overwrite)
    return store, schema, _own(range(prepared.setup.simulations), store, going)


def _own(numbers: Numbers, store: Any, going: Going) -> Numbers:
    """Return those of some simulations that are in the share of a run."""
    if going.share is None:
        return numbers
    status = store.arrays[-2]
    return going.share.part_of(numbers, status.shape[0], status.chunks[0])


def _reopened(
    prepared: Prepared, batch: Batch, target: Path, going: Going, is_alone: bool
) -> tuple[Any, Schema, Numbers] | None:
    """Return the store of an earlier run, its schema and what is left to run; None if there is none."""
    from simherd.store.batch_store import (
        SECONDS,
        STATUS,
        is_begun,
        outcomes_of,
        read_fingerprint,
        reopen_batch_store,
    )
    from simherd.store.lost import lost_inputs
    from simherd.store.model_versions import accept_changes, versions_in

    if not is_begun(target):
        return None
    setup = prepared.setup
    stored = read_fingerprint(target)
    before = int(stored["simulations"])
    now = prepared.fingerprint(before)
    changes = check_is_same(target, stored, now, going.accepts_changed_model)
    store = reopen_batch_store(target, setup.dataset, _has_clock(prepared))
    status, seconds = outcomes_of(store, STATUS), outcomes_of(store, SECONDS)
    lost = _lost(store, status)
    versions = versions_in(stored)
    if changes:
        versions = accept_changes(store, stored, {**now, "simulations": before}, changes)
    schema = stored_schema(prepared, store)
    is_as_long = store.sizes_along(str(setup.batch_dim)) == {before} == {setup.simulations}
    if batch.rtol is not None and (not is_as_long or len(_numbers(status, going.rerun))):
        schema = check_agreement(batch, schema)
    if not is_as_long:
        store = _lengthened(prepared, store, schema, versions, is_alone)
        status = outcomes_of(store, STATUS)
    status[lost[lost < len(status)]] = Status.PENDING
    if is_alone:
        store.write_again(prepared.base(schema), lost_inputs(target))
    numbers = _own(_numbers(status, going.rerun), store, going)
    if len(numbers):
        batch.executor.expect(_expected_s(seconds, numbers))
        _prepare_to_run(store, numbers, versions, going, is_alone)
    return store, schema, numbers


def _has_clock(prepared: Prepared) -> dict[str, bool]:
    """Return whether each output has an axis for its clock, in the order of the plan."""
    return {tap.name: tap.clock is not None for tap in prepared.setup.plan.taps}


def _lengthened(
    prepared: Prepared, store: Any, schema: Schema, versions: Sequence[Mapping[str, Any]], is_alone: bool
) -> Any:
    """Return a store after making it as long as the batch of a run."""
    from simherd.store.batch_store import lengthen, reopen_batch_store
    from simherd.store.model_versions import with_versions

    if not is_alone:
        raise StoreLockedError(
            f"Cannot make the store {str(store.folder)!r} longer while other shares of its batch run.",
            fix="wait until they have ended.",
        )
    fingerprint = with_versions(prepared.fingerprint(), versions)
    lengthen(store, prepared.base(schema), str(prepared.setup.batch_dim), fingerprint)
    return reopen_batch_store(store.folder, prepared.setup.dataset, _has_clock(prepared))


def _prepare_to_run(
    store: Any, numbers: Numbers, versions: Sequence[Mapping[str, Any]], going: Going, is_alone: bool
) -> None:
    """Let a store be ready for simulations that run, some of them again."""
    from simherd.store.batch_store import set_pending
    from simherd.store.model_versions import set_version

    if is_alone:
        store.mend_sizes()
        store.make_room()
    if going.rerun == "all":
        CheckpointFolder(store.folder, None).remove(numbers)
    set_pending(store, numbers)
    if versions:
        set_version(store, numbers, len(versions) + 1)


def _lost(store: Any, status: Array) -> Array:
    """Return the finished simulations whose values are not in the store any more, and warn of them."""
    from simherd.store.lost import find_lost, lost_simulations

    chunks = find_lost(store, status)
    numbers = lost_simulations(chunks)
    if chunks:
        warn_user(
            f"{counted(len(numbers), 'finished simulation')} of the store {str(store.folder)!r} will run "
            f"again: {counted(len(chunks), 'chunk')} missing, the first is {str(chunks[0].path)!r}.",
            RuntimeWarning,
        )
    return numbers


def check_is_same(
    target: Path, stored: Mapping[str, Any], now: Mapping[str, Any], accepts_changed_model: bool = False
) -> list[str]:
    """Compare the fingerprint of a store with that of the run which is to go on in it.

    Returns
    -------
    list of str
        How the model has changed, where that is accepted.

    Raises
    ------
    StoreMismatchError
        If they differ otherwise; names the differences.
    """
    changes, found = model_differences(stored, now), differences(stored, now)
    if found or (changes and not accepts_changed_model):
        accept = "accept the changed model with accept_changed_model=True, "
        accept_by_option = "accept the changed model (--accept-changed-model), "
        raise StoreMismatchError(
            f"Cannot go on in the store {str(target)!r}, it is of another run: "
            f"{'; '.join([*changes, *found])}.",
            fix=f"{'' if found else accept}run with what it was made with, replace it with overwrite=True, "
            "or write to another store.",
            cli_fix=f"{'' if found else accept_by_option}run with what it was made with, replace it "
            "(--overwrite), or write to another store (--store PATH).",
        )
    return changes


def stored_schema(prepared: Prepared, store: Any) -> Schema:
    """Return what the outputs look like, as the arrays of a store tell it."""
    front = 1
    outputs = []
    for tap, one in zip(prepared.setup.plan.taps, store.layouts[:-2], strict=True):
        own = front + (tap.clock is not None)
        dims, shape = one.dims[own:], one.shape[own:]
        if one.parts:
            dims = tuple(one.attrs[OWN_DIMS])
            shape = (0,) * len(dims)
        outputs.append(
            OutputSchema(tap=tap, dims=dims, shape=shape, dtype=one.dtype, is_concatenated=bool(one.parts))
        )
    names = {key: key[1] for key in prepared.setup.plan.indexes if key[1] in store.group}
    labels = store.read(names.values())
    return Schema(outputs=tuple(outputs), indexes={key: labels[name] for key, name in names.items()})


def _numbers(status: Array, rerun: str) -> Numbers:
    """Return the simulations that are to run."""
    chosen = np.flatnonzero(np.isin(status, RERUN[rerun]))
    return range(len(status)) if len(chosen) == len(status) else chosen


def _expected_s(seconds: Array, numbers: Numbers) -> float | None:
    """Return the time that simulations will take if they are like those that are done, in s."""
    known = seconds[np.isfinite(seconds)]
    return float(known.mean()) * len(numbers) if len(known) else None


def _interrupted(interrupts: Interrupts, outcome: Outcome, target: Path) -> RunInterruptedError:
    return RunInterruptedError(
        f"The run was interrupted by {interrupts.name}: {outcome.done} simulations done, {outcome.failed} "
        f"failed, {outcome.pending} pending in {str(target)!r}.",
        fix="run it again with resume=True to go on from there.",
        cli_fix="run it again with --resume to go on from there.",
    )

"""What is found out about the store of a run before anything is started for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import numpy as np

from simherd.api.batch import RERUN
from simherd.api.stored import check_is_same
from simherd.engine.block import Status
from simherd.store.batch_store import STATUS, is_begun, open_as_written, outcomes_of, read_fingerprint
from simherd.store.lock_state import refuse_if_locked
from simherd.store.lost import find_lost, lost_simulations
from simherd.store.places import as_folder
from simherd.store.targets import as_target

if TYPE_CHECKING:
    from simherd.engine.plan import Array
    from simherd.experiment.assemble import Assembled

__all__ = ["check_store", "count_left", "is_nothing_left"]


def check_store(assembled: Assembled, going: dict[str, Any]) -> None:
    """Raise an error if a run cannot write its store, or go on in it.

    Raises
    ------
    UsageError
        If it is to go on and has no store.
    StoreError
        If something else is there, another run writes it, or it is of another run.
    """
    store, goes_on = assembled.experiment.run.store, bool(going["resume"])
    if going["overwrite"] and goes_on:
        raise click.UsageError("--overwrite begins anew: leave out --resume, --rerun and --share.")
    if store is None:
        if goes_on:
            raise click.UsageError("--resume and --rerun need a store: run.store in the file, or --store.")
        return
    folder = as_folder(store)
    if going["share"] is None:
        refuse_if_locked(folder)
    as_target(folder, goes_on, going["overwrite"])
    if goes_on and is_begun(folder):
        stored = read_fingerprint(folder)
        now = assembled.prepared.fingerprint(int(stored["simulations"]))
        seed = stored["seed"] if assembled.experiment.run.seed is None else now["seed"]
        accepts = assembled.experiment.run.accept_changed_model
        check_is_same(folder, stored, {**now, "seed": seed}, accepts)


def count_left(assembled: Assembled, going: dict[str, Any]) -> int | None:
    """Return how many simulations a run that goes on finds left, in all shares; None if it begins."""
    status = _found_status(assembled, going)
    if status is None:
        return None
    added = assembled.prepared.setup.simulations - len(status)
    return int(np.isin(status, RERUN[going["rerun"]]).sum()) + max(added, 0)


def is_nothing_left(assembled: Assembled, going: dict[str, Any]) -> bool:
    """Return whether a run finds that all its simulations have run."""
    status = None if going["share"] else _found_status(assembled, going)
    return (
        status is not None
        and len(status) >= assembled.prepared.setup.simulations
        and not np.isin(status, RERUN[going["rerun"]]).any()
    )


def _found_status(assembled: Assembled, going: dict[str, Any]) -> Array | None:
    """Return what became of the simulations of a store, as a run that goes on finds it; None if it begins."""
    store = assembled.experiment.run.store
    if not going["resume"] or store is None or not is_begun(folder := as_folder(store)):
        return None
    opened = open_as_written(folder)
    status = outcomes_of(opened, STATUS)
    status[lost_simulations(find_lost(opened, status))] = Status.PENDING
    return status

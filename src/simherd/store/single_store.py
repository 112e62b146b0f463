"""The store of one simulation: born with what tells its run from others, complete when nothing says not."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import xarray as xr
from zarr.storage import LocalStore

from simherd.store.batch_store import bear_store
from simherd.store.opening import open_folder
from simherd.store.os_errors import os_errors_named
from simherd.store.writer import STATUS
from simherd.store.zarr_store import ZarrStore

__all__ = ["create_single_store", "is_complete", "reopen_single_store"]


def create_single_store(
    target: Path,
    base: xr.Dataset,
    fingerprint: Mapping[str, Any],
    *,
    is_durable: bool,
    replaces: bool = False,
) -> ZarrStore:
    """Make the store of one simulation, without outputs.

    Parameters
    ----------
    target : Path
        Its folder.
    base : Dataset
        Inputs and coordinates; its attributes say that the simulation is not finished.
    fingerprint : mapping
        What tells the run from others.
    is_durable : bool
        Whether it has to be on the disk before the simulation is finished, because there are checkpoints.
    replaces : bool, optional
        Whether it takes the place of a store that is there.
    """
    bear_store(target, base, (), fingerprint, is_durable=is_durable, replaces=replaces)
    return reopen_single_store(target, base)


def reopen_single_store(target: Path, base: xr.Dataset, outputs: Collection[str] | None = None) -> ZarrStore:
    """Open the store of one simulation for writing.

    Parameters
    ----------
    target : Path
        Its folder.
    base : Dataset
        Inputs and coordinates that it was made with.
    outputs : collection of str, optional
        Remove all arrays but these and those of `base`: the simulation was cut off while they were written.
    """
    with os_errors_named("open", target):
        group = open_folder(target, LocalStore(target))
        if outputs is not None:
            for path in [p.parent for p in target.glob("*/zarr.json")]:
                if path.name not in base.variables and path.name not in outputs:
                    shutil.rmtree(path)
        return ZarrStore.of(group, base, ())


def is_complete(target: Path) -> bool:
    """Return whether a simulation came to its end."""
    return STATUS not in open_folder(target).attrs

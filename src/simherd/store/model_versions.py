"""Which simulations of a store ran with which version of the model, where a changed one was accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from simherd.engine.block import Numbers, Status
from simherd.store.batch_store import read_fingerprint, write_fingerprint
from simherd.store.durable import sync_folder
from simherd.store.opening import open_array, read_array
from simherd.store.os_errors import os_errors_named
from simherd.store.writer import MODEL, STATUS
from simherd.store.zarr_store import CHUNK_KEYS, ZarrStore

__all__ = ["ModelVersion", "accept_changes", "read_versions", "set_version", "versions_in", "with_versions"]

VERSIONS = "model_versions"
"""Key of the fingerprint: what changed in the second and later versions of the model, and when."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelVersion:
    """A version of the model of a store."""

    number: int
    """1 for the model that the store was made with."""
    simulations: tuple[int, ...]
    """Positions of the simulations that came to an end with it."""
    changes: tuple[str, ...]
    """How it differs from the version before; nothing for the first."""
    accepted: str | None
    """When a run with it began, in ISO 8601; None for the first."""


def versions_in(fingerprint: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a fingerprint says of the second and later versions."""
    return list(fingerprint.get(VERSIONS, ()))


def with_versions(fingerprint: Mapping[str, Any], versions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a fingerprint that tells of the second and later versions, if there are any."""
    return {**fingerprint, VERSIONS: list(versions)} if versions else dict(fingerprint)


def accept_changes(
    store: ZarrStore, stored: Mapping[str, Any], now: Mapping[str, Any], changes: Sequence[str]
) -> list[dict[str, Any]]:
    """Let a store be of a changed model from now on; what has run already keeps its version.

    Parameters
    ----------
    store : ZarrStore
        Store of a batch.
    stored : mapping
        Its fingerprint.
    now : mapping
        Fingerprint of the changed model, for as many simulations as the store has.
    changes : sequence of str
        What has changed.

    Returns
    -------
    list of dict
        The second and later versions, for `versions_in`.
    """
    accepted = datetime.now(UTC).isoformat(timespec="seconds")
    versions = [*versions_in(stored), {"accepted": accepted, "changes": list(changes)}]
    folder = store.folder
    assert folder is not None
    with os_errors_named("note the changed model in", folder):
        _describe(_array_in(store), versions)
        sync_folder(folder / MODEL)
        store.publish(store.group.attrs)
        write_fingerprint(folder, with_versions(now, versions))
        sync_folder(folder)
    return versions


def _array_in(store: ZarrStore) -> Any:
    if MODEL in store.group:
        return store.group[MODEL]
    status = store.arrays[-2]
    return store.group.create_array(
        MODEL,
        shape=status.shape,
        chunks=status.chunks,
        dtype=np.uint16,
        fill_value=1,
        dimension_names=status.metadata.dimension_names,
        chunk_key_encoding=CHUNK_KEYS,
    )


def _describe(array: Any, versions: Sequence[Mapping[str, Any]]) -> None:
    numbers = range(1, len(versions) + 2)
    changes = [f"{n}: {'; '.join(one['changes'])}" for n, one in enumerate(versions, start=2)]
    array.attrs.update(
        {
            "long_name": "version of the model that a simulation ran with",
            "flag_values": list(numbers),
            "flag_meanings": " ".join(f"version_{number}" for number in numbers),
            "comment": ". ".join(changes),
        }
    )


def set_version(store: ZarrStore, numbers: Numbers, version: int) -> None:
    """Say of simulations that are about to run which version they run with.

    Parameters
    ----------
    store : ZarrStore
        Store of a batch, after `accept_changes`.
    numbers : range or array of int
        Positions of the simulations.
    version : int
        Number of the version.
    """
    array: Any = store.group[MODEL]
    chunk, again = array.chunks[0], np.asarray(numbers)
    rows = slice(again[0] // chunk * chunk, (again[-1] // chunk + 1) * chunk)  # other runs may write the rest
    assert store.folder is not None
    with os_errors_named("note the version of the model in", store.folder):
        values = np.asarray(array[rows]).copy()
        values[again - rows.start] = version
        array[rows] = values
        sync_folder(store.folder / MODEL)


def read_versions(path: Path, group: zarr.Group) -> tuple[ModelVersion, ...]:
    """Return the versions of the model in a store; none where all simulations are of one.

    Parameters
    ----------
    path : Path
        Folder of the store.
    group : zarr.Group
        The store, see `simherd.store.reading.open_store`.
    """
    if not (path / MODEL).is_dir():
        return ()
    later = versions_in(read_fingerprint(path))
    ran = read_array(open_array(group, MODEL))
    has_ended = read_array(open_array(group, STATUS))[: len(ran)] != Status.PENDING
    return tuple(
        ModelVersion(
            number=number,
            simulations=tuple(np.flatnonzero(has_ended & (ran == number)).tolist()),
            changes=tuple(one.get("changes", ())),
            accepted=one.get("accepted"),
        )
        for number, one in enumerate([{}, *later], start=1)
    )

"""A store that another one replaces: it is kept beside it until that has results."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simherd.engine.block import Status
from simherd.errors import RunInterruptedError
from simherd.reserved import CHECKPOINTS
from simherd.store.opening import open_folder
from simherd.store.places import read_status
from simherd.store.writer import STATUS

__all__ = ["drop_replaced", "put_back", "replacing", "set_aside"]


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.replaced")


def set_aside(target: Path) -> None:
    """Move a store away, so that another one can take its place."""
    drop_replaced(target)
    if target.exists():
        target.rename(_aside(target))


def put_back(target: Path) -> None:
    """Put a store back that was set aside, in place of the one that was to replace it."""
    if _aside(target).exists():
        shutil.rmtree(target, ignore_errors=True)
        _aside(target).rename(target)


def drop_replaced(target: Path) -> None:
    """Remove a store that was set aside."""
    shutil.rmtree(_aside(target), ignore_errors=True)


@contextmanager
def replacing(target: Path) -> Iterator[None]:
    """Keep the store that a run replaces until the run ends; put it back after an error without results."""
    try:
        yield
    except RunInterruptedError:
        drop_replaced(target)
        raise
    except BaseException:
        if not _has_results(target):
            put_back(target)
        drop_replaced(target)
        raise
    drop_replaced(target)


def _has_results(target: Path) -> bool:
    """Return whether there is something in a store that a run can go on from."""
    if not target.exists():
        return False
    status = read_status(str(target))
    if status is not None:
        return bool((status == Status.DONE).any())
    return STATUS not in open_folder(target).attrs or any((target / CHECKPOINTS).glob("*.pkl"))

"""Errors of the operating system about a store, as errors of simherd that name the store."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simherd.errors import SimherdError, StoreError

__all__ = ["os_errors_named"]

_REMEDIES = {
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "wait until fewer files are open on this machine",
    errno.ENOENT: "do not remove or move a store while a run writes it",
    errno.EACCES: "give yourself write access to the folder",
    errno.EROFS: "write to a file system that is not read-only",
    errno.ELOOP: "remove the symbolic link, which another user may have planted",
}
_USUAL_REMEDY = "make room or mend the file system"


@contextmanager
def os_errors_named(doing: str, store: Path | None) -> Iterator[None]:
    """Raise an error of the operating system as a `StoreError` that says what was done to which store.

    Parameters
    ----------
    doing : str
        What is being done, such as ``"write simulations 0 to 3 of"``.
    store : Path, optional
        Folder of the store; None if it is in no folder.

    Raises
    ------
    StoreError
        If the block raises an OSError that is not an error of simherd already.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, SimherdError):
            raise
        where = "the store" if store is None else f"the store {str(store)!r}"
        remedy = _REMEDIES.get(error.errno or 0, _USUAL_REMEDY)
        raise StoreError(
            f"Cannot {doing} {where}: {error}.",
            fix=f"{remedy}, then run again with resume=True.",
            cli_fix=f"{remedy}, then run again with --resume.",
        ) from error

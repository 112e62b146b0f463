"""Errors that mean that a process got no more memory or threads than its limits allow."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterator

from simherd.errors import ClusterError
from simherd.resources import format_bytes

__all__ = ["as_shortage"]

_WORDS = re.compile(r"can't start new thread|failed to map segment|[Cc]annot allocate memory")
_CODES = (errno.ENOMEM, errno.EAGAIN)


def as_shortage(error: BaseException) -> ClusterError | None:
    """Return what is said of an error of the work itself that comes from too little memory; None of others.

    Libraries report it in many ways. A limit of address space, such as Grid Engine's ``h_vmem``, keeps
    threads from starting and libraries from loading long before memory is really used.
    """
    found = next((one for one in _chain(error) if _is_shortage(one)), None)
    if found is None:
        return None
    limit = _address_space()
    of = f", which may have {format_bytes(limit)} of address space," if limit else ""
    return ClusterError(
        f"A worker on {socket.gethostname()}{of} got no more memory or threads: "
        f"{type(found).__name__}: {found}.",
        fix="ask for more memory; where it limits address space (Grid Engine's h_vmem, 'ulimit -v'), for 1 "
        "GiB per slot or more, beside what the model needs.",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_shortage(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno in _CODES and not isinstance(error, BlockingIOError):
        return True
    return isinstance(error, RuntimeError | ImportError | OSError) and _WORDS.search(str(error)) is not None


def _address_space() -> int | None:
    """Return the limit of this process's address space in bytes; None without any."""
    try:
        import resource
    except ImportError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit

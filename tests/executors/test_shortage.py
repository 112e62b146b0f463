"""Too little memory is named, however a library reports it."""

from __future__ import annotations

import errno
import resource

import pytest

from simherd.errors import ClusterError
from simherd.executors.payload import call_packed, pack, seal
from simherd.executors.shortage import as_shortage


def chained(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("can't start new thread"),
        MemoryError("Unable to allocate 2 GiB"),
        ImportError("libx.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        BlockingIOError(errno.EAGAIN, "Cannot allocate memory"),
        chained(ValueError("cannot write"), RuntimeError("can't start new thread")),
    ],
)
def test_shortage_is_named(error):
    found = as_shortage(error)

    assert "got no more memory or threads" in str(found)
    assert "h_vmem" in found.fix


@pytest.mark.parametrize(
    "error",
    [
        ValueError("can't start new thread"),
        RuntimeError("x"),
        OSError(errno.ENOENT, "no"),
        ImportError("no y"),
    ],
)
def test_other_errors_stay(error):
    assert as_shortage(error) is None


def test_limit_of_address_space_is_told(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (300 * 2**20, 300 * 2**20))

    assert "may have 300.0 MiB of address space" in str(as_shortage(MemoryError()))


def test_packed_calls_name_the_shortage():
    def write(shared, item):
        raise RuntimeError("can't start new thread")

    with pytest.raises(ClusterError, match="RuntimeError: can't start new thread") as caught:
        call_packed(write, pack(None), seal(0))
    assert isinstance(caught.value.__cause__, RuntimeError)

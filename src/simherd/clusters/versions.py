"""Whether a worker runs with what its client runs with: pickles of one version are riddles to another."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from simherd.errors import ClusterError

__all__ = ["EXPECTED", "check_versions", "versions_here"]

EXPECTED = "SIMHERD_VERSIONS"
"""Environment variable: what the client runs with."""
PACKAGES = ("simherd", "distributed", "cloudpickle", "zarr")


def versions_here() -> str:
    """Return what this process runs with: ``"python=3.11 simherd=0.1.0 ..."``."""
    python = ".".join(platform.python_version_tuple()[:2])
    return " ".join([f"python={python}", *(f"{name}={_version(name)}" for name in PACKAGES)])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def check_versions() -> None:
    """Raise an error if this worker runs with something else than its client, as far as that told it.

    Raises
    ------
    ClusterError
        If so; names what differs.
    """
    expected = dict(_pairs(os.environ.get(EXPECTED, "")))
    here = dict(_pairs(versions_here()))
    different = [
        f"{name} {here.get(name, 'missing')} here and {wanted} there"
        for name, wanted in expected.items()
        if here.get(name) != wanted
    ]
    if different:
        raise ClusterError(
            f"The versions of worker and client differ: {', '.join(different)}.",
            fix="let the prologue load the client's environment, or give python=PATH.",
        )


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(name, found) for name, _, found in (word.partition("=") for word in text.split())]

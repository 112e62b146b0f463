"""Versions of Python and of the packages that simulations run on."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata

from simherd.doctor.finding import Finding, Verdict

__all__ = ["look", "look_at_versions", "versions"]

PACKAGES = ("simherd", "dask", "distributed", "dask-jobqueue", "zarr", "xarray", "numpy", "cloudpickle")
OPTIONAL = {"bokeh": "plot", "matplotlib": "plot", "mpi4py": "mpi", "cryptography": ""}


def look() -> Iterator[Finding]:
    """Yield what Python and which packages there are."""
    where = f"{sys.executable} on {platform.system()} {platform.release()}, {platform.machine()}"
    python = platform.python_version()
    yield Finding(
        topic="Python", text=f"{python} ({where})", data={"version": python, "executable": sys.executable}
    )
    yield from look_at_versions(versions((*PACKAGES, *OPTIONAL)))


def versions(packages: tuple[str, ...]) -> dict[str, str | None]:
    """Return the installed version of each package; None for those that are not there."""
    return {package: _version(package) for package in packages}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def look_at_versions(found: Mapping[str, str | None]) -> Iterator[Finding]:
    """Yield what versions of packages mean."""
    there = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    yield Finding(topic="packages", text=there, data=dict(found))
    if found.get("dask") != found.get("distributed"):
        yield Finding(
            topic="packages",
            verdict=Verdict.WRONG,
            text=f"dask {found.get('dask')} and distributed {found.get('distributed')} do not fit together",
            fix="pip install --upgrade dask distributed",
        )
    missing = [name for name in OPTIONAL if name in found and found[name] is None]
    if missing:
        extras = sorted({OPTIONAL[name] for name in missing} - {""})
        plain = [name for name in missing if not OPTIONAL[name]]
        what = [*([f"'simherd[{','.join(extras)}]'"] if extras else []), *plain]
        yield Finding(
            topic="packages",
            verdict=Verdict.ABSENT,
            text=f"not installed: {', '.join(missing)}",
            fix=f"pip install {' '.join(what)}",
            data={"missing": missing},
        )

"""Arrays in files: netCDF, Zarr, NumPy and CSV, by one way to open them."""

from __future__ import annotations

import csv
import importlib.util
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from simherd.errors import MissingDependencyError, SetupError, SimherdError, close_matches

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SUFFIXES", "open_arrays", "pick"]

_LINKS = ("grid_mapping",)
"""Attributes that name a coordinate, which xarray takes for encoding where it decodes all coordinates."""


@contextmanager
def open_arrays(path: str | Path) -> Iterator[Mapping[str, Any]]:
    """Open a file of arrays; they are read when they are picked.

    Parameters
    ----------
    path : str or Path
        A file ending in .nc, .npy, .npz or .csv, or a Zarr group ending in .zarr; or the address of one
        in the forms of fsspec, such as ``s3://bucket/file.zarr``.

    Yields
    ------
    mapping of str to xarray.DataArray or ndarray
        Those of .nc and .zarr are an `xarray.Dataset`; an .npy file has one, named after the file.

    Raises
    ------
    SetupError
        If there is no such file, or it cannot be read as what its name says.
    MissingDependencyError
        If the package that reads it is not installed.
    """
    opened = _open_address(path) if "://" in str(path) else _open(Path(path))
    try:
        yield opened
    finally:
        getattr(opened, "close", lambda: None)()


def pick(arrays: Mapping[str, Any], name: str | None, source: str, lazy_dim: str | None = None) -> Any:
    """Return one of several arrays, loaded unless it is a large one along a dimension.

    Parameters
    ----------
    arrays : mapping of str to array
        Such as an `xarray.Dataset`.
    name : str or None
        Which one; None if there is only one.
    source : str
        What holds them, for the error text.
    lazy_dim : str, optional
        A DataArray along this dimension that is too large to load stays in its file, as an array of Dask.

    Returns
    -------
    xarray.DataArray or ndarray
        A DataArray forgets how it was encoded in its file, all but where that is.

    Raises
    ------
    SetupError
        If there is no such array, or several and no name, or it cannot be read.
    """
    names = list(getattr(arrays, "data_vars", arrays))
    if name is None and len(names) != 1:
        raise SetupError(
            f"{source} holds {len(names)} variables: {_listed(names)}.",
            fix="name one of them with 'variable:'.",
        )
    name = names[0] if name is None else name
    if name not in arrays:
        raise SetupError(f"{source} has no variable '{name}'. {close_matches(name, names)}")
    try:
        array = arrays[name]
        if not hasattr(array, "drop_encoding"):
            return array
        return _picked(array, lazy_dim, getattr(arrays, "encoding", {}).get("source"))
    except Exception as error:
        raise SetupError(f"Cannot read '{name}' of {source}: {_in_one_line(error)}") from error


def _picked(array: xr.DataArray, lazy_dim: str | None, file: str | None) -> xr.DataArray:
    from simherd.setup.lazy import as_chunked, stays_lazy

    for coord in array.coords.values():
        coord.load()
    links = {key: array.encoding[key] for key in _LINKS if array.encoding.get(key) in array.coords}
    array = array.assign_attrs(links)
    if lazy_dim not in array.dims or not stays_lazy(array.variable):
        return array.load().drop_encoding()
    chunked = array.copy(data=as_chunked(array.variable, str(lazy_dim)).data).drop_encoding()
    chunked.encoding["source"] = file
    return chunked


def _open(path: Path) -> Mapping[str, Any]:
    reader = _reader(path)
    if not path.exists():
        raise SetupError(f"No such file: '{path}'.{_neighbours(path)}", fix="correct the path.")
    return _read(lambda: reader(path), path)


def _open_address(address: str | Path) -> Mapping[str, Any]:
    """Open what stands at an address; Zarr and netCDF are read where they are used, tables at once."""
    import fsspec

    name = str(address).rstrip("/")
    suffix = PurePosixPath(name).suffix.lower()
    reader = _reader(PurePosixPath(name))
    if name.startswith("file://"):
        return _open(Path(name.removeprefix("file://")))
    if suffix == ".zarr":
        return _read(lambda: _read_zarr(name), name)
    if suffix == ".nc":
        return _read(lambda: _read_remote_netcdf(name), name)

    def copied() -> Mapping[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / PurePosixPath(name).name
            with fsspec.open(name, "rb") as file:
                copy.write_bytes(file.read())
            arrays = reader(copy)
            return {key: np.asarray(arrays[key]) for key in arrays}

    return _read(copied, name)


def _reader(path: PurePath) -> Callable[[Path], Mapping[str, Any]]:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise SetupError(f"Cannot read '{path}': its name must end in {', '.join(SUFFIXES)}.")
    return reader


def _read(read: Callable[[], Mapping[str, Any]], source: str | Path) -> Mapping[str, Any]:
    try:
        return read()
    except SimherdError:
        raise
    except Exception as error:
        raise SetupError(f"Cannot read '{source}': {_in_one_line(error)}") from error


def _in_one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _neighbours(path: Path) -> str:
    if not path.parent.is_dir():
        return f" There is no folder '{path.parent}'."
    names = [file.name for file in path.parent.iterdir() if file.suffix == path.suffix]
    return f" {close_matches(path.name, names)}" if names else ""


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:8])
    return f"{shown}, ..." if len(names) > 8 else shown


def _read_netcdf(path: Path) -> Any:
    try:
        return _opened(path)
    except ValueError as error:
        if any(importlib.util.find_spec(name) for name in ("netCDF4", "h5netcdf")):
            raise
        raise MissingDependencyError(
            f"Reading '{path}' needs the package netCDF4 or h5netcdf.", fix="pip install netCDF4"
        ) from error


def _read_remote_netcdf(address: str) -> Any:
    import fsspec

    if importlib.util.find_spec("h5netcdf") is None:
        raise MissingDependencyError(
            f"Reading '{address}' where it is needs the package h5netcdf.",
            fix="pip install h5netcdf; or copy the file here, or keep it as Zarr.",
        )
    return _opened(fsspec.open(address).open(), engine="h5netcdf")


def _read_zarr(path: str | Path) -> Any:
    return _opened(path, engine="zarr", chunks=None, consolidated=False)


def _opened(source: Any, **options: Any) -> Any:
    """Return a dataset with all coordinates, also those that only an attribute such as grid_mapping names."""
    import xarray as xr

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Variable\(s\) referenced in", category=UserWarning)
        return xr.open_dataset(source, decode_coords="all", **options)


def _read_npy(path: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.load(path)}


def _read_npz(path: Path) -> Mapping[str, Any]:
    return np.load(path)  # type: ignore[no-any-return]


def _read_csv(path: Path) -> dict[str, np.ndarray]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, skipinitialspace=True, strict=True)
        header, lines = _rows_of(rows, path)
    columns = zip(*lines, strict=True) if lines else [()] * len(header)
    return {name: _column(cells) for name, cells in zip(header, columns, strict=True)}


def _rows_of(rows: Any, path: Path) -> tuple[list[str], list[list[str]]]:
    header: list[str] = []
    lines: list[list[str]] = []
    for row in rows:
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#"):
            continue
        if header and (len(cells) != len(header) or "" in cells):
            filled = sum(map(bool, cells))
            raise SetupError(
                f"'{path}', line {rows.line_num}: found {filled} values, needs {len(header)}.",
                fix="give each row one value per column.",
            )
        lines.append(cells)
        header = header or cells
    if not header or len(set(header)) < len(header) or "" in header:
        raise SetupError(f"'{path}': the first row must name each column, and each name once.")
    return header, lines[1:]


def _column(cells: Sequence[str]) -> np.ndarray:
    for dtype in (np.int64, np.float64):
        try:
            return np.array(cells, dtype=dtype)
        except (ValueError, OverflowError):
            continue
    return np.array(cells, dtype=str)


_READERS: Mapping[str, Callable[[Path], Mapping[str, Any]]] = {
    ".nc": _read_netcdf,
    ".zarr": _read_zarr,
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".csv": _read_csv,
}

SUFFIXES = tuple(_READERS)

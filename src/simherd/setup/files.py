"""Arrays in files: netCDF, Zarr, NumPy and CSV, by one way to open them."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from simherd.errors import MissingDependencyError, SetupError, SimherdError, close_matches

__all__ = ["SUFFIXES", "open_arrays", "pick"]


@contextmanager
def open_arrays(path: str | Path) -> Iterator[Mapping[str, Any]]:
    """Open a file of arrays; they are read when they are picked.

    Parameters
    ----------
    path : str or Path
        A file ending in .nc, .npy, .npz or .csv, or a Zarr group ending in .zarr.

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
    path = Path(path)
    opened = _open(path)
    try:
        yield opened
    finally:
        getattr(opened, "close", lambda: None)()


def pick(arrays: Mapping[str, Any], name: str | None, source: str) -> Any:
    """Return one of several arrays, loaded.

    Parameters
    ----------
    arrays : mapping of str to array
        Such as an `xarray.Dataset`.
    name : str or None
        Which one; None if there is only one.
    source : str
        What holds them, for the error text.

    Returns
    -------
    xarray.DataArray or ndarray
        A DataArray is loaded and forgets how it was encoded in its file.

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
        return array.load().drop_encoding() if hasattr(array, "drop_encoding") else array
    except Exception as error:
        raise SetupError(f"Cannot read '{name}' of {source}: {_in_one_line(error)}") from error


def _open(path: Path) -> Mapping[str, Any]:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise SetupError(f"Cannot read '{path}': its name must end in {', '.join(SUFFIXES)}.")
    if not path.exists():
        raise SetupError(f"No such file: '{path}'.{_neighbours(path)}", fix="correct the path.")
    try:
        return reader(path)
    except SimherdError:
        raise
    except Exception as error:
        raise SetupError(f"Cannot read '{path}': {_in_one_line(error)}") from error


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
    import xarray as xr

    try:
        return xr.open_dataset(path)
    except ValueError as error:
        if any(importlib.util.find_spec(name) for name in ("netCDF4", "h5netcdf")):
            raise
        raise MissingDependencyError(
            f"Reading '{path}' needs the package netCDF4 or h5netcdf.", fix="pip install netCDF4"
        ) from error


def _read_zarr(path: Path) -> Any:
    import xarray as xr

    return xr.open_dataset(path, engine="zarr", chunks=None, consolidated=False)


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

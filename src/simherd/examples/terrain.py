"""A real landscape to start from: the Jacksboro fault in Tennessee.

The elevations are a sample file of matplotlib, read from its installation: simherd has no copy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simherd.errors import MissingDependencyError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["cell_middles", "jacksboro"]

FloatArray = NDArray[np.float64]

SAMPLE_FILE = "jacksboro_fault_dem.npz"
SOURCE = f"matplotlib's sample file {SAMPLE_FILE}: 3 arc seconds, whole metres, as SRTM gives them"

WGS84_SEMI_MAJOR_AXIS_M = 6_378_137.0
WGS84_ECCENTRICITY_SQUARED = 0.00669437999014


def jacksboro(coarsen: int = 1) -> xr.Dataset:
    """Load the elevations around the Jacksboro fault, 36.6 degrees north, 84.2 degrees west.

    Parameters
    ----------
    coarsen : int, optional
        Number of cells along each side of the blocks that become one cell with their mean
        elevation. Rows in the north and columns in the east that fill no block are left out: 1
        gives 344 x 403 cells, 4 gives 86 x 100.

    Returns
    -------
    xarray.Dataset
        ``elevation`` (y, x) in m, float64, the southernmost row first; ``dx`` and ``dy``, the size
        of a cell in m; the coordinates ``x`` and ``y``, from the south-western corner to the
        middle of each cell, in m. The attributes hold the source and the bounds of the whole
        file in degrees.

    Raises
    ------
    MissingDependencyError
        If matplotlib or its sample data is not installed.
    ValueError
        If `coarsen` is below 1 or leaves no cell.

    Notes
    -----
    Degrees become metres with the radii of curvature of the WGS84 ellipsoid at the latitude of the
    map's middle; dx and dy are taken as constant over its 30 km.
    """
    sample = _read_sample()
    south_first = sample["elevation"][::-1].astype(np.float64)
    dx, dy = (coarsen * size for size in _cell_size_m(sample))
    return _as_dataset(_block_means(south_first, coarsen), dx, dy, _bounds(sample))


def _read_sample() -> Mapping[str, NDArray[Any]]:
    try:
        from matplotlib.cbook import get_sample_data

        sample: Any = get_sample_data(SAMPLE_FILE)
    except (ImportError, FileNotFoundError) as error:
        raise MissingDependencyError(
            f"The example landscape is the sample file {SAMPLE_FILE} of matplotlib, which is not "
            f"installed here.",
            fix="pip install 'simherd[plot]'",
        ) from error
    with sample as arrays:
        return dict(arrays)


def _bounds(sample: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """Return the outer bounds in degrees; the file gives the northern one as ``ymin``."""
    south, north = sorted((float(sample["ymin"]), float(sample["ymax"])))
    return {
        "longitude_west": float(sample["xmin"]),
        "longitude_east": float(sample["xmax"]),
        "latitude_south": south,
        "latitude_north": north,
    }


def _cell_size_m(sample: Mapping[str, NDArray[Any]]) -> tuple[float, float]:
    """Return the width and height of a cell in the middle of the map, in m."""
    latitude = math.radians((float(sample["ymin"]) + float(sample["ymax"])) / 2.0)
    flattening = 1.0 - WGS84_ECCENTRICITY_SQUARED * math.sin(latitude) ** 2
    prime_vertical_radius = WGS84_SEMI_MAJOR_AXIS_M / math.sqrt(flattening)
    meridional_radius = prime_vertical_radius * (1.0 - WGS84_ECCENTRICITY_SQUARED) / flattening
    dx = math.radians(float(sample["dx"])) * prime_vertical_radius * math.cos(latitude)
    dy = math.radians(float(sample["dy"])) * meridional_radius
    return dx, dy


def _block_means(grid: FloatArray, size: int) -> FloatArray:
    if not 1 <= size <= min(grid.shape):
        raise ValueError(
            f"Cannot coarsen a grid of {grid.shape[0]} x {grid.shape[1]} cells by {size}. "
            f"Fix: give an integer from 1 to {min(grid.shape)}."
        )
    rows, columns = (length // size for length in grid.shape)
    blocks = grid[: rows * size, : columns * size].reshape(rows, size, columns, size)
    means: FloatArray = blocks.mean(axis=(1, 3))
    return means


def _as_dataset(elevation: FloatArray, dx: float, dy: float, bounds: Mapping[str, float]) -> xr.Dataset:
    import xarray as xr

    rows, columns = elevation.shape
    return xr.Dataset(
        {
            "elevation": (
                ("y", "x"),
                elevation,
                {"units": "m", "description": "elevation above sea level"},
            ),
            "dx": ((), dx, {"units": "m", "description": "distance between columns"}),
            "dy": ((), dy, {"units": "m", "description": "distance between rows"}),
        },
        coords={
            "y": ("y", cell_middles(rows, dy), {"units": "m", "description": "way to the north"}),
            "x": ("x", cell_middles(columns, dx), {"units": "m", "description": "way to the east"}),
        },
        attrs={"title": "Jacksboro fault, Tennessee", "source": SOURCE, **bounds},
    )


def cell_middles(cells: int, size: float) -> FloatArray:
    """Return the way from the first cell's outer side to the middle of each cell.

    Parameters
    ----------
    cells : int
        Number of cells.
    size : float
        Size of a cell, in m.

    Returns
    -------
    ndarray of float64, shape (cells,)
        In m.
    """
    middles: FloatArray = (np.arange(cells, dtype=np.float64) + 0.5) * size
    return middles

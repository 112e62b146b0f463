"""Flow of water and soil over a grid of elevations, in plain NumPy.

Every function takes and gives arrays; none knows of processes or models. Elevations are
``float64`` of shape (rows, columns), in m. The outermost rows and columns are the *edge*: it is
the base level, where water leaves the map.

A river network is a forest: each cell has one *receiver*, the cell its water goes to, and the
cells of the edge are their own. Cells at the same number of steps from the edge form a *level*.
No cell of a level depends on another one of it, so the two loops that are usually written cell by
cell (adding up areas downstream, solving for incision upstream) run here level by level, on whole
arrays.

References
----------
.. [1] O'Callaghan, J. F. and Mark, D. M. (1984). The extraction of drainage networks from digital
   elevation data. Computer Vision, Graphics, and Image Processing 28, 323-344.
.. [2] Braun, J. and Willett, S. D. (2013). A very efficient O(n), implicit and parallel method to
   solve the stream power equation governing fluvial incision and landscape evolution.
   Geomorphology 180-181, 170-179.
.. [3] Culling, W. E. H. (1963). Soil creep and the development of hillside slopes. The Journal of
   Geology 71, 127-161.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simherd.examples.depressions import NEIGHBOURS, lead_out_of_pits

__all__ = [
    "DrainageNetwork",
    "accumulate",
    "diffuse",
    "drainage_network",
    "incise",
    "steepest_receivers",
]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, slots=True)
class DrainageNetwork:
    """Where the water of each cell goes, in an order that can be walked level by level."""

    shape: tuple[int, int]
    """Rows and columns of the grid."""
    order: IndexArray
    """Flat cell indices, level by level, edge first; shape (cells,)."""
    receiver_position: IndexArray
    """Position within `order` of the receiver of each ordered cell; shape (cells,)."""
    distance: FloatArray
    """Way from each ordered cell to its receiver, in m, 0 on the edge; shape (cells,)."""
    level_bounds: tuple[int, ...]
    """Level ``i`` is ``order[level_bounds[i]:level_bounds[i + 1]]``."""

    def ordered(self, grid: FloatArray) -> FloatArray:
        """Return the values of a grid, shape (rows, columns), in network order, shape (cells,)."""
        return grid.reshape(-1)[self.order]

    def gridded(self, values: FloatArray) -> FloatArray:
        """Return values in network order, shape (cells,), as a grid, shape (rows, columns)."""
        grid = np.empty_like(values)
        grid[self.order] = values
        return grid.reshape(self.shape)

    def levels(self) -> Iterator[tuple[slice, slice]]:
        """Yield each level and the one below it, which holds its receivers, lowest first."""
        slices = itertools.starmap(slice, itertools.pairwise(self.level_bounds))
        for below, level in itertools.pairwise(slices):
            yield level, below


def steepest_receivers(elevation: FloatArray, dx: float, dy: float) -> IndexArray:
    """Find the neighbour that each cell drains to: the one of steepest descent of eight (D8).

    Parameters
    ----------
    elevation : ndarray of float64, shape (rows, columns)
        Elevation in m.
    dx, dy : float
        Distance between columns and between rows, in m.

    Returns
    -------
    ndarray of intp, shape (rows, columns)
        Flat index of the receiver [1]_. Cells of the edge, and interior cells without a lower
        neighbour (pits), are their own.

    Notes
    -----
    Of equally steep descents, the first in the order of `NEIGHBOURS` is taken.
    """
    rows, columns = elevation.shape
    inner = elevation[1:-1, 1:-1]
    steepest = np.zeros(inner.shape)
    offset = np.zeros(inner.shape, dtype=np.intp)
    for row, column in NEIGHBOURS:
        neighbour = elevation[1 + row : rows - 1 + row, 1 + column : columns - 1 + column]
        slope = (inner - neighbour) / math.hypot(row * dy, column * dx)
        np.copyto(offset, row * columns + column, where=slope > steepest)
        np.maximum(steepest, slope, out=steepest)
    receiver: IndexArray = np.arange(rows * columns).reshape(rows, columns)
    receiver[1:-1, 1:-1] += offset
    return receiver


def drainage_network(elevation: FloatArray, dx: float, dy: float) -> DrainageNetwork:
    """Order all cells from the edge upstream.

    Water follows the steepest descent, and runs over the lowest pass where it ends in a pit.

    Parameters
    ----------
    elevation : ndarray of float64, shape (rows, columns)
        Elevation in m.
    dx, dy : float
        Distance between columns and between rows, in m.

    Returns
    -------
    DrainageNetwork
        Ordered by level, then by flat index: it depends on nothing but the arguments.
    """
    rows, columns = elevation.shape
    receiver = lead_out_of_pits(elevation, steepest_receivers(elevation, dx, dy)).reshape(-1)
    level = _steps_to_edge(receiver)
    order = np.argsort(level.astype(np.min_scalar_type(level.max())), kind="stable")
    position = np.empty_like(order)
    position[order] = np.arange(order.size)
    target = receiver[order]
    down, across = target // columns - order // columns, target % columns - order % columns
    return DrainageNetwork(
        shape=(rows, columns),
        order=order,
        receiver_position=position[target],
        distance=np.hypot(down * dy, across * dx),
        level_bounds=(0, *np.cumsum(np.bincount(level)).tolist()),
    )


def _steps_to_edge(receiver: IndexArray) -> IndexArray:
    """Count the steps of each cell to the edge by pointer doubling, shape (cells,)."""
    target = receiver
    steps: IndexArray = (target != np.arange(target.size)).astype(np.intp)
    while (further := steps[target]).any():
        steps += further
        target = target[target]
    return steps


def accumulate(network: DrainageNetwork, amount: FloatArray) -> FloatArray:
    """Add up an amount over all cells upstream of each cell, itself included.

    Parameters
    ----------
    network : DrainageNetwork
        Where water goes.
    amount : ndarray of float64, shape (rows, columns)
        What each cell contributes: its area in m2 gives the drainage area in m2.

    Returns
    -------
    ndarray of float64, shape (rows, columns)
        Sums in the unit of `amount`. The cells of the edge together hold the sum over the grid.
    """
    total = network.ordered(amount)
    for level, below in reversed(list(network.levels())):
        within = network.receiver_position[level] - below.start
        total[below] += np.bincount(within, total[level], below.stop - below.start)
    return network.gridded(total)


def incise(
    elevation: FloatArray,
    network: DrainageNetwork,
    knickpoint_speed: FloatArray,
    duration: float,
) -> FloatArray:
    """Cut rivers into the surface: dz/dt = -knickpoint_speed * slope towards the receiver.

    Parameters
    ----------
    elevation : ndarray of float64, shape (rows, columns)
        Elevation in m.
    network : DrainageNetwork
        Where the water of `elevation` goes.
    knickpoint_speed : ndarray of float64, shape (rows, columns)
        Erodibility times a power of the drainage area, in m/yr: the speed at which a step in the
        river bed travels upstream.
    duration : float
        Length of the step, in yr.

    Returns
    -------
    ndarray of float64, shape (rows, columns)
        Elevation in m after the step. The edge keeps its own, and so does a pit until its pass is
        cut through: it is the base level of what lies above it.

    Notes
    -----
    Backward Euler in time and upwind in space, solved exactly by one sweep upstream, because the
    slope exponent is 1 [2]_. Stable for steps of any length: no cell is raised, and none falls
    below its receiver.
    """
    before = network.ordered(elevation)
    courant = network.ordered(knickpoint_speed) * duration
    np.divide(courant, network.distance, out=courant, where=network.distance > 0.0)
    remaining = 1.0 / (1.0 + courant)
    after = before.copy()
    for level, _ in network.levels():
        base = after[network.receiver_position[level]]
        lowered = base + (before[level] - base) * remaining[level]
        np.minimum(lowered, before[level], out=after[level])
    return network.gridded(after)


def diffuse(elevation: FloatArray, diffusivity: float, duration: float, dx: float, dy: float) -> FloatArray:
    """Let soil creep downhill: dz/dt = diffusivity * Laplacian(z), nothing crossing the edge.

    Parameters
    ----------
    elevation : ndarray of float64, shape (rows, columns)
        Elevation in m.
    diffusivity : float
        Diffusivity of the hillslopes, in m2/yr [3]_.
    duration : float
        Length of the step, in yr.
    dx, dy : float
        Distance between columns and between rows, in m.

    Returns
    -------
    ndarray of float64, shape (rows, columns)
        Elevation in m after the step, with the same mean but for rounding.

    Notes
    -----
    Explicit, in as many equal sub-steps as keep every mode of the grid from changing sign. What
    leaves a cell through a face enters the cell on the other side.
    """
    fastest_decay = 4.0 * diffusivity * duration * (1.0 / dx**2 + 1.0 / dy**2)
    substeps = max(1, math.ceil(fastest_decay))
    along_x = diffusivity * duration / substeps / dx**2
    along_y = diffusivity * duration / substeps / dy**2
    after = elevation.copy()
    for _ in range(substeps):
        flux_x = along_x * np.diff(after, axis=1)
        flux_y = along_y * np.diff(after, axis=0)
        after[:, :-1] += flux_x
        after[:, 1:] -= flux_x
        after[:-1] += flux_y
        after[1:] -= flux_y
    return after

"""Evolution of a real landscape: rivers cut into it, soil creeps downhill, the ground rises.

The elevation z (m) of each cell changes with time t (yr) as

    dz/dt = uplift - erodibility * drainage_area**area_exponent * slope + diffusivity * Laplacian(z)

where the slope is the one towards the neighbour that the water goes to [1]_. The edge of the map is
the base level: it is neither uplifted nor cut by rivers, and no soil crosses it.

The elevations to start from are measured ones (`simherd.examples.terrain.jacksboro`) and, being
whole metres, hold over 3,000 interior pits and flats. An epsilon flood fills them once, before the
first step, so that water leaves every cell. Pits that form later, where soil creeps into a narrow
valley, act as local base level: their floor is not cut, and what lies above is cut down to it only.
Their water runs on over the lowest pass, and cuts into it.

Every step evaluates the three terms on the same surface and then adds them up. Each is stable for
any step; steps of 1,000 to 10,000 yr also keep the sum accurate (twice the step changes the eroded
thickness by less than 1 %). Time is in years. With the defaults the map in full resolution is
eroded about as fast as it rises, 30 m per million years: the rate measured in the southern
Appalachians [2]_. Coarser cells hold more water each and are cut faster, twice as fast in blocks of
4 by 4.

References
----------
.. [1] Howard, A. D. (1994). A detachment-limited model of drainage basin evolution. Water Resources
   Research 30, 2261-2285.
.. [2] Matmon, A. et al. (2003). Temporally and spatially uniform rates of erosion in the southern
   Appalachian Great Smoky Mountains. Geology 31, 155-158.
"""

from __future__ import annotations

from typing import Any

import attr
import numpy as np

import simherd as sh
from simherd.examples.depressions import fill_depressions
from simherd.examples.hydrology import accumulate, diffuse, drainage_network, incise
from simherd.examples.terrain import cell_middles

__all__ = ["Diffusion", "FlowRouting", "StreamPower", "Surface", "Terrain", "Uplift", "model"]

MAP = ("y", "x")
SCALAR_OR_MAP = [(), MAP]


def _is_complete_map(process: object, declared: Any, elevation: Any) -> None:
    """Refuse elevations that water cannot be routed over."""
    if np.ndim(elevation) != 2 or not np.isfinite(elevation).all():
        missing = np.size(elevation) - np.count_nonzero(np.isfinite(elevation))
        raise ValueError(
            f"Elevations must be a map, {MAP}, without gaps; found {np.ndim(elevation)} dimensions "
            f"and {missing} missing values. Fix: fill the gaps first, "
            f"for example with xarray's DataArray.interpolate_na."
        )


@sh.process
class Surface:
    """The surface of the ground: it rises and is eroded by what the other processes give."""

    elevation = sh.variable(
        dims=MAP,
        intent="inout",
        validator=_is_complete_map,
        description="elevation above sea level, without pits at the start",
        attrs={"units": "m"},
    )
    cumulative_erosion = sh.variable(
        dims=MAP,
        intent="out",
        description="thickness lost since the start; negative where soil was gained",
        attrs={"units": "m"},
    )
    uplifts = sh.group("uplift")
    erosions = sh.group("erosion")

    relief = sh.on_demand(
        description="difference between the highest and the lowest elevation",
        attrs={"units": "m"},
    )
    mean_erosion = sh.on_demand(
        description="mean thickness that rivers carried off the map since the start",
        attrs={"units": "m"},
    )

    def initialize(self) -> None:
        """Fill pits and flats."""
        self.elevation = fill_depressions(self.elevation)
        self.cumulative_erosion = np.zeros_like(self.elevation)

    def finalize_step(self) -> None:
        """Add up the changes of the step."""
        erosion = sum(self.erosions)
        self.elevation = self.elevation + sum(self.uplifts) - erosion
        self.cumulative_erosion = self.cumulative_erosion + erosion

    @relief.compute
    def _relief(self) -> Any:
        return np.ptp(self.elevation)

    @mean_erosion.compute
    def _mean_erosion(self) -> Any:
        return np.mean(self.cumulative_erosion)


@sh.process
class Terrain:
    """The grid of the map."""

    dx = sh.variable(
        validator=attr.validators.gt(0.0),
        description="distance between columns",
        attrs={"units": "m"},
    )
    dy = sh.variable(
        validator=attr.validators.gt(0.0),
        description="distance between rows",
        attrs={"units": "m"},
    )
    elevation = sh.foreign(Surface, "elevation")

    x = sh.index(
        dims="x",
        description="way from the western side of the map to the middle of the cell",
        attrs={"units": "m"},
    )
    y = sh.index(
        dims="y",
        description="way from the southern side of the map to the middle of the cell",
        attrs={"units": "m"},
    )
    cell_area = sh.variable(intent="out", description="area of a cell", attrs={"units": "m2"})

    def initialize(self) -> None:
        """Lay out the grid."""
        rows, columns = np.shape(self.elevation)
        self.y = cell_middles(rows, float(self.dy))
        self.x = cell_middles(columns, float(self.dx))
        self.cell_area = float(self.dx) * float(self.dy)


@sh.process
class Uplift:
    """Rock that rises everywhere but on the edge."""

    rate = sh.variable(
        dims=SCALAR_OR_MAP,
        default=3e-5,
        description="speed at which rock rises relative to the edge of the map",
        attrs={"units": "m/yr"},
    )
    elevation = sh.foreign(Surface, "elevation")

    uplift = sh.variable(
        dims=MAP,
        intent="out",
        groups="uplift",
        description="rise during the step",
        attrs={"units": "m"},
    )

    @sh.runtime(args=["step_delta"])
    def run_step(self, duration: float) -> None:
        """Raise the interior."""
        rise = np.broadcast_to(np.asarray(self.rate) * duration, self.elevation.shape)
        uplift = np.zeros(rise.shape)
        uplift[1:-1, 1:-1] = rise[1:-1, 1:-1]
        self.uplift = uplift


@sh.process
class FlowRouting:
    """Water that follows the steepest descent, out of the map."""

    elevation = sh.foreign(Surface, "elevation")
    dx = sh.foreign(Terrain, "dx")
    dy = sh.foreign(Terrain, "dy")
    cell_area = sh.foreign(Terrain, "cell_area")

    network = sh.any_object(description="receiver of each cell, ordered from the edge upstream")
    drainage_area = sh.variable(
        dims=MAP,
        intent="out",
        description="area whose water runs through the cell, itself included",
        attrs={"units": "m2"},
    )

    def run_step(self) -> None:
        """Find the network of the present surface."""
        self.network = drainage_network(self.elevation, float(self.dx), float(self.dy))
        cells_upstream = accumulate(self.network, np.ones(self.elevation.shape))
        self.drainage_area = cells_upstream * self.cell_area


@sh.process
class StreamPower:
    """Rivers that cut into rock, the faster the steeper they are and the more they carry."""

    erodibility = sh.variable(
        dims=SCALAR_OR_MAP,
        default=1e-6,
        description="how easily rivers cut the rock",
        attrs={"units": "m^(1 - 2 area_exponent)/yr"},
    )
    area_exponent = sh.variable(
        default=0.5,
        description="exponent of the drainage area; that of the slope is 1",
        attrs={"units": "1"},
    )
    elevation = sh.foreign(Surface, "elevation")
    network = sh.foreign(FlowRouting, "network")
    drainage_area = sh.foreign(FlowRouting, "drainage_area")

    erosion = sh.variable(
        dims=MAP,
        intent="out",
        groups="erosion",
        description="thickness cut by rivers during the step",
        attrs={"units": "m"},
    )

    @sh.runtime(args=["step_delta"])
    def run_step(self, duration: float) -> None:
        """Cut along the network."""
        knickpoint_speed = self.erodibility * self.drainage_area ** float(self.area_exponent)
        cut = incise(self.elevation, self.network, knickpoint_speed, float(duration))
        self.erosion = self.elevation - cut


@sh.process
class Diffusion:
    """Soil that creeps downhill, the faster the steeper the slope."""

    diffusivity = sh.variable(
        default=1e-2,
        validator=attr.validators.ge(0.0),
        description="diffusivity of the hillslopes",
        attrs={"units": "m2/yr"},
    )
    elevation = sh.foreign(Surface, "elevation")
    dx = sh.foreign(Terrain, "dx")
    dy = sh.foreign(Terrain, "dy")

    erosion = sh.variable(
        dims=MAP,
        intent="out",
        groups="erosion",
        description="thickness lost to creep during the step; negative where soil is gained",
        attrs={"units": "m"},
    )

    @sh.runtime(args=["step_delta"])
    def run_step(self, duration: float) -> None:
        """Smooth the surface."""
        diffusivity, dx, dy = float(self.diffusivity), float(self.dx), float(self.dy)
        smoothed = diffuse(self.elevation, diffusivity, float(duration), dx, dy)
        self.erosion = self.elevation - smoothed


model = sh.Model(
    {
        "terrain": Terrain,
        "surface": Surface,
        "uplift": Uplift,
        "flow": FlowRouting,
        "incision": StreamPower,
        "diffusion": Diffusion,
    }
)

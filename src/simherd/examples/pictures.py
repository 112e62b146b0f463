"""Pictures of what the example experiments found, as PNG files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from simherd.errors import MissingDependencyError
from simherd.examples.influenza import OBSERVED_IN_BED, simulate_infected

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

__all__ = ["draw_influenza", "draw_jacksboro"]

BEST_CURVES = 20
"""Number of members whose curves are drawn among the observed counts."""


def draw_jacksboro(store: xr.Dataset, path: str | os.PathLike[str], member: int | None = None) -> None:
    """Draw the landscape of one simulation before and after, and the difference.

    Parameters
    ----------
    store : xarray.Dataset
        Results of `simherd.examples.landscape`, with ``surface__elevation`` on the clock
        ``snapshot`` and the inputs ``incision__erodibility`` and ``diffusion__diffusivity``.
    path : str or path
        PNG file to write.
    member : int, optional
        Position of the simulation along ``member``. By default the one that changed most, by the
        root mean square of the difference.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    name = "Simulation"
    if "member" in store.dims:
        member = _most_changed(store) if member is None else member
        name, store = f"Member {member}", store.isel(member=member)
    elevation = store["surface__elevation"].transpose("snapshot", "y", "x")
    before, after = elevation.isel(snapshot=0).load(), elevation.isel(snapshot=-1).load()
    figure = _new_figure(width=15.0, height=5.3)
    axes = figure.subplots(1, 3, sharex=True, sharey=True)
    heights = (float(before.min()), float(before.max()))
    _draw_relief(axes[0], before, heights, title="Before")
    colours = _draw_relief(axes[1], after, heights, title=f"After {_years(elevation)}")
    figure.colorbar(colours, ax=axes[:2], label="elevation (m)")
    _draw_difference(figure, axes[2], after - before)
    axes[0].set_ylabel("to the north (km)")
    figure.suptitle(f"{name}: {_parameters(store)}")
    figure.savefig(path, dpi=120)


def _most_changed(store: xr.Dataset) -> int:
    elevation = store["surface__elevation"]
    change = elevation.isel(snapshot=-1) - elevation.isel(snapshot=0)
    return int((change**2).mean(("y", "x")).argmax("member"))


def _years(elevation: xr.DataArray) -> str:
    first, last = elevation["snapshot"].values[[0, -1]]
    return f"{last - first:,.0f} yr"


def _parameters(store: xr.Dataset) -> str:
    erodibility = float(store["incision__erodibility"])
    diffusivity = float(store["diffusion__diffusivity"])
    return f"erodibility {erodibility:.2g} /yr, diffusivity {diffusivity:.2g} m²/yr"


def _draw_relief(
    axes: Axes, elevation: xr.DataArray, heights: tuple[float, float], title: str
) -> ScalarMappable:
    """Draw elevations, lit from the north-west, and return their colours."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LightSource, Normalize

    colours, scale = colormaps["gist_earth"], Normalize(*heights)
    dx, dy = (float(elevation[axis].diff(axis).mean()) for axis in ("x", "y"))
    north_first = elevation.values[::-1]
    lit = LightSource(azdeg=315, altdeg=45).shade(
        north_first, colours, norm=scale, blend_mode="soft", vert_exag=2.0, dx=dx, dy=dy
    )
    axes.imshow(lit[::-1], origin="lower", extent=_extent_km(elevation))
    axes.set(title=title, xlabel="to the east (km)")
    return ScalarMappable(scale, colours)


def _draw_difference(figure: Figure, axes: Axes, difference: xr.DataArray) -> None:
    from matplotlib.colors import CenteredNorm

    image = axes.imshow(
        difference.values,
        origin="lower",
        extent=_extent_km(difference),
        cmap="RdBu",
        norm=CenteredNorm(),
    )
    axes.set(title="Difference", xlabel="to the east (km)")
    figure.colorbar(image, ax=axes, label="lowered (red) and raised (blue) (m)")


def _extent_km(grid: xr.DataArray) -> tuple[float, float, float, float]:
    """Return the outer sides of the grid (west, east, south, north) in km."""
    sides = []
    for axis in ("x", "y"):
        middles = grid[axis].values / 1000.0
        half = (middles[1] - middles[0]) / 2.0
        sides += [middles[0] - half, middles[-1] + half]
    west, east, south, north = map(float, sides)
    return west, east, south, north


def draw_influenza(store: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Draw the best epidemics among the observed counts, and the misfit over both parameters.

    Parameters
    ----------
    store : xarray.Dataset
        Results of `simherd.examples.influenza` along ``member``:
        ``epidemic__transmission_rate`` and ``epidemic__recovery_rate`` in 1/day, ``fit__misfit``
        as a root mean square in boys.
    path : str or path
        PNG file to write.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    names = ("epidemic__transmission_rate", "epidemic__recovery_rate", "fit__misfit")
    beta, gamma, misfit = (np.asarray(store[name], dtype=np.float64) for name in names)
    is_done = np.isfinite(misfit)
    best_first = np.argsort(misfit[is_done], kind="stable")
    beta, gamma, misfit = (values[is_done][best_first] for values in (beta, gamma, misfit))
    figure = _new_figure(width=12.0, height=4.8)
    curves, surface = figure.subplots(1, 2)
    _draw_curves(curves, beta[:BEST_CURVES], gamma[:BEST_CURVES])
    _draw_misfit(figure, surface, beta, gamma, misfit)
    figure.suptitle("Influenza in an English boarding school, 1978")
    figure.savefig(path, dpi=120)


def _draw_curves(axes: Axes, beta: Any, gamma: Any) -> None:
    """Draw the epidemics of the best members, best first, and the observed counts."""
    days = np.arange(len(OBSERVED_IN_BED))
    for rank in reversed(range(len(beta))):
        curve = simulate_infected(float(beta[rank]), float(gamma[rank]), days=len(days))
        style: dict[str, Any] = {"color": "tab:red", "lw": 2.0} if rank == 0 else {"color": "0.75", "lw": 1.0}
        label = {0: "best", 1: f"next {len(beta) - 1}"}.get(rank)
        axes.plot(days, curve, label=label, **style)
    axes.plot(days, OBSERVED_IN_BED, "ko", label="observed", zorder=3)
    axes.set(xlabel="time (days)", ylabel="boys in bed", title="Observed and simulated")
    axes.legend()


def _draw_misfit(figure: Figure, axes: Axes, beta: Any, gamma: Any, misfit: Any) -> None:
    """Draw the misfit of all members, the first being the best."""
    from matplotlib.colors import LogNorm

    scale = LogNorm(misfit[0], misfit[-1])
    if _span_an_area(beta, gamma):
        axes.tripcolor(beta, gamma, misfit, shading="gouraud", cmap="viridis", norm=scale)
    size = min(14.0, 6000.0 / misfit.size)
    points = axes.scatter(beta, gamma, size, misfit, ec="w", lw=0.2, cmap="viridis", norm=scale)
    axes.plot(beta[0], gamma[0], "*", color="tab:red", ms=16, mec="w")
    axes.set(
        xlabel=r"transmission rate $\beta$ (1/day)",
        ylabel=r"recovery rate $\gamma$ (1/day)",
        title=rf"Best: $\beta$ = {beta[0]:.2f}, $\gamma$ = {gamma[0]:.2f} per day, "
        f"misfit {misfit[0]:.3g} boys",
    )
    figure.colorbar(points, ax=axes, label="root mean square misfit (boys)")


def _span_an_area(x: Any, y: Any) -> bool:
    """Return whether some three of the points are not on one line."""
    from_first = np.column_stack((x - x[0], y - y[0]))
    return bool(np.linalg.matrix_rank(from_first) == 2)


def _new_figure(width: float, height: float) -> Figure:
    """Return a figure that needs no display, of a size in inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "Pictures are drawn by matplotlib, which is not installed here.",
            fix="pip install 'simherd[plot]'",
        ) from error
    return Figure(figsize=(width, height), layout="compressed")

"""``dataset.simherd``: setups and runs as methods of an xarray Dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from simherd.api.run import run
from simherd.model.graph import Key
from simherd.model.model import Model
from simherd.setup import clocks, dataset

__all__ = ["SetupView", "SimherdAccessor"]


class SetupView:
    """What a Dataset says of clocks and outputs."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    @property
    def _setup(self) -> xr.Dataset:
        """The dataset in which clocks and outputs are marked."""
        return self._ds

    @property
    def clock_coords(self) -> Mapping[str, xr.DataArray]:
        """Clocks by name."""
        return {name: self._ds[name] for name in clocks.clock_names(self._setup)}

    @property
    def clock_sizes(self) -> Mapping[str, int]:
        """Number of labels of each clock."""
        return {name: coord.size for name, coord in self.clock_coords.items()}

    @property
    def master_clock_dim(self) -> str | None:
        """Name of the main clock."""
        return clocks.main_clock(self._setup)

    @property
    def master_clock_coord(self) -> xr.DataArray | None:
        """The main clock."""
        name = self.master_clock_dim
        return None if name is None else self._ds[name]

    @property
    def nsteps(self) -> int:
        """Number of steps of the main clock."""
        coord = self.master_clock_coord
        return 0 if coord is None else max(coord.size - 1, 0)

    @property
    def output_vars(self) -> Mapping[Key, str | None]:
        """Outputs, as (process, variable), and the clock of each; None is saved at the end."""
        return {_split(name): clock for name, clock in dataset.output_clocks(self._setup).items()}

    @property
    def output_vars_by_clock(self) -> Mapping[str | None, list[Key]]:
        """Outputs, as (process, variable), by clock."""
        found: dict[str | None, list[Key]] = {}
        for key, clock in self.output_vars.items():
            found.setdefault(clock, []).append(key)
        return found

    def get_output_save_steps(self) -> xr.Dataset:
        """Return for each clock but the main one at which labels of that it saves, as booleans."""
        main = self.master_clock_coord
        if main is None:
            return xr.Dataset()
        saves = xr.Dataset(coords={main.name: main})
        for name, coord in self.clock_coords.items():
            if name != main.name:
                mask = np.zeros(main.size, bool)
                mask[list(clocks.positions_on(main.values, coord.values, name, str(main.name)))] = True
                saves[name] = (str(main.name), mask)
        return saves


def _split(name: str) -> Key:
    process, _, variable = name.partition("__")
    return process, variable


class SimherdAccessor(SetupView):
    """Methods of a Dataset that is a setup or a result."""

    def update_clocks(
        self,
        model: Model | None = None,
        clocks: Mapping[str, Any] | None = None,
        master_clock: str | Mapping[str, Any] | None = None,
        *,
        main_clock: str | Mapping[str, Any] | None = None,
    ) -> xr.Dataset:
        """Return a setup with clocks added or replaced; see `create_setup`."""
        return dataset.update_clocks(self._ds, model, clocks, main_clock or master_clock)

    def update_vars(
        self, model: Model | None = None, input_vars: Any = None, output_vars: Any = None
    ) -> xr.Dataset:
        """Return a setup with inputs and outputs added or replaced; see `create_setup`."""
        return dataset.update_vars(self._ds, model, input_vars, output_vars)

    def reset_vars(self, model: Model | None = None) -> xr.Dataset:
        """Return a setup in which all inputs that have a default have it again."""
        return dataset.reset_vars(self._ds, model)

    def filter_vars(self, model: Model | None = None) -> xr.Dataset:
        """Return a setup with nothing but clocks and what the model has."""
        return dataset.filter_vars(self._ds, model)

    def run(self, model: Model | None = None, *args: Any, **options: Any) -> xr.Dataset:
        """Run one simulation, or a batch of them; see `simherd.run`."""
        return run(self._ds, model, *args, **options)

"""One simulation of a store again, in this process: where it fails, its error is raised here."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from simherd.api.prepare import Prepared, prepare
from simherd.api.stored import stored_schema
from simherd.engine.plan import Plan
from simherd.engine.schema import hold_to, schema_of
from simherd.engine.simulate import Simulator
from simherd.errors import SetupError, StoreError
from simherd.model.model import Model
from simherd.reserved import MODEL, NUMBER, SECONDS, STATUS
from simherd.setup.dataset import find_model, update_vars
from simherd.setup.digests import digest_of
from simherd.store.batch_store import FINGERPRINT, read_fingerprint, reopen_batch_store
from simherd.store.checking import naming_damaged_inputs
from simherd.store.memory import MemoryStore, values_of
from simherd.store.places import as_folder
from simherd.store.reading import open_store
from simherd.threads import guarded_here

__all__ = ["replay_with"]


def replay_with(
    model: Model | None,
    store: str | Path,
    number: int,
    input_vars: Mapping[Any, Any] | None = None,
    validate: str | None = "inputs",
) -> xr.Dataset:
    """Run one simulation of a store with a model. See `simherd.replay`."""
    model, folder, number = find_model(model), as_folder(store), operator.index(number)
    stored = _fingerprint_of(folder)
    if not 0 <= number < stored["simulations"]:
        raise SetupError(
            f"Cannot run simulation {number!r} of the store {str(folder)!r} again: "
            f"it has simulations 0 to {stored['simulations'] - 1}."
        )
    with naming_damaged_inputs(folder):
        given = _inputs_of(folder, stored, number).load()
    if input_vars:
        given = update_vars(given, model, input_vars=input_vars)
    prepared = prepare(given, model, check_dims="transpose", validate=validate, seed=stored.get("seed"))
    plan = _as_in_the_batch(prepared, folder, stored["simulations"])
    with guarded_here():
        return prepared.finish(_run(prepared, plan, number))


def _fingerprint_of(folder: Path) -> dict[str, Any]:
    if STATUS not in open_store(folder) or not (folder / FINGERPRINT).exists():
        raise StoreError(
            f"Cannot run a simulation of {str(folder)!r} again: it is not the store of a batch.",
            fix="open it with xarray.open_zarr, which gives a setup that .simherd.run() takes.",
        )
    return read_fingerprint(folder)


def _inputs_of(folder: Path, stored: Mapping[str, Any], number: int) -> xr.Dataset:
    """Return the setup of one simulation, as it was given."""
    options: dict[str, Any] = {"chunks": None, "drop_variables": [STATUS, SECONDS, MODEL, NUMBER]}
    raw = xr.open_zarr(folder, decode_times=False, **options)
    decoded = xr.open_zarr(folder, **options)
    numbers = {
        name: variable
        for name, variable in raw.variables.items()
        if variable.dtype != decoded[name].dtype and _is_number(str(name), variable, stored)
    }
    setup: xr.Dataset = decoded.assign(numbers).isel({stored["batch_dim"]: number})
    return setup


def _is_number(name: str, variable: xr.Variable, stored: Mapping[str, Any]) -> bool:
    """Return whether a variable is what it was given as, though its units look like those of a date."""
    is_same_clock: bool = digest_of(variable.values) == stored["clocks"].get(name)
    return is_same_clock or variable.dtype.kind == "f"


def _as_in_the_batch(prepared: Prepared, folder: Path, simulations: int) -> Plan:
    """Return the plan of the simulation as one of its batch, held to the outputs that the store has."""
    has_clock = {tap.name: tap.clock is not None for tap in prepared.setup.plan.taps}
    store = reopen_batch_store(folder, prepared.setup.dataset, has_clock)
    plan = hold_to(prepared.setup.plan, stored_schema(prepared, store))
    return replace(plan, batch_size=simulations)


def _run(prepared: Prepared, plan: Plan, number: int) -> xr.Dataset:
    simulator = Simulator(plan)
    columns = simulator.columns(1)
    simulator.run({}, columns, 0, number)
    schema = schema_of(simulator, columns)
    base, layouts = prepared.base(schema), prepared.layouts(schema, 1)
    arrays = [values_of(layout, column) for layout, column in zip(layouts, columns, strict=True)]
    return MemoryStore(base, layouts, arrays=arrays).open()

"""All that is decided about a run before anything is computed or written."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

from simherd.engine.block import Status
from simherd.engine.plan import Plan, Tap
from simherd.engine.schema import OutputSchema, Schema
from simherd.engine.vectorized import check_vectorizable
from simherd.errors import SetupError, UnknownNameError, close_matches, shown
from simherd.model.graph import Graph, join_name
from simherd.model.model import Model
from simherd.model.names import INPUT_SUFFIX, flatten_keys
from simherd.reserved import NUMBER, SECONDS, STATUS
from simherd.resources import is_count
from simherd.setup.fingerprint import fingerprint
from simherd.setup.multi_index import MultiIndexes, join_levels, split_levels
from simherd.setup.pandas_types import in_numpy_types
from simherd.setup.planning import Setup, make_setup
from simherd.store.attributes import json_attrs
from simherd.store.codecs import in_zarr_3
from simherd.store.layout import (
    ArrayLayout,
    check_encoding,
    chunk_size_for,
    layout_output,
    required_multiple,
)
from simherd.threads import guard_threads

__all__ = ["Prepared", "guess_schema", "prepare"]

Encoding = Mapping[str, Mapping[str, Any]]

INPUTS_PER_OUTPUT = 16
"""Bytes of inputs that a block may have in memory, for each byte of a chunk of an output."""
RTOL = 1e-10


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A checked setup with how its outputs are to be stored."""

    setup: Setup
    """Plan and inputs."""
    encoding: Encoding
    """How each output is stored, by name: what the model declares, then what the user says."""
    index_dtypes: Mapping[str, Any]
    """Types in which index variables are saved, by name, where they are declared."""
    block_size: int | None
    """Simulations in a block; None lets size and workers decide."""
    multi_indexes: MultiIndexes
    """Those that the setup had, by dimension."""
    rtol: float | None = None
    """Relative difference that simulations which are advanced together may show; None runs one by one."""

    @property
    def input_bytes(self) -> int:
        """Bytes of the inputs of one simulation, of those that differ."""
        total = sum(values.nbytes for values in self.setup.batch_inputs.values())
        return int(total // max(self.setup.simulations, 1))

    def choose_chunk_size(self, schema: Schema, workers: int) -> int:
        """Return the number of simulations in a chunk."""
        largest = max((output.nbytes for output in schema.outputs), default=1)
        largest = max(largest, self.input_bytes // INPUTS_PER_OUTPUT)
        multiple = required_multiple(self.encoding, self.setup.simulations)
        return chunk_size_for(
            self.setup.simulations, largest, workers, schema.seconds, self.block_size, multiple
        )

    def fingerprint(self, simulations: int | None = None) -> dict[str, Any]:
        """Return what a store says of the run that it is of, for the first simulations of the batch."""
        seed = self.setup.plan.seed
        return fingerprint(
            self.setup,
            encoding=self.encoding,
            seed=seed,
            vectorize=self.rtol is not None,
            simulations=simulations,
        )

    def layouts(self, schema: Schema, chunk: int) -> list[ArrayLayout]:
        """Return the arrays of the result: outputs in the order of the plan, then those of a batch."""
        batch = None
        if self.setup.batch_dim is not None:
            batch = (self.setup.batch_dim, self.setup.simulations, chunk)
        graph = self.setup.plan.model.graph
        outputs = [
            layout_output(
                output,
                batch=batch,
                encoding=self.encoding[output.tap.name],
                attrs=graph.variables[output.tap.key].attrs,
            )
            for output in schema.outputs
        ]
        return outputs if batch is None else [*outputs, *_outcome_layouts(*batch)]

    def check_attributes(self) -> None:
        """Raise an error if a store does not hold an attribute of an input, a clock or an output.

        Raises
        ------
        SetupError
            Naming variable and attribute.
        """
        plan, dataset = self.setup.plan, self.setup.dataset
        variables = plan.model.graph.variables
        for name, variable in dataset.variables.items():
            json_attrs(str(name), variable.attrs)
        for key in (*(tap.key for tap in plan.taps), *plan.indexes):
            json_attrs(join_name(key), variables[key].attrs)
        json_attrs("the setup", dataset.attrs)

    def names(self) -> set[str]:
        """Return the names of all arrays of the result that are known before the first simulation."""
        plan = self.setup.plan
        outcome = set() if self.setup.batch_dim is None else {STATUS, SECONDS}
        indexes = {name for _, name in plan.indexes}
        return {*map(str, self.setup.dataset.variables), *(tap.name for tap in plan.taps), *indexes, *outcome}

    def finish(self, result: xr.Dataset) -> xr.Dataset:
        """Return the result with the multi-indexes of the setup."""
        return join_levels(result, self.multi_indexes)

    def _without_outputs(self, dataset: xr.Dataset) -> xr.Dataset:
        """Return a dataset in which inputs that are outputs too stand under names of their own."""
        inputs = {join_name(key) for key in self.setup.plan.model.graph.inputs}
        for name in (tap.name for tap in self.setup.plan.taps if tap.name in dataset.variables):
            is_input = name in inputs
            dataset = dataset.rename({name: name + INPUT_SUFFIX}) if is_input else dataset.drop_vars(name)
        return dataset

    def base(self, schema: Schema) -> xr.Dataset:
        """Return inputs, clocks and coordinates of indexes and simulations, with where they come from."""
        coords: dict[str, xr.Variable] = {}
        for key, values in schema.indexes.items():
            variable = self.setup.plan.model.graph.variables[key]
            dims = _index_dims(variable.dims_on(self.setup.plan.clock), values)
            dtype = self.index_dtypes.get(join_name(key), values.dtype)
            coords[key[1]] = xr.Variable(dims, values.astype(dtype), variable.attrs)
        base = self._without_outputs(self.setup.dataset)
        if any(output.is_concatenated for output in schema.outputs):
            coords[NUMBER] = self._numbers()
        base = base.drop_vars([n for n in coords if n in base.variables]).assign_coords(coords)
        seed = self.setup.plan.seed
        seeded = {} if seed is None else {"seed": seed}
        return base.assign_attrs({**_provenance(), "threads_per_simulation": guard_threads(), **seeded})

    def _numbers(self) -> xr.Variable:
        """Return the number of each simulation, from which its row of concatenated values follows."""
        attrs = {"description": "position of each simulation in the whole batch"}
        return xr.Variable(self.setup.batch_dim, np.arange(self.setup.simulations), attrs)


@cache
def _provenance() -> dict[str, str | int]:
    """Return what a result may depend on besides its inputs."""
    found = {f"{name}_version": version(name) for name in ("simherd", "numpy", "xarray", "zarr")}
    return {**found, "python_version": platform.python_version()}


def _index_dims(declared: Sequence[tuple[str, ...]], values: np.ndarray[Any, Any]) -> tuple[str, ...]:
    return next((dims for dims in declared if len(dims) == values.ndim), declared[0])


def _outcome_layouts(dim: str, simulations: int, chunk: int) -> list[ArrayLayout]:
    common: dict[str, Any] = {"dims": (dim,), "shape": (simulations,), "chunks": (chunk,)}
    status_attrs = {
        "description": "what became of each simulation",
        "flag_values": [status.value for status in Status],
        "flag_meanings": " ".join(status.name.lower() for status in Status),
    }
    seconds_attrs = {"description": "time that each simulation took", "units": "s"}
    return [
        ArrayLayout(name=STATUS, dtype=np.dtype("u1"), fill_value=0, attrs=status_attrs, **common),
        ArrayLayout(name=SECONDS, dtype=np.dtype("f8"), fill_value=np.nan, attrs=seconds_attrs, **common),
    ]


def prepare(
    dataset: xr.Dataset,
    model: Model,
    *,
    batch_dim: str | None = None,
    encoding: Encoding | None = None,
    block_size: int | str | None = "auto",
    check_dims: str | None = "strict",
    validate: str | None = "inputs",
    hooks: Iterable[Any] | None = None,
    seed: int | None = None,
    checkpoint_every: int | None = None,
    vectorize: bool | float = False,
) -> Prepared:
    """Check all that can be checked without running anything.

    Raises
    ------
    SetupError
        If anything does not fit.
    """
    if not isinstance(dataset, xr.Dataset):
        raise SetupError(f"A setup is a Dataset, got {shown(dataset)}.", fix="make one with create_setup.")
    given = _by_name(encoding or {}, model.graph)
    dataset, indexes = split_levels(in_numpy_types(dataset))
    setup = make_setup(
        dataset,
        model,
        batch_dim=batch_dim,
        check_dims=check_dims,
        validate=validate,
        hooks=hooks,
        encoding=given,
        seed=seed,
        checkpoint_every=checkpoint_every,
    )
    encoding = {
        tap.name: in_zarr_3(tap.name, {**model.graph.variables[tap.key].encoding, **given.get(tap.name, {})})
        for tap in setup.plan.taps
    }
    of_indexes = {
        join_name(key): {**model.graph.variables[key].encoding, **given.get(join_name(key), {})}
        for key in setup.plan.indexes
    }
    for name in given:
        if name not in {**encoding, **of_indexes}:
            raise UnknownNameError(f"encoding: {name!r} is not an output. {close_matches(name, encoding)}")
    for name, one in {**encoding, **of_indexes}.items():
        check_encoding(name, one)
    size = _checked_block_size(block_size)
    dtypes = {name: one["dtype"] for name, one in of_indexes.items() if "dtype" in one}
    return Prepared(
        setup=setup,
        encoding=encoding,
        index_dtypes=dtypes,
        block_size=size,
        multi_indexes=indexes,
        rtol=_checked_rtol(vectorize, setup.plan),
    )


def _checked_rtol(vectorize: bool | float, plan: Plan) -> float | None:
    if vectorize is False:
        return None
    if vectorize is not True and not (isinstance(vectorize, float) and 0 < vectorize < 1):
        raise SetupError(
            f"vectorize={vectorize!r} is not allowed.",
            fix="say True, False, or the relative difference that is allowed, between 0 and 1.",
        )
    check_vectorizable(plan)
    return RTOL if vectorize is True else vectorize


def _by_name(encoding: Encoding, graph: Graph) -> dict[str, dict[str, Any]]:
    try:
        return {join_name(key): dict(one) for key, one in flatten_keys(encoding, graph).items()}
    except UnknownNameError as error:
        raise UnknownNameError(f"encoding: {error.message}") from error


def _checked_block_size(given: int | str | None) -> int | None:
    if given in ("auto", None):
        return None
    if is_count(given, 1):
        return given
    raise SetupError(f"block_size={given!r} is not allowed.", fix="give 'auto' or 1 or more.")


def guess_schema(setup: Setup) -> tuple[Schema, tuple[str, ...]]:
    """Return the schema as far as it is known without running a simulation.

    Returns
    -------
    Schema
        Sizes of dimensions are those of the inputs; values are taken to be 8-byte floats unless their
        type is declared.
    tuple of str
        Outputs of which a size is not known; it stands as 1.
    """
    unknown: list[str] = []
    outputs = []
    for tap in setup.plan.taps:
        dims, shape = _guess_shape(setup, tap)
        if None in shape:
            unknown.append(tap.name)
        outputs.append(
            OutputSchema(
                tap=tap,
                dims=dims,
                shape=tuple(1 if size is None else size for size in shape),
                dtype=np.dtype(tap.dtype or "f8"),
            )
        )
    return Schema(outputs=tuple(outputs), indexes={}), tuple(unknown)


def _guess_shape(setup: Setup, tap: Tap) -> tuple[tuple[str, ...], tuple[int | None, ...]]:
    """Return the largest declared combination of dimensions whose sizes are known, else the first."""
    declared = setup.plan.model.graph.variables[tap.key].dims_on(setup.plan.clock)
    sizes = setup.dataset.sizes
    known = [dims for dims in declared if all(d in sizes for d in dims)]
    dims = max(known, key=len) if known else declared[0]
    return dims, tuple(sizes.get(d) for d in dims)

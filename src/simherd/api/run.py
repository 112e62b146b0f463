"""The one call that runs simulations: wires setup, engine, ensemble and store."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import xarray as xr

from simherd.api.prepare import Prepared, prepare
from simherd.engine.schema import Schema, hold_to, schema_of
from simherd.engine.simulate import Simulator
from simherd.ensemble.run import Batch, discover_schema, run_batch
from simherd.errors import SetupError, close_matches
from simherd.events import Subscriber
from simherd.executors.choose import choose_executor, threads_for_one
from simherd.model.model import Model
from simherd.resources import is_count, parse_bytes
from simherd.setup.dataset import find_model
from simherd.store.layout import ArrayLayout
from simherd.store.memory import MemoryStore, values_of

__all__ = ["run"]

_DECODING = frozenset(inspect.signature(xr.open_zarr).parameters) - {"store", "group"}


def run(
    dataset: xr.Dataset,
    model: Model | None = None,
    batch_dim: str | None = None,
    check_dims: str | None = "strict",
    validate: str | None = "inputs",
    store: Any = None,
    encoding: Mapping[str, Mapping[str, Any]] | None = None,
    decoding: Mapping[str, Any] | None = None,
    hooks: Iterable[Any] | None = None,
    parallel: bool = False,
    scheduler: Any = None,
    safe_mode: bool = True,
    *,
    workers: int | None = None,
    block_size: int | str = "auto",
    on_error: str = "raise",
    retries: int = 0,
    memory_limit: int | str = "256 MiB",
    subscribers: Iterable[Subscriber] = (),
) -> xr.Dataset:
    """Run one simulation, or a batch of them.

    Parameters
    ----------
    dataset : Dataset
        The setup, see `create_setup`.
    model : Model, optional
        The model; that of ``with model:`` by default.
    batch_dim : str, optional
        Dimension of the inputs along which simulations differ; none runs one simulation.
    check_dims : {"strict", "transpose", None}, optional
        Inputs have their dimensions in the declared order; or are transposed; or go unchecked.
    validate : {"inputs", "all", None}, optional
        Call validators of inputs; of all that processes set, after each; or none.
    store : path, zarr.Group, store of Zarr or mutable mapping, optional
        Where the result is written; in memory by default, on every executor.
    encoding : mapping, optional
        How outputs are stored, by name, in the forms of `input_vars`: ``dtype``, ``chunks``,
        ``fill_value`` (what stands where nothing was saved), ``compressors``. Blocks become multiples of
        the chunks along the batch. Of index variables only ``dtype`` is used.
    decoding : mapping, optional
        Arguments of `xarray.open_zarr` for the result. One in memory is decoded in the same way.
    hooks : iterable, optional
        Functions of `runtime_hook`, or `RuntimeHook` objects.
    parallel : bool, optional
        Run the simulations of a batch at once; without a batch, the processes of the simulation that do
        not wait for each other, in threads.
    scheduler : optional
        "threads", "processes", "sync", a ``dask.distributed.Client`` or a
        ``concurrent.futures.Executor``. By default an active Dask client, then what ``dask.config``
        says, then processes.
    safe_mode : bool, optional
        False runs a single simulation on the model itself, whose values can be looked at afterwards.
    workers : int, optional
        Threads or processes where `scheduler` names these; as many as usable cores by default.
    block_size : int or "auto", optional
        Simulations of a block, which one task runs and writes.
    on_error : {"raise", "record"}, optional
        Stop at the first simulation that fails, with what is finished kept in the store; or record it
        in ``simulation_status`` and go on.
    retries : int, optional
        Further attempts at a simulation that raises.
    memory_limit : int or str, optional
        Memory that the outputs of a single simulation may take before they are written to `store`; longer
        ones are written chunk by chunk along their clock while it runs. A batch is written block by
        block, so that each worker has the outputs of a block in memory.
    subscribers : iterable of callable, optional
        Called with each event of the run, see `simherd.events`.

    Returns
    -------
    Dataset
        Inputs and outputs; loaded lazily from `store`. A batch has ``simulation_status`` and
        ``simulation_seconds`` too.

    Raises
    ------
    SetupError
        If setup and model do not fit together.
    StoreError
        If the store exists, or cannot be written.
    PicklingError
        If something cannot be sent to workers; found before the first simulation.
    Exception
        What a simulation raises, with ``on_error="raise"``.
    """
    if not isinstance(parallel, bool):
        raise SetupError(
            f"parallel={parallel!r} is not available.",
            fix="say True: a batch runs its simulations at once, one simulation its processes.",
        )
    if on_error not in ("raise", "record"):
        raise SetupError(f"on_error={on_error!r}. {close_matches(on_error, ('raise', 'record'))}")
    _check_count("retries", retries, 0)
    if workers is not None:
        _check_count("workers", workers, 1)
    _check_decoding(decoding or {})
    prepared = prepare(
        dataset,
        find_model(model),
        batch_dim=batch_dim,
        encoding=encoding,
        block_size=block_size,
        check_dims=check_dims,
        validate=validate,
        hooks=hooks,
    )
    target = None
    if store is not None:
        from simherd.store.zarr_store import as_target

        target = as_target(store)
    if batch_dim is None:
        with threads_for_one(parallel, scheduler, workers) as pool:
            limit = parse_bytes(memory_limit)
            return prepared.finish(_run_one(prepared, target, decoding, safe_mode, limit, pool))
    with choose_executor(parallel, scheduler, workers) as executor:
        batch = Batch(
            plan=prepared.setup.plan,
            inputs=prepared.setup.batch_inputs,
            executor=executor,
            on_error=on_error,
            retries=retries,
            subscribers=tuple(subscribers),
        )
        return _run_batch(prepared, batch, target, decoding)


def _check_count(name: str, value: Any, least: int) -> None:
    if not is_count(value, least):
        raise SetupError(f"{name}={value!r} is not allowed: a whole number, {least} or more, is needed.")


def _check_decoding(decoding: Mapping[str, Any]) -> None:
    for name in decoding:
        if name not in _DECODING:
            raise SetupError(
                f"decoding: {name!r} is no argument of xarray.open_zarr. {close_matches(name, _DECODING)}"
            )


def _run_one(
    prepared: Prepared,
    target: Any,
    decoding: Mapping[str, Any] | None,
    safe_mode: bool,
    memory_limit: int,
    pool: ThreadPoolExecutor | None,
) -> xr.Dataset:
    simulator = Simulator(prepared.setup.plan, clones=safe_mode, pool=pool)
    if target is None:
        columns = simulator.columns(1)
        simulator.run({}, columns, 0)
        base, layouts = _contents(prepared, schema_of(simulator, columns), 1)
        arrays = [values_of(layout, column) for layout, column in zip(layouts, columns, strict=True)]
        return MemoryStore(base, layouts, arrays=arrays).open(decoding)
    from simherd.api.streaming import StreamedResult

    result = StreamedResult(prepared, target, memory_limit)
    simulator.run({}, result.columns, 0)
    return result.finish(simulator, decoding)


def _run_batch(
    prepared: Prepared, batch: Batch, target: Any, decoding: Mapping[str, Any] | None
) -> xr.Dataset:
    schema = discover_schema(batch)
    block_size = prepared.choose_block_size(schema, batch.executor.workers)
    store = _make_store(prepared, schema, target, block_size)
    run_batch(replace(batch, plan=hold_to(batch.plan, schema)), store, block_size)
    return prepared.finish(store.open(decoding))


def _contents(prepared: Prepared, schema: Schema, block_size: int) -> tuple[xr.Dataset, list[ArrayLayout]]:
    return prepared.base(schema), prepared.layouts(schema, block_size)


def _make_store(prepared: Prepared, schema: Schema, target: Any, block_size: int) -> Any:
    base, layouts = _contents(prepared, schema, block_size)
    if target is None:
        return MemoryStore(base, layouts, block_size)
    from simherd.store.zarr_store import ZarrStore

    return ZarrStore(target, base, layouts, block_size)

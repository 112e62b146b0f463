"""The one call that runs simulations: wires setup, engine, ensemble and store."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr

from simherd.api.batch import RERUN, Going, run_in_memory
from simherd.api.inputs import block_inputs
from simherd.api.prepare import Prepared, prepare
from simherd.api.single import run_one
from simherd.api.stored import run_in_store, stored_seed
from simherd.engine.simulate import Simulator
from simherd.ensemble.run import Batch
from simherd.errors import SetupError, close_matches
from simherd.events import Subscriber
from simherd.executors.base import Executor
from simherd.executors.choose import choose_executor, runs_serially, threads_for_one
from simherd.model.model import Model
from simherd.progress import showing
from simherd.resources import is_count, parse_bytes
from simherd.setup.dataset import find_model
from simherd.store.shares import Claim, Share, claimed_share
from simherd.store.signing import make_key
from simherd.user_warnings import warn_user

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
    parallel: bool | None = None,
    scheduler: Any = None,
    safe_mode: bool = True,
    *,
    workers: int | None = None,
    block_size: int | str = "auto",
    vectorize: bool | float = False,
    on_error: str = "raise",
    retries: int = 0,
    timeout_s: float | None = None,
    seed: int | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    rerun: str = "missing",
    accept_changed_model: bool = False,
    share: tuple[int, int] | None = None,
    overwrite: bool = False,
    grace_s: float = 30.0,
    memory_limit: int | str = "256 MiB",
    progress: bool | None = None,
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
        ``fill_value`` (what stands where nothing was saved), ``compressors``; and in a batch ``layout``:
        "padded" fills values of different sizes up to the largest, "concatenated" stores them one after
        another, for `read_ragged`. By default a store has the second where the first would take more than
        three times the place, as a few simulations tell. Blocks become multiples of
        the chunks along the batch. Of index variables only ``dtype`` is used.
    decoding : mapping, optional
        Arguments of `xarray.open_zarr` for the result. One in memory is decoded in the same way.
    hooks : iterable, optional
        Functions of `runtime_hook`, or `RuntimeHook` objects.
    parallel : bool, optional
        Run the simulations of a batch at once; without a batch, the processes of the simulation that do
        not wait for each other, in threads. By default True if `scheduler` or `workers` is given, else False.
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
    vectorize : bool or float, optional
        Advance many simulations of a batch at once, where processes take arrays with a leading axis for
        them. A few are compared with what each gives on its own before; a number is the relative difference
        that is allowed, 1e-10 by default. See ``docs/vectorised.md``.
    on_error : {"raise", "record"}, optional
        Stop at the first simulation that fails, with what is finished kept in the store; or record it
        in ``simulation_status`` and go on.
    retries : int, optional
        Further attempts at a simulation that raises.
    timeout_s : float, optional
        Time that a simulation of a batch may take, in s; then it fails, and the programs that it started
        are ended. If it is stuck in compiled code, its worker process is ended. In threads and serial runs
        such a simulation cannot be ended, only its programs: a warning says so. A worker that gives no sign
        of life for ``1.1 * timeout_s`` and two minutes is given up, and its simulations run elsewhere.
    seed : int, optional
        Seed of the random numbers of processes that ask for ``rng``, see `runtime`: 0 or more. The same seed
        gives the same results on every executor. By default a fresh one, or that of the store with `resume`;
        the attribute ``seed`` of the result tells it.
    checkpoint_every : int, optional
        Steps after which the state of each simulation that runs goes to `store`, a folder: with `resume` it
        goes on from there, with the same results as without a break. The state is the attributes of the
        processes, which have to pickle; what they keep elsewhere, in files or libraries, is not part of it.
        A signal (see `grace_s`) ends a simulation of this process at the next step, with a checkpoint.
    resume : bool, optional
        Go on with what is in `store`, if it is there: run what is pending, from the last checkpoints on. A
        larger batch that begins with the same simulations makes the store longer.
    rerun : {"missing", "failed", "all"}, optional
        What to run in a store that is there: what is pending, also what failed, or everything. The last
        two imply `resume`.
    accept_changed_model : bool, optional
        Go on in a store although the model has changed since, after a line was mended for instance. Results
        that are there stay. The variable ``simulation_model`` of the store tells which simulations ran with
        which version, ``simherd status`` what has changed. Without it a changed model is an error that
        names what has changed: the model counts with all functions and constants of your own modules that it
        refers to, and with the versions of installed packages.
    share : (int, int), optional
        Which of how many shares of the batch to run, such as ``(1, 8)``: others run the rest of it, in other
        processes, in the same `store`, at the same time or not. Implies `resume`.
    overwrite : bool, optional
        Replace a `store` that is there, if simherd made it and no run writes it now. The old one is put
        back if the run ends with an error before it has a result; until then there are both on the disk.
    grace_s : float, optional
        Time that blocks have to finish after Ctrl-C, SIGTERM, SIGUSR1 or SIGUSR2, in s, where results go
        to a folder: of a batch, or of a simulation that has checkpoints. A second signal ends it.
    memory_limit : int or str, optional
        Memory that the outputs of a single simulation may take before they are written to `store`; longer
        ones are written chunk by chunk along their clock while it runs. A batch is written block by
        block, so that each worker has the outputs of a block in memory.
    progress : bool, optional
        Show how a batch goes, on standard error: as a bar on a terminal and in a notebook (which needs
        ipywidgets), else as lines. By default only of batches that take longer than a second.
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
    VectorizeError
        If simulations give something else, or fail, where many are advanced at once.
    StoreError
        If the store exists, is of another run or in use, or cannot be written.
    RunInterruptedError
        If a signal ended the run; `resume` goes on with it.
    PicklingError
        If something cannot be sent to workers, or not be kept in a checkpoint; found before the first
        simulation of a batch, and in the first step of a single one.
    Exception
        What a simulation raises, with ``on_error="raise"``.
    """
    parallel = _is_parallel(parallel, scheduler, workers)
    if on_error not in ("raise", "record"):
        raise SetupError(f"on_error={on_error!r}. {close_matches(on_error, ('raise', 'record'))}")
    _check_count("retries", retries, 0)
    _check_seconds("timeout_s", timeout_s)
    _check_seconds("grace_s", grace_s)
    if rerun not in RERUN:
        raise SetupError(f"rerun={rerun!r}. {close_matches(rerun, RERUN)}")
    own = None if share is None else _share(share, store, batch_dim)
    goes_on = resume or rerun != "missing" or own is not None
    _check_overwrite(overwrite, goes_on)
    going = Going(
        resume=goes_on,
        rerun=rerun,
        grace_s=grace_s,
        accepts_changed_model=accept_changed_model,
        share=own,
        overwrite=overwrite,
    )
    if workers is not None:
        _check_count("workers", workers, 1)
    _check_decoding(decoding or {})
    if checkpoint_every is not None:
        _check_checkpoints(checkpoint_every, store, vectorize)
    with _claimed(store, own) as claim:
        if seed is None and going.resume:
            seed = stored_seed(store)
        prepared = prepare(
            dataset,
            find_model(model),
            batch_dim=batch_dim,
            encoding=encoding,
            block_size=block_size,
            check_dims=check_dims,
            validate=validate,
            hooks=hooks,
            seed=seed,
            checkpoint_every=checkpoint_every,
            vectorize=vectorize,
        )
        target = None
        if store is not None:
            target = _target(store, prepared, going)
        if batch_dim is None:
            with threads_for_one(parallel, scheduler, workers) as pool:
                simulator = Simulator(prepared.setup.plan, clones=safe_mode, pool=pool)
                return run_one(prepared, simulator, target, decoding, parse_bytes(memory_limit), going)
        with showing(progress) as shown, choose_executor(parallel, scheduler, workers) as executor:
            _warn_of_no_end(timeout_s, executor)
            batch = Batch(
                plan=prepared.setup.plan,
                inputs=block_inputs(prepared.setup),
                executor=executor,
                on_error=on_error,
                retries=retries,
                timeout_s=timeout_s,
                rtol=prepared.rtol,
                subscribers=(*subscribers, *shown),
            )
            if target is None:
                return run_in_memory(prepared, batch, decoding)
            return run_in_store(prepared, batch, target, decoding, going, claim)


def _is_parallel(parallel: Any, scheduler: Any, workers: int | None) -> bool:
    """Return whether simulations run at once, which a scheduler or workers imply."""
    given = {"scheduler": scheduler, "workers": workers}
    named = [f"{name}={value!r}" for name, value in given.items() if value is not None]
    if parallel is None:
        return bool(named)
    if not isinstance(parallel, bool):
        raise SetupError(
            f"parallel={parallel!r} is not available.",
            fix="say True: a batch runs its simulations at once, one simulation its processes.",
        )
    is_serial = {"scheduler": scheduler is None or runs_serially(scheduler), "workers": workers in (None, 1)}
    contradicting = [f"{name}={given[name]!r}" for name, agrees in is_serial.items() if not agrees]
    if contradicting and not parallel:
        raise SetupError(
            f"parallel=False runs in this process, but {' and '.join(contradicting)} is given.",
            fix="leave out parallel, or leave out what it contradicts.",
        )
    return parallel


def _check_overwrite(overwrite: bool, goes_on: bool) -> None:
    if overwrite and goes_on:
        raise SetupError(
            "overwrite begins anew, but resume, rerun and share go on with what is in the store.",
            fix="give only one of them.",
        )


def _target(store: Any, prepared: Prepared, going: Going) -> Any:
    """Return where the result is written, after checking that it can be."""
    from simherd.store.targets import as_target, check_names

    prepared.check_attributes()
    target = as_target(store, going.resume, going.overwrite)
    if not isinstance(target, Path):
        check_names(target, prepared.names(), going.overwrite)
    return target


def _share(share: Any, store: Any, batch_dim: str | None) -> Share:
    is_pair = isinstance(share, tuple) and len(share) == 2 and all(is_count(one, 1) for one in share)
    if not is_pair or share[0] > share[1]:
        raise SetupError(
            f"share={share!r} is not known.", fix="write for instance (1, 8), the first of eight."
        )
    if batch_dim is None or not isinstance(store, str | Path):
        raise SetupError("share needs a batch and a store, a folder.", fix="give batch_dim=... and store=...")
    return Share(*share)


@contextmanager
def _claimed(store: Any, share: Share | None) -> Iterator[Claim | None]:
    """Hold the right to write a share of a store, if only a share is run."""
    if share is None:
        yield None
        return
    from simherd.store.places import as_folder

    with claimed_share(as_folder(store), share) as claim:
        yield claim


def _check_seconds(name: str, value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and value > 0):
        raise SetupError(f"{name}={value!r} is not allowed: a time above 0, in s, is needed.")


def _warn_of_no_end(timeout_s: float | None, executor: Executor) -> None:
    """Say which simulations outlast their time, where workers are threads of this process."""
    if timeout_s is not None and not executor.can_end_items:
        warn_user(
            f"timeout_s={timeout_s:g} ends Python code, and programs that it waits for, but not compiled "
            "code: simulations run in this process. Fix: scheduler='processes' ends everything.",
            RuntimeWarning,
        )


def _check_checkpoints(every: Any, store: Any, vectorize: Any) -> None:
    _check_count("checkpoint_every", every, 1)
    if not isinstance(store, str | Path):
        raise SetupError(
            "checkpoint_every needs a folder that checkpoints go to.",
            fix="give store=...",
            cli_fix="give --store PATH.",
        )
    make_key()
    if vectorize:
        raise SetupError(
            "checkpoint_every does not go with vectorize: simulations that are advanced together have none.",
            fix="leave out one of them.",
        )


def _check_count(name: str, value: Any, least: int) -> None:
    if not is_count(value, least):
        raise SetupError(f"{name}={value!r} is not allowed: a whole number, {least} or more, is needed.")


def _check_decoding(decoding: Mapping[str, Any]) -> None:
    for name in decoding:
        if name not in _DECODING:
            raise SetupError(
                f"decoding: {name!r} is no argument of xarray.open_zarr. {close_matches(name, _DECODING)}"
            )

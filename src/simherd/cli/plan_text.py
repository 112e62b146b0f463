"""The plan of an experiment in words, for ``simherd run --dry-run``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from simherd.api.prepare import guess_schema
from simherd.cli.cluster_options import check_options
from simherd.cli.cost_text import cost_lines, jobs_of, script_lines, settings_files
from simherd.cli.output import say
from simherd.cli.paths import shown
from simherd.clusters import split_options
from simherd.clusters.launching import launched
from simherd.ensemble.pending import count_blocks
from simherd.executors.choose import choose_executor
from simherd.experiment.inputs import whole_size
from simherd.model.runtime import STAGES
from simherd.progress.words import counted
from simherd.resources import format_bytes, usable_cores

if TYPE_CHECKING:
    from simherd.experiment.assemble import Assembled
    from simherd.store.layout import ArrayLayout

__all__ = ["check_jobs", "describe_plan", "place_of", "say_cautions"]


RANKS = ("mpi", "slurm-runner")
"""Kinds whose workers are started by a launcher."""


def describe_plan(assembled: Assembled, left: int | None = None) -> str:
    """Return what a run would do.

    Parameters
    ----------
    assembled : Assembled
        The run.
    left : int, optional
        Simulations that its store leaves to run, if it goes on in one.

    Raises
    ------
    ClusterOptionError
        If its cluster would not take its options.
    """
    if assembled.runs_on_cluster:
        cluster = assembled.experiment.cluster
        check_options(cluster.kind, split_options(cluster.kind, cluster.options_for(cluster.kind))[0])
    return "\n".join([*_model_lines(assembled), *_batch_lines(assembled, left), *script_lines(assembled)])


def _model_lines(assembled: Assembled) -> Iterator[str]:
    graph = assembled.model.graph
    plan = assembled.prepared.setup.plan
    yield f"Model       {shown(assembled.experiment.model)}"
    for stage in STAGES:
        names = [name for name in graph.order if stage in graph.infos[name].stages]
        if names:
            yield f"  {stage:<14} {' -> '.join(names)}"
    if plan.clock is not None:
        units = assembled.dataset[plan.clock].attrs.get("units", "")
        first, last = plan.labels[0], plan.labels[-1]
        yield f"Clock       {plan.clock}: {plan.nsteps} steps from {first:g} to {last:g} {units}".rstrip()


def _batch_lines(assembled: Assembled, left: int | None) -> Iterator[str]:
    prepared, experiment = assembled.prepared, assembled.experiment
    schema, unknown = guess_schema(prepared.setup)
    workers, place = place_of(assembled)
    block_size = prepared.choose_chunk_size(schema, workers)
    layouts = prepared.layouts(schema, block_size)
    simulations = prepared.setup.simulations
    if experiment.batch is not None:
        blocks = count_blocks(simulations, block_size)
        yield f"Batch       {simulations} simulations along {experiment.batch.dim!r} ({_sampling(assembled)})"
        size = min(block_size, simulations)
        yield f"Blocks      {counted(blocks, 'block')} of {counted(size, 'simulation')}, one task each"
        if left is not None:
            yield f"Left        {left} of {simulations} simulations, in the chunks that the store has"
    else:
        yield "Batch       none: 1 simulation"
    yield f"Runs on     {place}"
    yield from _unused_options(assembled)
    yield from _job_lines(assembled)
    store = experiment.run.store
    yield f"Store       {'none, the result stays in memory' if store is None else shown(store)}"
    yield from _table(layouts, unknown)
    total = sum(layout.nbytes for layout in layouts) + assembled.dataset.nbytes
    about = " at least" if unknown else ""
    yield f"To write   {about} {format_bytes(total)} before compression, inputs included"
    if unknown:
        yield (
            f"Sizes of {', '.join(unknown)} depend on dimensions that the model sets itself (counted as 1):"
            " the first simulation will tell."
        )


def check_jobs(assembled: Assembled) -> None:
    """Refuse worker jobs that the site can never start, where its batch scheduler can be asked.

    Raises
    ------
    ClusterOptionError
        If there are such jobs.
    SchedulerError
        If the batch scheduler is on this machine and does not answer.
    """
    from simherd.clusters.jobqueue.requests import check_workers

    cluster = assembled.experiment.cluster
    if assembled.runs_on_cluster:
        options, _ = split_options(cluster.kind, cluster.options_for(cluster.kind))
        check_workers(cluster.kind, options)


def say_cautions(assembled: Assembled) -> None:
    """Say on standard error what the user should know before the worker jobs are submitted.

    Raises
    ------
    ClusterOptionError
        If an option of the jobs is wrong.
    """
    from simherd.clusters.jobqueue.requests import caution_of

    cluster = assembled.experiment.cluster
    if assembled.runs_on_cluster:
        options, _ = split_options(cluster.kind, cluster.options_for(cluster.kind))
        if (caution := caution_of(cluster.kind, options)) is not None:
            say(caution, err=True)


def _job_lines(assembled: Assembled) -> Iterator[str]:
    cluster = assembled.experiment.cluster
    if not assembled.runs_on_cluster:
        return
    options, _ = split_options(cluster.kind, cluster.options_for(cluster.kind))
    jobs = jobs_of(cluster.kind, options)
    if jobs is not None:
        yield from cost_lines(jobs)
        yield f"Settings    {settings_files()}"


def _sampling(assembled: Assembled) -> str:
    batch = assembled.experiment.batch
    assert batch is not None
    names = ", ".join(batch.parameters or batch.columns or ()) or "all columns"
    source = shown(batch.table) if batch.table else batch.sampling
    seed = "" if batch.seed is None else f", seed {batch.seed}"
    whole, simulations = whole_size(batch), assembled.prepared.setup.simulations
    part = "" if whole == simulations else f", spread over the {whole} that it gives"
    return f"{source} over {names}{seed}{part}"


def place_of(assembled: Assembled) -> tuple[int, str]:
    """Return how many blocks run at once, and on what, without starting or asking anything."""
    experiment = assembled.experiment
    run, cluster = experiment.run, experiment.cluster
    if not assembled.runs_on_cluster:
        with choose_executor(assembled.is_parallel, run.scheduler, cluster.workers) as executor:
            return executor.workers, executor.description
    options, _ = split_options(cluster.kind, cluster.options_for(cluster.kind))
    jobs = jobs_of(cluster.kind, options)
    what = f"a cluster of kind {cluster.kind!r}"
    if jobs is not None:
        return jobs.blocks, f"{what}, {counted(jobs.blocks, 'block')} at once"
    if cluster.kind == "local":
        workers = _local_workers(options)
        return workers, f"{what}, {counted(workers, 'block')} at once"
    return _unknown_workers(cluster.kind, what)


def _local_workers(options: Mapping[str, Any]) -> int:
    threads: int = options.get("threads_per_worker", 1)
    guarded: int = options.get("guard_threads", 1)
    workers: int = options.get("workers") or max(1, usable_cores() // (threads * guarded))
    return workers * threads


def _unknown_workers(kind: str, what: str) -> tuple[int, str]:
    """Return a guess for what only the cluster knows."""
    started = launched(os.environ)
    if kind in RANKS and started.size > 1:
        return started.size, f"{what}, {counted(started.size, 'rank')} started by {started.by}"
    workers = usable_cores()
    by = "mpirun or srun" if kind in RANKS else "it"
    return workers, f"{what}; {by} will tell how many blocks at once, {workers} are assumed here"


def _unused_options(assembled: Assembled) -> Iterator[str]:
    cluster = assembled.experiment.cluster
    if not assembled.runs_on_cluster:
        return
    _, unused = split_options(cluster.kind, cluster.options_for(cluster.kind))
    if unused:
        yield f"  not used: {', '.join(unused)} (a cluster of kind {cluster.kind!r} has no use for it)"


def _table(layouts: Iterable[ArrayLayout], unknown: Iterable[str]) -> Iterator[str]:
    rows = [("output", "dimensions", "shape", "chunk", "type", "size")]
    for one in layouts:
        mark = " ?" if one.name in unknown else ""
        rows.append(
            (
                one.name,
                ", ".join(one.dims) or "-",
                " x ".join(map(str, one.shape)) or "-",
                " x ".join(map(str, one.chunks)) or "-",
                str(one.dtype),
                format_bytes(one.nbytes) + mark,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()

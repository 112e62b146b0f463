"""``simherd run``: run an experiment file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simherd.cli.called import command_again, command_to_resume
from simherd.cli.exits import Exit
from simherd.cli.output import say
from simherd.cli.rehearsal import Rehearsal
from simherd.cli.summary import Counts, summarize
from simherd.errors import RunInterruptedError, SchedulerError, SimherdError

if TYPE_CHECKING:
    import xarray as xr

    from simherd.events import Event
    from simherd.experiment.assemble import Assembled

__all__ = ["command"]

SEED_FIX = "Fix: set batch.seed, here or with --set batch.seed=1."


@click.command()
@click.argument("experiment")
@click.option(
    "--cluster", metavar="KIND", help="Where the experiment runs: local, slurm, sge, mpi, session:NAME ..."
)
@click.option("--jobs", type=int, metavar="N", help="Number of worker jobs in the batch scheduler.")
@click.option("--workers", type=int, metavar="N", help="Number of worker processes.")
@click.option("--store", metavar="PATH", help="Folder for the results.")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Set any field; repeatable.")
@click.option("--resume", is_flag=True, help="Continue the batch in the store: run the pending simulations.")
@click.option(
    "--rerun",
    type=click.Choice(["missing", "failed", "all"]),
    help="Simulations of the store to run: pending ones, failed ones too, or all.",
)
@click.option(
    "--accept-changed-model",
    is_flag=True,
    help="Continue although the model has changed. The store records which version of the model each "
    "simulation ran with.",
)
@click.option("--share", metavar="K/N", help="Run the K-th of N shares of the batch; other runs do the rest.")
@click.option(
    "--overwrite", is_flag=True, help="Replace the store, if simherd made it and no run is writing it."
)
@click.option("--dry-run", is_flag=True, help="Check everything and print the plan, but run no simulation.")
@click.option("--config", metavar="FILE", help="File with cluster and site settings, such as jobqueue.yaml.")
@click.option("--performance-report", metavar="FILE", help="Write Dask's performance report (HTML).")
@click.pass_context
def command(
    ctx: click.Context,
    experiment: str,
    cluster: str | None,
    jobs: int | None,
    workers: int | None,
    store: str | None,
    settings: tuple[str, ...],
    resume: bool,
    rerun: str | None,
    accept_changed_model: bool,
    share: str | None,
    overwrite: bool,
    dry_run: bool,
    config: str | None,
    performance_report: str | None,
) -> None:
    r"""Run an experiment file.

    \b
    simherd run experiment.yaml --workers 2
    simherd run experiment.yaml --set batch.size=20 --store rehearsal.zarr
    simherd run experiment.yaml --resume
    """
    from simherd.clusters.entering import enter_ranks
    from simherd.config import naming_jobs, using_file

    enter_ranks(cluster, dry_run)
    ctx.with_resource(using_file(config))
    from simherd.cli.going import check_store, count_left
    from simherd.cli.run_options import check_sizes, refuse_copies, with_kind, with_sizes
    from simherd.clusters import check_kind, is_of_jobs
    from simherd.experiment.assemble import assemble
    from simherd.experiment.document import (
        apply_overrides,
        kind_named_in,
        read_document,
        with_store,
        with_values,
    )
    from simherd.experiment.schema import check
    from simherd.schedulers.job_names import safe_name
    from simherd.store.shares import parse_share

    document = apply_overrides(read_document(experiment), settings)
    document = with_store(with_kind(document, cluster), store)
    if accept_changed_model:
        document = with_values(document, {"run.accept_changed_model": True}, "--accept-changed-model")
    sizes = {name: size for name, size in {"jobs": jobs, "workers": workers}.items() if size is not None}
    document = with_sizes(document, sizes)
    kind = kind_named_in(document)
    enter_ranks(kind, dry_run)
    refuse_copies(kind, share)
    checked = check(document)
    check_kind(checked.cluster.kind)
    if is_of_jobs(checked.cluster.kind):
        ctx.with_resource(naming_jobs(checked.cluster.kind, safe_name(Path(experiment).stem)))
    check_sizes(checked.cluster.kind, sizes)
    assembled = assemble(checked)
    going = {
        "resume": resume or rerun is not None or share is not None,
        "rerun": rerun or "missing",
        "share": None if share is None else astuple(parse_share(share)),
        "overwrite": overwrite,
    }
    check_store(assembled, going)
    _check_report(performance_report)
    if dry_run:
        from simherd.cli.plan_text import check_jobs, describe_plan, say_cautions

        try:
            check_jobs(assembled)
        except SchedulerError as error:
            say(f"Warning: the jobs are not checked against the site. {error.message}", err=True)
        say_cautions(assembled)
        say(describe_plan(assembled, count_left(assembled, going)))
        return
    ctx.exit(_run(assembled, performance_report, going))


def _check_report(path: str | None) -> None:
    """Find out before the run, not after it, that a report cannot be written."""
    if path is None:
        return
    if Path(path).is_dir() or not os.access(Path(path).absolute().parent, os.W_OK):
        raise SimherdError(
            f"Cannot write the performance report {path!r}: a folder, or in one that cannot be written.",
            fix="name a file in another folder.",
        )


class _Watcher:
    """Shows progress and counts what the summary needs."""

    def __init__(self, simulations: int, store: str | None, rehearsal: Rehearsal) -> None:
        from simherd.progress import progress_on
        from simherd.progress.rate import Tally

        self.show = progress_on(sys.stderr)
        self.tally = Tally(simulations)
        self.store = store
        self.has_begun = False
        self.rehearsal = rehearsal
        self._store_before = _identity(store)

    @property
    def has_kept_store(self) -> bool:
        """Whether the store is the one that was there before the run."""
        return self._store_before is not None and _identity(self.store) == self._store_before

    def __call__(self, event: Event) -> None:
        from simherd.events import BlockFinished, RunStarted
        from simherd.progress.rate import Tally

        if isinstance(event, RunStarted):
            self._say_what_was_done(event.simulations)
            self.tally = Tally(event.simulations)
            self.has_begun = True
        elif isinstance(event, BlockFinished):
            self.tally.add(event)
        self.rehearsal(event)
        self.show(event)

    def _say_what_was_done(self, simulations: int) -> None:
        before = Counts.of(self.store)
        if before is not None and before.settled:
            failed = f", {before.failed} failed" if before.failed else ""
            total = before.settled + before.pending
            say(f"{before.done} of {total} done before{failed}; running {simulations}", err=True)


def _identity(store: str | None) -> tuple[int, int] | None:
    """Return what tells a store from one that replaces it; None if there is none."""
    try:
        found = os.stat(store or "")
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _run(assembled: Assembled, performance_report: str | None, going: dict[str, Any]) -> Exit:
    store = assembled.experiment.run.store
    if store is not None and _needs_seed(assembled):
        say(f"Note: a run without seed cannot go on after an interruption. {SEED_FIX}", err=True)
    watcher = _Watcher(assembled.prepared.setup.simulations, store, Rehearsal(assembled))
    try:
        result = _result(assembled, watcher, performance_report, going)
    except (KeyboardInterrupt, RunInterruptedError):
        watcher.show.close()
        return _end_early(watcher, assembled, going, "Interrupted")
    except Exception:
        watcher.show.close()
        if watcher.has_begun and store is not None:
            _end_early(watcher, assembled, going, "Ended by an error")
        raise
    watcher.show.close()
    if going["resume"] and not watcher.has_begun and assembled.experiment.batch is not None:
        say("Nothing is left to run.", err=True)
    counts = summarize(watcher.tally, store)
    if not going["resume"]:
        say("".join(f"{line}\n" for line in watcher.rehearsal.lines()), nl=False)
    if store is None:
        say(str(result))
    return Exit.SOME_FAILED if counts.failed else Exit.DONE


def _needs_seed(assembled: Assembled) -> bool:
    batch = assembled.experiment.batch
    return batch is not None and batch.needs_seed


def _end_early(watcher: _Watcher, assembled: Assembled, going: dict[str, Any], what: str) -> Exit:
    """Say what there is and how to go on after an interruption, or an error that ended the run."""
    if going["overwrite"] and watcher.has_kept_store:
        say(f"{what}: no simulation has finished, and the store is as it was.", err=True)
        say(f"Run again with: {command_again()}", err=True)
        return Exit.INCOMPLETE
    summarize(watcher.tally, watcher.store)
    say(f"{what}: simulations that are not done stay pending.", err=True)
    if watcher.store is not None and not _needs_seed(assembled):
        is_to_rerun = going["rerun"] != "missing" and not watcher.has_begun
        again = command_again() if is_to_rerun else command_to_resume()
        say(f"Go on with: {again}", err=True)
    return Exit.INCOMPLETE


def _result(
    assembled: Assembled, watcher: _Watcher, performance_report: str | None, going: dict[str, Any]
) -> xr.Dataset:
    from simherd.api.run import run
    from simherd.cli.going import is_nothing_left
    from simherd.experiment.replay import model_attrs

    is_idle = is_nothing_left(assembled, going)
    report = None if is_idle else performance_report
    with _place(assembled, report is not None, is_idle) as where, _report(where, report):
        dataset = assembled.dataset.assign_attrs(model_attrs(assembled.experiment.model))
        result = run(dataset, **assembled.options, **where, **going, progress=False, subscribers=[watcher])
    if assembled.experiment.batch is None:
        watcher.tally.done = 1
    return result


@contextmanager
def _place(assembled: Assembled, needs_client: bool, is_idle: bool) -> Iterator[dict[str, Any]]:
    """Start what the simulations run on, if any are to run, and give the arguments for it."""
    run, cluster = assembled.experiment.run, assembled.experiment.cluster
    if is_idle:
        yield {}
        return
    if not assembled.runs_on_cluster:
        workers = cluster.workers if assembled.is_parallel else None
        yield {"parallel": run.scheduler is not None, "scheduler": run.scheduler, "workers": workers}
        return
    from simherd.clusters import open_client, split_options

    options, _ = split_options(cluster.kind, cluster.options_for(cluster.kind))

    def started() -> Any:
        say(_opening(cluster.kind), err=True)
        return open_client(cluster.kind, **options)

    if cluster.kind == "local" and not options and not needs_client:
        from simherd.executors.deferred import DeferredExecutor

        yield {"parallel": True, "scheduler": DeferredExecutor(started)}
        return
    with started() as client:
        yield {"parallel": True, "scheduler": client}


def _opening(kind: str) -> str:
    from simherd.clusters import is_given

    return f"Connecting to {kind} ..." if is_given(kind) else f"Starting a cluster of kind {kind!r} ..."


def _report(where: dict[str, Any], path: str | None) -> AbstractContextManager[Any]:
    """Return the context that writes Dask's report, self-contained, when it is left."""
    if path is None:
        return nullcontext()
    scheduler = where.get("scheduler")
    if not hasattr(scheduler, "scheduler_info"):
        raise click.UsageError("--performance-report needs a batch that runs on a cluster.")
    from simherd.clusters.report import performance_report

    return performance_report(path)

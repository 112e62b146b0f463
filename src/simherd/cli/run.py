"""``simherd run``: run an experiment file."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simherd.cli.exits import Exit
from simherd.cli.paths import shown
from simherd.errors import RunInterruptedError, SimherdError

if TYPE_CHECKING:
    import xarray as xr

    from simherd.events import Event
    from simherd.experiment.assemble import Assembled
    from simherd.progress.rate import Tally

__all__ = ["command"]


@click.command()
@click.argument("experiment")
@click.option("--cluster", metavar="KIND", help="Where it runs: local.")
@click.option("--workers", type=int, metavar="N", help="Number of worker processes.")
@click.option("--store", metavar="PATH", help="Folder of the results.")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Set any field; repeatable.")
@click.option("--resume", is_flag=True, help="Go on with the batch in the store: run what is pending.")
@click.option(
    "--rerun",
    type=click.Choice(["missing", "failed", "all"]),
    help="What to run in the store: what is pending, also what failed, or everything.",
)
@click.option("--dry-run", is_flag=True, help="Check all, print the plan, compute nothing.")
@click.option("--performance-report", metavar="FILE", help="Write Dask's performance report (HTML).")
@click.pass_context
def command(
    ctx: click.Context,
    experiment: str,
    cluster: str | None,
    workers: int | None,
    store: str | None,
    settings: tuple[str, ...],
    resume: bool,
    rerun: str | None,
    dry_run: bool,
    performance_report: str | None,
) -> None:
    r"""Run an experiment file.

    \b
    simherd run experiment.yaml --workers 2
    simherd run experiment.yaml --set batch.size=20 --store rehearsal.zarr
    simherd run experiment.yaml --resume
    """
    from simherd.clusters import check_kind
    from simherd.experiment.assemble import assemble
    from simherd.experiment.document import apply_overrides, read_document
    from simherd.experiment.schema import check

    overrides = [
        *settings,
        *([f"cluster.kind={cluster}", "run.scheduler=null"] if cluster is not None else []),
        *([f"cluster.workers={workers}"] if workers is not None else []),
        *([f"run.store={_absolute(store)}"] if store is not None else []),
    ]
    checked = check(apply_overrides(read_document(experiment), overrides))
    check_kind(checked.cluster.kind)
    assembled = assemble(checked)
    going = {"resume": resume or rerun is not None, "rerun": rerun or "missing"}
    _check_store(checked.run.store, bool(going["resume"]))
    _check_report(performance_report)
    if dry_run:
        from simherd.cli.plan_text import describe_plan

        click.echo(describe_plan(assembled))
        return
    ctx.exit(_run(assembled, performance_report, going))


def _absolute(store: str) -> str:
    """Return a path as seen from here: in the experiment it would count from the file's folder."""
    return store if "://" in store else os.path.abspath(store)


def _check_store(store: str | None, goes_on: bool) -> None:
    if store is None:
        if goes_on:
            raise click.UsageError("--resume and --rerun need a store: run.store in the file, or --store.")
        return
    from simherd.store.zarr_store import as_target

    as_target(store, may_exist=goes_on)


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

    def __init__(self, simulations: int) -> None:
        from simherd.progress import progress_on
        from simherd.progress.rate import Tally

        self.show = progress_on(sys.stderr)
        self.tally = Tally(simulations)

    def __call__(self, event: Event) -> None:
        from simherd.events import BlockFinished

        if isinstance(event, BlockFinished):
            self.tally.add(event)
        self.show(event)


def _run(assembled: Assembled, performance_report: str | None, going: dict[str, Any]) -> Exit:
    watcher = _Watcher(assembled.prepared.setup.simulations)
    interrupted = False
    try:
        result = _result(assembled, watcher, performance_report, going)
    except (KeyboardInterrupt, RunInterruptedError):
        interrupted = True
    finally:
        watcher.show.close()
    _recount(assembled.experiment.run.store, watcher.tally)
    _summarize(assembled, watcher.tally)
    if interrupted:
        click.echo("Interrupted: simulations that are not done stay pending.", err=True)
        if assembled.experiment.run.store is not None:
            click.echo(f"Go on with: {_command_to_resume()}", err=True)
        return Exit.INCOMPLETE
    if assembled.experiment.run.store is None:
        click.echo(str(result))
    return Exit.SOME_FAILED if watcher.tally.failed else Exit.DONE


def _command_to_resume() -> str:
    given = [argument for argument in sys.argv[1:] if argument != "--resume"]
    return shlex.join(["simherd", *given, "--resume"])


def _recount(store: str | None, tally: Tally) -> None:
    """Count what is in the store: earlier runs, and blocks that ended after an interruption, wrote too."""
    from simherd.engine.block import Status
    from simherd.store.zarr_store import read_status

    status = read_status(store)
    if status is not None:
        tally.simulations = len(status)
        tally.done = int((status == Status.DONE).sum())
        tally.failed = int((status == Status.FAILED).sum())


def _result(
    assembled: Assembled, watcher: _Watcher, performance_report: str | None, going: dict[str, Any]
) -> xr.Dataset:
    from simherd.api.run import run

    with _place(assembled, performance_report is not None) as where, _report(where, performance_report):
        result = run(assembled.dataset, **assembled.options, **where, **going, subscribers=[watcher])
    if assembled.experiment.batch is None:
        watcher.tally.done = 1
    return result


@contextmanager
def _place(assembled: Assembled, needs_client: bool) -> Iterator[dict[str, Any]]:
    """Start what the simulations run on and give the arguments for it."""
    run, cluster = assembled.experiment.run, assembled.experiment.cluster
    if not assembled.runs_on_cluster:
        yield {"parallel": assembled.is_parallel, "scheduler": run.scheduler, "workers": cluster.workers}
        return
    from simherd.clusters import open_client, split_options

    options, _ = split_options(cluster.kind, cluster.options_for(cluster.kind))

    def started() -> Any:
        click.echo(f"Starting a cluster of kind {cluster.kind!r} ...", err=True)
        return open_client(cluster.kind, **options)

    if cluster.kind == "local" and not options and not needs_client:
        from simherd.executors.deferred import DeferredExecutor

        yield {"parallel": True, "scheduler": DeferredExecutor(started)}
        return
    with started() as client:
        yield {"parallel": True, "scheduler": client}


def _report(where: dict[str, Any], path: str | None) -> AbstractContextManager[Any]:
    """Return the context that writes Dask's report, self-contained, when it is left."""
    if path is None:
        return nullcontext()
    scheduler = where.get("scheduler")
    if not hasattr(scheduler, "scheduler_info"):
        raise click.UsageError("--performance-report needs a batch that runs on a cluster.")
    try:
        import bokeh  # noqa: F401
    except ImportError as error:
        from simherd.errors import MissingDependencyError

        raise MissingDependencyError(
            "--performance-report needs bokeh, which is not installed.",
            fix="pip install 'simherd[plot]'.",
        ) from error
    from distributed import performance_report

    return performance_report(filename=path, mode="inline")  # type: ignore[no-untyped-call]


def _summarize(assembled: Assembled, tally: Tally) -> None:
    from simherd.progress.words import format_duration, format_rate
    from simherd.resources import format_bytes

    pending = tally.simulations - tally.settled
    parts = [f"{tally.done} done", f"{tally.failed} failed", *([f"{pending} pending"] if pending else [])]
    rate = f" ({format_rate(tally.rate)})" if tally.settled else ""
    click.echo(f"{', '.join(parts)} in {format_duration(tally.elapsed_s)}{rate}")
    store = assembled.experiment.run.store
    if store is not None and Path(store).exists():
        from simherd.store.zarr_store import store_size

        nbytes, files = store_size(Path(store))
        click.echo(f"{shown(store)}: {format_bytes(nbytes)} in {files} files")
    if tally.failed and store is not None:
        click.echo(f"Errors and tracebacks: simherd failures {shown(store)}")

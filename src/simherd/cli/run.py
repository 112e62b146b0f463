"""``simherd run``: run an experiment file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simherd.cli.exits import Exit

if TYPE_CHECKING:
    from simherd.events import Event
    from simherd.experiment.assemble import Assembled

__all__ = ["command"]


@click.command()
@click.argument("experiment")
@click.option("--cluster", metavar="KIND", help="Where it runs: local.")
@click.option("--workers", type=int, metavar="N", help="Number of worker processes.")
@click.option("--store", metavar="PATH", help="Folder of the results.")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Set any field; repeatable.")
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
    dry_run: bool,
    performance_report: str | None,
) -> None:
    """Run an experiment file.

    \b
    simherd run experiment.yaml --workers 2
    simherd run experiment.yaml --set batch.size=20 --store rehearsal.zarr
    """
    from simherd.experiment.assemble import assemble
    from simherd.experiment.document import apply_overrides, read_document
    from simherd.experiment.schema import check

    overrides = [
        *settings,
        *([f"cluster.kind={cluster}"] if cluster is not None else []),
        *([f"cluster.workers={workers}"] if workers is not None else []),
        *([f"run.store={os.path.abspath(store)}"] if store is not None else []),
    ]
    checked = check(apply_overrides(read_document(experiment), overrides))
    _check_cluster(checked)
    assembled = assemble(checked)
    _check_store(checked.run.store)
    if dry_run:
        from simherd.cli.plan_text import describe_plan

        click.echo(describe_plan(assembled))
        return
    ctx.exit(_run(assembled, performance_report))


def _check_cluster(experiment: Any) -> None:
    from simherd.clusters import check_kind

    check_kind(experiment.cluster.kind)


def _check_store(store: str | None) -> None:
    if store is not None:
        from simherd.store.zarr_store import check_writable

        check_writable(Path(store))


class _Watcher:
    """Shows progress and keeps what the summary needs."""

    def __init__(self) -> None:
        from simherd.progress import progress_on

        self.show = progress_on(sys.stderr)
        self.done = 0
        self.failed = 0

    def __call__(self, event: Event) -> None:
        from simherd.events import BlockFinished

        if isinstance(event, BlockFinished):
            self.done += event.done
            self.failed += event.failed
        self.show(event)


def _run(assembled: Assembled, performance_report: str | None) -> Exit:
    from simherd.api.run import run

    watcher = _Watcher()
    started = time.monotonic()
    is_batch = assembled.experiment.batch is not None
    try:
        with _place(assembled) as where, _report(where, performance_report):
            result = run(assembled.dataset, **assembled.options, **where, subscribers=[watcher])
    except KeyboardInterrupt:
        watcher.show.close()
        _summarize(assembled, watcher, time.monotonic() - started)
        click.echo("Interrupted: simulations that are not done stay pending.", err=True)
        return Exit.INCOMPLETE
    finally:
        watcher.show.close()
    if not is_batch:
        watcher.done = 1
    _summarize(assembled, watcher, time.monotonic() - started)
    if assembled.experiment.run.store is None:
        click.echo(str(result))
    return Exit.SOME_FAILED if watcher.failed else Exit.DONE


@contextmanager
def _place(assembled: Assembled) -> Iterator[dict[str, Any]]:
    """Start what the simulations run on and give the arguments for it."""
    experiment = assembled.experiment
    spec = experiment.run
    if experiment.batch is None or not spec.parallel:
        yield {"parallel": False}
    elif spec.scheduler is not None:
        yield {"parallel": True, "scheduler": spec.scheduler, "workers": experiment.cluster.workers}
    else:
        from simherd.clusters import open_client

        kind = experiment.cluster.kind
        with open_client(kind, **experiment.cluster.options_for(kind)) as client:
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

    return performance_report(filename=path, mode="inline")  # type: ignore[no-untyped-call, no-any-return]


def _summarize(assembled: Assembled, watcher: _Watcher, seconds: float) -> None:
    from simherd.progress.rate import format_duration
    from simherd.resources import format_bytes

    settled = watcher.done + watcher.failed
    rate = f" ({settled / seconds:.3g} simulations per s)" if settled else ""
    click.echo(f"{watcher.done} done, {watcher.failed} failed in {format_duration(seconds)}{rate}")
    store = assembled.experiment.run.store
    if store is not None and Path(store).exists():
        from simherd.store.zarr_store import store_size

        nbytes, files = store_size(Path(store))
        click.echo(f"{_shown(store)}: {format_bytes(nbytes)} in {files} files")
    if watcher.failed and store is not None:
        click.echo(f"Errors and tracebacks: {_shown(os.path.join(store, 'journal.jsonl'))}")


def _shown(path: str) -> str:
    """Return a path as short as it can be said from here."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative

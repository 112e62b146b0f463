"""``simherd new``: write a commented starting file."""

from __future__ import annotations

import shlex
from importlib.resources import files
from pathlib import Path

import click

from simherd.cli.output import say
from simherd.errors import ExperimentError

__all__ = ["command"]

TEMPLATES = {"config": "jobqueue.yaml", "experiment": "experiment.yaml", "model": "model.py"}
NEXT = {
    "config": "Dask reads it with: export DASK_CONFIG={absolute}",
    "experiment": "It runs the model.py of 'simherd new model'. Try: simherd run {path} --dry-run",
    "model": "Try: simherd info {path}:model",
}


@click.command()
@click.argument("what", type=click.Choice(sorted(TEMPLATES)))
@click.argument("path", required=False)
def command(what: str, path: str | None) -> None:
    r"""Write a commented template: model, experiment or configuration.

    \b
    simherd new model          writes model.py
    simherd new experiment     writes experiment.yaml, which runs model.py
    simherd new config         writes jobqueue.yaml, the configuration of clusters
    """
    target = Path(path or TEMPLATES[what])
    if target.exists():
        raise ExperimentError(
            f"Cannot write {str(target)!r}: it exists already.", fix="give another name, or remove it first."
        )
    text = files("simherd.cli").joinpath("templates", TEMPLATES[what]).read_text(encoding="utf-8")
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.FileError(str(target), error.strerror or str(error)) from error
    say(f"wrote {target}")
    say(NEXT[what].format(path=target, absolute=shlex.quote(str(target.absolute()))))

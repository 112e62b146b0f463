"""``simherd graph``: draw a model, or the tasks of an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from simherd.cli.output import say

if TYPE_CHECKING:
    from simherd.plots.diagram import Diagram

__all__ = ["command"]


@click.command()
@click.argument("model")
@click.option("--tasks", is_flag=True, help="Draw the tasks that an experiment would submit.")
@click.option("--output", "-o", metavar="FILE", help="Where to: .svg, .png, .pdf, .dot or .mmd.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["dot", "mermaid"]),
    default="mermaid",
    show_default=True,
    help="Text that is printed without --output.",
)
@click.option("--variables/--no-variables", default=True, help="Name the variables that pass.")
def command(model: str, tasks: bool, output: str | None, kind: str, variables: bool) -> None:
    """Draw a model, or the tasks of an experiment.

    MODEL is module:attribute, path/to/file.py:attribute, or an experiment file.
    """
    from simherd.cli.models import is_experiment, load_any
    from simherd.plots.diagram import model_diagram
    from simherd.plots.render import as_text, write

    if tasks:
        if not is_experiment(model):
            raise click.UsageError("--tasks needs an experiment file.")
        diagram = _tasks(model)
    else:
        diagram = model_diagram(load_any(model, Path.cwd()).graph, with_variables=variables)
    if output is None:
        say(as_text(diagram, kind))
    else:
        write(diagram, Path(output))
        say(f"wrote {output}")


def _tasks(experiment: str) -> Diagram:
    from simherd.api.prepare import guess_schema
    from simherd.cli.plan_text import place_of
    from simherd.experiment.assemble import assemble
    from simherd.experiment.document import read_document
    from simherd.experiment.schema import check
    from simherd.plots.diagram import task_diagram

    assembled = assemble(check(read_document(experiment)))
    prepared = assembled.prepared
    schema, _ = guess_schema(prepared.setup)
    workers, _ = place_of(assembled)
    size = prepared.choose_chunk_size(schema, workers)
    return task_diagram(prepared.setup.simulations, size, [output.tap.name for output in schema.outputs])

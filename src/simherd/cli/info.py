"""``simherd info``: what a model consists of, and which versions of it a store has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from simherd.cli.output import say
from simherd.progress.words import counted

if TYPE_CHECKING:
    from simherd.model import Graph, Variable

__all__ = ["command"]


@click.command()
@click.argument("model")
def command(model: str) -> None:
    """Show the processes, variables and inputs of a model.

    MODEL is module:attribute, path/to/file.py:attribute, an experiment file, or the store of a run, whose
    model is named but not loaded.
    """
    from simherd.cli.models import load_any

    if Path(model).is_dir():
        say("\n".join(_lines_of_store(Path(model))))
        return
    say("\n".join(_lines(load_any(model, Path.cwd()).graph)))


def _lines_of_store(path: Path) -> Iterator[str]:
    from simherd.cli.status_text import lines_of_models
    from simherd.experiment.replay import model_named_in
    from simherd.store.reading import read_state

    state = read_state(path)
    yield f"Model of the store {str(path)!r}: {model_named_in(path) or 'not named'}"
    yield from lines_of_models(state.models) if state.models else ["All simulations are of one version."]


def _lines(graph: Graph) -> Iterator[str]:
    processes = counted(len(graph.order), "process", "processes")
    inputs = counted(len(graph.inputs), "input")
    yield f"{processes}, {inputs}. Order: {' -> '.join(graph.order)}"
    for process in graph.order:
        info = graph.infos[process]
        yield ""
        yield f"{process} ({graph.classes[process].__name__}): {', '.join(info.stages) or 'no stages'}"
        yield from _variable_lines([graph.variables[process, name] for name in info.variables], graph)


def _variable_lines(variables: list[Variable], graph: Graph) -> Iterator[str]:
    rows = [(_role(v, graph), v.key[1], _dims(v), _meaning(v)) for v in variables]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
    for role, name, dims, meaning in rows:
        yield f"  {role:<{widths[0]}}  {name:<{widths[1]}}  {dims:<{widths[2]}}  {meaning}".rstrip()


def _role(variable: Variable, graph: Graph) -> str:
    if variable.key in graph.inputs:
        return "input"
    if variable.is_group:
        return "group"
    if variable.is_on_demand and variable.key == variable.home:
        return "on demand"
    return {"in": "reads", "out": "sets", "inout": "changes"}[variable.intent.value]


def _dims(variable: Variable) -> str:
    return " or ".join(f"({', '.join(dims)})" for dims in variable.dims if dims)


def _meaning(variable: Variable) -> str:
    metadata = variable.declared.metadata
    if variable.is_group:
        return f"all of group {metadata['group']!r}"
    if variable.key != variable.home:
        return f"= {variable.home[0]}.{variable.home[1]}"
    units = variable.attrs.get("units")
    default = f"default {variable.make_default()!r}" if variable.has_default else ""
    parts = [variable.attrs.get("description", ""), f"[{units}]" if units else "", default]
    return " ".join(part for part in parts if part)

"""What processes, variables and models are, printed for people."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from simherd.errors import UnknownNameError, close_matches
from simherd.model.docs import aligned, details_of, dims_text, kind_text
from simherd.model.graph import Graph, Variable
from simherd.model.process import inspect_process, text_of

__all__ = ["describe_model", "process_info", "variable_info"]


def describe_model(graph: Graph) -> str:
    """Return the inputs of a model by process."""
    lines = [f"<simherd.Model ({len(graph.order)} processes, {len(graph.inputs)} inputs)>"]
    for process in graph.order:
        lines.append(process)
        inputs = [graph.variables[key] for key in graph.inputs if key[0] == process]
        lines += aligned((v.key[1], _input_text(v)) for v in inputs)
    return "\n".join(lines)


def _input_text(variable: Variable) -> str:
    metadata = variable.declared.metadata
    parts = [f"[{variable.intent.value}]", dims_text(variable.declared), metadata["description"]]
    return " ".join(part for part in parts if part)


def process_info(process: Any, buf: TextIO | None = None) -> None:
    """Print the variables and stages of a process.

    Parameters
    ----------
    process : process class or process
        The process. Of one in a model the name is printed too, and what its references stand for.
    buf : text file, optional
        Where to; standard output by default.
    """
    _write(text_of(process), buf)


def variable_info(process: Any, var_name: str, buf: TextIO | None = None) -> None:
    """Print all about a variable of a process.

    Parameters
    ----------
    process : process class or process
        The process.
    var_name : str
        Name of the variable.
    buf : text file, optional
        Where to; standard output by default.

    Raises
    ------
    UnknownNameError
        If the process has no such variable.
    """
    variables = inspect_process(process if isinstance(process, type) else type(process)).variables
    if var_name not in variables:
        raise UnknownNameError(f"No variable {var_name!r}. {close_matches(var_name, variables)}")
    declared = variables[var_name]
    _write("\n".join([f"{var_name} : {kind_text(declared)}", *details_of(declared)]), buf)


def _write(text: str, buf: TextIO | None) -> None:
    (buf or sys.stdout).write(text + "\n")

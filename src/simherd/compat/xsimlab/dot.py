"""Pictures of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from simherd.errors import SetupError, close_matches
from simherd.model.graph import Key
from simherd.model.model import Model
from simherd.plots.diagram import model_diagram
from simherd.plots.render import as_picture, as_text

__all__ = ["dot_graph"]

FORMATS = ("png", "pdf", "dot", "svg", "jpeg", "jpg")


def dot_graph(
    model: Model,
    filename: str | None = None,
    format: str | None = None,  # noqa: A002 (the name is xarray-simlab's)
    show_only_variable: Key | None = None,
    show_inputs: bool = False,
    show_variables: bool = False,
    *,
    rankdir: str = "LR",
    graph_attr: Mapping[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Draw a model with Graphviz.

    Parameters
    ----------
    model : Model
        The model.
    filename : str, optional
        A file to write, with or without its ending; none is written by default.
    format : {"png", "pdf", "dot", "svg", "jpeg", "jpg"}, optional
        Kind of picture; that of the file name, else "png".
    show_only_variable : (str, str), optional
        Names of process and variable: show what this one passes on, and nothing else.
    show_inputs : bool, optional
        Show the inputs of the model.
    show_variables : bool, optional
        Show the inputs, and name the variables on the arrows.
    rankdir, graph_attr, **options
        Attributes of the graph, by Graphviz' names for them.

    Returns
    -------
    IPython.display.Image or IPython.display.SVG or None
        The picture as a notebook shows it, where IPython is installed; of "pdf" and "dot" None.

    Raises
    ------
    SetupError
        If there is no such format.
    UnknownNameError
        If the model does not have the variable.
    MissingDependencyError
        If Graphviz is not installed.
    """
    kind = _kind_of(filename, format)
    only_one = show_only_variable is not None
    diagram = model_diagram(
        model.graph,
        with_variables=show_variables or only_one,
        with_inputs=show_inputs or show_variables or only_one,
        only=show_only_variable,
    )
    attributes = {"rankdir": rankdir, **(graph_attr or {}), **options}
    diagram = replace(diagram, options={name: str(value) for name, value in attributes.items()})
    data = as_text(diagram, "dot").encode() if kind == "dot" else as_picture(diagram, kind)
    if filename:
        named = filename if filename.lower().endswith(f".{kind}") else f"{filename}.{kind}"
        Path(named).write_bytes(data)
    return _display(data, kind)


def _kind_of(filename: str | None, given: str | None) -> str:
    ending = Path(filename or "").suffix[1:].lower()
    kind = given or (ending if ending in FORMATS else "png")
    if kind not in FORMATS:
        raise SetupError(f"Unknown format {kind!r}. {close_matches(kind, FORMATS)}")
    return kind


def _display(data: bytes, kind: str) -> Any:
    try:
        display = import_module("IPython.display")
    except ImportError:
        return None
    if kind == "svg":
        return display.SVG(data=data)
    return None if kind in ("pdf", "dot") else display.Image(data=data, format=kind)

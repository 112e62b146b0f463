"""Pictures of models."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from simherd.model.graph import Key
from simherd.model.model import Model
from simherd.plots.diagram import model_diagram
from simherd.plots.render import write

__all__ = ["dot_graph"]

FORMATS = ("png", "pdf", "dot", "svg", "jpeg", "jpg")


def dot_graph(
    model: Model,
    filename: str | None = None,
    format: str | None = None,  # noqa: A002 (the name is xarray-simlab's)
    show_only_variable: Key | None = None,
    show_inputs: bool = False,
    show_variables: bool = False,
    **options: Any,
) -> Any:
    """Draw a model with Graphviz.

    Parameters
    ----------
    model : Model
        The model.
    filename : str, optional
        A file to write, with or without its ending; none is written by default.
    format : {"png", "pdf", "dot", "svg"}, optional
        Kind of picture; that of the file name, else "png".
    show_only_variable, show_inputs, options : optional
        Accepted and not used.
    show_variables : bool, optional
        Name the variables on the arrows.

    Returns
    -------
    IPython.display.Image or IPython.display.SVG or None
        The picture as a notebook shows it, where IPython is installed.
    """
    stem, _, ending = (filename or "").rpartition(".")
    if format is None:
        format = ending.lower() if stem and ending.lower() in FORMATS else "png"  # noqa: A001
    diagram = model_diagram(model.graph, with_variables=show_variables)
    with TemporaryDirectory() as folder:
        picture = Path(folder, f"model.{format}")
        write(diagram, picture)
        data = picture.read_bytes()
    if filename:
        named = filename if filename.lower().endswith(f".{format}") else f"{filename}.{format}"
        Path(named).write_bytes(data)
    return _display(data, format)


def _display(data: bytes, kind: str) -> Any:
    try:
        display = import_module("IPython.display")
    except ImportError:
        return None
    if kind == "svg":
        return display.SVG(data=data)
    return display.Image(data=data, format=kind) if kind == "png" else None

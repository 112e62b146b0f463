"""A model as a picture: in a notebook, or as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from simherd.model.graph import Key
from simherd.model.model import Model
from simherd.plots.diagram import Diagram, model_diagram
from simherd.plots.render import as_picture, as_text, write

__all__ = ["ModelPicture", "visualize"]


@dataclass(frozen=True, slots=True)
class ModelPicture:
    """A drawn model, which notebooks show."""

    diagram: Diagram
    """Boxes and arrows."""

    def __str__(self) -> str:
        return as_text(self.diagram, "mermaid")

    def _repr_svg_(self) -> str:
        return as_picture(self.diagram, "svg").decode()


def visualize(
    model: Model,
    path: str | Path | None = None,
    *,
    show_only_variable: Key | None = None,
    show_inputs: bool = False,
    show_variables: bool = False,
) -> ModelPicture:
    """Draw the processes of a model and what passes between them.

    Parameters
    ----------
    model : Model
        The model.
    path : path, optional
        Where to write it too: .svg, .png, .pdf, .dot or .mmd.
    show_only_variable : (str, str), optional
        Names of process and variable: arrows are drawn for this one alone.
    show_inputs : bool, optional
        Draw the inputs of the model.
    show_variables : bool, optional
        Name the variables on the arrows.

    Returns
    -------
    ModelPicture
        A picture in a notebook (by Graphviz), Mermaid text as a string.

    Raises
    ------
    MissingDependencyError
        If a picture is wanted and Graphviz is not installed.
    """
    with_variables = show_variables or show_only_variable is not None
    diagram = model_diagram(
        model.graph, with_variables=with_variables, with_inputs=show_inputs, only=show_only_variable
    )
    if path is not None:
        write(diagram, Path(path))
    return ModelPicture(diagram)

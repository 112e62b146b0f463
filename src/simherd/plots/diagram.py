"""What a picture of boxes and arrows shows, before anybody draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from simherd.errors import UnknownNameError, close_matches
from simherd.model.graph import Graph, Key, join_name
from simherd.model.variables import VarIntent

__all__ = ["Arrow", "Box", "Diagram", "model_diagram", "task_diagram"]

SHOWN_BLOCKS = 6


@dataclass(frozen=True, slots=True)
class Box:
    """A thing with a name."""

    key: str
    label: str
    kind: str = "process"
    """ "process", "input", "block", "store" or "more"."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """What goes from one box to another."""

    start: str
    stop: str
    label: str = ""
    is_feedback: bool = False
    """Whether the reader runs first, and so reads what was set in the step before."""


@dataclass(frozen=True, slots=True)
class Diagram:
    """Boxes and arrows."""

    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    options: Mapping[str, str] = field(default_factory=dict)
    """Attributes of the whole graph, by Graphviz' names for them."""


def model_diagram(
    graph: Graph, *, with_variables: bool = True, with_inputs: bool = False, only: Key | None = None
) -> Diagram:
    """Return the processes of a model and what passes from one to the other.

    Parameters
    ----------
    graph : Graph
        The model.
    with_variables : bool, optional
        Name the variables on the arrows.
    with_inputs : bool, optional
        Show the inputs of the model too.
    only : (str, str), optional
        Show this variable and who refers to it, nothing else that passes.

    Raises
    ------
    UnknownNameError
        If the model does not have the variable `only`.
    """
    if only is not None and only not in graph.variables:
        known = [join_name(key) for key in graph.variables]
        raise UnknownNameError(f"No variable {join_name(only)!r}. {close_matches(join_name(only), known)}")
    shown = None if only is None else graph.variables[only].home
    boxes = [Box(name, name) for name in graph.order]
    passed: dict[tuple[str, str], list[str]] = {}
    for (reader, _), variable in graph.variables.items():
        homes = [variable.home]
        if variable.is_group:
            homes = [graph.variables[m].home for m in graph.members(variable.declared.metadata["group"])]
        for home in homes:
            if shown not in (None, home):
                continue
            source, target = home[0], reader
            if variable.intent is VarIntent.OUT and home != variable.key:
                source, target = reader, home[0]
            if source != target and home[1] not in passed.setdefault((source, target), []):
                passed[source, target].append(home[1])
    rank = {name: number for number, name in enumerate(graph.order)}
    arrows = [
        Arrow(source, target, ", ".join(names) if with_variables else "", rank[source] > rank[target])
        for (source, target), names in passed.items()
    ]
    for key in graph.inputs if with_inputs else ():
        if shown in (None, key):
            boxes.append(Box(join_name(key), key[1], "input"))
            arrows.append(Arrow(join_name(key), key[0]))
    return Diagram(boxes, arrows)


def task_diagram(simulations: int, block_size: int, outputs: Sequence[str]) -> Diagram:
    """Return the tasks of a batch: blocks, each of which writes its own chunks.

    Parameters
    ----------
    simulations : int
        Simulations in the batch.
    block_size : int
        Simulations in a block.
    outputs : sequence of str
        Arrays that each block writes.
    """
    starts = list(range(0, simulations, block_size))
    shown = starts if len(starts) <= SHOWN_BLOCKS else [*starts[: SHOWN_BLOCKS - 2], starts[-1]]
    boxes = [Box("model", "model and shared inputs", "input")]
    boxes += [
        Box(f"block{start}", _block_label(start, min(start + block_size, simulations)), "block")
        for start in shown
    ]
    hidden = len(starts) - len(shown)
    if hidden:
        boxes.insert(-1, Box("more", f"... {hidden} more blocks", "more"))
    boxes.append(Box("store", "store: " + ", ".join(outputs), "store"))
    middle = [box.key for box in boxes[1:-1]]
    arrows = [Arrow("model", key) for key in middle] + [Arrow(key, "store") for key in middle]
    return Diagram(boxes, arrows)


def _block_label(start: int, stop: int) -> str:
    return f"simulations {start} to {stop - 1}" if stop - start > 1 else f"simulation {start}"

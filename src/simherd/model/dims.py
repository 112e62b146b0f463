"""Labels of the dimensions that a variable may have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from simherd.errors import ModelError

__all__ = ["MAIN_CLOCK", "Dims", "DimsLike", "as_dims"]

Dims: TypeAlias = tuple[tuple[str, ...], ...]
DimsLike: TypeAlias = str | Sequence[str] | Sequence[str | tuple[str, ...]]
MAIN_CLOCK = "<main clock>"
"""Label of the dimension that is the main clock of a run, whatever its name there."""


def as_dims(dims: DimsLike) -> Dims:
    """Return the allowed combinations of dimension labels.

    Parameters
    ----------
    dims : str, tuple of str, or list
        A label, a tuple (one combination) or a list of these (alternatives); empty means scalar. A tuple
        that holds tuples gives alternatives too: as one combination it would have no meaning.

    Returns
    -------
    tuple of tuple of str
        One tuple per alternative.

    Raises
    ------
    ModelError
        If they are something else, or two alternatives have the same number of dimensions.
    """
    alternatives: Dims
    if not _are_dims(dims):
        raise ModelError(
            f"dims={dims!r} is not allowed.",
            fix="give a label such as 'x', a tuple of labels, or a list of these, the alternatives.",
        )
    if isinstance(dims, list) or any(not isinstance(d, str) for d in dims):
        alternatives = tuple((d,) if isinstance(d, str) else tuple(d) for d in dims) or ((),)
    elif isinstance(dims, str):
        alternatives = ((dims,),) if dims else ((),)
    else:
        alternatives = (tuple(map(str, dims)),)
    lengths = [len(combination) for combination in alternatives]
    ambiguous = [c for c in alternatives if lengths.count(len(c)) > 1]
    if ambiguous:
        raise ModelError(
            f"The following combinations of dimension labels are ambiguous, having the same number "
            f"of dimensions: {', '.join(map(str, ambiguous))}.",
            fix="give alternatives as a list in which each has another number of dimensions.",
        )
    return alternatives


def _are_dims(dims: Any) -> bool:
    if isinstance(dims, str):
        return True
    return isinstance(dims, Sequence) and all(isinstance(d, str) or _are_labels(d) for d in dims)


def _are_labels(labels: Any) -> bool:
    return isinstance(labels, Sequence) and all(isinstance(label, str) for label in labels)

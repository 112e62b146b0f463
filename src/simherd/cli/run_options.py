"""Apply the options ``--cluster``, ``--jobs`` and ``--workers`` of ``simherd run``, and check them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from simherd.clusters import KINDS, split_options
from simherd.clusters.entering import RANKED
from simherd.clusters.launching import launched
from simherd.errors import ClusterOptionError
from simherd.experiment.document import kind_named_in, with_values
from simherd.experiment.specs import is_class

if TYPE_CHECKING:
    from simherd.experiment.document import Document

__all__ = ["check_sizes", "refuse_copies", "with_kind", "with_sizes"]

SIZES = ("jobs", "workers")


def with_kind(document: Document, kind: str | None) -> Document:
    """Return the experiment on the kind of cluster that ``--cluster`` names, and on no threads instead."""
    if kind is None:
        return document
    return with_values(document, {"cluster.kind": kind, "run.scheduler": None}, "--cluster")


def with_sizes(document: Document, sizes: Mapping[str, int]) -> Document:
    """Return the experiment with numbers of the command line, which count more than all in the file.

    One that is given alone takes back the other.

    Parameters
    ----------
    document : Document
        The experiment.
    sizes : mapping of str to int
        Those of "jobs" and "workers" that are given.
    """
    if not sizes:
        return document
    values = {name: sizes.get(name) for name in SIZES}
    held = _section(document, kind_named_in(document))
    changed = {f"cluster.{name}": value for name, value in values.items()}
    changed |= {f"{held[0]}.{name}": value for name, value in values.items() if name in held[1]}
    return with_values(document, changed, " ".join(f"--{name}" for name in sizes))


def _section(document: Document, kind: str | None) -> tuple[str, Mapping[str, object]]:
    """Return the name of the section of a kind of cluster, and what it holds."""
    cluster = document.data.get("cluster") if isinstance(document.data, dict) else None
    section = cluster.get(kind) if isinstance(cluster, dict) and kind in KINDS else None
    return f"cluster.{kind}", section if isinstance(section, dict) else {}


def check_sizes(kind: str, sizes: Mapping[str, int]) -> None:
    """Raise an error if ``--jobs`` or ``--workers`` has no effect for the kind of cluster.

    Raises
    ------
    ClusterOptionError
        If one has no effect.
    """
    if is_class(kind):
        for name, value in sizes.items():
            raise ClusterOptionError(
                f"--{name} has no effect for the cluster class {kind}: its arguments have other names.",
                fix=f"set an argument of the class, such as --set cluster.n_workers={value}.",
            )
    for name in split_options(kind, sizes)[1]:
        can_have, _ = split_options(kind, dict.fromkeys(SIZES))
        others = " or ".join(f"--{other}" for other in can_have)
        raise ClusterOptionError(
            f"--{name} has no effect for cluster kind {kind!r}.",
            fix=f"leave it out, or use {others}." if others else "leave it out.",
        )


def refuse_copies(kind: str | None, share: str | None) -> None:
    """Refuse a run that a launcher started several times, each of which would run the whole experiment.

    All but the first process leave without a word.

    Parameters
    ----------
    kind : str, optional
        Kind of cluster; of some the processes of a launcher are the workers.
    share : str, optional
        Which share of the batch this one runs; whoever gives it knows that there are several.

    Raises
    ------
    ClusterOptionError
        If so.
    SystemExit
        On the others.
    """
    found = launched(os.environ)
    if kind in RANKED or share is not None or found.size == 1:
        return
    if found.rank > 0:
        raise SystemExit(0)
    raise ClusterOptionError(
        f"{found.by} started this command {found.size} times, and on a cluster of kind {kind or 'local'!r} "
        "each would run the whole experiment.",
        fix="add --cluster mpi, which makes workers of them, or start the command once.",
    )

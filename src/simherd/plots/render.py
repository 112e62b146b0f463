"""Diagrams as text for Graphviz and Mermaid, and as pictures that Graphviz draws."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from simherd.errors import MissingDependencyError, SetupError, SimherdError, close_matches
from simherd.plots.diagram import Arrow, Diagram

__all__ = ["as_picture", "as_text", "write"]

_DOT_STYLES = {
    "process": 'shape=box, style="rounded,filled", fillcolor="#dbe9f6"',
    "input": 'shape=box, style=filled, fillcolor="#f3f3f3"',
    "block": 'shape=box, style="rounded,filled", fillcolor="#dff0d8"',
    "more": "shape=plaintext",
    "store": 'shape=cylinder, style=filled, fillcolor="#fcf3d9"',
}
_MERMAID_SHAPES = {"more": ("([", "])"), "store": ("[(", ")]"), "process": ("(", ")")}


def _as_dot(diagram: Diagram) -> str:
    quote = json.dumps
    lines = [
        "digraph {",
        *(f"  {name}={quote(value)}" for name, value in {"rankdir": "LR", **diagram.options}.items()),
        '  node [fontname="Helvetica"]',
        '  edge [fontname="Helvetica", fontsize=10]',
    ]
    lines += [f"  {quote(b.key)} [label={quote(b.label)}, {_DOT_STYLES[b.kind]}]" for b in diagram.boxes]
    lines += [f"  {quote(a.start)} -> {quote(a.stop)}{_dot_options(a)}" for a in diagram.arrows]
    return "\n".join([*lines, "}"])


def _dot_options(arrow: Arrow) -> str:
    label = [f"label={json.dumps(arrow.label)}"] if arrow.label else []
    feedback = ["style=dashed", "constraint=false"] if arrow.is_feedback else []
    options = ", ".join(label + feedback)
    return f" [{options}]" if options else ""


def _as_mermaid(diagram: Diagram) -> str:
    names = {box.key: f"n{number}" for number, box in enumerate(diagram.boxes)}
    lines = ["flowchart LR"]
    for box in diagram.boxes:
        left, right = _MERMAID_SHAPES.get(box.kind, ("[", "]"))
        lines.append(f"  {names[box.key]}{left}{_mermaid_text(box.label)}{right}")
    for arrow in diagram.arrows:
        label = f"|{_mermaid_text(arrow.label)}|" if arrow.label else ""
        line = "-.->" if arrow.is_feedback else "-->"
        lines.append(f"  {names[arrow.start]} {line}{label} {names[arrow.stop]}")
    return "\n".join(lines)


def _mermaid_text(label: str) -> str:
    quoted = label.replace('"', "#quot;")
    return f'"{quoted}"'


_TEXTS: Mapping[str, Callable[[Diagram], str]] = {"dot": _as_dot, "mermaid": _as_mermaid}
_TEXT_SUFFIXES = {".dot": "dot", ".gv": "dot", ".mmd": "mermaid", ".mermaid": "mermaid"}
_PICTURES = (".svg", ".png", ".pdf")


def as_text(diagram: Diagram, kind: str) -> str:
    """Return a diagram as text for "dot" (Graphviz) or "mermaid"."""
    return _TEXTS[kind](diagram)


def write(diagram: Diagram, path: Path) -> None:
    """Write a diagram as the kind of file that its name says.

    Raises
    ------
    SetupError
        If the ending is none of .svg, .png, .pdf, .dot, .gv, .mmd.
    MissingDependencyError
        If a picture is wanted and Graphviz is not installed.
    """
    suffix = path.suffix.lower()
    if suffix in _TEXT_SUFFIXES:
        path.write_text(as_text(diagram, _TEXT_SUFFIXES[suffix]) + "\n", encoding="utf-8")
    elif suffix in _PICTURES:
        path.write_bytes(as_picture(diagram, suffix[1:]))
    else:
        allowed = (*_PICTURES, *_TEXT_SUFFIXES)
        raise SetupError(f"Cannot write {str(path)!r}. {close_matches(suffix, allowed)}")


def as_picture(diagram: Diagram, kind: str) -> bytes:
    """Return a diagram as a picture: "svg", "png", "pdf" or what else Graphviz draws.

    Raises
    ------
    MissingDependencyError
        If Graphviz is not installed.
    """
    program = shutil.which("dot")
    if program is None:
        raise MissingDependencyError(
            f"Drawing a .{kind} needs Graphviz, whose program 'dot' is not on the PATH.",
            fix="install graphviz (apt, brew, conda or a module), or write a .mmd or .dot file.",
        )
    dot = _as_dot(diagram).encode()
    done = subprocess.run([program, f"-T{kind}"], input=dot, capture_output=True, check=False)
    if done.returncode:
        raise SimherdError(f"Graphviz failed: {done.stderr.decode().strip()}")
    return done.stdout

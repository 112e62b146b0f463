"""What processes, variables and models are, in words."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

from simherd.errors import UnknownNameError, close_matches
from simherd.model.variables import Attribute, VarIntent, VarType

if TYPE_CHECKING:
    from simherd.model.graph import Graph, Variable
    from simherd.model.process import ProcessInfo

__all__ = [
    "attributes_section",
    "describe_model",
    "describe_process",
    "dims_text",
    "process_info",
    "variable_info",
]

WIDTH = 70


def dims_text(declared: Attribute) -> str:
    """Return the dimensions of a variable, alternatives joined by "or"; empty for a scalar."""
    dims = declared.metadata["dims"]
    return "" if dims == ((),) else " or ".join(str(d) for d in dims)


def attributes_section(docstring: str, info: ProcessInfo) -> str:
    """Return a docstring with a section that lists the variables of a process."""
    if not info.variables:
        return docstring
    lines = ["Attributes", "----------"]
    for name, declared in info.variables.items():
        lines.append(f"{name} : {_kind_text(declared)}")
        lines.extend(f"    {line}" for line in _details(declared))
    section = "\n".join(lines)
    if "{{attributes}}" in docstring:
        return docstring.replace("{{attributes}}", section)
    return f"{docstring.rstrip()}\n\n{section}\n" if docstring else section


def _kind_text(declared: Attribute) -> str:
    metadata = declared.metadata
    return f"{metadata['var_type'].value} ({metadata['intent'].value})"


def _details(declared: Attribute) -> list[str]:
    metadata = declared.metadata
    details = [metadata["description"] or "(no description given)"]
    facts = {
        "dimensions": dims_text(declared),
        "units": metadata["attrs"].get("units", ""),
        "groups": ", ".join(metadata["groups"]),
        "refers to": _target_text(declared),
        "static": "yes" if metadata["static"] else "",
    }
    return details + [f"{name}: {text}" for name, text in facts.items() if text]


def _target_text(declared: Attribute) -> str:
    metadata = declared.metadata
    if metadata["var_type"] is VarType.FOREIGN:
        return f"{metadata['other_process_cls'].__name__}.{metadata['var_name']}"
    if metadata["var_type"] is VarType.GLOBAL:
        return f"global {metadata['global_name']!r}"
    if metadata["var_type"] in (VarType.GROUP, VarType.GROUP_DICT):
        return f"group {metadata['group']!r}"
    return ""


def _shorten(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 3] + "..."


def _aligned(rows: Iterable[tuple[str, str]], indent: int = 4) -> list[str]:
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    return [_shorten(f"{' ' * indent}{name:<{width}}  {text}".rstrip()) for name, text in rows]


def describe_model(graph: Graph) -> str:
    """Return the inputs of a model by process."""
    lines = [f"<simherd.Model ({len(graph.order)} processes, {len(graph.inputs)} inputs)>"]
    for process in graph.order:
        lines.append(process)
        inputs = [graph.variables[key] for key in graph.inputs if key[0] == process]
        lines += _aligned((v.key[1], _input_text(v)) for v in inputs)
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
        The process.
    buf : text file, optional
        Where to; standard output by default.
    """
    _write(describe_process(process), buf)


def describe_process(process: Any) -> str:
    """Return the variables and stages of a process or process class."""
    from simherd.model.process import inspect_process

    cls = process if isinstance(process, type) else type(process)
    info = inspect_process(cls)
    lines = [f"<{cls.__name__}>", "Variables:"]
    lines += _aligned((n, _variable_text(d)) for n, d in info.variables.items())
    lines += ["Simulation stages:", *(f"    {stage}" for stage in info.stages)]
    return "\n".join(lines)


def _variable_text(declared: Attribute) -> str:
    metadata = declared.metadata
    arrow = "--->" if metadata["intent"] is VarIntent.OUT else "<---"
    target = _target_text(declared)
    parts = [
        f"[{metadata['intent'].value}]",
        dims_text(declared),
        f"{arrow} {target}" if target else metadata["description"],
    ]
    return " ".join(part for part in parts if part)


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
    from simherd.model.process import inspect_process

    variables = inspect_process(process if isinstance(process, type) else type(process)).variables
    if var_name not in variables:
        raise UnknownNameError(f"No variable {var_name!r}. {close_matches(var_name, variables)}")
    declared = variables[var_name]
    _write("\n".join([f"{var_name} : {_kind_text(declared)}", *_details(declared)]), buf)


def _write(text: str, buf: TextIO | None) -> None:
    (buf or sys.stdout).write(text + "\n")

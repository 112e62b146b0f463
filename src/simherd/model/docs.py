"""What variables are, in words, from their declarations alone."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import attr

from simherd.model.variables import Attribute, VarIntent, VarType

__all__ = ["aligned", "attributes_section", "describe_process", "details_of", "dims_text", "kind_text"]

WIDTH = 70
_GROUPS = (VarType.GROUP, VarType.GROUP_DICT)
_ARROWS = {VarIntent.IN: "<---", VarIntent.OUT: "--->", VarIntent.INOUT: "<-->"}


def dims_text(declared: Attribute) -> str:
    """Return the dimensions of a variable, alternatives joined by "or"; empty for a scalar."""
    dims = declared.metadata["dims"]
    return "" if dims == ((),) else " or ".join(str(d) for d in dims)


def kind_text(declared: Attribute) -> str:
    """Return what kind of variable it is and what the process does with it."""
    metadata = declared.metadata
    return f"{metadata['var_type'].value} ({metadata['intent'].value})"


def details_of(declared: Attribute) -> list[str]:
    """Return lines that say all about a variable."""
    metadata = declared.metadata
    details = [metadata["description"] or "(no description given)"]
    has_dims = metadata["var_type"] not in (VarType.OBJECT, VarType.GLOBAL, *_GROUPS)
    facts = {
        "refers to": target_text(declared),
        "global name": "" if metadata["var_type"] is VarType.GLOBAL else metadata["global_name"],
        "dimensions": " or ".join(map(str, metadata["dims"])) if has_dims else "",
        "groups": ", ".join(metadata["groups"]),
        "default": "" if metadata["var_type"] in _GROUPS else _default_text(declared),
        "static": "yes" if metadata["static"] else "",
        **{str(name): str(value) for name, value in metadata["attrs"].items()},
        "encoding": ", ".join(f"{name}={value!r}" for name, value in metadata["encoding"].items()),
    }
    return details + [f"{name}: {text}" for name, text in facts.items() if text]


def _default_text(declared: Attribute) -> str:
    default: Any = declared.default
    if default is attr.NOTHING:
        return ""
    if not isinstance(default, attr.Factory):  # type: ignore[arg-type]
        return repr(default)
    return f"made by {getattr(default.factory, '__name__', default.factory)}"


def target_text(declared: Attribute) -> str:
    """Return what a variable stands for, where that is another one."""
    metadata = declared.metadata
    if metadata["var_type"] is VarType.FOREIGN:
        return f"{metadata['other_process_cls'].__name__}.{metadata['var_name']}"
    if metadata["var_type"] is VarType.GLOBAL:
        return f"global {metadata['global_name']!r}"
    if metadata["var_type"] in _GROUPS:
        return f"group {metadata['group']!r}"
    return ""


def _shorten(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 3] + "..."


def aligned(rows: Iterable[tuple[str, str]], indent: int = 4) -> list[str]:
    """Return rows of names and texts with the texts below each other, cut at 70 columns."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    return [_shorten(f"{' ' * indent}{name:<{width}}  {text}".rstrip()) for name, text in rows]


def attributes_section(docstring: str, variables: Mapping[str, Attribute]) -> str:
    """Return a docstring with a section that lists the variables of a process."""
    if not variables:
        return docstring
    lines = ["Attributes", "----------"]
    for name, declared in variables.items():
        lines.append(f"{name} : {kind_text(declared)}")
        lines.extend(f"    {line}" for line in details_of(declared))
    section = "\n".join(lines)
    docstring = inspect.cleandoc(docstring)
    if "{{attributes}}" in docstring:
        return docstring.replace("{{attributes}}", section)
    return f"{docstring.rstrip()}\n\n{section}\n" if docstring else section


def describe_process(
    title: str,
    variables: Mapping[str, Attribute],
    stages: Iterable[str],
    targets: Mapping[str, str] | None = None,
) -> str:
    """Return the variables and stages of a process in words.

    Parameters
    ----------
    title : str
        What it is called.
    variables : mapping
        Its variables by name.
    stages : iterable of str
        The stages that it has.
    targets : mapping, optional
        What its references stand for in a model.
    """
    found = {**{name: target_text(declared) for name, declared in variables.items()}, **(targets or {})}
    rows = aligned((name, _variable_text(declared, found[name])) for name, declared in variables.items())
    listed = [f"    {stage}" for stage in stages]
    lines = [f"<{title}>", "Variables:", *(rows or ["    none"])]
    return "\n".join([*lines, "Simulation stages:", *(listed or ["    none"])])


def _variable_text(declared: Attribute, target: str) -> str:
    metadata = declared.metadata
    arrow = _ARROWS[metadata["intent"]]
    parts = [
        f"[{metadata['intent'].value}]",
        dims_text(declared),
        f"{arrow} {target}" if target else metadata["description"],
    ]
    return " ".join(part for part in parts if part)

"""Processes, variables and models in words, as xarray-simlab 0.5.0 prints them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

import attr

from simherd.compat.xsimlab.utils import variables_dict
from simherd.model.docs import dims_text
from simherd.model.process import inspect_process
from simherd.model.variables import Attribute, VarIntent, VarType

__all__ = ["add_attribute_section", "repr_model", "repr_process", "var_details"]

WIDTH = 70
_INTENTS = {VarIntent.IN: "   [in]", VarIntent.OUT: "  [out]", VarIntent.INOUT: "[inout]"}
_ARROWS = {VarIntent.IN: "<---", VarIntent.OUT: "--->", VarIntent.INOUT: ""}
_GROUPS = (VarType.GROUP, VarType.GROUP_DICT)
_REFERENCES = (VarType.FOREIGN, VarType.GLOBAL)


def repr_process(process: Any) -> str:
    """Return the variables and stages of a process, alone or in a model."""
    cls = type(process)
    variables = variables_dict(cls)
    name = process.__xsimlab_name__
    lines = [f"<{cls.__name__} {'' if name is None else repr(name)} (xsimlab process)>", "Variables:"]
    lines += _rows(process, variables.values()) or ["    *empty*"]
    stages = [f"    {stage}" for stage in inspect_process(cls).stages]
    return "\n".join([*lines, "Simulation stages:", *(stages or ["    *no stage implemented*"])]) + "\n"


def repr_model(model: Any) -> str:
    """Return the inputs of a model by process."""
    lines = [f"<xsimlab.Model ({len(model)} processes, {len(model.input_vars)} inputs)>"]
    width = _column_width(name for _, name in model.input_vars)
    for process, names in {**dict.fromkeys(model, ()), **model.input_vars_dict}.items():
        variables = variables_dict(type(model[process]))
        lines += [process, *_rows(model[process], [variables[name] for name in names], width)]
    return "\n".join(lines) + "\n"


def _column_width(names: Iterable[str]) -> int:
    return max([7, *map(len, names)]) + 6


def _rows(process: Any, variables: Iterable[Attribute], width: int | None = None) -> list[str]:
    variables = list(variables)
    width = width or _column_width(v.name for v in variables)
    return [_row(process, variable, width) for variable in variables]


def _row(process: Any, variable: Attribute, width: int) -> str:
    left = _shortened(f"    {variable.name}", width).ljust(width) + _INTENTS[variable.metadata["intent"]]
    text = _summary(process, variable)
    return left + _shortened(f" {text}", WIDTH - width - 7) if text else left


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def _summary(process: Any, variable: Attribute) -> str:
    metadata = variable.metadata
    arrow = _ARROWS[metadata["intent"]]
    if metadata["var_type"] in _GROUPS:
        return f"{arrow} group {metadata['group']!r}"
    if metadata["var_type"] in _REFERENCES:
        return f"{arrow} {'.'.join(_target(process, variable))}"
    description: str = metadata["description"] or ""
    dims = dims_text(variable)
    return f"{dims} {description}" if dims else description


def _target(process: Any, variable: Attribute) -> tuple[str, str]:
    """Return names of process and variable; of the class, or nothing, where there is no model."""
    for keys in (process.__xsimlab_state_keys__, process.__xsimlab_od_keys__):
        if variable.name in keys:
            found: tuple[str, str] = keys[variable.name]
            return found
    if variable.metadata["var_type"] is VarType.FOREIGN:
        return variable.metadata["other_process_cls"].__name__, variable.metadata["var_name"]
    return "<unknown>", "<unknown>"


def var_details(var: Attribute, max_line_length: int = WIDTH) -> str:
    """Return all that a variable declares."""
    metadata = var.metadata
    description = (metadata["description"] or "").capitalize() or "No description given"
    sections = [
        textwrap.fill(description, width=max_line_length),
        "Variable properties:\n\n" + _listed(_properties(var)),
    ]
    if metadata["attrs"]:
        sections.append("Other attributes:\n\n" + _listed(metadata["attrs"]))
    if metadata["encoding"]:
        sections.append("Encoding options:\n\n" + _listed(metadata["encoding"]))
    return "\n\n".join(sections) + "\n"


def _listed(facts: Any) -> str:
    return "\n".join(f"- {name} : {value}" for name, value in facts.items())


def _properties(variable: Attribute) -> dict[str, Any]:
    metadata = variable.metadata
    kind: VarType = metadata["var_type"]
    facts = {"type": f"``{kind.value}``"}
    if kind is VarType.FOREIGN:
        target = f"{metadata['other_process_cls'].__qualname__}.{metadata['var_name']}"
        facts["reference variable"] = f":attr:`{target}`"
    facts["intent"] = f"``{metadata['intent'].value}``"
    if metadata["global_name"] is not None:
        facts["global name"] = metadata["global_name"]
    if kind not in (VarType.OBJECT, VarType.GLOBAL, *_GROUPS):
        facts["dimensions"] = " or ".join(map(repr, metadata["dims"]))
    if metadata["groups"]:
        facts["groups"] = ", ".join(metadata["groups"])
    if variable.default is not attr.NOTHING:
        facts["default value"] = "{}" if kind is VarType.GROUP_DICT else str(variable.default)
    if metadata["static"]:
        facts["static"] = "``True``"
    return facts


def add_attribute_section(process: type, placeholder: str = "{{attributes}}") -> str:
    """Return the docstring of a process with a section that lists its variables."""
    entries = [
        f"{name} : :class:`attr.Attribute`\n{textwrap.indent(var_details(variable, 62), ' ' * 4)}"
        for name, variable in variables_dict(process).items()
    ]
    section = textwrap.indent("Attributes\n----------\n" + "\n".join(entries), " " * 4)
    docstring = process.__doc__ or ""
    if placeholder in docstring:
        return docstring.replace(placeholder, section.lstrip())
    return f"{docstring.rstrip()}\n\n{section}\n"

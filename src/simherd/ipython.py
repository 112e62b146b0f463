"""``%load_ext simherd.ipython``: the magic ``%create_setup MODEL`` fills a notebook cell with a setup."""

from __future__ import annotations

import textwrap
from importlib import import_module
from typing import Any

from simherd.errors import ModelError, UnknownNameError, close_matches
from simherd.model.docs import dims_text
from simherd.model.graph import Variable, join_name
from simherd.model.model import Model

__all__ = ["load_ipython_extension", "register_create_setup", "setup_cell"]

INDENT = " " * 4

_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("model",), {"help": "name of a Model"}),
    (("-s", "--skip-default"), {"action": "store_true", "help": "no inputs that have a default"}),
    (("-d", "--default"), {"action": "store_true", "help": "write default values"}),
    (("-v", "--verbose"), {"action": "count", "default": 0, "help": "descriptions; -vv, -vvv for more"}),
    (("-n", "--nested"), {"action": "store_true", "help": "inputs by process"}),
)


def load_ipython_extension(shell: Any) -> None:
    """Add the magic ``%create_setup``; IPython calls this."""
    register_create_setup(shell, module="simherd", alias="sh")


def register_create_setup(shell: Any, *, module: str, alias: str) -> None:
    """Add the magic ``%create_setup`` that writes ``import module as alias``.

    Parameters
    ----------
    shell : InteractiveShell
        IPython's shell.
    module, alias : str
        What the cell imports, and its name there.
    """
    arguments = import_module("IPython.core.magic_arguments")

    def create_setup(line: str = "") -> None:
        """Fill the cell with a setup of a model."""
        given = arguments.parse_argstring(create_setup, line)
        cell = setup_cell(
            _find_model(shell.user_ns, given.model),
            given.model,
            skip_default=given.skip_default,
            default=given.default,
            verbose=given.verbose,
            nested=given.nested,
            imports=(module, alias),
        )
        shell.set_next_input(f"# %create_setup {line}\n{cell}", replace=True)

    for names, option in reversed(_OPTIONS):
        arguments.argument(*names, **option)(create_setup)
    shell.register_magic_function(arguments.magic_arguments()(create_setup), "line", "create_setup")


def _find_model(names: dict[str, Any], name: str) -> Model:
    if name not in names:
        known = [n for n, value in names.items() if isinstance(value, Model)]
        raise UnknownNameError(f"%create_setup: {name!r} is not defined. {close_matches(name, known)}")
    if not isinstance(names[name], Model):
        raise ModelError(f"%create_setup: {name!r} is a {type(names[name]).__name__}, not a Model.")
    found: Model = names[name]
    return found


def setup_cell(
    model: Model,
    name: str,
    *,
    skip_default: bool = False,
    default: bool = False,
    verbose: int = 0,
    nested: bool = False,
    imports: tuple[str, str] = ("simherd", "sh"),
) -> str:
    """Return the Python source of a setup to fill in.

    Parameters
    ----------
    model : Model
        The model.
    name : str
        Its name in the source.
    skip_default : bool, optional
        Leave out the inputs that have a default.
    default : bool, optional
        Write default values.
    verbose : int, optional
        1 writes descriptions above the inputs, 2 dimensions too, 3 attributes too.
    nested : bool, optional
        Inputs by process, ``{"process": {"variable": ...}}``.
    imports : (str, str), optional
        Module to import and its alias.
    """
    module, alias = imports
    inputs = [model.graph.variables[key] for key in model.input_vars]
    if skip_default:
        inputs = [variable for variable in inputs if not variable.has_default]
    lines = _nested(inputs, default, verbose) if nested else _flat(inputs, default, verbose)
    return "\n".join(
        [
            f"import {module} as {alias}",
            "",
            f"ds_in = {alias}.create_setup(",
            f"{INDENT}model={name},",
            f"{INDENT}clocks={{}},",
            f"{INDENT}input_vars={{",
            *(textwrap.indent(line, INDENT * 2) for line in lines),
            f"{INDENT}}},",
            f"{INDENT}output_vars={{}},",
            ")",
            "",
        ]
    )


def _flat(inputs: list[Variable], default: bool, verbose: int) -> list[str]:
    return [line for v in inputs for line in _entry(v, join_name(v.key), default, verbose)]


def _nested(inputs: list[Variable], default: bool, verbose: int) -> list[str]:
    lines: list[str] = []
    for process in dict.fromkeys(v.key[0] for v in inputs):
        entries = [e for v in inputs if v.key[0] == process for e in _entry(v, v.key[1], default, verbose)]
        lines += [f"'{process}': {{", *(INDENT + entry for entry in entries), "},"]
    return lines


def _entry(variable: Variable, name: str, default: bool, verbose: int) -> list[str]:
    value = repr(variable.declared.default) if default and variable.has_default else ""
    return [*_comments(variable, verbose), f"'{name}': {value},"]


def _comments(variable: Variable, verbose: int) -> list[str]:
    metadata = variable.owner.metadata
    lines: list[str] = []
    if verbose > 0:
        lines += textwrap.wrap(metadata["description"] or "(no description)", 86)
    if verbose > 1:
        lines += [f"    dimensions: {dims_text(variable.owner)}"] if dims_text(variable.owner) else []
        lines += ["    static: the same at all steps"] if variable.is_static else []
    if verbose > 2:
        lines += [f"    {key}: {value}" for key, value in metadata["attrs"].items()]
    return [f"# {line}" for line in lines]

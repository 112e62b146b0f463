"""What a process class says, apart from how it is written: its source without comments, layout and docs."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import FunctionType
from typing import Any

import attr
import numpy as np

from simherd.model.process import converter_of, inspect_process
from simherd.model.variables import Attribute
from simherd.setup.digests import code_of, digest_of

__all__ = ["digest_of_process"]

_LANGUAGE = frozenset(sys.stdlib_module_names)
_DECLARED = ("dims", "static", "global_name", "groups", "group", "var_name", "keep_labels")


def digest_of_process(cls: type) -> str:
    """Return a digest of a process class and its bases.

    Taken from the source as Python understands it: comments, layout, docstrings and the descriptions of
    variables do not count, but values of defaults and of the class's own constants do. Without a source, as
    in a plain interactive session, the compiled code counts, which another version of Python writes
    otherwise.

    What methods call outside of the class is not looked at, nor the defining module's constants that they
    read. A source that was changed after it was imported is taken as it is now.

    Raises
    ------
    ProcessClassError
        If the class is not a process.
    """
    info = inspect_process(cls)
    bases = [base for base in cls.__mro__ if base.__module__.partition(".")[0] not in _LANGUAGE]
    sources = [_source_of(base) for base in bases]
    parts = [_parts_of_class(base, source) for base, source in zip(bases, sources, strict=True)]
    is_exact = all(source is not None for source in sources)
    fields = (*info.variables.values(), *info.plain)
    return digest_of(parts, [_parts_of_field(field, is_exact) for field in fields])


def _parts_of_class(cls: type, source: ast.ClassDef | None) -> tuple[Any, ...]:
    methods = _methods(cls)
    constants = {name: value for name, value in vars(cls).items() if _is_constant(name, value)}
    if source is None:
        return constants, {name: code_of(function) for name, function in methods.items()}
    given = {name: code_of(f) for name, f in methods.items() if not _is_written_in(f, cls)}
    return constants, given, _outline(source)


def _is_constant(name: str, value: Any) -> bool:
    return not name.startswith("__") and isinstance(
        value, bool | int | float | complex | str | bytes | tuple | np.generic | np.ndarray
    )


def _methods(cls: type) -> dict[str, FunctionType]:
    """Return the functions in a class, without those that attrs and simherd put there."""
    found = {}
    for name, member in vars(cls).items():
        function = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
        if isinstance(function, FunctionType) and not _is_generated(function):
            found[name] = function
    return found


def _is_generated(function: FunctionType) -> bool:
    is_ours = function.__module__ in ("simherd.model.access", "simherd.model.process")
    return is_ours or function.__code__.co_filename.startswith("<attrs generated")


def _is_written_in(function: FunctionType, cls: type) -> bool:
    return function.__qualname__.startswith(f"{cls.__qualname__}.")


def _parts_of_field(field: Attribute, is_exact: bool) -> tuple[Any, ...]:
    """Return what is declared of a variable; its functions only where the source does not show them."""
    metadata = field.metadata
    declared = {key: metadata.get(key) for key in _DECLARED}
    kinds = [metadata[key].value for key in ("var_type", "intent") if key in metadata]
    default: Any = field.default
    if default is attr.NOTHING or (is_exact and isinstance(default, attr.Factory)):  # type: ignore[arg-type]
        default = None
    functions = () if is_exact else (field.validator, converter_of(field))
    return field.name, kinds, declared, metadata.get("other_process_cls"), default, functions


def _source_of(cls: type) -> ast.ClassDef | None:
    """Return the statement that makes a class, if its file can be read."""
    own = [f.__code__ for f in _methods(cls).values() if _is_written_in(f, cls)]
    module = sys.modules.get(cls.__module__)
    file = own[0].co_filename if own else getattr(module, "__file__", None)
    if file is None:
        return None
    linecache.checkcache(file)
    text = "".join(linecache.getlines(file, vars(module) if module is not None else None))
    lines = [code.co_firstlineno for code in own if code.co_filename == file]
    found = [
        node
        for name, node in _classes_in(text)
        if name == cls.__qualname__ and all(node.lineno <= line <= (node.end_lineno or 0) for line in lines)
    ]
    return found[0] if len(found) == 1 else None


@lru_cache(maxsize=32)
def _classes_in(text: str) -> tuple[tuple[str, ast.ClassDef], ...]:
    try:
        return tuple(_walk(ast.parse(text), ""))
    except SyntaxError:
        return ()


def _walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        inner = prefix
        if isinstance(child, ast.ClassDef):
            yield prefix + child.name, child
            inner = f"{prefix}{child.name}."
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = f"{prefix}{child.name}.<locals>."
        yield from _walk(child, inner)


def _outline(node: Any) -> Any:
    """Return a syntax tree as nested tuples, the same for all versions of Python that have its syntax."""
    if isinstance(node, list):
        return tuple(map(_outline, node))
    if not isinstance(node, ast.AST):
        return node
    fields = {name: value for name, value in ast.iter_fields(node) if name not in ("ctx", "kind")}
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        fields["body"] = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    if isinstance(node, ast.ClassDef):
        fields["body"] = list(map(_without_description, fields["body"]))
    said = ((name, _outline(value)) for name, value in fields.items() if value is not None and value != [])
    return type(node).__name__, *said


def _without_description(statement: ast.stmt) -> ast.stmt:
    """Return a declaration of a variable without what describes it."""
    if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, ast.Call):
        call = statement.value
        kept = [keyword for keyword in call.keywords if keyword.arg != "description"]
        short = ast.Call(call.func, call.args, kept)
        if isinstance(statement, ast.Assign):
            return ast.Assign(statement.targets, short)
        return ast.AnnAssign(statement.target, statement.annotation, short, statement.simple)
    return statement

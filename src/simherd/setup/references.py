"""What compiled code is and refers to, read from its instructions."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any

__all__ = ["Import", "References", "instructions_of", "references_of"]

_GLOBALS = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_IMPORTERS = frozenset({"__import__", "import_module"})
_ASSIGNED = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
_REACHING = frozenset({"eval", "exec"})
"""Builtins that look up names which they are given as texts."""
_NAMESPACES = frozenset({"__globals__", "f_globals"})
"""Attributes that hold all globals of a module."""
_CALLING = frozenset({"PUSH_NULL", "PRECALL", "CALL"})
_BEHAVIOUR = 0x3FF
"""Flags of code that change what it does, not those of ``from __future__`` imports."""
_CONSTANTS = frozenset(dis.hasconst)


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """An import statement in a function, or a call of `importlib.import_module` with a text."""

    module: str
    """Name of the module, relative to its package if `level` is not 0."""
    level: int
    """Number of leading dots."""


@dataclass(frozen=True, kw_only=True, slots=True)
class References:
    """The names that a function and the functions inside it look up outside of themselves."""

    chains: frozenset[tuple[str, ...]]
    """Globals with the attributes that are read from them, such as ``("helpers", "rate")``."""
    imports: frozenset[Import]
    """Modules that are imported when the function is called."""
    names: frozenset[str]
    """All names of attributes and imported objects."""
    assigned: frozenset[str]
    """Globals that the function assigns, with the statement ``global`` or by ``globals()``."""
    reaching: frozenset[str]
    """Builtins and attributes by which it may look up any global of its module."""


def instructions_of(code: CodeType) -> tuple[Any, ...]:
    """Return what a code object does as values, whatever its docstring, comments, lines and file are.

    Constants stand in it as values, code inside it as this function gives it.
    """
    read = _read(code)
    constants = [instructions_of(one) if isinstance(one, CodeType) else one for one in read.constants]
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & _BEHAVIOUR
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    return counts, names, code.co_exceptiontable, read.instructions, constants


def references_of(code: CodeType) -> References:
    """Return the names that code looks up outside of itself."""
    found = [_read(one) for one in _with_inner(code)]
    return References(
        chains=frozenset(chain for one in found for chain in one.chains),
        imports=frozenset(given for one in found for given in one.imports),
        names=frozenset(name for one in _with_inner(code) for name in one.co_names),
        assigned=frozenset(name for one in found for name in one.assigned),
        reaching=frozenset(name for one in found for name in one.reaching),
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    instructions: str
    """Operations with their arguments, apart from constants."""
    constants: tuple[Any, ...]
    """Constants in the order in which they are loaded."""
    chains: frozenset[tuple[str, ...]]
    imports: frozenset[Import]
    assigned: frozenset[str]
    reaching: frozenset[str]


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _with_inner(const)


@lru_cache(maxsize=4096)
def _read(code: CodeType) -> _Reading:
    """Read one code object, without the code inside it."""
    steps = list(dis.get_instructions(code))
    said = [step for step in steps if step.opname != "EXTENDED_ARG"]
    by_text = [_looked_up(steps, place) for place, step in enumerate(steps) if _is_global(step, "globals")]
    return _Reading(
        instructions=" ".join(f"{s.opcode}:{'' if s.opcode in _CONSTANTS else s.arg}" for s in said),
        constants=tuple(step.argval for step in said if step.opcode in _CONSTANTS),
        chains=frozenset(
            (*_chains(steps), *((one.name,) for one in by_text if one.name and not one.is_assigned))
        ),
        imports=frozenset(_imports(steps)),
        assigned=frozenset(
            (
                *(step.argval for step in steps if step.opname in _ASSIGNED),
                *(one.name for one in by_text if one.is_assigned),
            )
        ),
        reaching=frozenset(_reaching(steps, by_text)),
    )


@dataclass(frozen=True, slots=True)
class _LookUp:
    """A look-up in the result of ``globals()``."""

    name: str
    """The name; "" if it is not a constant."""
    is_assigned: bool = False


def _looked_up(steps: list[dis.Instruction], place: int) -> _LookUp:
    """Return what is looked up in the result of a call of ``globals``."""
    rest = [step for step in steps[place + 1 : place + 7] if step.opname not in _CALLING]
    if rest and rest[0].opname in _ATTRIBUTES and rest[0].argval == "get":
        return _LookUp(_text_of(rest[1]) if len(rest) > 1 else "")
    if len(rest) > 1 and (name := _text_of(rest[0])):
        if rest[1].opname in ("STORE_SUBSCR", "DELETE_SUBSCR"):
            return _LookUp(name, is_assigned=True)
        if rest[1].opname == "BINARY_SUBSCR" or rest[1].argrepr == "[]":
            return _LookUp(name)
    return _LookUp("")


def _reaching(steps: list[dis.Instruction], by_text: list[_LookUp]) -> Iterator[str]:
    yield from (step.argval for step in steps if step.opname in _GLOBALS and step.argval in _REACHING)
    yield from (step.argval for step in steps if step.opname in _ATTRIBUTES and step.argval in _NAMESPACES)
    if any(not one.name for one in by_text):
        yield "globals"


def _is_global(step: dis.Instruction, name: str) -> bool:
    return step.opname in _GLOBALS and step.argval == name


def _text_of(step: dis.Instruction) -> str:
    return step.argval if step.opcode in _CONSTANTS and isinstance(step.argval, str) else ""


def _chains(steps: list[dis.Instruction]) -> Iterator[tuple[str, ...]]:
    for place, step in enumerate(steps):
        if step.opname in _GLOBALS:
            chain = [step.argval]
            for after in steps[place + 1 :]:
                if after.opname not in _ATTRIBUTES:
                    break
                chain.append(after.argval)
            yield tuple(chain)


def _imports(steps: list[dis.Instruction]) -> Iterator[Import]:
    for place, step in enumerate(steps):
        if step.opname == "IMPORT_NAME":
            level = steps[place - 2].argval if place > 1 else 0
            yield Import(module=step.argval, level=level if isinstance(level, int) else 0)
        elif step.argval in _IMPORTERS and step.opcode not in _CONSTANTS:
            given = next((after for after in steps[place + 1 :] if after.opname != "PUSH_NULL"), step)
            if given.opcode in _CONSTANTS and isinstance(given.argval, str):
                name = given.argval.lstrip(".")
                yield Import(module=name, level=len(given.argval) - len(name))

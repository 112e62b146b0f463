"""Rules for the values of an experiment file: small checks that are put together as data.

A rule takes a `Node` and returns its checked value, or raises an `ExperimentError` that says where
the node stands. `build` makes a dataclass of a section: each field's metadata holds its rule.
"""

from __future__ import annotations

import dataclasses
import math
import os.path
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from simherd.errors import ExperimentError, close_matches
from simherd.experiment.document import Document, KeyPath

__all__ = [
    "Node",
    "Rule",
    "anything",
    "boolean",
    "boolean_or",
    "build",
    "choice",
    "file_path",
    "integer",
    "list_of",
    "mapping",
    "mapping_of",
    "number",
    "optional",
    "read",
    "resolve_path",
    "rule",
    "text",
    "variable_name",
    "word_or",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the document and the way to it."""

    document: Document
    """The whole document."""
    keys: KeyPath
    """Keys from the root to here."""
    value: Any
    """The value, None if the key is absent."""

    def child(self, key: str | int) -> Node:
        """Return the node of a key or a list index."""
        held = self.value
        if isinstance(held, list):
            value = held[key] if isinstance(key, int) else None
        else:
            value = held.get(key) if isinstance(held, Mapping) else None
        return Node(self.document, (*self.keys, key), value)

    def children(self) -> list[Node]:
        """Return the nodes of all keys or items."""
        keys = range(len(self.value)) if isinstance(self.value, list) else list(self.value)
        return [self.child(key) for key in keys]

    def fault(self, message: str, *, fix: str = "") -> ExperimentError:
        """Return an error that says where this node stands."""
        return ExperimentError(f"{self.document.place(self.keys)}: {message}", fix=fix)

    def unlike(self, wanted: str, *, fix: str = "") -> ExperimentError:
        """Return the error of a value that is not what is wanted."""
        return self.fault(f"found {_shown(self.value)}, needs {wanted}.", fix=fix)


Rule: TypeAlias = Callable[[Node], Any]


def rule(check: Rule) -> dict[str, Rule]:
    """Return the metadata of a dataclass field that holds its rule."""
    return {"rule": check}


def build(cls: type[T], node: Node, **extra: Any) -> T:
    """Make a dataclass of a section of the file.

    Parameters
    ----------
    cls : type
        Dataclass whose fields carry rules; fields without one must be in `extra`.
    node : Node
        The section.
    **extra
        Values of fields that are no keys of the file.

    Raises
    ------
    ExperimentError
        On an unknown or missing key, or a value that breaks its rule.
    """
    keys = [field for field in dataclasses.fields(cls) if "rule" in field.metadata]  # type: ignore[arg-type]
    required = [field.name for field in keys if _has_no_default(field)]
    return cls(**extra, **read(node, {field.name: field.metadata["rule"] for field in keys}, required))


def read(
    node: Node,
    rules: Mapping[str, Rule],
    required: Collection[str] = (),
    synonyms: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Check the keys of a section and return their checked values.

    Parameters
    ----------
    node : Node
        The section.
    rules : mapping of str to Rule
        All keys that it may have.
    required : collection of str
        Those that it must have.
    synonyms : mapping of str to str, optional
        Keys that it does not have, and the one of its keys that each probably stands for.
    """
    given = mapping(node)
    for key in given:
        if key not in rules:
            meant = (synonyms or {}).get(str(key))
            hint = f"Did you mean {meant!r}?" if meant else close_matches(str(key), rules)
            raise node.child(key).fault(f"unknown key. {hint}", fix="correct or remove it.")
    for key in required:
        if key not in given:
            raise node.child(key).fault("is missing.", fix=f"add '{key}: ...'.")
    return {key: rules[key](node.child(key)) for key in given}


def anything(node: Node) -> Any:
    """Take any value."""
    return node.value


def text(node: Node) -> str:
    """Take a text that is not empty."""
    if isinstance(node.value, str) and not node.value.strip():
        raise node.fault("is empty, needs a text.", fix="write one, or leave the key out.")
    if not isinstance(node.value, str):
        is_scalar = isinstance(node.value, bool | int | float)
        raise node.unlike("a text", fix="put the value in quotes." if is_scalar else "")
    return node.value


def boolean(node: Node) -> bool:
    """Take true or false."""
    if not isinstance(node.value, bool):
        raise node.unlike("true or false")
    return node.value


def boolean_or(check: Rule) -> Rule:
    """Return the rule that takes true and false too."""

    def either(node: Node) -> Any:
        if isinstance(node.value, bool):
            return node.value
        try:
            return check(node)
        except ExperimentError as error:
            message = f"{error.message.removesuffix('.')}, or true or false."
            raise ExperimentError(message, fix=error.fix) from None

    return either


def integer(minimum: int | None = None) -> Rule:
    """Return the rule of an integer, not below a minimum."""
    wanted = "an integer" + ("" if minimum is None else f" of {minimum} or more")

    def check(node: Node) -> int:
        value = node.value
        if not isinstance(value, int) or isinstance(value, bool):
            raise node.unlike(wanted, fix=_integer_fix(value))
        if minimum is not None and value < minimum:
            raise node.unlike(wanted)
        return value

    return check


def number(above: float | None = None) -> Rule:
    """Return the rule of a finite number, above a limit."""
    wanted = "a finite number" + ("" if above is None else f" above {above:g}")

    def check(node: Node) -> float:
        value = node.value
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not _is_finite(value) or (above is not None and value <= above):
            raise node.unlike(wanted)
        return value  # type: ignore[no-any-return]

    return check


def choice(*allowed: str, fix: str = "") -> Rule:
    """Return the rule of one of some words."""

    def check(node: Node) -> str:
        if node.value not in allowed:
            found = _shown(node.value)
            raise node.fault(f"found {found}. {close_matches(str(node.value), allowed)}", fix=fix)
        return str(node.value)

    return check


def optional(check: Rule) -> Rule:
    """Return the rule that takes null too."""
    return lambda node: None if node.value is None else check(node)


def word_or(word: str, check: Rule) -> Rule:
    """Return the rule that takes one word too, such as ``auto``."""

    def either(node: Node) -> Any:
        if node.value == word:
            return word
        try:
            return check(node)
        except ExperimentError as error:
            message = f"{error.message.removesuffix('.')}, or '{word}'."
            raise ExperimentError(message, fix=error.fix) from None

    return either


def list_of(check: Rule, *, length: int | None = None) -> Rule:
    """Return the rule of a list with such items; it gives a tuple."""
    wanted = "a list that is not empty" if length is None else f"a list of {length} items"

    def check_items(node: Node) -> tuple[Any, ...]:
        items = node.value
        if not isinstance(items, list) or not items or length not in (None, len(items)):
            raise node.unlike(wanted)
        return tuple(check(item) for item in node.children())

    return check_items


def mapping(node: Node) -> dict[str, Any]:
    """Take a section of keys and values."""
    if not isinstance(node.value, dict):
        raise node.unlike("keys and values", fix="write 'key: value' lines, indented below it.")
    return node.value


def mapping_of(check: Rule, *, name: Rule = anything) -> Rule:
    """Return the rule of a section with free names, each with such a value."""

    def check_values(node: Node) -> dict[str, Any]:
        mapping(node)
        for child in node.children():
            name(child)
        return {str(child.keys[-1]): check(child) for child in node.children()}

    return check_values


def variable_name(node: Node) -> str:
    """Check that the key of this node reads ``process__variable``."""
    name = str(node.keys[-1])
    process, _, variable = name.partition("__")
    if not process or not variable or not name.isidentifier():
        raise node.fault(
            f"'{name}' is not the name of a variable.",
            fix="write process__variable, with two underscores between.",
        )
    return name


def file_path(node: Node) -> str:
    """Take a path; one that is relative is relative to the experiment file."""
    return resolve_path(node.document, text(node))


def resolve_path(document: Document, path: str) -> str:
    """Return a path of the file as an absolute one; addresses such as ``s3://`` stay.

    Parameters
    ----------
    document : Document
        The experiment file.
    path : str
        As written there: absolute, from ``~``, or relative to the file's folder.
    """
    if "://" in path:
        return path
    return os.path.abspath(document.path.parent / os.path.expanduser(path))


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _integer_fix(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return f"write it as {int(value)}."
    return ""


def _shown(value: object) -> str:
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "keys and values" if isinstance(value, dict) else f"a list of {len(value)}"
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."

"""Read YAML 1.2 with line numbers.

PyYAML reads YAML 1.1, where ``1e-3`` is a text and ``01:00:00`` the number 3600. Here the plain
scalars are those of YAML 1.2 [1]_.

References
----------
.. [1] YAML 1.2.2, section 10.3, "Core Schema", https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import yaml

from simherd.errors import ExperimentError

__all__ = ["KeyPath", "dotted", "read_yaml"]

KeyPath: TypeAlias = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_CORE_SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
}
_MOST_DIGITS = 300
_NODES_PER_CHARACTER = 10
"""Values that aliases may make of a text; without any there is less than one for each character."""
_FIXES = {
    "mapping values are not allowed": "put a text that contains ': ' in quotes, and check the "
    "indentation of this line.",
    "'\\t'": "indent with spaces, not with tabs.",
    "expected <block end>": "start all keys of one section in the same column.",
    "could not find expected ':'": "write 'key: value', with a space after the colon.",
    "expected ',' or": "close the bracket or brace, or put a comma between its items.",
    "end of stream": "close the quote, bracket or brace that is still open.",
    "undefined alias": "define the anchor with '&name' before '*name' uses it.",
    "cannot start any token": "put a text that begins with a special character in quotes.",
}


def read_yaml(text: str, *, source: str) -> tuple[object, dict[KeyPath, int]]:
    """Read a YAML text into plain data.

    Parameters
    ----------
    text : str
        One YAML document.
    source : str
        Where it comes from, for the error texts.

    Returns
    -------
    data : object
        Dicts with text keys, lists, texts, numbers, booleans and None.
    lines : dict of tuple to int
        Line of each key and list item by its path, counted from 1.

    Raises
    ------
    ExperimentError
        If it is not YAML, holds a key twice or a tag that is not plain data.
    """
    reader = _Reader(source)
    return reader.read(text), reader.lines


def dotted(keys: KeyPath) -> str:
    """Write a key path as users do: ``batch.sampling``, ``clocks.time.values[2]``."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".")


class _CoreLoader(yaml.SafeLoader):
    """Finds the nodes of a YAML text, with the plain scalars of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own name for the table


for _name, (_pattern, _first) in _CORE_SCALARS.items():
    _CoreLoader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})$"), _first)


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(text)
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


_SCALARS: Mapping[str, Callable[[str], object]] = {
    _TAG + "null": lambda text: None,
    _TAG + "bool": lambda text: {"true": True, "false": False}[text.lower()],
    _TAG + "int": _integer,
    _TAG + "float": lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
    _TAG + "str": str,
}


class _Reader:
    """Turns YAML text into plain data and fills `lines` on the way."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.lines: dict[KeyPath, int] = {}
        self._open: list[yaml.Node] = []
        self._nodes_left = 0

    def read(self, text: str) -> object:
        self._nodes_left = _NODES_PER_CHARACTER * (len(text) + 1)
        try:
            node = _CoreLoader(text).get_single_node()
            return None if node is None else self._value(node, ())
        except yaml.MarkedYAMLError as error:
            raise self._syntax_error(error) from error
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise ExperimentError(
                f"{self.source}, line {line}: character {error.character!r} is not allowed.",
                fix="remove it, or write it as an escape in double quotes.",
            ) from error
        except RecursionError as error:
            raise ExperimentError(f"{self.source}: nested too deeply.", fix="remove brackets.") from error

    def _value(self, node: yaml.Node, keys: KeyPath) -> object:
        self.lines.setdefault(keys, node.start_mark.line + 1)
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise self._fault(node, "aliases in aliases make too many values", "write the values out.")
        if any(node is parent for parent in self._open):
            raise self._fault(node, "an alias that contains itself", "write the value out.")
        self._open.append(node)
        value = self._plain(node, keys)
        self._open.pop()
        return value

    def _plain(self, node: yaml.Node, keys: KeyPath) -> object:
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, keys)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self._value(item, (*keys, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            return self._scalar(node)
        tag = node.tag.replace(_TAG, "!!")
        raise self._fault(node, f"the tag '{tag}' is not known here", "remove the tag.")

    def _mapping(self, node: yaml.MappingNode, keys: KeyPath) -> dict[str, object]:
        data: dict[str, object] = {}
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            line = key_node.start_mark.line + 1
            if key in seen:
                raise ExperimentError(
                    f"{self.source}, line {line}: key '{dotted((*keys, key))}' stands here and "
                    f"in line {seen[key]}.",
                    fix="keep one of the two.",
                )
            seen[key] = line
            self.lines[(*keys, key)] = line
            data[key] = self._value(value_node, (*keys, key))
        return data

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._fault(node, "a key must be a text", "put braces and brackets in quotes.")
        return str(node.value)

    def _scalar(self, node: yaml.ScalarNode) -> object:
        try:
            return _SCALARS[node.tag](node.value)
        except (KeyError, ValueError) as error:
            what = f"'{node.value[:40]}' is not of the type '{node.tag.replace(_TAG, '!!')}'"
            raise self._fault(node, what, "correct the value, or put it in quotes.") from error

    def _fault(self, node: yaml.Node, what: str, fix: str) -> ExperimentError:
        mark = node.start_mark
        return ExperimentError(
            f"{self.source}, line {mark.line + 1}, column {mark.column + 1}: {what}.", fix=fix
        )

    def _syntax_error(self, error: yaml.MarkedYAMLError) -> ExperimentError:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = " ".join(str(part) for part in (error.problem, error.context) if part)
        fix = next((fix for part, fix in _FIXES.items() if part in problem), "correct this line.")
        return ExperimentError(f"{self.source}{where}: not YAML: {problem}.", fix=fix)

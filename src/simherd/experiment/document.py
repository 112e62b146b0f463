"""The experiment file as plain data that remembers its line numbers."""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from simherd.errors import ExperimentError, close_matches
from simherd.experiment.yaml12 import KeyPath, dotted, read_yaml

__all__ = [
    "Document",
    "KeyPath",
    "apply_overrides",
    "kind_named_in",
    "read_document",
    "with_store",
    "with_values",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """Plain data of an experiment file, and where each key stands."""

    path: Path
    """The file, as the user named it."""
    data: Any
    """Dicts with text keys, lists, texts, numbers, booleans and None."""
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    """Line of each key and list item, counted from 1."""
    overrides: Mapping[KeyPath, str] = field(default_factory=dict)
    """The option, such as ``"--set batch.size"``, of each key that did not come from the file."""

    def place(self, keys: KeyPath) -> str:
        """Say where a key stands, such as ``"hill.yaml, line 12: key 'batch.sampling'"``."""
        where, name = self._nearest(keys), dotted(keys)
        parts = [f"{self.path}{f', {where}' if where else ''}"]
        if keys and where != f"--set {name}":
            parts.append(f"key '{name}'")
        return ": ".join(parts)

    def _nearest(self, keys: KeyPath) -> str:
        for length in range(len(keys), -1, -1):
            if keys[:length] in self.overrides:
                return self.overrides[keys[:length]]
            if keys[:length] in self.lines:
                return f"line {self.lines[keys[:length]]}"
        return ""


def read_document(path: str | Path) -> Document:
    """Read an experiment file.

    Parameters
    ----------
    path : str or Path
        YAML file.

    Returns
    -------
    Document
        Its data and line numbers.

    Raises
    ------
    ExperimentError
        If the file cannot be read or is not YAML, or holds a key twice.
    """
    path = Path(path)
    data, lines = read_yaml(_text_of(path), source=str(path))
    return Document(path=path, data=data, lines=lines)


def apply_overrides(document: Document, assignments: Iterable[str]) -> Document:
    """Return the document with some keys set anew.

    Parameters
    ----------
    document : Document
        It stays as it is.
    assignments : iterable of str
        Each ``KEY=VALUE``: a dotted key, made if it is not there, and a value in YAML.

    Returns
    -------
    Document
        Its faults name ``--set KEY`` where a key was set here.

    Raises
    ------
    ExperimentError
        If an assignment is not ``KEY=VALUE``, or its value not YAML.
    """
    for assignment in assignments:
        document = _override(document, assignment)
    return document


def with_values(document: Document, values: Mapping[str, object], option: str) -> Document:
    """Return the document with some keys set to values as they are, which nothing reads as YAML.

    Parameters
    ----------
    document : Document
        It stays as it is.
    values : mapping of str to object
        Plain data by dotted key.
    option : str
        The option of the command line that gave them, such as "--store": faults name it.
    """
    for key, value in values.items():
        document = _set(document, key.split("."), value, option)
    return document


def with_store(document: Document, store: str | None) -> Document:
    """Return the document with the store that ``--store`` names; None leaves the one that it has.

    A path is one as seen from here: in the document it would count from the folder of the file.
    """
    if store is None:
        return document
    is_path = bool(store) and "://" not in store
    return with_values(document, {"run.store": os.path.abspath(store) if is_path else store}, "--store")


def kind_named_in(document: Document) -> str | None:
    """Return the kind of cluster that a document names, unchecked; None if it names none."""
    cluster = document.data.get("cluster") if isinstance(document.data, dict) else None
    kind = cluster.get("kind") if isinstance(cluster, dict) else None
    return kind if isinstance(kind, str) else None


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExperimentError(
            f"{path}: not a text in UTF-8 (byte {error.start}: {error.reason}).",
            fix="save the file with the encoding UTF-8.",
        ) from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ExperimentError:
    reason = getattr(error, "strerror", None) or str(error)
    try:
        names = [file.name for pattern in ("*.yaml", "*.yml") for file in path.parent.glob(pattern)]
    except (OSError, ValueError):
        names = []
    hint = f" {close_matches(path.name, names)}" if names else ""
    return ExperimentError(
        f"Cannot read the experiment file '{path}': {reason}.{hint}",
        fix="give the path of an existing file; 'simherd new experiment' writes one.",
    )


def _override(document: Document, assignment: str) -> Document:
    key, equals, text = assignment.partition("=")
    pieces = key.strip().split(".")
    if not equals or not all(pieces):
        raise ExperimentError(
            f"--set '{assignment}': not KEY=VALUE with a dotted key.",
            fix="write it as in --set batch.size=20.",
        )
    option = f"--set {key.strip()}"
    value, _ = read_yaml(text, source=option)
    return _set(document, pieces, value, option)


def _set(document: Document, pieces: Sequence[str], value: object, option: str) -> Document:
    """Return the document with a value set, and the option that did it."""
    data, new = _with_value(document.data, pieces, value)

    def is_kept(keys: KeyPath) -> bool:
        return keys[: len(new)] != new

    lines = {keys: line for keys, line in document.lines.items() if is_kept(keys)}
    overrides = {keys: name for keys, name in document.overrides.items() if is_kept(keys)}
    return replace(document, data=data, lines=lines, overrides={**overrides, new: option})


def _with_value(data: Any, pieces: Sequence[str], value: object) -> tuple[object, KeyPath]:
    """Return the data with a value set, and the path of the outermost part that is new."""
    if not pieces:
        return value, ()
    key = _key_in(data, pieces[0])
    if key is None:
        return _nested(pieces, value), ()
    changed = data.copy()
    inner = data.get(key) if isinstance(data, dict) else data[key]
    changed[key], new = _with_value(inner, pieces[1:], value)
    return changed, (key, *new)


def _key_in(data: object, piece: str) -> str | int | None:
    if isinstance(data, dict):
        return piece
    if isinstance(data, list) and piece.isdecimal() and int(piece) < len(data):
        return int(piece)
    return None


def _nested(pieces: Sequence[str], value: object) -> object:
    for piece in reversed(pieces):
        value = {piece: value}
    return value

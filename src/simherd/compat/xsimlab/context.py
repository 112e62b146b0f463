"""The context of a stage that somebody runs by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from simherd.model.runtime import LABELS, RuntimeContext

__all__ = ["as_context"]


@dataclass(slots=True, kw_only=True)
class _WiderContext(RuntimeContext):
    """A context with entries that no run has."""

    more: Mapping[str, Any]
    """These entries."""

    def __getitem__(self, label: str) -> Any:
        return self.more[label] if label in self.more else RuntimeContext.__getitem__(self, label)

    def __iter__(self) -> Iterator[str]:
        return iter((*LABELS, *self.more))

    def __len__(self) -> int:
        return len(LABELS) + len(self.more)


def as_context(given: Mapping[str, Any]) -> RuntimeContext:
    """Return a context with all that is given, whether a run has it or not."""
    if isinstance(given, RuntimeContext):
        return given
    known = {label: value for label, value in given.items() if label in LABELS}
    more = {label: value for label, value in given.items() if label not in LABELS}
    return _WiderContext(**known, more=more) if more else RuntimeContext(**known)

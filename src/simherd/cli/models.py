"""Finding the model that an argument names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simherd.model import Model

__all__ = ["is_experiment", "load_any"]


def is_experiment(text: str) -> bool:
    """Return whether an argument names an experiment file."""
    return text.endswith((".yaml", ".yml"))


def load_any(text: str, base: Path) -> Model:
    """Return the model that is named, or that an experiment file names."""
    from simherd.experiment.document import read_document
    from simherd.experiment.loading import load_model
    from simherd.experiment.schema import check

    if is_experiment(text):
        base, text = Path(text).parent, check(read_document(text)).model
    model: Model = load_model(text, base)
    return model

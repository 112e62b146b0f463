"""The experiment file: read it, check it, load what it names.

``read_document`` gives plain data with line numbers, ``check`` turns that into an `Experiment` or
says what is wrong and where, ``load_model``, ``load_inputs`` and ``load_batch`` fetch what the
experiment names.
"""

from __future__ import annotations

from simherd.experiment.document import Document, apply_overrides, read_document
from simherd.experiment.inputs import load_batch, load_inputs
from simherd.experiment.loading import load_model, load_object
from simherd.experiment.schema import Experiment, check

__all__ = [
    "Document",
    "Experiment",
    "apply_overrides",
    "check",
    "load_batch",
    "load_inputs",
    "load_model",
    "load_object",
    "read_document",
]

"""Warnings that name the line of the user's program, not one of this package."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from pathlib import Path

__all__ = ["warn_user"]

OURS = (f"{Path(__file__).parent}{os.sep}", "<simherd ", contextlib.__file__)
"""How the file names of our code begin: the package, stages compiled by it, and what enters its contexts."""


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the innermost line outside of simherd.

    Parameters
    ----------
    message : str
        The text.
    category : type, optional
        Class of the warning.
    """
    frame, level = sys._getframe(1), 2  # as skip_file_prefixes, which Python 3.11 lacks
    while frame.f_back is not None and frame.f_code.co_filename.startswith(OURS):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)

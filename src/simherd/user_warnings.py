"""Warnings that name the line of the user's program, not one of this package."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

__all__ = ["warn_user"]

PACKAGE = f"{Path(__file__).parent}{os.sep}"


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn at the innermost line outside of simherd.

    Parameters
    ----------
    message : str
        The text.
    category : type
        Class of the warning.
    """
    frame, level = sys._getframe(1), 2  # as skip_file_prefixes, which Python 3.11 lacks
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)

"""Paths as people want to read them."""

from __future__ import annotations

import os

__all__ = ["shown"]


def shown(path: str) -> str:
    """Return a path as short as it can be said from here."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative

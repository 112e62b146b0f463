"""Names of the modules that are read from files which an experiment names."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

__all__ = ["lasting_name", "name_of_file"]

_NAME = re.compile(r"(simherd_file_.+)_[0-9a-f]{8}")


def name_of_file(path: Path) -> str:
    """Return a name for the module of a file: other files of the same name have others."""
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    return f"simherd_file_{path.stem}_{digest}"


def lasting_name(module: str) -> str:
    """Return the name of a module without what tells where its file lies: a copy elsewhere has the same."""
    found = _NAME.fullmatch(module)
    return found[1] if found else module

"""Names of jobs where the user gives none."""

from __future__ import annotations

import re
import sys
from pathlib import Path

__all__ = ["name_of_program", "safe_name"]

DEFAULT = "simherd"


def name_of_program() -> str:
    """Return the name of the script or module that runs; "simherd" where there is none, as in a notebook."""
    path = getattr(sys.modules["__main__"], "__file__", None)
    if not path:
        return DEFAULT
    program = Path(path)
    return safe_name(program.parent.name if program.stem == "__main__" else program.stem)


def safe_name(text: str) -> str:
    """Return a name that a job, and a file, may have: letters, digits, dots, dashes and underscores."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-") or DEFAULT
    return name if name[0].isalpha() else f"s{name}"

"""Names of modules: of those that are read from files, and what all names of one module have in common."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

from simherd.setup.ownership import is_own

__all__ = ["lasting_name", "name_of_file"]

_NAME = re.compile(r"simherd_file_(.+)_[0-9a-f]{8}")


def name_of_file(path: Path, source: bytes) -> str:
    """Return a name for the module of a file: files of the same name that say something else have others.

    A copy elsewhere has the same, so that what Numba has cached beside it is found by that name.
    """
    digest = hashlib.sha256(source).hexdigest()[:8]
    return f"simherd_file_{path.stem}_{digest}"


def lasting_name(module: str) -> str:
    """Return a name of a module that does not depend on how it was imported.

    A file ``walk.py`` of the user's own is ``walk`` whether it is imported, run as a script, or named by an
    experiment, wherever it lies.
    """
    if module == "__main__":
        main = sys.modules["__main__"]
        spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
        module = spec.name.removesuffix(".__main__") if spec else Path(file).stem if file else module
    found = _NAME.fullmatch(module)
    if found is not None:
        return found[1]
    return module.rpartition(".")[2] if is_own(module) else module

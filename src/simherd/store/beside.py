"""Names that a store has for a time, beside its own."""

from __future__ import annotations

import glob
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from simherd.store.durable import PARTIAL

__all__ = ["LEAVING", "UNBORN", "all_beside", "name_beside"]

UNBORN = PARTIAL.removeprefix(".")
"""Kind of the name of a store that is made and not whole yet."""
LEAVING = "removed"
"""Kind of the name of a store that is being removed."""
_OWN = re.compile(r"\d+(-[0-9a-f]{8})?")


def name_beside(target: Path, kind: str) -> Path:
    """Return a new name for a store, which nobody can know before."""
    return target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.{kind}")


def all_beside(target: Path, kind: str) -> Iterator[Path]:
    """Yield what has such a name, of this store and no other."""
    for path in target.parent.glob(f".{glob.escape(target.name)}.*.{kind}"):
        if _OWN.fullmatch(path.name.removeprefix(f".{target.name}.").removesuffix(f".{kind}")):
            yield path

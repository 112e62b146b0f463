"""What a task may change in its worker process besides objects: the next pack finds it as it was.

Worker processes are kept from one map to the next. A task that moves to another folder, or makes errors of
warnings, would change what later maps compute.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress

import numpy as np

__all__ = ["process_as_it_was"]

_lock = threading.Lock()
_packs = 0
_before = ExitStack()


@contextmanager
def process_as_it_was() -> Iterator[None]:
    """Restore the folder, environment and settings of this process once no pack runs in it any more.

    The generator of ``random`` begins anew, with numbers that no other process has.
    """
    global _packs
    with np.errstate():
        with _lock:
            if _packs == 0:
                _save()
            _packs += 1
        try:
            yield
        finally:
            with _lock:
                _packs -= 1
                if _packs == 0:
                    _before.close()


def _save() -> None:
    """Let what is now be there again when `_before` is closed."""
    _before.callback(random.seed)
    _before.callback(_set_environment, dict(os.environ))
    _before.callback(_set_path, list(sys.path))
    with suppress(OSError):  # it has been deleted
        _before.callback(_set_folder, os.getcwd())
    _before.enter_context(redirect_stdout(sys.stdout))
    _before.enter_context(redirect_stderr(sys.stderr))
    _before.enter_context(warnings.catch_warnings())


def _set_folder(folder: str) -> None:
    with suppress(OSError):
        os.chdir(folder)


def _set_path(path: list[str]) -> None:
    sys.path[:] = path


def _set_environment(environment: dict[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    changed = {name: value for name, value in environment.items() if os.environ.get(name) != value}
    os.environ.update(changed)

"""Signals that a worker leaves to the client: a terminal or batch scheduler sends them to all processes."""

from __future__ import annotations

import signal

__all__ = ["leave_signals_to_client"]


def leave_signals_to_client(*names: str) -> None:
    """Take no notice of signals.

    They get handlers that do nothing: programs that a simulation starts would inherit that a signal is
    ignored, and nobody could end them by it.

    Parameters
    ----------
    *names : str
        Such as ``"SIGTERM"``.
    """
    for name in names:
        signal.signal(getattr(signal, name), lambda number, frame: None)

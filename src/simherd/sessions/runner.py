"""What a session really starts: runs the command, keeps what it prints, writes down how it ended.

The command writes into the log itself, so that it can go on whatever becomes of the terminal and of this
process. What it writes is copied from there to the terminal, if there is one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from simherd.process_marks import mark_of
from simherd.sessions.record import Ending, Processes, Session, read_session, write

__all__ = ["main"]

LOOK_S = 0.2
PORTION = 65536
NOT_FOUND, NOT_RUNNABLE = 127, 126
OF_SIGNALS = 128


def main(folder: Path) -> int:
    """Run the command of a session and return its exit code."""
    session = read_session(folder)
    if session is None:
        return NOT_RUNNABLE
    _write_processes(folder, None)
    with (folder / "log").open("ab", buffering=0) as log, (folder / "log").open("rb") as shown:
        code = _run(folder, session, log, shown)
    write(folder, Ending(exit_code=code, ended=time.time()))
    _remove_socket(session)
    return code


def _remove_socket(session: Session) -> None:
    """Remove the socket of the tmux server that ends with this process: tmux leaves it."""
    path = Path(os.environ.get("TMUX", "").partition(",")[0])
    if session.socket is not None and path.name == session.socket:
        path.unlink(missing_ok=True)


def _run(folder: Path, session: Session, log: Any, shown: Any) -> int:
    try:
        command = _start(session, log)
    except OSError as error:
        log.write(f"Cannot run {session.command[0]!r}: {error.strerror}.\n".encode())
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUNNABLE
    _write_processes(folder, command.pid)
    _pass_on_signals(command)
    terminal = _Terminal(shown)
    while command.poll() is None:
        time.sleep(LOOK_S)
        terminal.show()
    terminal.show()
    return command.returncode if command.returncode >= 0 else OF_SIGNALS - command.returncode


def _start(session: Session, log: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        session.command,
        cwd=session.directory,
        stdin=None if sys.stdin.isatty() else subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={"PYTHONUNBUFFERED": "1", **os.environ},
    )


def _write_processes(folder: Path, command: int | None) -> None:
    record = Processes(
        runner=os.getpid(),
        runner_mark=mark_of(os.getpid()) or "",
        command=command,
        command_mark=(command and mark_of(command)) or "",
    )
    write(folder, record)


def _pass_on_signals(command: subprocess.Popen[bytes]) -> None:
    """Stay until the command has ended, and tell it what this process is told.

    Ctrl-C in an attached terminal reaches the command by itself. That the terminal is gone is told to this
    process alone.
    """

    def pass_on(number: int, frame: FrameType | None) -> None:
        command.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda number, frame: None)


class _Terminal:
    """Shows what is new in the log, and never waits for the terminal: Ctrl-S may have stopped it."""

    def __init__(self, shown: Any) -> None:
        self._shown = shown
        self._rest = b""
        with suppress(OSError):
            # opened anew: that others do not wait is not for this process to say
            self._out = os.open(os.ttyname(sys.stdout.fileno()), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
            return
        self._out = sys.stdout.fileno()

    def show(self) -> None:
        """Show what the terminal takes now; what it never takes stands in the log."""
        with suppress(OSError):  # it is stopped, full or gone
            while self._rest or self._read():
                self._rest = self._rest[os.write(self._out, self._rest) :]

    def _read(self) -> bool:
        self._rest = self._shown.read(PORTION)
        return bool(self._rest)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""The warden of a worker process: a small program beside it, which outlives it.

It ends the worker when a simulation has outlasted its time and no error reaches it: compiled code holds
Python's lock, a file system hangs, or the worker is stopped. When the worker has ended, for whatever reason,
the warden ends the programs that it started. The worker sets its deadline in memory that both share, which
costs a microsecond; the warden looks there a few times a second.

The warden imports nothing but the standard library, so it starts in 20 ms.
"""

from __future__ import annotations

import faulthandler
import math
import mmap
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from simherd.programs import Programs, descendants, end_all, marked, send

__all__ = ["MARK", "Warden", "memory_file", "run", "warden"]

MARK = "SIMHERD_WORKER"
"""Environment variable of a worker and of all programs that it starts, which tells them from others."""
DEADLINE = struct.Struct("d")
SIGN, SIZE = 8, 8192
"""Where the path of the sign begins in the shared memory, and where it ends; zeros fill it up."""
LOOK_S = 0.25
IDLE_S = 5.0
STACKS_S = 0.5
END_S = 5.0
STACKS = getattr(signal, "SIGRTMAX", signal.SIGUSR2 + 1) - 2
"""Signal at which a worker writes down the stacks of its threads, whoever holds Python's lock."""
PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from simherd.warden import run; run(*sys.argv[2:])"


class Warden:
    """What a worker process knows of its warden, which starts with this object."""

    def __init__(self) -> None:
        self.mark = ".".join(filter(None, (os.environ.get(MARK), uuid.uuid4().hex)))
        self._sign: Path | None = None
        self._is_asked = False
        shared, self._stacks = memory_file(self.mark), memory_file("stacks")
        os.ftruncate(shared, SIZE)
        self._memory = mmap.mmap(shared, SIZE)
        DEADLINE.pack_into(self._memory, 0, math.inf)
        faulthandler.register(STACKS, file=self._stacks)
        asked, self._asking = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", PROGRAM, str(Path(__file__).parents[1]),
             str(os.getpid()), self.mark, str(shared), str(self._stacks)],
            stdin=asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=(shared, self._stacks), cwd="/",
            start_new_session=True,  # it outlives also a signal to the worker's process group
        )  # fmt: skip
        os.close(asked)
        os.close(shared)
        os.environ[MARK] = self.mark  # after the start: the warden is none of the programs

    def expect(self, deadline: float, sign: Path | None) -> None:
        """End this process at a moment, instead of the one that was set before.

        Parameters
        ----------
        deadline : float
            When, in s of the monotonic clock; infinity is never.
        sign : Path, optional
            File that is written then, with the stacks of all threads.
        """
        if sign != self._sign:
            path = b"" if sign is None else os.fsencode(sign)
            self._memory[SIGN:] = path.ljust(SIZE - SIGN, b"\0")
            self._sign = sign
        DEADLINE.pack_into(self._memory, 0, deadline)
        if not self._is_asked:
            self._is_asked = True
            with suppress(OSError):  # the warden was ended
                os.write(self._asking, b"\n")

    def programs(self, since: int) -> Programs:
        """Return the programs that this process, or what it started, has started since a tick."""
        found = descendants(os.getpid()) | marked(self.mark, since)
        ours = (os.getpid(), self.process.pid)
        return {p: start for p, start in found.items() if start >= since and p not in ours}


def memory_file(name: str) -> int:
    """Return a file that is only in memory; programs that do not ask for it do not get it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(f"simherd-{name[-100:]}")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


_lock = threading.Lock()
_current: Warden | None = None


def warden() -> Warden:
    """Return the warden of this process, which is started when it is first needed."""
    global _current
    if _current is None:
        with _lock:
            _current = _current or Warden()
    return _current


_of_parents: list[Warden | None] = []
"""Wardens of processes that this one was forked from: their memory stays mapped, so that it is found."""


def _forget_warden() -> None:
    """Leave the warden to the process that was forked."""
    global _current, _lock
    _of_parents.append(_current)
    _current, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_warden)


def run(worker: str, mark: str, shared: str, stacks: str) -> None:
    """Watch a worker, end it at its deadline, and end what it leaves behind: the program of the warden."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    with mmap.mmap(int(shared), SIZE) as memory:
        look_s = IDLE_S
        while not _has_ended(int(worker), memory, look_s):
            if _end_at_deadline(int(worker), mark, memory, int(stacks)):
                break
            look_s = LOOK_S
    end_all(lambda: _left_by(int(worker), mark))


def _end_at_deadline(worker: int, mark: str, memory: mmap.mmap, stacks: int) -> bool:
    """End a worker, unless it gets on while the sign is written; return whether it is ended."""
    sign = _sign(memory)
    _write_sign(worker, sign, stacks)
    send({worker: 0}, signal.SIGSTOP)  # it starts nothing more
    if _left_s(memory) > 0:
        if sign is not None:
            sign.unlink(missing_ok=True)
        send({worker: 0}, signal.SIGCONT)
        return False
    end_all(lambda: _left_by(worker, mark))
    send({worker: 0}, signal.SIGKILL)
    _wait_for_end(worker)
    return True


def _left_s(memory: mmap.mmap) -> float:
    """Return the time until the deadline, in s."""
    return float(DEADLINE.unpack_from(memory)[0]) - time.monotonic()


def _sign(memory: mmap.mmap) -> Path | None:
    path = bytes(memory[SIGN:]).rstrip(b"\0")
    return Path(os.fsdecode(path)) if path else None


def _left_by(worker: int, mark: str) -> Programs:
    found = descendants(worker) | marked(mark)
    return {process: start for process, start in found.items() if process not in (worker, os.getpid())}


def _has_ended(worker: int, memory: mmap.mmap, look_s: float) -> bool:
    """Wait for the end of the worker, and return whether it came before the deadline."""
    is_open = True
    while os.getppid() == worker:
        if (left_s := _left_s(memory)) <= 0:
            return False
        ready, _, _ = select.select([0] if is_open else [], [], [], min(look_s, left_s))
        if ready:
            look_s, is_open = LOOK_S, bool(os.read(0, 64))
    return True


def _write_sign(worker: int, sign: Path | None, stacks: int) -> None:
    """Write that the time was over; not for ever, where the file system hangs."""
    if sign is not None:
        writing = threading.Thread(target=lambda: sign.write_bytes(_stacks_of(worker, stacks)), daemon=True)
        writing.start()
        writing.join(END_S)


def _stacks_of(worker: int, stacks: int) -> bytes:
    """Let the worker write the stacks of its threads, and return what it writes; a stopped one cannot."""
    send({worker: 0}, STACKS)
    deadline, size = time.monotonic() + STACKS_S, -1
    while time.monotonic() < deadline and not 0 < os.fstat(stacks).st_size == size:
        size = os.fstat(stacks).st_size
        time.sleep(LOOK_S / 5)
    return os.pread(stacks, 2**16, 0)


def _wait_for_end(worker: int) -> None:
    deadline = time.monotonic() + END_S
    while os.getppid() == worker and time.monotonic() < deadline:
        time.sleep(LOOK_S / 10)

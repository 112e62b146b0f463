"""Python scripts as forks of one process that has imported what they need.

Most of what a script costs is its imports, a second each time. The fixture ``forks`` starts a server once
for all tests of a pytest process, and runs each script in a fork of it: a process of its own, in a session
of its own, whose end, exit code and signals are those of a program. What Python and Dask read from the
environment as they start is that of the server; tests of such things start programs.

As a program, this file is the server.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

IMPORTS = (
    "bokeh",
    "cryptography.x509",
    "distributed",
    "simherd.api.run",
    "simherd.cli.run",
    "simherd.clusters.local",
    "simherd.ensemble.run",
    "simherd.executors.client",
    "simherd.executors.processes",
    "simherd.store.zarr_store",
)
NUMBER = struct.Struct("q")
LIMIT_S = 60


class Fork:
    """A script that runs, with what `subprocess.Popen` has for it.

    Parameters
    ----------
    argv : list of str
        The script and its arguments.
    told : int
        Descriptor from which its pid comes, and its exit code when it has ended.
    """

    def __init__(self, argv: list[str], told: int) -> None:
        self.args = argv
        self.returncode: int | None = None
        self._told = told
        self.pid = self._read()

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self.returncode = self._read()
            os.close(self._told)
        return self.returncode

    def wait(self, timeout: float = LIMIT_S) -> int:
        """Return the exit code, once there is one."""
        if self.returncode is None and not select.select([self._told], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.args, timeout)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal to a script that has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it like ``kill -9``."""
        self.send_signal(signal.SIGKILL)

    def _read(self) -> int:
        data = os.read(self._told, NUMBER.size)
        if not data:
            raise RuntimeError("The server of forks has ended. What it said is above.")
        number: int = NUMBER.unpack(data)[0]
        return number


class Forks:
    """The server, which starts with the first script."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._orders: socket.socket | None = None

    def start(
        self,
        argv: list[str],
        *,
        cwd: Path,
        env: Mapping[str, str] = os.environ,
        stdout: int = 1,
        stderr: int = 2,
    ) -> Fork:
        """Start a script, which reads nothing and writes to open files."""
        if self._orders is None:
            self._orders = self._start_server()
        told, tell = os.pipe()
        order = json.dumps({"argv": argv, "env": dict(env), "cwd": str(cwd)}).encode()
        try:
            socket.send_fds(self._orders, [NUMBER.pack(len(order))], [tell, stdout, stderr])
            self._orders.sendall(order)
        finally:
            os.close(tell)
        return Fork(argv, told)

    def close(self) -> None:
        """End the server."""
        if self._server is not None and self._orders is not None:
            self._orders.close()
            self._server.wait(LIMIT_S)

    def _start_server(self) -> socket.socket:
        mine, its = socket.socketpair()
        with its:
            self._server = subprocess.Popen(
                [sys.executable, __file__, str(its.fileno())],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONWARNINGS": "error::FutureWarning:simherd"},
                pass_fds=[its.fileno()],
                start_new_session=True,
            )
        return mine


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Return what starts scripts without the time that imports take."""
    server = Forks()
    yield server
    server.close()


# The server --------------------------------------------------------------------------------------------


def serve(orders: socket.socket) -> None:
    """Start a script for each order. Return when there are no more, and in each script at its end."""
    while True:
        size, files, _, _ = socket.recv_fds(orders, NUMBER.size, 3)
        reap()
        if not size:
            return
        order = json.loads(orders.recv(NUMBER.unpack(size)[0], socket.MSG_WAITALL))
        if os.fork() == 0:
            tell, *output = files
            os.set_inheritable(tell, False)
            if (pid := os.fork()) == 0:
                orders.close()
                os.close(tell)
                run(output, **order)
                return
            os.write(tell, NUMBER.pack(pid))
            os.write(tell, NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
            os._exit(0)
        for file in files:
            os.close(file)


def reap() -> None:
    """Let those go that waited for scripts which have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def run(output: list[int], argv: list[str], env: dict[str, str], cwd: str) -> None:
    """Be a program that runs a script."""
    os.setsid()
    for number, file in enumerate(output, 1):
        os.dup2(file, number)
        os.close(file)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    tempfile.tempdir = None
    sys.argv = argv
    sys.path[0] = str(Path(argv[0]).parent)
    main = sys.modules["__main__"] = ModuleType("__main__")
    main.__file__ = argv[0]
    exec(compile(Path(argv[0]).read_bytes(), argv[0], "exec"), vars(main))


if __name__ == "__main__":
    for name in IMPORTS:
        import_module(name)
    assert threading.active_count() == 1, "a fork would lose threads"
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))

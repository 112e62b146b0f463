"""Sessions with tmux and without: the same states, logs and endings."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import stat
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from simherd.errors import SessionError
from simherd.sessions import (
    Request,
    attach_command,
    find,
    kill,
    list_all,
    remove,
    request_stop,
    start,
    tmux,
    wait_until_over,
)
from simherd.sessions.log import portions
from simherd.sessions.record import folder_of, log_of, write
from simherd.sessions.state import State

WAIT = "import time; print('ready', flush=True); time.sleep(600)"
DEAF = f"import signal; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGTERM, signal.SIGHUP)]; {WAIT}"
TIDY = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: (print('tidied'), sys.exit(4)))\n"
    "print('ready', flush=True)\n"
    "time.sleep(600)"
)


def is_over(name: str) -> bool:
    return not find(name).state.is_live


@pytest.mark.parametrize(
    ("code", "end", "exit_code"), [("", State.DONE, 0), ("raise SystemExit(3)", State.FAILED, 3)]
)
def test_an_ended_session_still_tells_how_it_ended(begin, wait_for, code, end, exit_code):
    begin("a", f"print('hello'); {code}")
    wait_for(lambda: is_over("a"))

    found = find("a")
    assert (found.state, found.ending.exit_code) == (end, exit_code)
    assert log_of("a").read_text() == "hello\n"


def test_a_command_that_a_signal_ends_has_the_exit_code_of_shells(begin, wait_for):
    begin("a", "import os; os.kill(os.getpid(), 9)")
    wait_for(lambda: is_over("a"))

    assert find("a").ending.exit_code == 137


def test_folder_and_files_are_for_their_user_only(begin):
    begin("a", WAIT)

    folder = folder_of("a")
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_command_gets_environment_and_folder_of_who_started_it(begin, wait_for, monkeypatch, tmp_path):
    monkeypatch.setenv("SIMHERD_TEST", "first")
    begin("a", WAIT)
    monkeypatch.setenv("SIMHERD_TEST", "second")
    begin("b", "import os; print(os.environ['SIMHERD_TEST'], os.getcwd())")
    wait_for(lambda: is_over("b"))

    assert log_of("b").read_text() == f"second {tmp_path}\n"


def test_the_log_can_be_followed_to_the_end(begin):
    begin("a", "import time\nfor n in range(3):\n print(n, flush=True); time.sleep(0.3)")

    assert b"".join(portions("a", follow=True)) == b"0\n1\n2\n"
    assert b"".join(portions("a", follow=False)) == b"0\n1\n2\n"


def test_a_live_name_is_refused_and_a_dead_one_replaced(begin, wait_for):
    begin("a", WAIT)
    with pytest.raises(
        SessionError, match=r"'a' is running already.* stop it first: 'simherd session stop a'"
    ):
        begin("a", WAIT)
    wait_for(lambda: log_of("a").read_text())
    os.kill(find("a").processes.command, signal.SIGKILL)
    wait_for(lambda: is_over("a"))

    begin("a", "print('again')")
    wait_for(lambda: is_over("a"))

    assert log_of("a").read_text() == "again\n"
    assert (folder_of("a") / "log.previous").read_text() == "ready\n"


@pytest.mark.parametrize("name", ["", "a b", "../a", "-a", "a.b", "a:b", "a/b", "a;b", "x" * 65, "\n"])
def test_a_name_that_could_mean_something_else_is_refused(state, name):
    with pytest.raises(SessionError, match=r"cannot be called.*letters, digits, '-' and '_' are allowed"):
        start(Request(name=name, command=("true",)))
    with pytest.raises(SessionError, match=r"cannot be called"):
        find(name)


def test_a_command_that_is_not_there_is_refused_before_anything_starts(state):
    with pytest.raises(SessionError, match=r"no command 'no-such-command'"):
        start(Request(name="a", command=("no-such-command",)))

    assert list_all() == []


def test_an_unknown_session_names_close_ones(begin):
    begin("night", WAIT)

    with pytest.raises(SessionError, match=r"no session 'nihgt'. Did you mean 'night'"):
        find("nihgt")


def test_stop_lets_a_command_end_by_itself(begin, wait_for):
    found = begin("a", TIDY)
    wait_for(lambda: log_of("a").read_text())

    members = request_stop(found)

    assert wait_until_over(found, members, 30)
    assert log_of("a").read_text() == "ready\ntidied\n"
    assert find("a").ending.exit_code == 4


def test_a_command_that_does_not_end_is_killed(begin, wait_for):
    found = begin("a", DEAF)
    wait_for(lambda: log_of("a").read_text())
    members = request_stop(found)
    assert not wait_until_over(found, members, 0.5)

    kill(found, members)

    assert find("a").ending.exit_code == 137
    assert not psutil.pid_exists(found.processes.runner) or is_over("a")


def test_what_a_command_started_ends_with_it_when_it_is_stopped(begin, wait_for):
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {DEAF!r}]); {WAIT}"
    found = begin("a", code)
    wait_for(lambda: log_of("a").read_text().count("ready") == 2)
    members = request_stop(found)
    assert len(members.alive()) >= 1
    assert not wait_until_over(found, members, 1)

    kill(found, members)

    assert members.alive() == []


def test_a_session_whose_runner_was_killed_goes_on_and_can_be_stopped(state, wait_for):
    start(Request(name="a", command=(sys.executable, "-c", TIDY), in_tmux=False))
    found = find("a")
    wait_for(lambda: log_of("a").read_text())
    os.kill(found.processes.runner, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(found.processes.runner) or _is_zombie(found.processes.runner))
    assert find("a").state is State.RUNNING

    assert wait_until_over(found, request_stop(found), 30)

    assert find("a").state is State.KILLED


def _is_zombie(process: int) -> bool:
    return psutil.Process(process).status() == psutil.STATUS_ZOMBIE


def test_a_session_of_another_machine_is_left_alone(begin):
    found = begin("a", WAIT)
    write(folder_of("a"), replace(found.session, host="login2"))

    assert find("a").state is State.ELSEWHERE
    with pytest.raises(SessionError, match=r"lives on login2.*'simherd session stop a' \(ssh -t login2\)"):
        request_stop(find("a"))
    with pytest.raises(SessionError, match=r"lives on login2"):
        attach_command(find("a"))
    with pytest.raises(SessionError, match=r"started on login2 and has not ended.* choose another name"):
        begin("a", WAIT)
    with pytest.raises(SessionError, match=r"lives on login2"):
        remove(find("a"))
    write(folder_of("a"), found.session)


def test_a_session_is_forgotten_once_it_has_ended(begin, wait_for):
    begin("a", "import sys; sys.stdin.read() if sys.stdin.isatty() else __import__('time').sleep(600)")
    with pytest.raises(SessionError, match=r"'a' is running.*session stop a"):
        remove(find("a"))
    kill(find("a"), request_stop(find("a")))

    remove(find("a"))

    assert list_all() == []


def test_a_record_that_is_no_record_is_no_session(begin, wait_for):
    begin("a", "")
    wait_for(lambda: is_over("a"))
    (folder_of("a") / "session.json").write_text("{")

    assert list_all() == []


def test_a_logout_ends_the_terminal_and_not_the_session(state, in_tmux, wait_for, tmp_path):
    """The parent and its terminal are killed, as sshd does it, while the session runs."""
    request = {"name": "a", "command": [sys.executable, "-c", WAIT + "; print('never')"], "in_tmux": in_tmux}
    code = (
        "import json, sys, time\n"
        "from simherd.sessions import Request, start\n"
        f"given = json.loads({json.dumps(json.dumps(request))})\n"
        "start(Request(**{**given, 'command': tuple(given['command'])}))\n"
        "print('started', flush=True)\n"
        "time.sleep(600)\n"
    )
    shell, terminal = pty.fork()
    if shell == 0:  # a login shell: it leads a session of processes, on a terminal of its own
        os.execv(sys.executable, [sys.executable, "-c", code])
    wait_for(lambda: log_of("a").exists() and log_of("a").read_text() == "ready\n")
    before = find("a").processes

    os.close(terminal)
    os.kill(shell, signal.SIGHUP)
    os.kill(shell, signal.SIGKILL)
    os.waitpid(shell, 0)
    time.sleep(0.5)  # for what might still reach it

    assert find("a").state is State.RUNNING
    assert find("a").processes == before
    assert os.getsid(before.command) == before.runner
    assert wait_until_over(find("a"), request_stop(find("a")), 30)


def test_without_tmux_attach_says_why_not(state):
    start(Request(name="a", command=("sleep", "600"), in_tmux=False))

    with pytest.raises(SessionError, match=r"runs without tmux.*'simherd session logs a --follow'"):
        attach_command(find("a"))


@pytest.mark.tmux
def test_what_happens_in_the_terminal_of_a_session_is_seen_when_one_attaches(state, wait_for):
    start(Request(name="a", command=(sys.executable, "-c", "print(input().upper())")))
    command = attach_command(find("a"))
    attached, terminal = pty.fork()
    if attached == 0:
        os.environ["TERM"] = "xterm"
        os.environ.pop("TMUX", None)
        os.execvp(command[0], command)

    os.write(terminal, b"hello\r")
    wait_for(lambda: is_over("a"))

    assert log_of("a").read_text() == "HELLO\n"
    assert b"HELLO" in _all(terminal)
    os.waitpid(attached, 0)


@pytest.mark.tmux
def test_a_terminal_that_ctrl_s_stopped_keeps_no_session_from_ending(state, wait_for):
    start(
        Request(name="a", command=(sys.executable, "-c", "input(); [print('y' * 79) for _ in range(2000)]"))
    )
    keys = ["tmux", "-L", find("a").session.socket, "send-keys", "-t", "a"]

    subprocess.run([*keys, "C-s", "Enter"], check=True, timeout=30)
    wait_for(lambda: is_over("a"))

    assert find("a").ending.exit_code == 0
    assert log_of("a").read_text() == ("y" * 79 + "\n") * 2000


def test_what_did_not_begin_in_time_does_not_begin_later(state, in_tmux, wait_for, monkeypatch, tmp_path):
    begun = []
    for name in ("kill_server", "open_window"):
        monkeypatch.setattr(tmux, name, _noting(begun, name, getattr(tmux, name)))
    monkeypatch.setattr(sys.modules["simherd.sessions.start"], "PATIENCE_S", 0.0)

    with pytest.raises(SessionError, match=r"'a' did not begin within 0 s"):
        start(Request(name="a", command=("sleep", "600"), in_tmux=in_tmux))

    assert begun == (["kill_server", "open_window", "kill_server"] if in_tmux else [])
    wait_for(lambda: not [one for one in psutil.process_iter() if str(tmp_path) in " ".join(_words(one))])


def _noting(notes, name, function):
    def noted(*arguments):
        notes.append(name)
        return function(*arguments)

    return noted


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline() if process.status() != psutil.STATUS_ZOMBIE else []
    except psutil.Error:
        return []


def _all(terminal: int) -> bytes:
    text = b""
    while True:
        try:
            portion = os.read(terminal, 4096)
        except OSError:
            return text
        if not portion:
            return text
        text += portion


@pytest.mark.tmux
def test_killing_the_tmux_server_lets_the_command_end_tidily(state, wait_for):
    start(Request(name="a", command=(sys.executable, "-c", TIDY)))
    wait_for(lambda: log_of("a").read_text())

    subprocess.run(["tmux", "-L", find("a").session.socket, "kill-server"], check=True, timeout=30)
    wait_for(lambda: is_over("a"))

    assert find("a").ending.exit_code == 4
    assert "tidied" in log_of("a").read_text()


def test_records_survive_a_round_trip(begin):
    found = begin("a", WAIT)

    again = json.loads((folder_of("a") / "session.json").read_text())
    assert {**asdict(found.session), "command": list(found.session.command)} == again
    assert found.session.host == socket.gethostname()
    assert Path(found.session.directory).is_absolute()

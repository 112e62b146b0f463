"""``simherd session`` as a user types it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simherd.cli.session_start import store_of
from simherd.sessions import find, kill, list_all, request_stop
from simherd.sessions.record import log_of

SLEEP = ["--", sys.executable, "-c", "print('ready', flush=True); import time; time.sleep(600)"]
LIMIT_S = 60


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """Give each test sessions of its own, which end with it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("simherd.cli.session.EARLY_S", 0.0)
    yield
    for found in list_all():
        if found.state.is_live:
            kill(found, request_stop(found))


@pytest.fixture
def patient(monkeypatch):
    """Watch the beginning of sessions for as long as it takes on a busy machine."""
    monkeypatch.setattr("simherd.cli.session.EARLY_S", LIMIT_S)


def wait_for(holds):
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def is_over(name):
    return not find(name).state.is_live


def test_command_that_fails_at_once_is_reported_with_its_last_lines(simherd, patient):
    code = "print(*range(20), sep=chr(10)); raise SystemExit(3)"

    started = simherd("session", "start", "bad", "--no-tmux", "--", sys.executable, "-c", code)

    assert started.code == 1
    assert started.err.splitlines()[:10] == [str(number) for number in range(10, 20)]
    assert "Error: Session 'bad' has ended already: exit code 3, see above." in started.err


def test_command_that_succeeds_at_once_is_no_error(simherd, patient):
    started = simherd("session", "start", "quick", "--no-tmux", "--", sys.executable, "-c", "print('ok')")

    assert started.code == 0
    assert started.err == "ok\nSession 'quick' has ended already: exit code 0.\n"


def test_following_a_log_says_how_the_session_ended(simherd):
    simherd("session", "start", "bad", "--no-tmux", "--", sys.executable, "-c", "raise SystemExit(3)")

    followed = simherd("session", "logs", "bad", "--follow")

    assert followed.err == "Session 'bad' has ended: exit code 3.\n"
    assert simherd("session", "logs", "bad").err == ""


@pytest.mark.tmux
def test_start_says_how_to_come_back(simherd):
    started = simherd("session", "start", "night", *SLEEP)

    assert started.code == 0
    assert re.fullmatch(
        r"Session 'night' runs in tmux on \S+\.\n"
        r"Attach      simherd session attach night   \(Ctrl-b d detaches, it goes on\)\n"
        r"Log         simherd session logs night --follow   \(\S+/state/simherd/sessions/night/log\)\n"
        r"Stop        simherd session stop night\n",
        started.out,
    )
    assert started.err == ""


def test_without_tmux_it_runs_all_the_same_and_says_so(simherd, monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    started = simherd("session", "start", "night", *SLEEP)

    assert started.code == 0
    assert started.err == "tmux is not installed: the session runs without a terminal, as with nohup.\n"
    assert "Session 'night' runs without tmux on" in started.out
    assert "Attach" not in started.out
    attached = simherd("session", "attach", "night")
    assert attached.code == 1
    assert "runs without tmux" in attached.err
    assert "session logs night --follow" in attached.err


def test_list_shows_state_age_and_what_runs(simherd):
    assert "There are no sessions." in simherd("session", "list").out
    simherd("session", "start", "night", "--no-tmux", *SLEEP)
    simherd("session", "start", "bad", "--no-tmux", "--", sys.executable, "-c", "raise SystemExit(3)")
    wait_for(lambda: is_over("bad"))

    shown = simherd("session", "list")
    data = json.loads(simherd("session", "list", "--json").out)

    assert re.search(r"^night  running     \d\.\d s  \S+ +-  ", shown.out, re.M)
    assert re.search(r"^bad    failed \(3\)  \d\.\d s  ", shown.out, re.M)
    assert [(one["name"], one["state"], one["exit_code"]) for one in data] == [
        ("night", "running", None),
        ("bad", "failed", 3),
    ]
    assert os.getsid(data[0]["pid"])


def test_logs_are_those_of_the_command():
    command = [sys.executable, "-m", "simherd", "session"]
    subprocess.run([*command, "start", "night", "--no-tmux", *SLEEP], check=True, timeout=LIMIT_S)
    wait_for(lambda: log_of("night").read_text() == "ready\n")
    following = subprocess.Popen([*command, "logs", "night", "--follow"], stdout=subprocess.PIPE)
    assert following.stdout.readline() == b"ready\n"

    stopped = subprocess.run([*command, "stop", "night"], timeout=LIMIT_S, check=False)

    assert stopped.returncode == 0
    assert following.wait(LIMIT_S) == 0


def test_ctrl_c_ends_the_looking_and_not_the_session():
    command = [sys.executable, "-m", "simherd", "session"]
    subprocess.run([*command, "start", "night", "--no-tmux", *SLEEP], check=True, timeout=LIMIT_S)
    following = subprocess.Popen(
        [*command, "logs", "night", "-f"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert following.stdout.readline() == b"ready\n"

    following.send_signal(signal.SIGINT)
    _, said = following.communicate(timeout=LIMIT_S)

    assert (following.returncode, said) == (0, b"")
    assert not is_over("night")


def test_stop_waits_and_then_kills(simherd):
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    simherd("session", "start", "night", "--no-tmux", "--", sys.executable, "-c", deaf)
    wait_for(lambda: log_of("night").read_text())

    stopped = simherd("session", "stop", "night", "--timeout", "0.3")

    assert stopped.code == 0
    assert stopped.err.splitlines() == [
        "Told session 'night' to end; waiting for it, 0.3 s at most ...",
        "It has not ended: killing it.",
    ]
    assert stopped.out == "Session 'night' has ended: exit code 137.\n"
    assert simherd("session", "stop", "night").out == "Session 'night' has ended already: exit code 137.\n"
    assert simherd("session", "remove", "night").out == "Session 'night' is forgotten.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["night"], "runs a command, after '--', or hosts a cluster"),
        (["night", "--cluster", "local", "--", "true"], "runs a command, after '--', or hosts a cluster"),
        (["night", "--workers", "2", "--", "true"], "Options of a cluster need --cluster"),
        (["night", "--cluster", "lokal"], "Did you mean 'local'?"),
        (
            ["night", "--cluster", "local", "--set", "wrokers=2"],
            "option 'wrokers'. Did you mean 'workers'",
        ),
        (["night", "--cluster", "local", "--set", "workers"], "KEY=VALUE is needed"),
        (["night", "--cluster", "mpi"], "start the whole run: simherd session start NAME -- mpirun"),
        (["night", "--cluster", "tcp://127.0.0.1:1"], "it is there already"),
        (["night", "--cluster", "foo.json"], "it is there already"),
        (
            ["night", "--cluster", "distributed.LocalCluster", "--set", "n_workers=1"],
            "simherd session start NAME -- simherd run EXPERIMENT --cluster distributed.LocalCluster",
        ),
        (["night", "--cluster", "slurm", "--memory", "lots"], "'lots' is not a size of memory"),
        (["night", "--cluster", "slurm", "--set", "security=foo"], "security='foo' is not known"),
        (["night", "--cluster", "local", "--set", "security=foo"], "security='foo' is not known"),
        (["night", "--cluster", "local", "--workers", "0"], "workers=0 is not allowed"),
        (["night", "--cluster", "local", "--memory", "lots"], "'lots' is not a size of memory"),
        (["night", "--cluster", "local", "--set", "worker_memory=5"], "worker_memory=5 is not allowed"),
        (["night", "--cluster", "local", "--set", "guard_threads=0"], "guard_threads=0 is not allowed"),
    ],
)
def test_a_wrong_option_is_one_clear_error_and_nothing_starts(simherd, arguments, message):
    started = simherd("session", "start", *arguments)

    assert started.code == 2
    assert message in started.err
    assert list_all() == []


@pytest.mark.parametrize("verb", ["attach", "logs", "stop", "remove"])
def test_a_session_that_is_not_there_is_exit_code_1(simherd, verb):
    shown = simherd("session", verb, "night")

    assert shown.code == 1
    assert shown.err == "Error: There is no session 'night'. Fix: 'simherd session list' shows all.\n"


def test_the_store_of_a_run_is_known_before_it_is_there(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = str(experiment())
    other = str(tmp_path / "other.zarr")

    assert store_of(["simherd", "run", path]) == str(tmp_path / "out.zarr")
    assert store_of(["python", "-m", "simherd", "run", path, "--store", "other.zarr"]) == other
    assert (
        store_of(["mpirun", "-np", "4", "/bin/simherd", "run", path, "--set", "run.store=other.zarr"])
        == other
    )
    assert store_of(["simherd", "run", path, "--set", "run.store=null"]) is None
    assert store_of(["simherd", "run", "nothing.yaml"]) is None
    assert store_of(["simherd", "status", path]) is None
    assert store_of(["simherd"]) is None


def test_a_run_shows_its_progress_and_its_exit_code(simherd, experiment, tmp_path):
    path = experiment(batch={"sampling": "grid", "parameters": {"walk__gain": {"values": [1.0, -1.0, 2.0]}}})
    simherd("session", "start", "night", "--no-tmux", "--", sys.executable, "-m", "simherd", "run", str(path))
    wait_for(lambda: is_over("night"))

    (shown,) = json.loads(simherd("session", "list", "--json").out)

    assert (shown["state"], shown["exit_code"], shown["store"]) == ("failed", 3, str(tmp_path / "out.zarr"))
    assert (shown["progress"]["done"], shown["progress"]["failed"]) == (2, 1)
    assert "2 of 3, 1 failed" in simherd("session", "list").out
    assert "2 done, 1 failed" in log_of("night").read_text()


@pytest.mark.slow
def test_stop_lets_a_run_keep_what_is_done(simherd, experiment, tmp_path):
    path = experiment(
        batch={"sampling": "grid", "parameters": {"walk__gain": {"values": [float(n) for n in range(60)]}}},
        inputs={"walk__pause": 0.1},
        run={"store": "out.zarr", "block_size": 1, "parallel": False},
    )
    simherd("session", "start", "night", "--no-tmux", "--", sys.executable, "-m", "simherd", "run", str(path))
    wait_for(lambda: len(list(Path(tmp_path / "out.zarr").glob("simulation_status/c*"))) >= 2)

    stopped = simherd("session", "stop", "night")

    assert stopped.out == "Session 'night' has ended: exit code 4.\n"
    assert "Go on with:" in log_of("night").read_text()


@pytest.mark.cluster
def test_a_hosted_cluster_says_how_runs_use_it(simherd):
    started = simherd("session", "start", "pool", "--no-tmux", "--cluster", "local", "--workers", 1)

    assert started.code == 0
    assert "Runs on it  simherd run EXPERIMENT --cluster session:pool\n" in started.out
    assert re.search(r"ssh -N -L (\d+):127\.0\.0\.1:\1 \S+@\S+\n$", started.out)
    assert "cluster local (--cluster session:pool)" in simherd("session", "list").out
    assert simherd("session", "stop", "pool").out == "Session 'pool' has ended: exit code 0.\n"


@pytest.mark.cluster
def test_a_hosted_cluster_that_cannot_start_is_an_error_with_the_cause(simherd):
    started = simherd(
        "session", "start", "pool", "--no-tmux", "--cluster", "local", "--set", "local_directory=/dev/null/x"
    )

    assert started.code == 1
    assert "The workers cannot keep files in local_directory='/dev/null/x'" in started.err
    assert started.err.endswith("Error: Session 'pool' has ended, see above.\n")

"""What ``simherd session start`` finds out before it starts something, and says afterwards."""

from __future__ import annotations

import getpass
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

import click

from simherd.cli.called import simherd_command
from simherd.cli.exits import Exit
from simherd.cli.output import say
from simherd.cli.session_text import ended
from simherd.clusters import KINDS, check_kind, is_given
from simherd.errors import ClusterOptionError, SessionError, SimherdError, close_matches
from simherd.experiment.sections import options_of
from simherd.experiment.specs import is_class
from simherd.sessions import Request, Session, SessionState, find
from simherd.sessions.record import Hosted, log_of

__all__ = [
    "cluster_request",
    "command_request",
    "started_lines",
    "store_of",
    "wait_for_cluster",
    "watch_beginning",
]

LOOK_S = 0.2
LAST_LINES = 10
UNHOSTED = ("mpi", "slurm-runner")
HOSTED = tuple(kind for kind in KINDS if kind not in UNHOSTED)


def command_request(name: str, command: tuple[str, ...], in_tmux: bool) -> Request:
    """Return a session that runs a command."""
    return Request(name=name, command=command, store=store_of(command), in_tmux=in_tmux)


def cluster_request(
    name: str,
    kind: str,
    given: Mapping[str, Any],
    settings: Sequence[str],
    config: str | None,
    in_tmux: bool,
) -> Request:
    """Return a session that hosts a cluster.

    Raises
    ------
    ClusterOptionError
        If there is no such kind, or it has no such option or takes no such value.
    """
    from simherd.cli.cluster_options import check_options
    from simherd.clusters import split_options
    from simherd.config import using_file

    options = {**given, **dict(_setting(text) for text in settings)}
    _check_kind(kind)
    _check_options(kind, split_options(kind, options)[1])
    with using_file(config):
        check_options(kind, options)  # a wrong value is said here, and not in a log
    command = (sys.executable, "-P", "-m", "simherd", "session", "host", name)
    hosted = Hosted(kind=kind, options=options, config=config and os.path.abspath(config))
    return Request(name=name, command=command, hosted=hosted, in_tmux=in_tmux)


def _check_kind(kind: str) -> None:
    """Refuse what cannot be hosted: it is there already, or needs a launcher."""
    if kind in UNHOSTED:
        raise ClusterOptionError(
            f"A session cannot host a cluster of kind {kind!r}: its workers are started by mpirun or srun.",
            fix="start the whole run: simherd session start NAME -- mpirun ... simherd run ...",
        )
    if is_class(kind):
        raise ClusterOptionError(
            f"A session cannot host the cluster class {kind!r}: it hosts {', '.join(HOSTED)}.",
            fix="start the whole run: simherd session start NAME -- simherd run EXPERIMENT --cluster "
            f"{kind} ...",
        )
    if is_given(kind):
        raise ClusterOptionError(
            f"A session cannot host {kind!r}: it is there already.", fix=f"run with --cluster {kind}."
        )
    check_kind(kind)


def _check_options(kind: str, unknown: Iterable[str]) -> None:
    for option in unknown:
        raise ClusterOptionError(
            f"A cluster of kind {kind!r} has no option {option!r}. {close_matches(option, options_of(kind))}"
        )


def _setting(text: str) -> tuple[str, Any]:
    import yaml

    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.UsageError(f"--set {text!r}: KEY=VALUE is needed.")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise click.UsageError(f"--set {text!r}: the value cannot be read.") from error


def store_of(command: Sequence[str]) -> str | None:
    """Return the store that a command will write, if it is ``simherd run`` of an experiment that has one."""
    arguments = _arguments_of_run(command)
    if arguments is None:
        return None
    from simherd.cli import run
    from simherd.experiment.document import apply_overrides, read_document
    from simherd.experiment.schema import check

    # what is wrong here is for the run to say
    with suppress(click.ClickException, SimherdError, OSError, ValueError):
        given = run.command.make_context("run", list(arguments), resilient_parsing=True).params
        if given.get("store"):
            return _absolute(given["store"])
        document = apply_overrides(read_document(given["experiment"]), list(given["settings"]))
        return check(document).run.store
    return None


def _absolute(store: str) -> str:
    """Return a path as seen from here."""
    return store if "://" in store else os.path.abspath(store)


def _arguments_of_run(command: Sequence[str]) -> Sequence[str] | None:
    """Return what stands after ``simherd run``, also behind a launcher."""
    for position in range(len(command) - 1):
        if PurePath(command[position]).name == "simherd" and command[position + 1] == "run":
            return command[position + 2 :]
    return None


def started_lines(session: Session) -> Iterator[str]:
    """Yield how to come back to a session."""
    name, how = session.name, "in tmux" if session.socket is not None else "without tmux"
    yield f"Session {name!r} runs {how} on {session.host}."
    if session.socket is not None:
        yield f"Attach      {simherd_command('session', 'attach', name)}   (Ctrl-b d detaches, it goes on)"
    yield f"Log         {simherd_command('session', 'logs', name, '--follow')}   ({log_of(name)})"
    yield f"Stop        {simherd_command('session', 'stop', name)}"


def watch_beginning(session: Session, timeout_s: float) -> None:
    """Watch a session that has just begun, and show its last lines if it ends meanwhile.

    Raises
    ------
    SessionError
        If it ends with another exit code than 0.
    """
    deadline = time.monotonic() + timeout_s
    with suppress(KeyboardInterrupt):
        while time.monotonic() < deadline:
            found = find(session.name)
            if not found.state.is_live:
                _report_end(found)
                return
            time.sleep(LOOK_S)


def _report_end(found: SessionState) -> None:
    name = found.session.name
    lines = log_of(name).read_text(errors="replace").splitlines()[-LAST_LINES:]
    say("".join(f"{line}\n" for line in lines), err=True, nl=False)
    said = f"Session {name!r} has ended already: {ended(found)}"
    if found.ending is not None and found.ending.exit_code == Exit.DONE:
        say(f"{said}.", err=True)
        return
    raise SessionError(
        f"{said}, see above.",
        fix=f"correct the command and start the session again; its log is {log_of(name)}.",
    )


def wait_for_cluster(session: Session, timeout_s: float) -> None:
    """Show the log of a session until runs can use its cluster, and say how.

    Raises
    ------
    SessionError
        If the session ended.
    """
    deadline = time.monotonic() + timeout_s
    with suppress(KeyboardInterrupt), log_of(session.name).open(errors="replace") as log:
        while time.monotonic() < deadline:
            is_over = not find(session.name).state.is_live
            say(log.read(), err=True, nl=False)
            if is_over:
                raise SessionError(f"Session {session.name!r} has ended, see above.")
            if _is_ready(session):
                return
            time.sleep(LOOK_S)
    say("The cluster is not ready yet, and the session goes on: see its log.")


def _is_ready(session: Session) -> bool:
    from simherd.clusters.connection import read_connection

    try:
        connection = read_connection(session.name)
    except SessionError:
        return False
    say(f"Runs on it  {simherd_command('run', 'EXPERIMENT', '--cluster', f'session:{session.name}')}")
    for line in _dashboard_lines(connection.dashboard, session.host):
        say(line)
    return True


def _dashboard_lines(dashboard: str, host: str) -> Iterator[str]:
    port = urlsplit(dashboard).port if dashboard else None
    if port is not None:
        yield f"Dashboard   {dashboard}, from elsewhere after"
        yield f"            ssh -N -L {port}:127.0.0.1:{port} {getpass.getuser()}@{host}"

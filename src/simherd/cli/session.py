"""``simherd session``: runs, and clusters for several runs, that outlive the terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import click

from simherd.cli.called import simherd_command
from simherd.cli.exits import Exit
from simherd.cli.output import say
from simherd.control_characters import readable_portions

__all__ = ["command"]

STOP_S = 60.0
"""Time that a session has to end by itself: a run lets its blocks finish for ``run.grace_s``, 30 s."""
EARLY_S = 2.0
"""Time in which the command of a session is watched after its start: wrong options end it soon."""
READY_S = 60.0
"""Time that is waited for a hosted cluster before one is left to look at the log."""
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    r"""Keep runs or a cluster alive after a logout.

    \b
    simherd session start night -- simherd run experiment.yaml --resume
    simherd session start pool --cluster slurm --jobs 4
    simherd run experiment.yaml --cluster session:pool
    """


_CLUSTER_OPTIONS = (
    click.option("--cluster", metavar="KIND", help="Host a cluster of this kind, and run no command."),
    click.option("--jobs", type=int, metavar="N", help="Jobs of the cluster."),
    click.option("--workers", type=int, metavar="N", help="Workers of the cluster."),
    click.option("--cores", type=int, metavar="N", help="Cores of each job."),
    click.option("--memory", metavar="SIZE", help="Memory of each job, such as '16 GiB'."),
    click.option("--walltime", metavar="TIME", help="Walltime of each job, such as '01:00:00'."),
    click.option("--partition", metavar="NAME", help="Partition of SLURM."),
    click.option("--queue", metavar="NAME", help="Queue of other batch schedulers."),
    click.option("--account", metavar="NAME", help="Account that is charged."),
    click.option("--parallel-environment", metavar="NAME", help="Parallel environment of Grid Engine."),
    click.option(
        "--set", "settings", metavar="KEY=VALUE", multiple=True, help="Any other option; repeatable."
    ),
    click.option("--config", metavar="FILE", help="A jobqueue.yaml to read besides the usual ones."),
)


def _with_cluster_options(function: Decorated) -> Decorated:
    for option in reversed(_CLUSTER_OPTIONS):
        function = option(function)
    return function


@command.command("start")
@click.argument("name")
@click.argument("command", nargs=-1)
@_with_cluster_options
@click.option("--no-tmux", is_flag=True, help="Run it without a terminal, as nohup does.")
def start_session(
    name: str,
    command: tuple[str, ...],
    cluster: str | None,
    settings: tuple[str, ...],
    config: str | None,
    no_tmux: bool,
    **named: Any,
) -> None:
    r"""Start a session, which goes on after a logout.

    \b
    simherd session start NAME -- COMMAND...
    simherd session start NAME --cluster KIND [options]
    """
    from simherd.cli.session_start import (
        cluster_request,
        command_request,
        started_lines,
        wait_for_cluster,
        watch_beginning,
    )
    from simherd.sessions import start
    from simherd.sessions.tmux import is_installed

    given = {key: value for key, value in named.items() if value is not None}
    if (cluster is None) == (not command):
        raise click.UsageError("A session runs a command, after '--', or hosts a cluster: --cluster KIND.")
    if cluster is None and (given or settings or config is not None):
        raise click.UsageError("Options of a cluster need --cluster; those of the command stand after '--'.")
    in_tmux = is_installed() and not no_tmux
    if not in_tmux and not no_tmux:
        say("tmux is not installed: the session runs without a terminal, as with nohup.", err=True)
    if cluster is None:
        session = start(command_request(name, command, in_tmux))
    else:
        session = start(cluster_request(name, cluster, given, settings, config, in_tmux))
    for line in started_lines(session):
        say(line)
    if cluster is not None:
        wait_for_cluster(session, READY_S)
    else:
        watch_beginning(session, EARLY_S)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def list_sessions(as_json: bool) -> None:
    """Show all sessions: state, age, and how far their runs are."""
    from simherd.cli.session_text import as_data, table
    from simherd.sessions import list_all

    found = list_all()
    if as_json:
        say(json.dumps([as_data(one) for one in found]))
    elif found:
        say("\n".join(table(found)))
    else:
        how = simherd_command("session", "start", "NAME")
        say(f"There are no sessions. {how} -- COMMAND starts one.")


@command.command("attach")
@click.argument("name")
@click.pass_context
def attach(ctx: click.Context, name: str) -> None:
    """Show a session in this terminal; Ctrl-b d detaches, and it goes on."""
    from simherd.errors import SessionError
    from simherd.sessions import attach_command, find
    from simherd.sessions.tmux import environment

    arguments = attach_command(find(name))
    if not sys.stdin.isatty():
        raise SessionError(
            f"Cannot attach to session {name!r}: this is no terminal.",
            fix=f"'{simherd_command('session', 'logs', name, '--follow')}' shows what it says.",
        )
    ctx.exit(subprocess.run(arguments, env=environment(), check=False).returncode)


@command.command("logs")
@click.argument("name")
@click.option("--follow", "-f", is_flag=True, help="Go on until the session ends, or Ctrl-C.")
def logs(name: str, follow: bool) -> None:
    """Print what a session has printed, without control characters."""
    from simherd.cli.session_text import ended
    from simherd.sessions import find
    from simherd.sessions.log import portions

    find(name)
    with suppress(KeyboardInterrupt):
        for text in readable_portions(portions(name, follow)):
            say(text, nl=False)
        if follow:
            say(f"Session {name!r} has ended: {ended(find(name))}.", err=True)


@command.command("stop")
@click.argument("name")
@click.option("--timeout", type=float, default=STOP_S, metavar="SECONDS", show_default=True,
              help="Time that it has to end by itself.")  # fmt: skip
def stop(name: str, timeout: float) -> None:
    """End a session: it is told to, and killed if it does not within a time."""
    from simherd.cli.session_text import ended
    from simherd.sessions import find, kill, request_stop, wait_until_over

    found = find(name)
    if not found.state.is_live:
        say(f"Session {name!r} has ended already: {ended(found)}.")
        return
    members = request_stop(found)
    say(f"Told session {name!r} to end; waiting for it, {timeout:g} s at most ...", err=True)
    if not wait_until_over(found, members, timeout):
        say("It has not ended: killing it.", err=True)
        kill(found, members)
    say(f"Session {name!r} has ended: {ended(find(name))}.")


@command.command("remove")
@click.argument("name")
@click.option("--force", is_flag=True, help="Also one of another machine, whatever became of it there.")
def remove_session(name: str, force: bool) -> None:
    """Forget a session that has ended, with its log."""
    from simherd.sessions import find, remove

    remove(find(name), force)
    say(f"Session {name!r} is forgotten.")


@command.command("host", hidden=True)
@click.argument("name")
@click.pass_context
def host(ctx: click.Context, name: str) -> None:
    """Host the cluster of a session; 'session start' runs this."""
    from simherd.errors import SessionError
    from simherd.sessions.host import host_cluster
    from simherd.sessions.record import folder_of, read_hosted

    hosted = read_hosted(folder_of(name))
    if hosted is None:
        raise SessionError(f"Session {name!r} hosts no cluster.", fix="start it with --cluster KIND.")
    host_cluster(name, hosted, say=lambda line: say(line, err=True))
    ctx.exit(Exit.DONE)

"""The command ``simherd``: one file per sub-command, loaded when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from simherd.cli.output import say
from simherd.control_characters import without_controls
from simherd.errors import SimherdError

__all__ = ["main"]

COMMANDS = {
    "doctor": "Show the resources of this machine and any problems.",
    "failures": "Show the failed simulations of a store: inputs, error, traceback.",
    "graph": "Draw a model, or the tasks of an experiment.",
    "info": "Show the processes, variables and inputs of a model.",
    "new": "Write a commented template: model, experiment or configuration.",
    "run": "Run an experiment file.",
    "script": "Print the job script of an experiment.",
    "session": "Keep runs or a cluster alive after a logout.",
    "status": "Show how many simulations of a store are done, failed and pending.",
    "submit": "Submit the job script of an experiment.",
    "usage": "Show how well jobs used what they asked for, and what to change.",
}


class LazyGroup(click.Group):
    """A group that imports a sub-command when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all sub-commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return a sub-command."""
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"simherd.cli.{name}").command
        _keep_lines(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the sub-commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the sub-command, or say which ones are close."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from simherd.errors import close_matches

            raise click.UsageError(f"No such command '{args[0]}'. {close_matches(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)


def _keep_lines(command: click.Command) -> None:
    r"""Let paragraphs below a ``\b``, two characters in a raw docstring, keep their lines in the help."""
    command.help = (command.help or "").replace(r"\b", "\b")
    for part in getattr(command, "commands", {}).values():
        _keep_lines(part)


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import version

        say(f"simherd {version('simherd')}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def group() -> None:
    r"""Run simulation models once on a laptop, or a million times on a cluster.

    \b
    Start with:  simherd new model
                 simherd new experiment
    Then:        simherd run experiment.yaml --dry-run
    """


_keep_lines(group)


def _end_like_ctrl_c() -> None:
    """Let signals that would kill a run end it as Ctrl-C does: tidily, with its summary."""
    import signal

    def interrupt(number: int, frame: object) -> None:
        if number == getattr(signal, "SIGHUP", None):
            _leave_terminal()
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN:
            signal.signal(getattr(signal, name), interrupt)


def _leave_terminal() -> None:
    """Write to nowhere from here on, where it would be to the terminal: that is gone."""
    import os

    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        if os.isatty(descriptor) or not _is_writable(descriptor):
            os.dup2(nowhere, descriptor)


def _is_writable(descriptor: int) -> bool:
    import os

    try:
        os.write(descriptor, b"")
    except OSError:
        return False
    return True


def _show_warnings_in_lines() -> None:
    """Let each warning that names no line of the user's program be one line, once."""
    import warnings
    from pathlib import Path

    show, seen = warnings.showwarning, set()
    callers = str(Path(click.__file__).parent)  # what a warning names that our command was called from

    def show_in_a_line(
        message: Any, category: type[Warning], filename: str, *where: Any, **more: Any
    ) -> None:
        if not filename.startswith(callers):
            show(without_controls(str(message)), category, filename, *where, **more)
        elif str(message) not in seen:
            seen.add(str(message))
            say(f"Warning: {message}", err=True)

    warnings.showwarning = show_in_a_line


def _exit_with(error: SimherdError) -> NoReturn:
    from simherd.cli.exits import code_of

    say(f"Error: {error.for_cli()}", err=True)
    sys.exit(code_of(error))


def _show_usage_error(error: click.ClickException) -> None:
    import io

    text = io.StringIO()
    error.show(file=text)
    say(text.getvalue(), err=True, nl=False)


def main() -> None:
    """Run the command line; errors become one message and an exit code."""
    _end_like_ctrl_c()
    _show_warnings_in_lines()
    try:
        sys.exit(group.main(standalone_mode=False) or 0)
    except click.exceptions.Abort:
        from simherd.cli.exits import Exit

        say("Interrupted.", err=True)
        sys.exit(Exit.INCOMPLETE)
    except click.ClickException as error:
        _show_usage_error(error)
        sys.exit(error.exit_code)
    except SimherdError as error:
        _exit_with(error)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        say(f"Error: {error}", err=True)
        sys.exit(1)
    except Exception as error:
        from simherd.config import as_unreadable

        unreadable = as_unreadable(error)
        if unreadable is not None:
            _exit_with(unreadable)
        from simherd.cli.tracebacks import format_users_part

        say(format_users_part(error), err=True)
        sys.exit(1)

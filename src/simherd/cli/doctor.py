"""``simherd doctor``: what this machine, or a cluster, offers and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from simherd.cli.exits import Exit
from simherd.cli.output import say

if TYPE_CHECKING:
    from simherd.doctor import Finding

__all__ = ["command"]


@click.command()
@click.option("--client", "address", metavar="ADDRESS", help="Check every worker of this Dask scheduler.")
@click.option("--orphans", is_flag=True, help="Find jobs that killed runs left, and cancel them.")
@click.option(
    "--yes", is_flag=True, help="With --orphans: do not ask, and forget those that simherd cannot cancel."
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_context
def command(ctx: click.Context, address: str | None, orphans: bool, yes: bool, as_json: bool) -> None:
    r"""Show the resources of this machine and any problems.

    \b
    simherd doctor
    simherd doctor --client session:NAME
    simherd doctor --orphans

    \b
    Exit codes: 0 nothing is wrong, 1 something is.
    """
    if address is not None and orphans:
        raise click.UsageError("--client and --orphans are two things: run one after the other.")
    if yes and not orphans:
        raise click.UsageError("--yes goes with --orphans.")
    if address is not None and not _is_there(address):
        raise click.UsageError(f"--client {address}: an address, session:NAME or a scheduler file is needed.")
    if orphans:
        from simherd.cli.orphans import cancel_orphans

        ctx.exit(cancel_orphans(yes, as_json))
    ctx.exit(_show(_of_cluster(address) if address is not None else _of_machine(), as_json))


def _is_there(address: str) -> bool:
    """Return whether something stands for a scheduler that runs: nothing is started to be looked at."""
    from simherd.clusters import is_given

    return is_given(address) and (":" in address or address.endswith(".json"))


def _of_machine() -> Iterator[Finding]:
    from simherd.doctor import examine_machine

    return examine_machine()


def _of_cluster(address: str) -> Iterator[Finding]:
    from simherd.clusters import open_client
    from simherd.doctor.workers import examine_workers

    with open_client(address) as client:
        yield from examine_workers(client)


def _show(findings: Iterable[Finding], as_json: bool) -> Exit:
    """Print findings as they come, and return the exit code."""
    from simherd.cli.doctor_text import as_data, lines_of
    from simherd.doctor import Verdict

    found = []
    for finding in findings:
        found.append(finding)
        if not as_json:
            for line in lines_of(finding):
                say(line)
    wrong = sum(one.verdict is Verdict.WRONG for one in found)
    if as_json:
        say(json.dumps([as_data(one) for one in found]))
    elif wrong:
        say(f"\n{wrong} {'things are' if wrong > 1 else 'thing is'} wrong, marked with '!'.")
    else:
        say("\nNothing is wrong.")
    return Exit.ERROR if wrong else Exit.DONE

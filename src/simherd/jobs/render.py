"""A plan written out as a job script: pure text."""

from __future__ import annotations

import re
import shlex
import string
import textwrap
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path

from simherd.errors import ClusterOptionError, close_matches
from simherd.jobs.base import Dialect, dialect_of
from simherd.jobs.handing_on import PATHS
from simherd.jobs.launching import cluster_arguments, launch_words
from simherd.jobs.plan import JobPlan, Mode
from simherd.jobs.quoting import quote_words, refuse_control
from simherd.jobs.templates_check import check_script
from simherd.resources import format_walltime
from simherd.threads import GUARD_VARIABLES

__all__ = ["command_words", "render", "submit_commands"]

TITLES = {
    Mode.MPI: "The whole run in one job: {ntasks} of {cores}, started by {launcher}.",
    Mode.JOBQUEUE: "Dask's scheduler and client as a small job, which submits its workers as jobs.",
    Mode.ARRAY: "An array job: each of {shares} tasks runs its share of the simulations into the same store.",
}
CARE_FREE = (
    "Once submitted it needs no care: it is told before its walltime ends, finishes what it is at,",
    "goes back into the queue and goes on from the store. Submit it again after a failure: what is",
    "done is not done twice.",
)
CARE_NEEDED = (
    "It is told before its walltime ends and finishes what it is at. Submit it again to go on from",
    "the store, also after a failure: what is done is not done twice.",
)
PARTS = ("supervise", "ending")
"""What all scripts have in common: how the run is watched, and what its end means."""


class _Template(string.Template):
    """Text with placeholders such as ``@{name}``; all else, ``$`` too, stays as it is."""

    pattern = r"@\{(?:(?P<braced>[a-z_]+)|(?P<named>(?!))|(?P<escaped>(?!))|(?P<invalid>(?!)))\}"  # type: ignore[assignment]


def render(plan: JobPlan, script_name: str = "SCRIPT") -> str:
    """Return the job script of a plan.

    Parameters
    ----------
    plan : JobPlan
        What the job is.
    script_name : str, optional
        Name of the script's file, for the comment that says how to submit it.

    Returns
    -------
    str
        The script, which ends with a line break.

    Raises
    ------
    ClusterOptionError
        If a value cannot stand in a script, or the site's own template cannot be used.
    """
    own = plan.site.templates.get(plan.mode)
    text = _site_template(own) if own is not None else _packaged(f"{plan.scheduler}-{plan.mode}.sh")
    values = _values(plan, dialect_of(plan.scheduler), script_name)
    parts = {name: _fill(_packaged(f"{name}.sh").rstrip("\n"), values, None) for name in PARTS}
    filled = _fill(text, {**values, **parts}, own)
    script = re.sub(r"\n{3,}", "\n\n", filled)
    if own is not None:
        check_script(script, plan, own)
    return script


def _packaged(name: str) -> str:
    return files("simherd.jobs").joinpath("templates", name).read_text(encoding="utf-8")


def _site_template(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ClusterOptionError(
            f"Cannot read the site's template {path!r}: {error}.",
            fix="correct simherd.templates in jobqueue.yaml.",
        ) from error


def _fill(text: str, values: dict[str, str], own: str | None) -> str:
    """Return a template with its placeholders filled; a line for nothing but an empty one is left out."""
    for name, value in values.items():
        if not value:
            text = re.sub(rf"^[ \t]*@\{{{name}\}}\n", "", text, flags=re.MULTILINE)
    try:
        return _Template(text).substitute(values)
    except KeyError as error:
        raise ClusterOptionError(
            f"The site's template {own!r} has the unknown placeholder @{{{error.args[0]}}}. "
            + close_matches(str(error.args[0]), values)
        ) from error


def _values(plan: JobPlan, dialect: Dialect, script_name: str) -> dict[str, str]:
    """Return what stands for each placeholder; docs/job-scripts.md has the list."""
    return {
        "shebang": refuse_control(plan.shebang, "shebang"),
        "title": _title(plan),
        "experiment_name": refuse_control(plan.arguments[0], "experiment"),
        "how_to_submit": "\n".join(f"#     {line}" for line in _how_to_submit(plan, script_name)),
        "about": "\n".join(f"# {line}" for line in _about(plan, dialect)),
        "directives": "\n".join(f"{dialect.marker} {line}" for line in dialect.lines(plan)),
        "activation": _lines(plan.site.activation, "activation"),
        "prologue": _lines(plan.prologue, "prologue"),
        "settings": "\n".join(_settings(plan)),
        "guards": "\n".join(f"export {name}={plan.threads}" for name in GUARD_VARIABLES),
        "guard_names": _wrapped(GUARD_VARIABLES),
        "nodes": str(plan.resources.nodes),
        "ntasks": str(plan.resources.ntasks),
        "cores": str(plan.resources.cores),
        "threads": str(plan.threads),
        "shares": str(plan.shares),
        "launch": shlex.join(launch_words(plan)) if plan.mode is Mode.MPI else "",
        "command": quote_words(command_words(plan), "command"),
        "store": quote_words([_no_option(plan.store)], "store"),
        "if_some_failed": ": # the job fails too" if plan.is_strict else "code=0",
        "cancelled_by": dialect.cancelled_by,
        "may_go_back": "true" if plan.requeues else "false",
        "go_back": dialect.go_back(plan),
    }


def _settings(plan: JobPlan) -> Iterator[str]:
    """Give lines that name the settings of worker jobs; Dask would not complain if they are not there."""
    if plan.settings:
        yield "# The settings with which the worker jobs were checked, whatever this job took over."
    for name, value in plan.settings.items():
        yield f"export {name}={quote_words([value], name)}"
        if name in PATHS:
            yield f'[ -e "${name}" ] || {{ echo "Not there on this node: ${name}" >&2; exit 1; }}'


def _no_option(path: str) -> str:
    """Return a path that no command takes for an option."""
    return f"./{path}" if path.startswith("-") else path


def _wrapped(words: Iterable[str]) -> str:
    """Return words over several lines of a shell's ``for``."""
    return " \\\n".join(textwrap.wrap(" ".join(words), 96, subsequent_indent=" " * 8))


def _lines(lines: Iterable[str], what: str) -> str:
    return "\n".join(refuse_control(line.rstrip("\n"), what) for line in lines)


def command_words(plan: JobPlan) -> list[str]:
    """Return the command that runs the experiment, without launcher and share."""
    return [*plan.program, "run", *plan.arguments, *cluster_arguments(plan), "--resume"]


def submit_commands(plan: JobPlan, script_name: str) -> list[str]:
    """Return the commands that submit a plan's script: several where one array job is too small."""
    dialect = dialect_of(plan.scheduler)
    jobs = list(plan.array_jobs(plan.site.array_limit)) if plan.is_array else []
    if len(jobs) <= 1:
        return [shlex.join([dialect.submits, script_name])]
    return [
        shlex.join([dialect.submits, *dialect.array_arguments(plan, job), script_name, str(job.offset)])
        for job in jobs
    ]


def _how_to_submit(plan: JobPlan, script_name: str) -> list[str]:
    """Return all commands: the folder of the logs must be there before a job starts."""
    folder = quote_words([plan.log_directory], "log_directory")
    return [f"mkdir -p {folder}", *submit_commands(plan, script_name)]


def _title(plan: JobPlan) -> str:
    wanted = plan.resources
    return TITLES[plan.mode].format(
        ntasks=_count(wanted.ntasks, "rank"),
        cores=_count(wanted.cores, "core"),
        launcher=plan.site.launcher.split()[0],
        shares=plan.shares,
    )


def _about(plan: JobPlan, dialect: Dialect) -> list[str]:
    lines = list(CARE_NEEDED if not plan.requeues else CARE_FREE)
    skipped = [line for line in dialect.directives(plan) if dialect.is_skipped(line, plan)]
    if skipped:
        lines.append(f"Left out, as job-directives-skip says: {', '.join(skipped)}.")
    lines.extend(refuse_control(caution, "directives") for caution in dialect.cautions(plan))
    walltime = plan.resources.walltime_s
    if walltime is not None:
        cores = plan.resources.slots * (plan.shares if plan.is_array else 1)
        lines.append(
            f"At most {format_walltime(walltime)} on {_count(cores, 'core')}:"
            f" {cores * walltime / 3600:.3g} core-hours each time."
        )
    return lines


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

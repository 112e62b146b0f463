"""A site's own template is used only if its script keeps the guards and the counts of the plan."""

from __future__ import annotations

import re
from collections.abc import Iterator

from simherd.errors import ClusterOptionError
from simherd.jobs.base import dialect_of
from simherd.jobs.plan import JobPlan, Mode
from simherd.threads import GUARD_VARIABLES

__all__ = ["check_script", "find_faults"]

_EXPORT = re.compile(r"^\s*(?:export\s+)?([A-Z_]+)=(\S*)", re.MULTILINE)
_LAUNCHER = re.compile(r"(?:mpirun|mpiexec|srun)\b")
_LAUNCHED = re.compile(r"(?:^|\s)(?:-np|-n|--ntasks|-ntasks)[=\s]+(\S+)")


def check_script(script: str, plan: JobPlan, path: str) -> None:
    """Raise an error if a script made from a site's template lacks guards or has other counts.

    Parameters
    ----------
    script : str
        The script.
    plan : JobPlan
        What it was made from.
    path : str
        Path of the template.

    Raises
    ------
    ClusterOptionError
        If so; it names all faults.
    """
    faults = list(find_faults(script, plan))
    if faults:
        raise ClusterOptionError(
            f"The site's template {path!r} cannot be used: {' '.join(faults)}",
            fix="use the placeholders @{directives}, @{guards}, @{launch} and @{command}.",
        )


def find_faults(script: str, plan: JobPlan) -> Iterator[str]:
    """Give what a script lacks of its plan, in sentences."""
    lines = script.splitlines()
    begins = next(
        (number for number, line in enumerate(lines) if " run " in line and "--resume" in line), None
    )
    if begins is None:
        yield "It does not run the experiment (@{command})."
    yield from _of_guards("\n".join(lines[:begins]), plan)
    yield from _of_directives(lines, plan)
    if plan.mode is Mode.MPI:
        yield from _of_launcher(script, plan)


def _of_guards(before: str, plan: JobPlan) -> Iterator[str]:
    """Give the guards that have no value, or another one, when the run begins."""
    last = {name: value.strip("\"'") for name, value in _EXPORT.findall(before)}
    wrong = [name for name in GUARD_VARIABLES if last.get(name) != str(plan.threads)]
    if wrong:
        yield f"It does not set {', '.join(wrong)} to {plan.threads} before the run begins (@{{guards}})."


def _of_directives(lines: list[str], plan: JobPlan) -> Iterator[str]:
    """Give the directives of the plan that are missing, and those that contradict it."""
    dialect = dialect_of(plan.scheduler)
    wanted = list(dialect.directives(plan))
    found = [line.removeprefix(dialect.marker).strip() for line in lines if line.startswith(dialect.marker)]
    if missing := [line for line in wanted if line not in found]:
        yield f"It lacks the directives {', '.join(missing)} (@{{directives}})."
    if other := [line for line in found if line not in wanted and dialect.owns(line)]:
        yield f"It has other counts or limits than asked for: {', '.join(other)}."


def _of_launcher(script: str, plan: JobPlan) -> Iterator[str]:
    code = (line for line in script.splitlines() if not line.lstrip().startswith("#"))
    body = "\n".join(line for line in code if _LAUNCHER.search(line))
    counts = {count for count in _LAUNCHED.findall(body) if count != str(plan.resources.ntasks)}
    if counts or not _LAUNCHED.search(body):
        found = ", ".join(sorted(counts)) or "none"
        yield f"It starts other ranks than {plan.resources.ntasks}: {found} (@{{launch}})."

"""A site's own template is used only if its script keeps the guards and the counts of the plan."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import takewhile

from simherd.errors import ClusterOptionError
from simherd.jobs.base import dialect_of
from simherd.jobs.plan import JobPlan, Mode
from simherd.threads import GUARD_VARIABLES

__all__ = ["check_script", "find_faults"]

_LAUNCHER = re.compile(r"(?:mpirun|mpiexec|srun)\b")
_LAUNCHED = re.compile(r"(?:^|\s)(?:--?np?|--?ntasks)(?:[=\s]+|(?=[\d$\"']))([^\s);&|]+)")
_BREAKS = frozenset("{}")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_SETTING = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_BEFORE_SETTINGS = frozenset(
    {"export", "declare", "typeset", "readonly", "env", "exec", "then", "do", "else"}
)


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
    yield from _of_guards("\n".join(lines if begins is None else lines[: begins + 1]), plan)
    yield from _of_directives(lines, plan)
    if plan.mode is Mode.MPI:
        yield from _of_launcher(script, plan)


def _of_guards(before: str, plan: JobPlan) -> Iterator[str]:
    """Give the guards that have no value, or another one, when the run begins."""
    last = _environment_after(before)
    wrong = [name for name in GUARD_VARIABLES if last.get(name) != str(plan.threads)]
    if wrong:
        yield f"It does not set {', '.join(wrong)} to {plan.threads} before the run begins (@{{guards}})."


def _environment_after(script: str) -> dict[str, str]:
    """Return the variables that lines of shell set, each with its last value, without what they unset."""
    found: dict[str, str] = {}
    for words in _commands(script):
        if words[0] == "unset":
            for name in words[1:]:
                found.pop(name, None)
            continue
        for word in words:
            setting = _SETTING.fullmatch(word)
            if setting is not None:
                found[setting[1]] = setting[2].strip("\"'")
            elif not (word in _BEFORE_SETTINGS or word.startswith("-")):
                break
    return found


def _commands(script: str) -> Iterator[list[str]]:
    """Give the commands in lines of shell, each as its words."""
    for line in script.replace("\\\n", " ").splitlines():
        command: list[str] = []
        for word in [*_words(line), ";"]:
            if word in _BREAKS or set(word) <= set(";&|()"):
                if command:
                    yield command
                command = []
            else:
                command.append(word)


def _words(line: str) -> list[str]:
    """Return the words of a line without its comment."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()")
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError:  # an apostrophe in a comment, or quotes that another line closes
        shorter = _COMMENT.sub("", line)
        return _words(shorter) if shorter != line else line.split()
    return list(takewhile(lambda word: not word.startswith("#"), words))


def _of_directives(lines: list[str], plan: JobPlan) -> Iterator[str]:
    """Give the directives of the plan that are missing, and those that contradict it."""
    dialect = dialect_of(plan.scheduler)
    wanted = [line for line in dialect.directives(plan) if not dialect.is_skipped(line, plan)]
    found = [line.removeprefix(dialect.marker).strip() for line in lines if line.startswith(dialect.marker)]
    if missing := [line for line in wanted if line not in found]:
        yield f"It lacks the directives {', '.join(missing)} (@{{directives}})."
    if other := [line for line in found if line not in wanted and dialect.without_owned(line, plan) != line]:
        yield f"It has other counts or limits than asked for: {', '.join(other)}."


def _of_launcher(script: str, plan: JobPlan) -> Iterator[str]:
    code = (line for line in script.splitlines() if not line.lstrip().startswith("#"))
    body = "\n".join(line for line in code if _LAUNCHER.search(line))
    found_counts = {count.strip("\"'") for count in _LAUNCHED.findall(body)}
    counts = found_counts - {str(plan.resources.ntasks)}
    if counts or not found_counts:
        found = ", ".join(sorted(counts)) or "none"
        yield f"It starts other ranks than {plan.resources.ntasks}: {found} (@{{launch}})."

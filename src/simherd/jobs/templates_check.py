"""A site's own template is used only if its script keeps the guards and the counts of the plan."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from itertools import takewhile

from simherd.errors import ClusterOptionError, close_matches
from simherd.jobs.base import dialect_of
from simherd.jobs.launching import launcher_counts
from simherd.jobs.plan import JobPlan, Mode
from simherd.threads import GUARD_VARIABLES

__all__ = ["check_names", "check_script", "find_faults"]

_SHARE = re.compile(r"(?:^|\s)--share[=\s](\S+)")
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
            fix="use the placeholders @{directives}, @{guards}, @{launch}, @{command} and @{shares}.",
        )


def check_names(templates: Mapping[str, str]) -> None:
    """Raise an error if a site has a template for a mode that is none.

    Raises
    ------
    ClusterOptionError
        If so.
    """
    for name in templates.keys() - set(Mode):
        raise ClusterOptionError(
            f"simherd.templates has a template for {name!r}, which is no mode. {close_matches(name, Mode)}",
            fix="correct it in jobqueue.yaml.",
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
    yield from _of_launcher(script, plan)
    if plan.is_array:
        yield from _of_share(script, plan)


def _of_guards(before: str, plan: JobPlan) -> Iterator[str]:
    """Give the guards and settings that have no value, or another one, when the run begins."""
    last = _environment_after(before)
    wrong = [name for name in GUARD_VARIABLES if last.get(name) != str(plan.threads)]
    if wrong:
        yield f"It does not set {', '.join(wrong)} to {plan.threads} before the run begins (@{{guards}})."
    other = [name for name, value in plan.settings.items() if last.get(name) != value.strip("\"'")]
    if other:
        yield f"It does not set {', '.join(other)} as for the check of the worker jobs (@{{settings}})."


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
    """Give the counts of launchers that are others than the plan's."""
    found = {count for words in _commands(script) for count in launcher_counts(words)}
    wanted = plan.resources
    expected = {"ranks": wanted.ntasks, "nodes": wanted.nodes, "cores of a rank": wanted.cores}
    for what, count in expected.items():
        if other := {value for one, value in found if one == what} - {str(count)}:
            yield f"It starts other {what} than {count}: {', '.join(sorted(other))} (@{{launch}})."
    if plan.mode is Mode.MPI and not any(what == "ranks" for what, _ in found):
        yield f"It starts other ranks than {wanted.ntasks}: none (@{{launch}})."


def _of_share(script: str, plan: JobPlan) -> Iterator[str]:
    """Give what would let the tasks of an array job run anything but one share each."""
    options = (" ".join(words) for words in _commands(script))
    shares = [found[1] for option in options if (found := _SHARE.search(option))]
    for share in shares:
        part, _, number = share.partition("/")
        if number != str(plan.shares) or "$" not in part:
            yield f"Its tasks run the share {share}, where each has its own of {plan.shares} (@{{shares}})."
    if not shares:
        yield f'Its tasks all run the same: --share "$share/{plan.shares}" is missing (@{{shares}}).'

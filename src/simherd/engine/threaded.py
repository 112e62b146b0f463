"""The processes of one simulation at once: those that touch nothing of each other run in threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import combinations
from typing import TypeAlias

from simherd.model.graph import Graph
from simherd.model.model import Model
from simherd.model.runtime import STAGES, RuntimeContext

__all__ = ["threaded_stages", "waits_of"]

Call: TypeAlias = Callable[[RuntimeContext], bool]


def waits_of(graph: Graph) -> dict[str, set[str]]:
    """Return for each process all those that must have run before it.

    Those are the ones that it waits for, and those earlier in the order that set what it touches or
    touch what it sets: so every process reads the values that it would read in a serial run.
    """
    touched = {name: graph.touched_by(name) for name in graph.order}
    changed = {name: {v.home for v in graph.set_by(name)} for name in graph.order}
    waits = {name: set(graph.dependencies[name]) for name in graph.order}
    for first, second in combinations(graph.order, 2):
        if changed[first] & touched[second] or touched[first] & changed[second]:
            waits[second].add(first)
    for name in graph.order:  # each after those it waits for, so that theirs are complete
        waits[name] |= set().union(*(waits[other] for other in waits[name]))
    return waits


def threaded_stages(model: Model, pool: ThreadPoolExecutor) -> dict[str, Callable[[RuntimeContext], None]]:
    """Return the stages of a model, which run its processes in the threads of a pool.

    A process that answers BREAK skips those that wait for it: others may have run already.
    """
    waits = waits_of(model.graph)
    begin, calls = model.split_stages()

    def stage_runner(stage: str) -> Callable[[RuntimeContext], None]:
        here = {name: waits[name] & calls[stage].keys() for name in calls[stage]}

        def run(context: RuntimeContext) -> None:
            begin()
            _run_all(calls[stage], here, context, pool)

        return run

    return {stage: stage_runner(stage) for stage in STAGES}


def _run_all(
    calls: Mapping[str, Call],
    waits: Mapping[str, set[str]],
    context: RuntimeContext,
    pool: ThreadPoolExecutor,
) -> None:
    """Call each process as soon as all that it waits for have run.

    Raises
    ------
    Exception
        What the first process, in the order of a serial run, has raised.
    """
    waiting, finished, broken = dict.fromkeys(calls), set[str](), set[str]()
    running: dict[Future[bool], str] = {}
    while waiting or running:
        ready = [name for name in waiting if waits[name] <= finished]
        for name in ready:
            del waiting[name]
        ready = [name for name in ready if not _is_skipped(name, waits, broken, finished)]
        if len(ready) == 1 and not running:  # nobody to run beside: no thread is needed
            _settle(ready[0], calls[ready[0]](context), finished, broken)
            continue
        running |= {pool.submit(calls[name], context): name for name in ready}
        if not running:
            continue
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        if any(future.exception() for future in done):
            _raise_first(running, calls)
        for future in done:
            _settle(running.pop(future), future.result(), finished, broken)


def _is_skipped(name: str, waits: Mapping[str, set[str]], broken: set[str], finished: set[str]) -> bool:
    """Note a process as finished without a call, if one that it waits for said BREAK."""
    if waits[name].isdisjoint(broken):
        return False
    finished.add(name)
    return True


def _settle(name: str, is_break: bool, finished: set[str], broken: set[str]) -> None:
    finished.add(name)
    if is_break:
        broken.add(name)


def _raise_first(running: Mapping[Future[bool], str], calls: Mapping[str, Call]) -> None:
    """Let all that run come to their end, and raise the error of the first in order."""
    wait(running)
    position = {name: number for number, name in enumerate(calls)}
    failed = [future for future in running if future.exception() is not None]
    min(failed, key=lambda future: position[running[future]]).result()

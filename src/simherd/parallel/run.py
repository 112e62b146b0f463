"""One run of a parallel map: where its tasks run, what they share, and who watches."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from simherd.engine.timeouts import TimeLimit
from simherd.events import BlockFinished, RunFinished, RunStarted
from simherd.executors.base import Executor
from simherd.executors.payload import Payload, pack, referred_by
from simherd.executors.processes import ProcessExecutor
from simherd.parallel.board import Board
from simherd.parallel.custom import MapTask, joblib_map, run_custom
from simherd.parallel.dispatch import Dispatch, Outcomes, out_of_time
from simherd.parallel.frozen import Frozen, freeze
from simherd.parallel.load import gate_of
from simherd.parallel.methods import Place
from simherd.parallel.options import MapOptions
from simherd.parallel.packs import PackSizer
from simherd.parallel.places import opened
from simherd.parallel.shared_dict import shared_dict
from simherd.parallel.streams import draw_root
from simherd.parallel.task import Copies, Job, Kept, PackReport, this_process
from simherd.progress import showing
from simherd.setup.sources import constants_of_functions

__all__ = ["MapRun"]

FAR_PACK_S = 1.0
"""Work in a pack that goes through a Dask scheduler, in s."""
PACKS_PER_WORKER = 4
KEPT_BYTES = 2**26
"""Memory of shared arguments, in bytes, with which workers may be kept for the next map."""
DESCRIPTORS = Path("/proc/self/fd")


class MapRun:
    """A run of a map, which can be stopped from another thread.

    Parameters
    ----------
    options : MapOptions
        The map.
    """

    def __init__(self, options: MapOptions) -> None:
        self.options = options
        self.outcomes = Outcomes.of(len(options.arguments))
        self.globaldict: dict[Any, Any] = dict(options.globaldict or {})
        """What tasks left in the dictionary that they share."""
        self._board: Board | None = None
        self._is_stopped = False

    def stop(self) -> None:
        """Let no other task begin."""
        self._is_stopped = True
        if (board := self._board) is not None:
            board.stop()

    def run(self) -> None:
        """Run the tasks, or those up to the first failure if that is to end the map.

        Raises
        ------
        SimherdError
            If workers cannot be started, or are gone, or function or arguments do not pickle.
        """
        with Board.new() as board:
            self._board = board
            if self._is_stopped:
                board.stop()
            try:
                if self.options.method.place in (Place.CUSTOM, Place.JOBLIB):
                    self._run_custom(board)
                else:
                    self._run_packs(board)
            finally:
                self._board = None

    def _run_packs(self, board: Board) -> None:
        options = self.options
        with ExitStack() as stack:
            executor = stack.enter_context(
                opened(options.method, options.ncpus, is_given=options.is_count_given)
            )
            job = self._job(executor, board, stack)
            dispatch = Dispatch(options.arguments, job, executor, _sizer(executor), gate_of(options.limits))
            self.outcomes = dispatch.outcomes
            shown = self._shown(executor.workers, executor.description)
            dispatch.on_report = stack.enter_context(shown)
            dispatch.run(_travelling(job, options) if executor.crosses_processes else job)
            if isinstance(executor, ProcessExecutor) and _mapped_bytes(job) > KEPT_BYTES:
                executor.stop()

    def _run_custom(self, board: Board) -> None:
        options = self.options
        with ExitStack() as stack:
            job = self._job(None, board, stack)
            task = MapTask(job, partial(_travelling, job, options))
            function, packs, where = options.method.given, None, "a map of your own"
            if options.method.place is Place.JOBLIB:
                function, packs, where = joblib_map(options.ncpus), PACKS_PER_WORKER * options.ncpus, "joblib"
            on_report = stack.enter_context(self._shown(options.ncpus, where))
            run_custom(function, task, options.arguments, self.outcomes, on_report, packs)

    def _job(self, executor: Executor | None, board: Board, stack: ExitStack) -> Job:
        options = self.options
        shared = stack.enter_context(shared_dict(options.globaldict, executor))
        if shared is not None:
            stack.callback(self._take_globals, shared)
        crosses = executor is None or executor.crosses_processes
        return Job(
            shared=self._shared(executor),
            board=board,
            tasks=len(options.arguments),
            client=this_process(),
            copies_arguments=options.method.copies,
            stops_at_failure=options.stops_at_failure,
            callback=options.callback,
            globaldict=shared,
            captures=options.captures,
            limit=_limit(options.timeout_s, crosses and executor is not None),
            root=draw_root() if crosses else None,
        )

    def _take_globals(self, shared: Mapping[Any, Any]) -> None:
        self.globaldict = dict(shared)

    def _shared(self, executor: Executor | None) -> Copies:
        """Return what gives tasks the function and the shared arguments."""
        options = self.options
        call = options.function, options.arguments.args, tuple(options.arguments.kwargs.items())
        if not options.method.copies and (executor is None or not executor.crosses_processes):
            return Kept(call)
        return freeze(call, stays_here=isinstance(executor, ProcessExecutor) and DESCRIPTORS.exists())

    @contextmanager
    def _shown(self, workers: int, where: str) -> Iterator[Any]:
        """Show progress, and give who is told of each pack that comes back."""
        with showing(self.options.progress) as subscribers:
            started = RunStarted(
                simulations=len(self.options.arguments),
                workers=workers,
                where=where,
                unit="task",
            )
            begun = time.monotonic()

            def tell(event: Any) -> None:
                for subscriber in subscribers:
                    subscriber(event)

            tell(started)
            yield lambda report: tell(_as_event(report))
            failed = len(self.outcomes.failures)
            tell(
                RunFinished(
                    done=self.outcomes.settled - failed, failed=failed, seconds=time.monotonic() - begun
                )
            )


def _travelling(job: Job, options: MapOptions) -> Payload:
    """Return what packs share as workers get it, with the state of the modules that tasks use."""
    if isinstance(job.shared, Kept):
        job = replace(job, shared=freeze(job.shared.call))
    shared = options.function, options.callback, options.arguments.args, dict(options.arguments.kwargs)
    referred = referred_by([shared, *options.arguments.examples()])
    return pack(job, [("the callback", options.callback)], constants_of_functions(referred))


def _as_event(report: PackReport) -> BlockFinished:
    failed = len(report.failures)
    return BlockFinished(
        start=report.tasks.start,
        done=len(report.tasks) - failed,
        failed=failed,
        seconds=sum(report.seconds),
        worker=report.worker,
    )


def _mapped_bytes(job: Job) -> int:
    return job.shared.mapped_bytes if isinstance(job.shared, Frozen) else 0


def _sizer(executor: Executor) -> PackSizer:
    is_near = isinstance(executor, ProcessExecutor) or not executor.crosses_processes
    return PackSizer(executor.workers) if is_near else PackSizer(executor.workers, FAR_PACK_S)


def _limit(timeout_s: float | None, may_end_process: bool) -> TimeLimit | None:
    if timeout_s is None:
        return None
    return TimeLimit(timeout_s, may_end_process=may_end_process, error_of=out_of_time)

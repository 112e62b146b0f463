"""What the workers of a cluster are: versions, cores, threads of numerical libraries."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from simherd.doctor.finding import Finding, Verdict
from simherd.doctor.software import PACKAGES, versions
from simherd.executors.asking import ask
from simherd.progress.words import counted
from simherd.resources import core_limits, format_bytes, usable_cores
from simherd.thread_use import ThreadUse, overused, thread_use
from simherd.threads import GUARD_VARIABLES

if TYPE_CHECKING:
    from distributed import Client

__all__ = [
    "Worker",
    "examine_workers",
    "look_at_host",
    "look_at_threads_of",
    "look_at_versions_of",
    "look_at_worker",
]

ANSWER_S = 20.0
"""Time that a worker has to answer, in s."""
SAME_PYTHON = (
    "let jobs start the Python of an environment that has the same: lines that load it as 'activation' in "
    "section simherd of jobqueue.yaml; or python: PATH, which is 'python: python' for what a prologue loads "
    "(a prologue alone does not change the Python of workers)."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    """What a worker says of itself."""

    name: str
    """Its name."""
    address: str
    """Its address."""
    host: str
    """Machine that it runs on."""
    threads: int
    """Blocks that it runs at once."""
    cores: int
    """Cores that its process may use."""
    limited_by: str
    """What sets that number."""
    memory_limit: int
    """Memory that Dask lets it use, in bytes; 0 for no limit."""
    memory_held: int
    """Memory that its process holds, in bytes."""
    is_paused: bool
    """Whether it begins no task, because Dask has paused it."""
    versions: Mapping[str, str | None]
    """Versions of Python and packages."""
    guards: Mapping[str, str]
    """Variables of numerical libraries in its environment."""
    use: ThreadUse
    """Threads of the numerical libraries that it has loaded."""


def describe_this_worker(dask_worker: Any = None) -> Worker:
    """Return what this process, a worker, is; the argument is given by Dask."""
    limits = core_limits()
    return Worker(
        name=str(dask_worker.name),
        address=dask_worker.address,
        host=socket.gethostname(),
        threads=dask_worker.state.nthreads,
        cores=usable_cores(),
        limited_by=min(limits, key=lambda name: limits[name]),
        memory_limit=dask_worker.memory_manager.memory_limit or 0,
        memory_held=dask_worker.monitor.get_process_memory(),
        is_paused=dask_worker.status.name == "paused",
        versions=_versions_here(),
        guards={name: os.environ[name] for name in GUARD_VARIABLES if name in os.environ},
        use=thread_use(str(dask_worker.name), dask_worker.state.nthreads),
    )


def _versions_here() -> dict[str, str | None]:
    return {"python": platform.python_version(), **versions(PACKAGES)}


def examine_workers(client: Client) -> Iterator[Finding]:
    """Yield what every worker of a client is, and what is wrong with it.

    Parameters
    ----------
    client : dask.distributed.Client
        Its workers are asked; one that cannot answer is a finding.
    """
    answers = _answers(client)
    workers = [one for one in answers.values() if isinstance(one, Worker)]
    if not answers:
        yield Finding(
            topic="workers",
            verdict=Verdict.WRONG,
            text="the cluster has none",
            fix="wait for its jobs, or give it some.",
        )
    for address, answer in answers.items():
        if not isinstance(answer, Worker):
            yield _silent(address, answer)
    for worker in workers:
        yield from look_at_worker(worker)
    yield from look_at_threads_of(workers)
    yield from look_at_versions_of(workers, _versions_here())
    hosts = defaultdict(list)
    for worker in workers:
        hosts[worker.host].append(worker)
    for host, there in hosts.items():
        yield look_at_host(host, there)


def _answers(client: Client) -> dict[str, Any]:
    """Return what each worker says of itself, or the error in its place.

    Each is asked on its own: one that hangs does not keep others from answering.
    """
    addresses = ask(client, client.nthreads)

    async def one(address: str) -> Any:
        asked = client.run(describe_this_worker, workers=[address], on_error="return")
        try:
            return (await asyncio.wait_for(asked, ANSWER_S))[address]
        except TimeoutError:
            return TimeoutError(f"no answer within {ANSWER_S:.0f} s")

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*map(one, addresses))

    return dict(zip(addresses, ask(client, all_of_them), strict=True))


def _silent(address: str, error: Any) -> Finding:
    fix = (
        "look whether its node hangs, or a simulation holds Python's lock for long."
        if isinstance(error, TimeoutError)
        else f"install simherd where the workers' Python is; or {SAME_PYTHON}"
    )
    return Finding(
        topic="worker",
        verdict=Verdict.WRONG,
        text=f"{address} cannot say what it is: {type(error).__name__}: {error}",
        fix=fix,
        data={"address": address, "error": str(error)},
    )


def look_at_worker(worker: Worker) -> Iterator[Finding]:
    """Yield what a worker is, and whether it is guarded."""
    memory = format_bytes(worker.memory_limit) if worker.memory_limit else "unlimited memory"
    address = "" if worker.name == worker.address else f" ({worker.address})"
    text = (
        f"{worker.name} on {worker.host}{address}: {counted(worker.threads, 'thread')}, "
        f"{counted(worker.cores, 'usable core')} ({worker.limited_by}), {memory}"
    )
    yield Finding(topic="worker", text=text, data=asdict(worker))
    if worker.is_paused:
        held = format_bytes(worker.memory_held)
        yield Finding(
            topic="worker",
            verdict=Verdict.WRONG,
            text=f"{worker.name} is paused and begins no simulation: it holds {held} of {memory}",
            fix="give it more memory or fewer simulations at once (threads_per_worker); or let it fill its "
            "memory (worker_memory={'pause': False}).",
        )
    if not worker.guards:
        yield Finding(
            topic="worker",
            verdict=Verdict.NOTE,
            text=f"{worker.name} has no thread guard in its environment: simulations are held to it all the "
            "same, where threadpoolctl can, but not Numba, Polars and programs that they start",
            fix="export OMP_NUM_THREADS=1 and its like before Python starts there.",
        )


def look_at_threads_of(workers: Iterable[Worker]) -> Iterator[Finding]:
    """Yield each numerical library that has more threads than there are cores for."""
    for sentence in overused(worker.use for worker in workers).values():
        yield Finding(
            topic="threads",
            verdict=Verdict.WRONG,
            text=sentence,
            fix="export OMP_NUM_THREADS=1 and its like before Python starts there.",
        )


def look_at_versions_of(workers: Iterable[Worker], here: Mapping[str, str | None]) -> Iterator[Finding]:
    """Yield each package whose version on workers is another than here."""
    for package, ours in here.items():
        others = {worker.name: worker.versions.get(package) for worker in workers}
        differ = {name: theirs for name, theirs in others.items() if theirs != ours}
        if differ:
            found = sorted({str(theirs) for theirs in differ.values()})
            yield Finding(
                topic="versions",
                verdict=Verdict.WRONG,
                text=f"{package} is {ours} here and {', '.join(found)} on {counted(len(differ), 'worker')}",
                fix=SAME_PYTHON,
                data={"package": package, "here": ours, "there": differ},
            )


def look_at_host(host: str, workers: list[Worker]) -> Finding:
    """Return how the threads of a machine's workers stand to the cores that they may use."""
    threads = sum(worker.threads for worker in workers)
    whole = max(worker.cores for worker in workers)
    by_job = {worker.limited_by for worker in workers} & {"affinity", "control group"}
    text = f"{host}: {counted(len(workers), 'worker')} with {counted(threads, 'thread')}"
    data = {"host": host, "workers": len(workers), "threads": threads, "cores": whole}
    if by_job == {"affinity"} and threads > whole:
        return Finding(
            topic="machine",
            verdict=Verdict.NOTE,
            text=f"{text} on {counted(whole, 'core')}, unless each has cores of its own",
            data=data,
        )
    return Finding(topic="machine", text=text, data=data)

"""A parallel map against sciris, joblib, concurrent.futures, Dask and Ray, side by side in one run.

    python benchmarks/parallel.py

Rivals that are not installed are left out (``pip install sciris joblib ray``). MPI has three ranks.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from timing import medians, table

import simherd as sh

TASKS = 10_000
WORKERS = 2
GOALS_US = {
    "default": 5,
    "fast": 3,
    "thread": 5,
    "serial": 1,
    "dask client": 30,
    "mpi, 3 ranks": 5,
    "ray": 10,
}
LONG_S, SHORT_S = 0.4, 0.03
SHARED = np.ones(1_000_000)
FIRST = """
import time
from {module} import {names}
def double(x):
    return 2 * x
started = time.perf_counter()
assert {call} == [0, 2, 4, 6]
print(time.perf_counter() - started)
"""
MPI = """
import sys, time
import simherd as sh
tasks = int(sys.argv[1])
for _ in range(6):
    started = time.perf_counter()
    sh.parallelize(abs, range(tasks), parallelizer="mpi")
    print((time.perf_counter() - started) / tasks, flush=True)
"""


def nothing(number: int) -> int:
    """Take no time."""
    return number


def read(number: int, values: np.ndarray) -> float:
    """Read all of a shared argument."""
    return float(values.sum())


def rivals_of(kind: str, stack: ExitStack) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield what does the same tasks, ours first."""
    numbers = range(TASKS)

    def ours(parallelizer: Any = None, **options: Any) -> Callable[[], Any]:
        return lambda: sh.parallelize(nothing, numbers, ncpus=WORKERS, parallelizer=parallelizer, **options)

    if kind in ("default", "fast"):
        yield f"{kind}: simherd", ours(None if kind == "default" else kind)
        pool = stack.enter_context(ProcessPoolExecutor(WORKERS))
        yield (
            "ProcessPoolExecutor, chunks of N/8",
            lambda: list(pool.map(nothing, numbers, chunksize=TASKS // 8)),
        )
        if find_spec("joblib") and kind == "default":
            import joblib

            run = joblib.Parallel(n_jobs=WORKERS)
            yield "joblib", lambda: run(joblib.delayed(nothing)(number) for number in numbers)
    elif kind == "thread":
        yield "thread: simherd", ours("thread")
        threads = stack.enter_context(ThreadPoolExecutor(WORKERS))
        yield "ThreadPoolExecutor", lambda: list(threads.map(nothing, numbers))
    elif kind == "serial":
        yield "serial: simherd", ours("serial")
        yield "bare loop", lambda: [nothing(number) for number in numbers]
    elif kind == "dask client":
        client = stack.enter_context(sh.open_client("local", workers=WORKERS))
        yield "dask client: simherd", ours(client)
    elif kind == "ray":
        import ray

        ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        stack.callback(ray.shutdown)
        yield "ray: simherd", ours("ray")
    if find_spec("sciris") and kind in ("default", "fast", "thread", "serial"):
        import sciris

        name = None if kind == "default" else kind
        yield (
            f"sciris {sciris.__version__}",
            lambda: sciris.parallelize(nothing, numbers, ncpus=WORKERS, parallelizer=name),
        )


def no_ops() -> list[tuple[str, str, str]]:
    """Return the time per task that does nothing."""
    rows = []
    kinds = ["default", "fast", "thread", "serial", "dask client", *(["ray"] if find_spec("ray") else [])]
    for kind in kinds:
        with ExitStack() as stack:
            repeats = 1 if kind == "fast" else 5
            found = medians(dict(rivals_of(kind, stack)), repeats)
        for name, seconds in found.items():
            goal = f"goal {GOALS_US[kind]}" if "simherd" in name else ""
            rows.append((f"  {name}", f"{seconds / TASKS * 1e6:.2f}", goal))
    rows.append(("  mpi, 3 ranks: simherd", f"{mpi() * 1e6:.2f}", f"goal {GOALS_US['mpi, 3 ranks']}"))
    return rows


def mpi() -> float:
    """Return the time per task in an MPI program, in s."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.py")
        script.write_text(MPI)
        command = [
            "mpirun",
            "--allow-run-as-root",
            "--oversubscribe",
            "-np",
            "3",
            sys.executable,
            script,
            str(TASKS),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return float(np.median([float(line) for line in done.stdout.split()[1:]]))


def balance() -> list[tuple[str, str, str]]:
    """Return how long 100 tasks take of which the first 25 are long, against an ideal split."""
    seconds = [LONG_S] * 25 + [SHORT_S] * 75
    ideal = sum(seconds) / 4
    rivals: dict[str, Callable[[], Any]] = {
        "simherd": lambda: sh.parallelize(time.sleep, seconds, ncpus=4),
    }
    if find_spec("sciris"):
        import sciris

        rivals["sciris"] = lambda: sciris.parallelize(time.sleep, seconds, ncpus=4)
    found = medians(rivals, 3)
    goals = {"simherd": "goal 1.05"}
    return [(f"  {name}", f"{took / ideal:.3f}", goals.get(name, "")) for name, took in found.items()]


def shared() -> list[tuple[str, str, str]]:
    """Return the time that a task with an argument of 8 MB takes beyond reading it, in ms."""
    tasks = 1000
    rivals: dict[str, Callable[[], Any]] = {
        "bare reads": lambda: [read(number, SHARED) for number in range(tasks)],
        "simherd": lambda: sh.parallelize(read, range(tasks), values=SHARED, ncpus=1),
    }
    found: Mapping[str, float] = medians(rivals, 3)
    beyond = (found["simherd"] - found["bare reads"]) / tasks
    rows = [("  simherd", f"{1000 * beyond:.3f}", "goal 0.2")]
    if find_spec("sciris"):
        import sciris

        started = time.perf_counter()
        sciris.parallelize(read, range(100), values=SHARED, ncpus=2)
        took = (time.perf_counter() - started) * 2 / 100
        rows.append(("  sciris, 100 tasks", f"{1000 * (took - found['bare reads'] / tasks):.1f}", ""))
    return rows


def first() -> list[tuple[str, str, str]]:
    """Return the time to four results in a new program, in s."""
    calls = {"simherd": ("simherd", "parallelize", "parallelize(double, range(4), ncpus=2)")}
    if find_spec("joblib"):
        calls["joblib"] = (
            "joblib",
            "Parallel, delayed",
            "Parallel(n_jobs=2)(delayed(double)(x) for x in range(4))",
        )

    with tempfile.TemporaryDirectory() as folder:
        took: dict[str, list[float]] = {name: [] for name in calls}
        for name, (module, names, call) in calls.items():
            Path(folder, f"{name}_first.py").write_text(FIRST.format(module=module, names=names, call=call))
        for _ in range(5):
            for name in calls:
                command = [sys.executable, str(Path(folder, f"{name}_first.py"))]
                done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
                took[name].append(float(done.stdout))
    return [(f"  {name}", f"{np.median(seconds):.2f}", "") for name, seconds in took.items()]


def main() -> None:
    """Measure and print."""
    print(table(f"{TASKS:,} tasks that do nothing, {WORKERS} workers, pool warm: µs per task", no_ops()))
    print()
    print(table("100 tasks, the first 25 long, 4 workers: times the ideal", balance()))
    print()
    print(table("1,000 tasks with a shared argument of 8 MB: ms per task beyond reading it", shared()))
    print()
    print(table("First results of a new program, 2 workers: s", first()))


if __name__ == "__main__":
    main()

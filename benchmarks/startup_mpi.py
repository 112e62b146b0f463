"""From mpirun to a first task done: ``sh.open_client("mpi")`` against a bare dask-mpi script, in pairs.

    python benchmarks/startup_mpi.py [RANKS] [PAIRS]

dask-mpi keeps two of the ranks for scheduler and client, ours work on all of them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timing import table

OURS = """
import time
called = time.time()
import simherd as sh
with sh.open_client("mpi") as client:
    client.submit(abs, -1).result()
    print("DONE", called, time.time(), flush=True)
    {wait}
"""
BARE = """
import time
called = time.time()
from dask_mpi import initialize
initialize()
from distributed import Client
client = Client()
client.submit(abs, -1).result()
print("DONE", called, time.time(), flush=True)
{wait}
"""
WAIT = "client.wait_for_workers({workers}, timeout=60); print('ALL', called, time.time(), flush=True)"
AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
Times = dict[str, float]


def run(script: Path, ranks: int) -> Times:
    """Return the seconds from launch and call to a first task, to all workers, and to the end."""
    launched = time.time()
    found = subprocess.run(
        ["mpirun", "--oversubscribe", "-np", str(ranks), sys.executable, str(script)],
        env={**os.environ, **AS_ROOT},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    lines = [line.split() for line in found.stdout.splitlines()]
    said = {
        line[0]: [float(word) for word in line[1:]] for line in lines if line and line[0] in ("DONE", "ALL")
    }
    called, done = said["DONE"]
    return {
        "first task, from mpirun": done - launched,
        "first task, from the call": done - called,
        "all workers, from mpirun": said["ALL"][1] - launched,
        "whole job": time.time() - launched,
    }


def main(ranks: int = 4, pairs: int = 5) -> None:
    """Measure in pairs, the first of which alternates, and print."""
    with tempfile.TemporaryDirectory() as folder:
        scripts = {
            "simherd": (Path(folder, "ours.py"), OURS, ranks),
            "dask-mpi": (Path(folder, "bare.py"), BARE, ranks - 2),
        }
        for path, text, workers in scripts.values():
            path.write_text(text.format(wait=WAIT.format(workers=workers)))
        found: dict[str, list[Times]] = {name: [] for name in scripts}
        for pair in range(pairs + 1):
            for name in sorted(scripts, reverse=bool(pair % 2)):
                times = run(scripts[name][0], ranks)
                if pair:  # the first one warms up
                    found[name].append(times)
    rows = [("seconds, median", "simherd", "dask-mpi, ratio of each pair")]
    for measure in found["simherd"][0]:
        ours, bare = ([times[measure] for times in found[name]] for name in ("simherd", "dask-mpi"))
        ratios = sorted(a / b for a, b in zip(ours, bare, strict=True))
        spread = f"x{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        rows.append((measure, f"{statistics.median(ours):.2f}", f"{statistics.median(bare):.2f}, {spread}"))
    print(table(f"Start of {ranks} ranks, {pairs} pairs: {ranks} workers against {ranks - 2}", rows))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

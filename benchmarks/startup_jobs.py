"""From opening a cluster of jobs to a first no-op done, beside a bare dask-jobqueue script, in pairs.

Needs a batch scheduler; each run submits two jobs. Usage: python startup_jobs.py slurm|sge [PAIRS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys

BARE = """
import time
begun = time.perf_counter()
from dask_jobqueue import {cls}
from distributed import Client

cluster = {cls}(
    cores=1, processes=1, memory="500 MiB", interface="lo", walltime="00:10:00", log_directory="/tmp"
)
cluster.scale(jobs=2)
client = Client(cluster)
assert client.submit(abs, -1).result() == 1
print(time.perf_counter() - begun)
client.close()
cluster.close()
"""
OURS = """
import time
begun = time.perf_counter()
import simherd as sh

client = sh.open_client({kind!r}, jobs=2, memory="500 MiB", interface="lo", walltime="00:10:00")
assert client.submit(abs, -1).result() == 1
print(time.perf_counter() - begun)
client.close()
"""
CLASSES = {"slurm": "SLURMCluster", "sge": "SGECluster"}


def seconds(code: str) -> float:
    """Return what a script prints, in s."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main(kind: str, pairs: int) -> None:
    """Print the times of each pair, and their ratio."""
    ratios = []
    print(f"{kind}: from nothing to a first task done, in s")
    print("  bare    ours    ratio")
    for number in range(pairs):
        codes = [BARE.format(cls=CLASSES[kind]), OURS.format(kind=kind)]
        first, second = (seconds(code) for code in codes[:: 1 if number % 2 else -1])
        bare, ours = (first, second) if number % 2 else (second, first)
        ratios.append(ours / bare)
        print(f"  {bare:5.2f}   {ours:5.2f}   {ratios[-1]:5.2f}")
    print(f"median ratio {statistics.median(ratios):.2f} (goal: at most 1.1)")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)

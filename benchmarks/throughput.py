"""How much of two cores a cluster turns into simulations: against two bare Python processes."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from timing import table

import simherd as sh

SIMULATIONS = 2000
SECONDS_EACH = 0.01
PAIRS = 3
KERNEL = """
def work(x, count):
    for i in range(count):
        x = x * 0.999999 + 1e-7 * i
    return x
"""
BARE = f"""{KERNEL}
import sys
first, last, count, simulations = map(int, sys.argv[1:])
print("ready", flush=True)
sys.stdin.readline()
for number in range(first, last):
    work(number / simulations, count)
"""
names: dict[str, object] = {}
exec(KERNEL, names)
work = names["work"]


@sh.process
class Work:
    """Keeps a core busy."""

    x = sh.variable()
    count = sh.variable()
    result = sh.variable(intent="out")

    def initialize(self) -> None:
        """Compute for a while."""
        self.result = work(self.x, self.count)


def main() -> None:
    """Measure in pairs and print."""
    started = time.perf_counter()
    work(0.5, 10**5)
    count = int(SECONDS_EACH / (time.perf_counter() - started) * 10**5)
    model = sh.Model({"work": Work})
    setup = sh.create_setup(
        model,
        input_vars={
            "work__x": ("member", np.arange(SIMULATIONS) / SIMULATIONS),
            "work__count": count,
        },
        output_vars={"work__result": None},
    )
    with tempfile.TemporaryDirectory() as folder, sh.open_client("local", workers=2) as client:
        store = Path(folder) / "out.zarr"
        _ours(setup, model, client, store)
        pairs = [(_bare(count), _ours(setup, model, client, store)) for _ in range(PAIRS)]
    bare, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    rows = [
        ("two bare Python processes, halves of it", f"{bare:.2f} s", ""),
        ("simherd, LocalCluster(2), warm, to a folder", f"{ours:.2f} s", f"{ratio:.2f} of their throughput"),
    ]
    print(table(f"Throughput: {SIMULATIONS} simulations of {SECONDS_EACH * 1e3:.0f} ms", rows))


def _bare(count: int) -> float:
    half = SIMULATIONS // 2
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BARE, *map(str, (first, first + half, count, SIMULATIONS))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in (0, half)
    ]
    for process in processes:
        process.stdout.readline()
    started = time.perf_counter()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.wait()
    return time.perf_counter() - started


def _ours(setup: object, model: sh.Model, client: object, store: Path) -> float:
    shutil.rmtree(store, ignore_errors=True)
    started = time.perf_counter()
    setup.simherd.run(model, batch_dim="member", parallel=True, scheduler=client, store=store)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

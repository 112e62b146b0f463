"""What a simulation costs beyond its steps: saving arrays, the fixed cost of a run, importing."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from models import Field, field
from timing import medians, table

import simherd as sh

STEPS = 1000


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.zarr"

        def run(steps: int, compressors: object) -> Callable[[], None]:
            setup = sh.create_setup(field, {"t": np.arange(steps + 1.0)}, output_vars={"field__values": "t"})
            encoding = {} if compressors == "default" else {"field__values": {"compressors": compressors}}

            def call() -> None:
                shutil.rmtree(path, ignore_errors=True)
                setup.simherd.run(field, store=path, encoding=encoding)

            return call

        rivals = {
            "steps alone": _bare_steps,
            "np.save": lambda: np.save(Path(folder) / "out.npy", np.zeros((STEPS + 1, Field.SIZE))),
            "raw": run(STEPS, None),
            "raw, one step": run(1, None),
            "zstd": run(STEPS, "default"),
            "zstd, one step": run(1, "default"),
        }
        seconds = medians(rivals, repeats=15)
        run(STEPS, None)()
        written = sum(file.stat().st_size for file in path.rglob("c*") if file.is_file())
    per_step = {
        name: (seconds[name] - seconds[f"{name}, one step"] - seconds["steps alone"]) / STEPS * 1e6
        for name in ("raw", "zstd")
    }
    amplification = written / (Field.SIZE * 8 * (STEPS + 1))
    fixed, dataset = _fixed_costs()
    rows = [
        (
            "array of 1,000 doubles saved, uncompressed",
            f"{per_step['raw']:.1f} us",
            "(xarray-simlab: 3.5 ms)",
        ),
        ("the same with the default codec", f"{per_step['zstd']:.1f} us", ""),
        ("bytes written per byte of result", f"{amplification:.2f}", "(xarray-simlab: 127)"),
        ("fixed cost of a run in memory", f"{fixed * 1e3:.2f} ms", "(xarray-simlab: 6.5 ms)"),
        ("  of that, creating such a Dataset", f"{dataset * 1e3:.2f} ms", ""),
        ("import simherd with its models", f"{_import_seconds():.3f} s", "beyond numpy and attrs"),
    ]
    print(table(f"Store: {STEPS} steps to a Zarr folder, and what every run costs", rows))


def _bare_steps() -> None:
    values = np.zeros(Field.SIZE)
    for step in range(STEPS):
        values = values * 0.999 + np.sin(step)


def _fixed_costs() -> tuple[float, float]:
    setup = sh.create_setup(field, {"t": np.arange(2.0)}, output_vars={"field__values": None})
    values = np.zeros(Field.SIZE)
    rivals = {
        "run": lambda: setup.simherd.run(field),
        "dataset": lambda: xr.Dataset({"v": ("x", values)}, coords={"t": ("t", np.arange(2.0))}),
    }
    seconds = medians(rivals, repeats=200)
    return seconds["run"], seconds["dataset"]


def _import_seconds() -> float:
    code = (
        "import time, numpy, attr; start = time.perf_counter();"
        "import simherd; simherd.Model; print(time.perf_counter() - start)"
    )
    runs = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(7)
    ]
    return statistics.median(runs)


if __name__ == "__main__":
    main()

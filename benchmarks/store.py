"""What a simulation costs beyond its steps: saving arrays, the fixed cost of a run, importing."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from models import Field, events, field
from timing import medians, table

import simherd as sh

STEPS = 1000
ROUNDS = 21
SIMULATIONS = 10_000


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        rounds, written = _saving(Path(folder))
    raw = rounds["raw"] - rounds["raw, one step"] - rounds["steps alone"]
    zstd = rounds["zstd"] - rounds["zstd, one step"] - rounds["steps alone"]
    amplification = written / (Field.SIZE * 8 * (STEPS + 1))
    fixed, dataset = _fixed_costs()
    sizes = _sizes()
    rows = [
        ("array of 1,000 doubles saved, uncompressed", _per_step(raw), "(xarray-simlab: 3.5 ms)"),
        ("  np.save of all of them at once", _per_step(rounds["np.save"]), "with fsync, as simherd does"),
        ("  ratio", f"{np.median(raw / rounds['np.save']):.1f}", "median of pairs"),
        ("the same with the default codec", _per_step(zstd), ""),
        ("bytes written per byte of result", f"{amplification:.2f}", "(xarray-simlab: 127)"),
        ("fixed cost of a run in memory", f"{fixed * 1e3:.2f} ms", "(xarray-simlab: 6.5 ms)"),
        ("  of that, creating such a Dataset", f"{dataset * 1e3:.2f} ms", ""),
        *(
            (f"{SIMULATIONS:,} arrays of about 200 doubles and one of 5,000, {name}", *said)
            for name, said in sizes.items()
        ),
        ("import simherd with its models", f"{_import_seconds():.3f} s", "beyond numpy and attrs"),
    ]
    print(table(f"Store: {STEPS} steps to a Zarr folder, and what every run costs", rows))


def _saving(folder: Path) -> tuple[dict[str, np.ndarray], int]:
    """Return the seconds of each round in which rivals take turns, and the bytes of chunks of a run."""
    store, file = folder / "out.zarr", folder / "out.npy"
    results = np.random.default_rng(0).random((STEPS + 1, Field.SIZE))

    def run(steps: int, compressors: object) -> Callable[[], object]:
        setup = sh.create_setup(field, {"t": np.arange(steps + 1.0)}, output_vars={"field__values": "t"})
        encoding = {"field__values": {"compressors": compressors}}
        return lambda: setup.simherd.run(field, store=store, encoding=encoding)

    def save() -> None:
        with file.open("wb") as handle:
            np.save(handle, results)
            os.fsync(handle.fileno())

    rivals: dict[str, Callable[[], object]] = {
        "steps alone": _bare_steps,
        "np.save": save,
        "raw": run(STEPS, None),
        "raw, one step": run(1, None),
        "zstd": run(STEPS, "default"),
        "zstd, one step": run(1, "default"),
    }
    times: dict[str, list[float]] = {name: [] for name in rivals}
    written = 0
    for _ in range(ROUNDS):
        for name, call in rivals.items():
            started = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - started)
            if name == "raw":
                written = sum(chunk.stat().st_size for chunk in store.rglob("c*") if chunk.is_file())
            # Every rival writes new files: emptying old ones takes as long as writing
            shutil.rmtree(store, ignore_errors=True)
            file.unlink(missing_ok=True)
    return {name: np.array(seconds[1:]) for name, seconds in times.items()}, written


def _per_step(seconds: np.ndarray) -> str:
    return f"{np.median(seconds) / STEPS * 1e6:.1f} us"


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


def _sizes() -> dict[str, tuple[str, str]]:
    """Return for each layout the time to run and store values of different sizes, and to read all of them."""
    counts = np.random.default_rng(0).poisson(200, SIMULATIONS)
    counts[SIMULATIONS // 2] = 5000
    setup = sh.create_setup(
        events, input_vars={"events__count": ("b", counts)}, output_vars={"events__depth": None}
    )
    said = {}
    for layout in ("padded", "concatenated"):
        with tempfile.TemporaryDirectory() as folder:
            store, encoding = f"{folder}/out.zarr", {"events__depth": {"layout": layout}}
            started = time.perf_counter()
            setup.simherd.run(events, batch_dim="b", store=store, encoding=encoding)
            ran = time.perf_counter() - started
            result = xr.open_zarr(store)
            started = time.perf_counter()
            if layout == "padded":
                values = result.events__depth.values
            else:
                values = np.concatenate(sh.read_ragged(result, "events__depth"))
            read = time.perf_counter() - started
            nbytes = sum(file.stat().st_size for file in Path(store).rglob("*") if file.is_file())
        said[layout] = (
            f"{ran / SIMULATIONS * 1e6:.0f} us each",
            f"read in {read:.2f} s to {values.nbytes / 1e6:.0f} MB, {nbytes / 1e6:.0f} MB on the disk",
        )
    return said


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

"""What a simulation of a batch costs from end to end, store included."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from models import bare_tiny, tiny
from timing import medians, table

import simherd as sh

SIMULATIONS = 5000
STEPS = 10


def main() -> None:
    """Measure and print."""
    starts = np.linspace(0.0, 1.0, SIMULATIONS)
    setup = sh.create_setup(
        tiny,
        clocks={"time": np.arange(STEPS + 1.0)},
        input_vars={"growth__start": ("member", starts)},
        output_vars={"growth__profile": "time", "total__value": None},
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.zarr"

        def store(**options: object) -> Callable[[], None]:
            def run() -> None:
                shutil.rmtree(path, ignore_errors=True)
                setup.simherd.run(tiny, batch_dim="member", store=path, **options)

            return run

        def bare() -> None:
            np.savez(Path(folder) / "bare.npz", *bare_tiny(starts, STEPS))

        started = time.perf_counter()
        with sh.open_client("local", workers=2) as client:
            opened = time.perf_counter() - started
            seconds = medians(
                {
                    "bare": bare,
                    "serial": store(),
                    "client": store(parallel=True, scheduler=client),
                },
                repeats=5,
            )
        _check(path, starts)
    per = {name: value / SIMULATIONS * 1e3 for name, value in seconds.items()}
    rows = [
        ("bare NumPy loop, one .npz", f"{per['bare']:.4f} ms", ""),
        ("simherd, serial", f"{per['serial']:.4f} ms", _ratio(per, "serial", 14.5)),
        ("simherd, LocalCluster(2), warm", f"{per['client']:.4f} ms", _ratio(per, "client", 38.0)),
        ("LocalCluster(2), to open", f"{opened:.2f} s", ""),
    ]
    title = f"Batch: {SIMULATIONS} simulations of 5 processes and {STEPS} steps, per simulation, to a folder"
    print(table(title, rows))


def _ratio(per: dict[str, float], name: str, theirs: float) -> str:
    return f"{per[name] / per['bare']:.1f} x bare (xarray-simlab: {theirs} ms)"


def _check(path: Path, starts: np.ndarray) -> None:
    """Hold what was measured to what a plain loop computes."""
    import xarray as xr

    profiles, totals = bare_tiny(starts, STEPS)
    with xr.open_zarr(path) as result:
        np.testing.assert_array_equal(result["growth__profile"].values, profiles)
        np.testing.assert_array_equal(result["total__value"].values, totals)


if __name__ == "__main__":
    main()

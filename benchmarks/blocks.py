"""What blocks cost on their way to the disk and back, and what the client keeps of a batch."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from timing import medians, table

import simherd as sh
from simherd.engine.block import BlockResult
from simherd.store.batch_store import create_batch_store
from simherd.store.layout import ArrayLayout

SIMULATIONS = 10_000
BLOCK = 1000
SHAPES = {"scalar": (), "series": (100,), "field": (32, 32)}


def main() -> None:
    """Measure and print."""
    rng = np.random.default_rng(0)
    values = {name: rng.random((BLOCK, *shape)) for name, shape in SHAPES.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        seconds = medians(
            {
                "npy": lambda: _as_npy(path, values),
                "raw": _as_store(path, values, None),
                "codec": _as_store(path, values, "default"),
            },
            repeats=5,
        )
        last = max(path.glob("*.zarr"))
        read = medians({"mean": lambda: xr.open_zarr(last).field.mean("b").compute()}, repeats=5)["mean"]
    small, large = (_client_mb(simulations) for simulations in (10_000, 1_000_000))
    rows = [
        (".npy files of the same blocks", _each(seconds["npy"]), "with fsync, as all here"),
        ("simherd, uncompressed", _each(seconds["raw"]), f"{seconds['raw'] / seconds['npy']:.1f} x"),
        ("simherd, default codec", _each(seconds["codec"]), f"{seconds['codec'] / seconds['npy']:.1f} x"),
        ("mean over the batch of a field", f"{read:.2f} s", "(xarray-simlab's chunks: 17.6 s)"),
        ("client and scheduler, 10,000 simulations", f"{small:.0f} MB", ""),
        ("client and scheduler, 1,000,000", f"{large:.0f} MB", f"{large / small:.2f} x"),
    ]
    title = f"Blocks: {SIMULATIONS} simulations in blocks of {BLOCK}, a scalar, 100 and 32 x 32 doubles each"
    print(table(title, rows))


def _each(seconds: float) -> str:
    return f"{seconds / SIMULATIONS * 1e6:.1f} us each"


def _as_npy(folder: Path, values: dict[str, np.ndarray]) -> None:
    place = Path(tempfile.mkdtemp(dir=folder))
    for number in range(SIMULATIONS // BLOCK):
        for name, block in values.items():
            with (place / f"{name}.{number}.npy").open("wb") as file:
                np.save(file, block)
                os.fsync(file.fileno())


def _as_store(folder: Path, values: dict[str, np.ndarray], compressors: object) -> Callable[[], None]:
    layouts = [
        ArrayLayout(
            name=name,
            dims=("b", *(f"{name}{axis}" for axis in range(len(shape)))),
            shape=(SIMULATIONS, *shape),
            chunks=(BLOCK, *shape),
            dtype=np.dtype(float),
            fill_value=np.nan,
            attrs={},
            compressors=compressors,
        )
        for name, shape in SHAPES.items()
    ]
    outcomes = [
        ArrayLayout(
            name=name, dims=("b",), shape=(SIMULATIONS,), chunks=(BLOCK,), dtype=np.dtype(dtype),
            fill_value=fill, attrs={},
        )
        for name, dtype, fill in (("simulation_status", "u1", 0), ("simulation_seconds", "f8", np.nan))
    ]  # fmt: skip

    def write() -> None:
        place = folder / f"{time.monotonic_ns()}.zarr"
        writer = create_batch_store(place, xr.Dataset(), [*layouts, *outcomes], {"simulations": 0}).writer()
        for start in range(0, SIMULATIONS, BLOCK):
            writer.write(
                BlockResult(
                    numbers=range(start, start + BLOCK),
                    values=[block[:, None] for block in values.values()],
                    status=np.ones(BLOCK, "u1"),
                    seconds=np.zeros(BLOCK),
                )
            )

    return write


@sh.process
class Square:
    """Next to nothing, many times."""

    x = sh.variable()
    y = sh.variable(intent="out")

    def initialize(self) -> None:
        """Compute."""
        self.y = self.x * self.x


def run_and_tell(simulations: int) -> None:
    """Run a batch on a cluster whose scheduler is in this process, and print its largest memory, in MB."""
    model = sh.Model({"p": Square})
    setup = sh.create_setup(
        model, input_vars={"p__x": ("b", np.arange(float(simulations)))}, output_vars={"p__y": None}
    )
    with tempfile.TemporaryDirectory() as folder, sh.open_client("local", workers=2) as client:
        setup.simherd.run(
            model, batch_dim="b", parallel=True, scheduler=client, store=f"{folder}/out.zarr", vectorize=True
        )
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def _client_mb(simulations: int) -> float:
    command = [sys.executable, __file__, str(simulations)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main() if len(sys.argv) == 1 else run_and_tell(int(sys.argv[1]))

"""Long simulations whose outputs do not fit into the memory that they may take."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import simherd as sh


@sh.process
class Wave:
    """A profile and a sum that change at each step."""

    x = sh.index(dims="x")
    height = sh.variable(dims="x", intent="out", attrs={"units": "m"})
    steps = sh.variable(intent="out")

    def initialize(self):
        self.x = np.arange(1000) / 10
        self.height = np.zeros(1000)
        self.steps = 0

    def finalize_step(self):
        self.height = self.height + 1.0
        self.steps += 1


model = sh.Model({"wave": Wave})
BYTES_PER_VALUE = 8000


def setup(steps, **outputs):
    return sh.create_setup(
        model,
        clocks={"time": np.arange(steps + 1), "coarse": np.arange(0, steps + 1, 10)},
        master_clock="time",
        output_vars={"wave__height": "time", "wave__steps": "coarse", **outputs},
    )


@pytest.mark.parametrize("steps", [49, 50, 51, 99])
def test_the_store_is_the_same_as_without_a_limit(tmp_path, steps):
    whole = setup(steps).simherd.run(model, store=tmp_path / "whole.zarr")

    streamed = setup(steps).simherd.run(
        model, store=tmp_path / "streamed.zarr", memory_limit=2 * 10 * BYTES_PER_VALUE
    )

    assert streamed.wave__height.chunks[0][0] == 10
    xr.testing.assert_identical(streamed.load(), whole.load())


def test_windows_are_whole_chunks_of_the_users(tmp_path):
    result = setup(60).simherd.run(
        model,
        store=tmp_path / "out.zarr",
        memory_limit=2 * 10 * BYTES_PER_VALUE,
        encoding={"wave__height": {"chunks": [4, 1000]}},
    )

    assert result.wave__height.chunks[0][0] == 4
    assert result.wave__height[:, 0].values.tolist() == list(range(61))


def test_what_was_written_before_an_error_is_kept(tmp_path):
    @sh.process
    class Breaking(Wave):
        def run_step(self):
            if self.steps == 33:
                raise RuntimeError("broken")

    breaking = sh.Model({"wave": Breaking})

    with pytest.raises(RuntimeError, match="broken"):
        setup(60).simherd.run(breaking, store=tmp_path / "out.zarr", memory_limit=2 * 10 * BYTES_PER_VALUE)

    with xr.open_zarr(tmp_path / "out.zarr") as kept:
        assert kept.wave__height[:30, 0].values.tolist() == list(range(30))
        assert np.isnan(kept.wave__height[30:, 0]).all()


SCRIPT = """
import resource, sys
import numpy as np, xarray, zarr, simherd as sh
sys.path.insert(0, {folder!r})
from wave import model, setup
limit = {limit}
setup(20).simherd.run(model, store={store!r} + "-first", memory_limit=limit)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
setup({steps}).simherd.run(model, store={store!r}, memory_limit=limit)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_peak_memory_stays_within_the_limit_and_a_chunk(tmp_path):
    source = Path(__file__).read_text().split("\n@pytest")[0].replace("import pytest\n", "")
    (tmp_path / "wave.py").write_text(source)
    limit, chunk, steps = 32 * 2**20, 4 * 2**20, 20_000
    script = SCRIPT.format(folder=str(tmp_path), limit=limit, steps=steps, store=str(tmp_path / "out.zarr"))

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    written = steps * BYTES_PER_VALUE
    assert written > 4 * limit
    assert int(done.stdout) < limit + chunk

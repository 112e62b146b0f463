"""A sample of the injected faults that ``make faults`` tries."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = Path(__file__).parents[1] / "benchmarks" / "faults"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="faults are injected by a library that cc builds")
def test_nothing_is_lost_by_a_sample_of_faults():
    command = [sys.executable, str(FAULTS), "--quick", "--workers", "1"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"tried (\d+), held \1, broken 0", done.stdout)

"""The commands of docs/sessions.md, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from simherd.sessions import list_all

TEXT = (Path(__file__).parents[2] / "docs/sessions.md").read_text()
COMMANDS = re.findall(r"^\$ (.*)$", TEXT, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.cluster
def test_the_commands_run_one_after_the_other(state, tmp_path):
    program = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{program}{os.pathsep}{os.environ['PATH']}"}
    printed = {}

    for command in COMMANDS:
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        printed[command] = done.stdout

    assert len(COMMANDS) == 15
    assert {found.state.value for found in list_all()} == {"done"}
    assert all((tmp_path / name).is_dir() for name in ("results.zarr", "first.zarr", "second.zarr"))
    assert "Nothing is left to run." in printed["simherd session logs night --follow"]
    assert "Rehearsal: 20 simulations, " in printed[COMMANDS[-1]]

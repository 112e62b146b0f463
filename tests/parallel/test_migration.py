"""A script that was written for sciris gives the same with its import changed."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("migration_script.py")
WALKS = pytest.approx([7.380231707288347, -0.9714089080609984, -6.31349941598471])
EXPECTED = {
    "three_ways": [[2, 6], [2, 6], [2, 6], [10, 20], [10, 20]],
    "random_numbers": [6, True],
    "simulations": [WALKS, WALKS, [10, 10, 10]],
    "shared_keyword_named_seed": [6, 7],
    "methods_and_closures": [[5, 10], [4, 5], [102334155, 12586269025]],
    "load": [2, 4],
    "failures": [["0", "1", "no 2", "3"], [True, True, False, True], [None, None, "no 2", None]],
    "in_steps": ["not run", "running", "done", True, [None, None], 2, 2, 2],
    "callbacks": [[0, 1], [1, 2]],
    "shared_dictionary": [[0, 0], [1, 1], [2, 4]],
    "maps_of_the_user": [[3, 8], [3, 8], [3, 8]],
    "figures": [["1.png", "2.png"], ["1.png", "2.png"]],
    "progress": [1, 2],
}


@pytest.fixture(scope="module")
def found_with(tmp_path_factory):
    """Return a function that gives what each part of the script returns with a library."""
    found = {}

    def run(library):
        if library not in found:
            path = tmp_path_factory.mktemp(library) / "found.json"
            command = [sys.executable, SCRIPT, library, path]
            subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
            found[library] = json.loads(path.read_text())
        return found[library]

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    "library",
    [
        "simherd",
        pytest.param(
            "sciris",
            marks=pytest.mark.skipif(find_spec("sciris") is None, reason="sciris is not installed"),
        ),
    ],
)
@pytest.mark.parametrize("part", EXPECTED)
def test_script_gives_the_same(library, part, found_with):
    assert found_with(library)[part] == EXPECTED[part]

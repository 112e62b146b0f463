"""The contract held against sciris itself: the same calls give the same results or the same errors."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import simherd as sh

PROBES = Path(__file__).with_name("sciris_probes.py")
probes = runpy.run_path(str(PROBES))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("sciris") is None, reason="sciris is not installed"),
]


@pytest.fixture(scope="module")
def theirs():
    """Return what each call gives with sciris."""
    done = subprocess.run([sys.executable, PROBES], capture_output=True, text=True, timeout=300, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", probes["SAME"])
def test_calls_give_what_sciris_gives(name, theirs):
    ours = json.loads(json.dumps(probes["outcome"](sh, probes["SAME"][name])))

    if isinstance(theirs[name], dict):
        assert set(theirs[name]["errors"]) <= set(ours["errors"]), "who catches its error catches ours"
    else:
        assert ours == theirs[name]

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs/xarray-simlab.md"


@pytest.mark.cluster
def test_the_script_of_the_document_runs(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)

    assert done.stderr == ""
    assert done.stdout == "[0.9025 1.805  3.61  ]\n"

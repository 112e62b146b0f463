"""docs/job-scripts.md says what there is."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

TEXT = (Path(__file__).parents[2] / "docs" / "job-scripts.md").read_text()


def test_each_placeholder_of_the_templates_is_documented():
    templates = files("simherd.jobs").joinpath("templates").iterdir()
    used = {name for path in templates for name in re.findall(r"@\{([a-z_]+)\}", path.read_text())}

    documented = set(re.findall(r"@\{([a-z_]+)\}", TEXT))
    assert used <= documented
    assert documented - used <= {"nodes", "ntasks", "cores", "threads"}

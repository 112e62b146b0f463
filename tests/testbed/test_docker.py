"""The images are built from the files of the test bed, and lead commands to it."""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"


def bed_variables() -> dict[str, str]:
    names = ("SIMHERD_TESTBED", "SIMHERD_TESTBED_PORT")
    bare = {name: value for name, value in os.environ.items() if name not in names}
    exports = subprocess.run(
        [ROOT / "scripts" / "testbed", "env"], env=bare, capture_output=True, text=True, check=True
    )
    return dict(word.split("=", 1) for word in shlex.split(exports.stdout) if word != "export")


def test_images_set_the_variables_that_the_script_prints():
    one_line = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
    instruction = re.search(r"^ENV (.*)", one_line, re.MULTILINE)

    assert instruction is not None
    written = dict(word.split("=", 1) for word in shlex.split(instruction[1]))
    assert written.pop("SYSTEM") == "${SYSTEM}"
    assert written == bed_variables()


def test_what_images_copy_exists_and_is_not_ignored():
    copied = re.findall(r"^COPY (\S+)", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    kept = re.findall(r"^!(.*)", (DOCKER / "Dockerfile.dockerignore").read_text(), re.MULTILINE)

    for path in copied:
        assert (ROOT / path).exists()
        assert any(fnmatch.fnmatch(path, pattern) for pattern in kept)


@pytest.mark.parametrize("system", ["slurm", "sge"])
def test_compose_builds_a_container_for_each_system(system):
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]

    build = services[system]["build"]
    assert build["args"] == {"SYSTEM": system}
    assert (DOCKER / build["context"] / build["dockerfile"]).is_file()


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.parametrize("system", ["slurm", "sge"])
def test_a_container_takes_jobs(system):
    compose = ("docker", "compose", "-f", str(DOCKER / "compose.yaml"))
    try:
        has_engine = subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        has_engine = False
    if not has_engine:
        pytest.skip("no docker engine runs here")
    job = {"slurm": "srun -N2 hostname", "sge": "qsub -sync y -o /dev/null -j y -b y hostname"}[system]

    done = subprocess.run(
        [*compose, "run", "--rm", "--build", system, *job.split()],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr

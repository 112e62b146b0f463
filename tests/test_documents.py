"""The project's own papers stay true: what they show runs, what they name exists."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


def python_blocks(name: str) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL))


@pytest.mark.cluster
def test_the_python_of_the_readme_runs_as_one_script_without_a_main_guard(tmp_path):
    script = tmp_path / "readme.py"
    script.write_text(python_blocks("README.md"))

    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "growth.zarr").is_dir()
    first, *_ = done.stdout.splitlines()
    assert float(first) == pytest.approx(1000, rel=1e-3)


@pytest.mark.cluster
def test_the_parallel_map_prints_what_its_document_says(tmp_path):
    code = python_blocks("docs/parallelize.md")
    said = re.findall(r"^ *print\(.*\) +# (?:.*: )?(.+)$", code, re.MULTILINE)
    script = tmp_path / "maps.py"
    script.write_text(code)

    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == said
    assert len(said) == 11


def test_the_python_of_the_vectorised_blocks_runs_and_gives_what_a_loop_gives(tmp_path):
    names = {}
    exec(python_blocks("docs/vectorised.md"), names)

    few = names["setup"].isel(member=slice(0, None, 1000))
    alone = few.simherd.run(names["model"], batch_dim="member")
    found = names["result"].decay__left.sel(member=slice(0, None, 1000))
    np.testing.assert_allclose(found, alone.decay__left, rtol=1e-10)


@pytest.mark.cluster
def test_the_commands_of_the_readme_run_one_after_the_other(tmp_path):
    text = (ROOT / "README.md").read_text().split("## The same from the command line")[1]
    here = text.split("## On a cluster")[0] + text.split("## Long runs")[1]  # test_how_tos.py has the rest
    commands = re.findall(r"^\$ (simherd .*?)(?: +#.*)?$", here, re.MULTILINE)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    for command in commands:
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"

    assert len(commands) >= 7
    assert (tmp_path / "rehearsal.zarr").is_dir()


def test_the_configuration_at_the_root_is_the_one_that_simherd_new_writes():
    packaged = ROOT / "src/simherd/cli/templates/jobqueue.yaml"

    assert (ROOT / "jobqueue.yaml").read_bytes() == packaged.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["SLURM", "SGE"])
def test_dask_jobqueue_makes_a_job_script_from_the_configuration(scheduler, tmp_path):
    code = (
        "import dask_jobqueue\n"
        f"cluster = dask_jobqueue.{scheduler}Cluster(scheduler_options={{'dashboard_address': ':0'}})\n"
        "print(cluster.job_script())\n"
        "cluster.close()\n"
    )
    folders = {"HOME": str(tmp_path), "DASK_TEMPORARY_DIRECTORY": str(tmp_path)}
    environment = {**os.environ, "DASK_CONFIG": str(ROOT / "jobqueue.yaml"), **folders}

    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", "-c", code],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "simherd" in done.stdout
    assert "--nthreads 1" in done.stdout
    assert "01:00:00" in done.stdout


def test_the_architecture_names_every_room():
    text = (ROOT / "docs/architecture.md").read_text()
    rooms = [p.name for p in (ROOT / "src/simherd").iterdir() if (p / "__init__.py").exists()]

    assert [room for room in rooms if f"`{room}`" not in text] == []


def test_make_names_every_goal_in_its_help():
    makefile = (ROOT / "Makefile").read_text()
    goals = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()

    assert [goal for goal in goals if goal != "help" and f"make {goal} " not in makefile] == []
